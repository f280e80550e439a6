"""Damaged results in whole runs: ``--deep`` checks, a run follows, the day is right again and the damaged file is kept.

Every trial damages one place of a small project and leaves it repaired for the next trial.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows.repair import repair_output
from state import outputs
from state.errors import Refused, StorageError
from state.result.classify import Damaged
from state.result.record import is_token
from state.store.local import layout
from state.store.local.root import find_store
from tests.chaos.campaign import Campaign, Hunt, Report, Short, run_trials
from tests.chaos.damage import damaged_bytes
from tests.chaos.damage.foreign_files import FOREIGN, kept, seen
from tests.chaos.damage.mutants import MUTANTS
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import DAYS, Scene, catalog, settle

PLACES = [(name, day) for name in ("items_by_shop", "totals") for day in DAYS]


def _repaired(scene: Scene, *, deep: bool = True, accept: bool = False) -> dict[str, Any]:
    return repair_output(scene.settings(), catalog(), deep=deep, accept=accept, dry_run=False).to_json()


def _look(scene: Scene, aggregation: str, day: str) -> object:
    root = find_store(scene.output)
    assert root
    with root:
        return root.lookup((aggregation, day))


def _ways() -> list[tuple[str, Callable[[Path, random.Random], None]]]:
    """Everything foreign, and as often bytes of our own that were harmed."""

    def bits(path: Path, chance: random.Random) -> None:
        content = path.read_bytes()
        target = damaged_bytes.Target.of("", content, Damaged(""))
        harm = (
            damaged_bytes.drawn(target, chance)
            if chance.random() < 0.7
            else damaged_bytes.cut(target, chance.randrange(len(content)))
        )
        path.write_bytes(harm.content)

    return [*FOREIGN.items(), *((f"harmed bytes {at}", bits) for at in range(len(FOREIGN)))]


def result_trial(scene: Scene, number: int, seed: int) -> Iterator[str]:
    """Harm in a result's place: not served, found, kept, mended, and nothing else touched."""
    chance = random.Random(f"{seed} {number}")
    what, put = _ways()[number % len(_ways())]
    aggregation, day = chance.choice(PLACES)
    path = scene.output / layout.data_file(aggregation, day)
    put(path, chance)
    harm = seen(path)
    around = sorted(os.listdir(scene.output.parent)), sorted(os.listdir(scene.output))
    by_every_run = isinstance(_look(scene, aggregation, day), Damaged)
    what = f"seed {seed}, {what} as {aggregation} {day} (found by {'every run' if by_every_run else '--deep alone'})"
    try:
        outputs.scan(aggregation, days=day, output=scene.output).collect()
        yield f"{what}: a reader was served it"
    except StorageError:
        pass
    if not by_every_run or chance.random() < 0.5:
        report = _repaired(scene)
        if [(one["aggregation"], one["day"]) for one in report["set_aside"]] != [(aggregation, day)]:
            yield f"{what}: --deep set aside {report['set_aside']}"
    done = {(one["aggregation"], one["day"]) for one in run(scene).to_json()["committed"]}
    if done != {(aggregation, day)}:
        yield f"{what}: the next run computed {done}"
    if harm not in kept(scene.output):
        yield f"{what}: it was destroyed"
    own = (scene.output / layout.OWN).rglob("*")
    if names := [path.name for path in own if path.name.lower().endswith(".parquet") or path.is_symlink()]:
        yield f"{what}: readers count or follow {names} below {layout.OWN}"
    if (sorted(os.listdir(scene.output.parent)), sorted(os.listdir(scene.output))) != around:
        yield f"{what}: something was written beside the results"
    yield from (f"{what}: {wrong}" for wrong in inspect(scene))


def marker_trial(scene: Scene, number: int, seed: int) -> Iterator[str]:
    """A harmed root marker: every run refuses and leaves it, the accepting repair keeps it, and then all is well.

    A changed root id is still a marker, if it is a plain token. It costs the index until that repair, and no result.
    """
    chance = random.Random(f"{seed} marker {number}")
    path = scene.output / layout.MARKER
    good = path.read_bytes()
    harm = bytearray(good)
    if number % 3:
        harm[chance.randrange(len(harm))] ^= 1 << chance.randrange(8)
    else:
        del harm[chance.randrange(len(harm)) :]
    path.write_bytes(harm)
    what = f"seed {seed}, marker {bytes(harm)!r}"
    try:
        root = json.loads(harm)["root"]
        readable = root != json.loads(good)["root"] and is_token(root)
    except (ValueError, KeyError, TypeError):
        readable = False
    try:
        run(scene)
        if not readable and harm.strip() != good.strip():
            yield f"{what}: a run went on"
    except Refused as refused:
        if readable or (refused.command is None and b'"format"' not in harm):
            yield f"{what}: {refused}"
        if path.read_bytes() != harm:
            yield f"{what}: a run overwrote it"
        if refused.command is None:  # a later format's, as far as anybody can tell: a person restores it
            path.write_bytes(good)
        else:
            _repaired(scene, accept=True)
            if ("file", bytes(harm)) not in kept(scene.output):
                yield f"{what}: it was destroyed"
            run(scene)
    yield from (f"{what}: {wrong}" for wrong in inspect(scene))


