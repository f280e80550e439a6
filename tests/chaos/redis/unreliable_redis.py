"""Redis fails under whole runs: the output is that of an undisturbed run, the run ends in time, one repair is enough.

Each trial is one fault at one moment of one run on one kind of server. ``trial`` repeats one by its name.
"""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from flows.repair import repair_output
from tests.chaos.campaign import NOT_STRUCK, Campaign, Hunt, NotStruck, Report, Short
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import Told, run
from tests.chaos.harness.scene import DAYS, Scene, catalog
from tests.chaos.harness.worker import Worker, call
from tests.chaos.redis.faults import SERVERS, Fault, Stage, older_and_loading
from tests.chaos.redis.mutants import MUTANTS
from tests.chaos.redis.proxy import Proxy
from tests.chaos.redis.values import NEW, VALUES
from tests.redis_servers import client_of, started, valkey

BOUND = 15.0
"""Seconds that a run of this size may take, whatever Redis does. The longest wait of its own is one of 6 seconds."""
FAULTS: dict[str, Fault] = SERVERS | VALUES
FIRST_RUNS = SERVERS.keys() - {"restarted from an older file"}
"""Faults that may meet a run without an output, in a quarter of their trials. An old index would have it refused."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a fault strikes: before the run (0), or before the n-th call of the run."""

    nth: int

    def __str__(self) -> str:
        return f"before call {self.nth}" if self.nth else "at start"


def binaries() -> dict[str, str | None]:
    """The servers to try; None for one that this machine lacks."""
    return {"valkey": valkey(), "redis-7.0": shutil.which("redis-server")}


class Ground:
    """What all trials of a campaign start from: a scene with two committed days, and the server's files of then."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary = binary
        self.scene = Scene(folder / "raw", folder / "output")
        self.older, self.loading = older_and_loading(binary, folder)
        self.full = folder / "full"
        self.full.mkdir()
        with started(binary=binary) as server, client_of(server.url) as client:
            scene = replace(self.scene, redis_url=server.url)
            for day, saved in zip(DAYS, (self.older, self.full), strict=True):
                scene.sell(day, 1, 2, 3)
                call(run_mutated, scene, ())
                client.save()
                shutil.copyfile(server.folder / "dump.rdb", saved / "dump.rdb")
        self.calls = self._count(folder)

    def _count(self, folder: Path) -> int:
        """How many calls an undisturbed run makes."""
        with ExitStack() as stack:
            stage = self.stage(stack, folder / "count", random.Random(0), 2)
            call(run_mutated, stage.scene, ())
            return stage.proxy.calls

    def stage(self, stack: ExitStack, folder: Path, chance: random.Random, lease_seconds: int) -> Stage:
        """A copy of all of it: the first day has changed since, the second has not, and there is a third."""
        shutil.copytree(self.scene.raw.parent / "raw", folder / "raw")
        shutil.copytree(self.scene.output, folder / "output")
        saved = folder / "saved"
        shutil.copytree(self.full, saved)
        server = stack.enter_context(started("--enable-protected-configs", "yes", binary=self.binary, folder=saved))
        proxy = Proxy(server.folder / "socket")
        stack.callback(proxy.close)
        scene = Scene(folder / "raw", folder / "output", proxy.url, lease_seconds=lease_seconds)
        scene.sell(DAYS[0], 4, 5)
        scene.sell(NEW, 6)
        return Stage(stack, scene, chance, self.binary, proxy, server, self.older, self.loading)


def run_mutated(scene: Scene, mutants: tuple[str, ...], told: Told) -> dict[str, Any]:
    """What the worker's process runs: one run, less some protections."""
    with ExitStack() as removed:
        for name in mutants:
            removed.enter_context(MUTANTS[name]())
        return run(scene, told=told).to_json()


def trial(
    ground: Ground,
    folder: Path,
    name: str,
    moment: Moment,
    seed: int,
    mutants: tuple[str, ...] = (),
    bound: float = BOUND,
) -> Iterator[str]:
    """One fault at one moment; yields what it broke."""
    fault = FAULTS[name]
    with ExitStack() as stack:
        stack.callback(partial(shutil.rmtree, folder, ignore_errors=True))
        chance = random.Random(f"{seed} {name} {moment}")
        stage = ground.stage(stack, folder, chance, fault.lease_seconds)
        if name in FIRST_RUNS and chance.random() < 0.25:
            stage.scene.clear()
            stage.client().flushall()
        fault.prepare(stage)
        stage.proxy.undisturbed()
        if moment.nth or fault.at_call:
            stage.proxy.before = partial(_strike_once, stage, fault, moment)
        else:
            stage.notes["at start"] = True
            fault.strike(stage)
        worker = Worker(run_mutated, stage.scene, mutants)
        worker.let_go()
        if not worker.wait(bound):
            yield f"the run did not end within {bound:g} s"
        elif worker.error or (failed := [one for one in worker.result["failed"] if not _made_up(one)]):
            yield f"the run ended with {worker.error or failed}"
        if (fault.at_call or moment.nth) and not stage.call:
            raise NotStruck
        if error := stage.notes.get("error"):
            yield f"the fault itself failed: {error}"
        yield from fault.judge(stage)
        yield from _inspected(replace(stage.scene, redis_url="none"))
        stage.proxy.undisturbed()
        fault.heal(stage)
        repair_output(stage.scene.settings(), catalog(), deep=False, accept=fault.foreign, dry_run=False)
        yield from (f"after one repair: {wrong}" for wrong in _inspected(stage.scene))


def _inspected(scene: Scene) -> list[str]:
    try:
        return inspect(scene)
    except Exception as error:  # noqa: BLE001 what cannot even be read is wrong too
        return [f"{type(error).__name__}: {error}"]


def _made_up(failed: dict[str, str]) -> bool:
    """A day that the index alone knows is told as lost, once: the contract wants it. It is none of the input's."""
    return failed["kind"] == "unrecoverable" and failed["day"] not in (*DAYS, NEW)


def _strike_once(stage: Stage, fault: Fault, moment: Moment, number: int, call: bytes) -> None:
    due = fault.at_call in call if fault.at_call else number == moment.nth
    if due and not stage.call:
        stage.call = call
        try:
            fault.strike(stage)
        except Exception:  # noqa: BLE001 it is told to the trial, which runs in another thread
            stage.notes["error"] = traceback.format_exc()


def matrix(calls: int, seed: int) -> list[tuple[str, Moment]]:
    """Every fault before the run, and before every call of it; a random order for those who take only some."""
    found = [(name, Moment(0)) for name, fault in FAULTS.items() if fault.at_start or fault.at_call]
    found += [
        (name, Moment(nth))
        for name, fault in FAULTS.items()
        if fault.in_mid_run and not fault.at_call
        for nth in range(1, calls + 1)
    ]
    random.Random(seed).shuffle(found)
    return found


@cache
def _ground(binary: str) -> Ground:
    """The one of this process for a kind of server."""
    folder = tempfile.mkdtemp(prefix="noonmark-ground-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Ground(binary, Path(folder))


def attack(
    trials: int,
    seed: int,
    workdir: Path,
    kinds: tuple[str, ...] = (),
    mutants: tuple[str, ...] = (),
    points: Sequence[tuple[str, int]] = (),
    bound: float = BOUND,
    stop_at: int | None = 20,
) -> Report:
    """The first ``trials`` of the matrix on each kind of server.

    ``points`` are faults with the number of the call that each strikes before (0: before the run) instead of the
    matrix, ``bound`` how many seconds a run may take.
    """
    report = Report()
    began = time.monotonic()
    for kind, binary in binaries().items():
        if kinds and kind not in kinds:
            continue
        if binary is None:
            report.skipped[f"no {kind}: its server is not on the PATH"] += trials
            continue
        folder = workdir / kind
        folder.mkdir()
        ground = _ground(binary)
        chosen = [(name, Moment(nth)) for name, nth in points] or matrix(ground.calls, seed)
        for number, (name, moment) in enumerate(chosen[:trials]):
            what = f"seed {seed}, {kind}, {name} {moment}"
            try:
                found = list(trial(ground, folder / f"trial{number}", name, moment, seed, mutants, bound))
            except NotStruck:
                report.skipped[NOT_STRUCK] += 1
                continue
            except Exception:  # noqa: BLE001 a trial that breaks off proves nothing
                found = [traceback.format_exc()]
            report.violations += [f"{what}: {wrong}" for wrong in found]
            report.trials += 1
            report.details[name] += 1
            if stop_at is not None and len(report.violations) >= stop_at:
                break
    report.seconds = time.monotonic() - began
    return report


def _hunt(fault: str, nth: int = 0, *, bound: float = BOUND, slow: bool = False) -> Hunt:
    """The fault that shows a mutant, and before which call of the run it strikes in the tests: others follow."""
    points = [(fault, nth), *((fault, other) for other in range(1, 12))]
    return Hunt(len(points), 1, {"points": points, "kinds": ("valkey",), "bound": bound}, slow=slow)


_QUICK = [
    ("killed", 6),
    ("stopped", 3),
    ("flushed", 5),
    ("restarted from an older file", 8),
    ("out of memory", 2),
    ("losing a reply", 4),
    ("losing a reply", 7),
    ("lies", 0),
    ("lies", 5),
    ("wrong types", 6),
    ("another output's index", 0),
]
_IN_TIME = 5.0
"""Seconds that a run takes at most beside a stopped server: all tries of a call together have 6."""

CAMPAIGN = Campaign(
    "unreliable-redis",
    "Real servers, Valkey and Redis 7.0: every fault at the start and before every call of a run",
    "4, 12",
    attack,
    trials=1_000,
    seed=20261123,
    shorts={
        "": Short(len(_QUICK), options={"points": _QUICK, "kinds": ("valkey",)}),
        "in time": Short(1, options={"points": [("stopped", 0)], "kinds": ("valkey",), "bound": _IN_TIME}, slow=True),
        **{
            kind: Short(
                10_000, at_least=1, met=dict.fromkeys(FAULTS, 1), options={"kinds": (kind,)}, slow=True, timeout=1800
            )
            for kind in ("valkey", "redis-7.0")
        },
    },
    mutants={
        "Redis believed about done": _hunt("lies"),
        "index stat trusted": _hunt("an index that vouches for a foreign file"),
        "failures believed from Redis": _hunt("lies"),
        "lease blocks for ever": _hunt("lies", slow=True),
        "root id ignored": _hunt("another output's index"),
        "no deadline on a call": _hunt("stopped", slow=True),
        "lost reply retried": _hunt("stopped", bound=_IN_TIME, slow=True),
        "lease released without token": _hunt("a lease taken over"),
        "boot id ignored": _hunt("leases of another host of this name"),
        "index set without compare": _hunt("a commit meanwhile"),
        "a lost Redis fails the run": _hunt("killed", 6),
    },
    waits=True,
)