def unreadable_trial(scene: Scene, number: int, seed: int) -> Iterator[str]:
    """A result that the disk does not give: the run names it and leaves it; once the disk gives it, it is good."""
    chance = random.Random(f"{seed} unreadable {number}")
    aggregation, day = chance.choice(PLACES)
    path = scene.output / layout.data_file(aggregation, day)
    before, inode, real = seen(path), path.stat().st_ino, os.pread

    def bad_disk(fd: int, length: int, offset: int) -> bytes:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, length, offset)

    what = f"seed {seed}, {aggregation} {day} unreadable"
    with patch.object(os, "pread", bad_disk):
        failed = [(one["aggregation"], one["day"]) for one in run(scene).to_json()["failed"]]
        if failed != [(aggregation, day)]:
            yield f"{what}: the run named {failed}"
        report = _repaired(scene)
        if taken := report["set_aside"]:
            yield f"{what}: --deep set aside {taken}"
        if [(one["aggregation"], one["day"]) for one in report["unreadable"]] != [(aggregation, day)]:
            yield f"{what}: --deep called {report['unreadable']} unreadable"
    if not path.is_file() or seen(path) != before:
        yield f"{what}: it was not left as it was"
    if committed := run(scene).to_json()["committed"]:
        yield f"{what}: readable again, {committed} was computed"
    yield from (f"{what}: {wrong}" for wrong in inspect(scene))


def edited_trial(workdir: Path) -> tuple[str | None, list[str]]:
    """An input edited with its name, size, inode and both times as they were: why that cannot be done here, or None;
    and what is wrong.

    The first store into a page that is mapped and shared marks the file's times, the next ones do not until the page
    is written back; in memory file systems it never is.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else workdir) as raw:
        scene = Scene(Path(raw), workdir / "edited")
        for day in DAYS:
            scene.sell(day, 1, 2, 3)
        path = scene.raw / "sales" / f"{DAYS[0]}.csv"
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            view[-2] = view[-2]
            settle(scene)
            run(scene)
            before = path.stat()
            view[-2] = ord("8")
            after = path.stat()
        told = [(one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino) for one in (before, after)]
        if told[0] != told[1]:
            return "this file system notices a store through mmap", []
        wrong = [f"every run found it: {one}" for one in run(scene).to_json()["committed"]]
        edited = {(one["aggregation"], one["day"]) for one in _repaired(scene)["edited"]}
        if edited != {place for place in PLACES if place[1] == DAYS[0]}:
            wrong.append(f"--deep names {edited}")
        run(scene, force=True)
        return None, wrong + inspect(scene)


def attack(trials: int, seed: int, workdir: Path, first: int = 0, stop_at: int = 1) -> Report:
    """Every trial harms a result; one in eight harms the marker too, one in sixteen the disk. One edits an input."""
    scene = Scene(workdir / "raw", workdir / "output")
    for day in DAYS:
        scene.sell(day, 1, 2, 3)
    settle(scene)
    run(scene)

    def trial(number: int) -> Iterator[str]:
        try:
            yield from result_trial(scene, number, seed)
            if number % 8 == 0:
                yield from marker_trial(scene, number // 8, seed)
            if number % 16 == 0:
                yield from unreadable_trial(scene, number, seed)
        except Exception as error:  # noqa: BLE001 whatever harm makes the code raise is a finding
            yield f"seed {seed}: {type(error).__name__}: {error}"

    began = time.monotonic()
    report = run_trials(range(first, first + trials), trial, stop_at)  # the next one would find the scene harmed
    why, wrong = edited_trial(workdir)
    if why:
        report.skipped[why] += 1
    else:
        report.trials += 1
        report.violations += [f"input edited without a trace: {one}" for one in wrong]
    report.seconds = time.monotonic() - began
    return report


CAMPAIGN = Campaign(
    "damaged-results",
    "Foreign files and damage in the place of results, marker and input: --deep, a run, and nothing is lost",
    "6, 5",
    attack,
    trials=1_000,
    seed=20261123,
    shorts={"": Short(36), "long": Short(1_000, slow=True, timeout=600)},
    mutants={name: Hunt(500, 64, slow=True) for name in MUTANTS if name not in damaged_bytes.BYTES},
    protections=MUTANTS,
)
