"""Storage that fails, fills up or is unmounted under a worker: it ends, says so and damages nothing.

Errors are injected at every call on a file of the project, one at a time; full disks, vanishing mounts and changing
inputs take turns with them.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from state.store.local import layout
from tests.chaos.campaign import Campaign, Hunt, Report, Short, run_trials
from tests.chaos.harness.file_calls import of_files
from tests.chaos.harness.invariants import generations, judged, look_and_mend, whole
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import DAY, SITUATIONS, Base, Bases, Partition, bases, kept
from tests.chaos.harness.tracing import Point, error, lacking, let_go_failing, let_go_until, list_calls
from tests.chaos.harness.worker import Worker, call, run_in_child
from tests.chaos.storage.changing_files import changes, coarse_clock, cut_short, panic
from tests.chaos.storage.mounts import full_disks, unmounts

_WRITES = ("ENOSPC", "EIO")
_OTHERS = ("EIO", "EACCES", "ESTALE")
_FAULTS = {
    **dict.fromkeys(("write", "pwrite64", "fsync", "syncfs"), _WRITES),
    **dict.fromkeys(("mkdir", "mkdirat", "link", "linkat", "rename", "renameat", "renameat2"), (*_WRITES, "EACCES")),
    **dict.fromkeys(("open", "openat", "read", "pread64", "getdents64", "stat", "fstat", "newfstatat"), _OTHERS),
    **dict.fromkeys(("statx", "unlink", "unlinkat", "flock"), _OTHERS),
}
Job = tuple[str, Callable[[], list[str]]]


@dataclass
class _Faults:
    """The trials of one campaign. Each kind has a round of its own, and the kinds take turns."""

    bases: Bases
    seed: int
    folder: Path
    mutants: tuple[str, ...]
    met: Counter[str] = field(default_factory=Counter)

    def errors(self) -> list[Job]:
        """One job for each call and each error that it can end with."""
        jobs = []
        for base in self.bases.built.values():
            with self.bases.copy(base) as scene:
                worker = Worker(run_in_child, scene, {"version": base.version}, mutants=self.mutants)
                for point in of_files(list_calls(worker, self.folder / "calls"), self.folder):
                    jobs += [self._job(base, point, name) for name in _FAULTS.get(point.call, ())]
        return jobs

    def _job(self, base: Base, point: Point, name: str) -> Job:
        return f"{base.name}, {point}, {name} [{point.line[:120]}]", lambda: self.fail(base, point, name)

    def fail(self, base: Base, point: Point, name: str) -> list[str]:
        """Let one call of a run end with an error."""
        with self.bases.copy(base) as scene:
            worker = Worker(run_in_child, scene, {"version": base.version}, mutants=self.mutants)
            tracer = let_go_until(worker, point, error(name), self.folder / "log")
            in_time = worker.wait()
            tracer.wait()
            if not in_time:
                return ["the worker did not end"]
            wrong = self._judge_ending(scene, base, worker)
            before = self._untouched(base, base.scene)
            if self._untouched(base, scene) != before:
                wrong.append("a result that was good was written anew")
            wrong += judged(scene, base, worker.told, self.mutants)
            if self._untouched(base, scene) != before:
                wrong.append("a result that was good was written anew by the next run")
            return wrong

    def unreadable(self) -> list[str]:
        """A result on a bad sector is neither done nor damaged: it stays as it is, and is named."""
        base = self.bases.built["changed day"]
        with self.bases.copy(base) as scene:
            path = scene.output / layout.data_file("items_by_shop", DAY)
            content = path.read_bytes()
            worker = Worker(run_in_child, scene, {}, mutants=self.mutants)
            tracer = let_go_failing(worker, "pread64", "EIO", path, self.folder / "log")
            worker.wait()
            tracer.wait()
            failed = [(one["aggregation"], one["day"]) for one in worker.result["failed"]] if worker.result else []
            wrong = (
                [] if failed == [("items_by_shop", DAY)] else [f"{failed} failed instead of the one: {worker.error}"]
            )
            if path.read_bytes() != content or kept(scene):
                wrong.append("a result that could not be read was replaced or set aside")
            return wrong + list(call(look_and_mend, scene, base, worker.told, mutants=self.mutants))

    def unlistable(self) -> list[str]:
        """A folder that cannot be listed is not an empty one: the run says so, and does nothing about it."""
        wrong = []
        for name, folder in (("first run", "raw/sales"), ("changed day", "output/items_by_shop")):
            base = self.bases.built[name]
            with self.bases.copy(base) as scene:
                path = scene.raw.parent / folder if folder.startswith("raw") else scene.output.parent / folder
                worker = Worker(run_in_child, scene, {}, mutants=self.mutants)
                tracer = let_go_failing(worker, "getdents64", "EIO", path, self.folder / "log")
                worker.wait()
                tracer.wait()
                if worker.ended_well or worker.told:
                    wrong.append(f"{folder} could not be listed, and the run went on: {worker.told}")
                wrong += call(look_and_mend, scene, base, worker.told, mutants=self.mutants)
        return wrong

    def _judge_ending(self, scene: Scene, base: Base, worker: Worker) -> list[str]:
        """A run that reports no failure has done everything, and none dies in the middle."""
        if worker.process.exitcode == 1:  # whatever the run raises is caught: the error met the harness's own pipe
            self.met["errors of the harness"] += 1
            return []
        if worker.process.exitcode != 0:
            return [f"the worker ended with {worker.process.exitcode}"]
        if worker.error or worker.result["failed"]:
            self.met["errors" if worker.error else "failed days"] += 1
            return []
        self.met["reported as success"] += 1
        missing = set(base.new) - set(generations(scene))
        wrong = whole(scene, {}, base.new, {}, worker.told)
        return [f"reported as success: {one}" for one in [*wrong, *(f"{place} is not there" for place in missing)]]

    def _untouched(self, base: Base, scene: Scene) -> dict[Partition, bytes]:
        still = {place for place, rows in base.old.items() if base.new.get(place) == rows}
        return {(name, day): path.read_bytes() for name, day, path in scene.results() if (name, day) in still}

    def jobs(self) -> Iterator[Job]:
        """The single stories, then all kinds in turn, each shuffled anew when it has been gone through."""
        chance = random.Random(self.seed)
        once: list[Job] = [
            ("a bad sector", self.unreadable),
            ("folders that cannot be listed", self.unlistable),
            ("a panic", lambda: panic(self.bases, self.mutants)),
            ("a coarse clock", lambda: coarse_clock(self.bases, self.mutants)),
            ("a large file that is cut short", lambda: cut_short(self.bases, self.mutants)),
        ]
        kinds: Sequence[list[Job]] = [
            self.errors(),
            changes(self.bases, self.mutants),
            self._or_skipped(unmounts),
            self._or_skipped(full_disks),
        ]
        self.known = sum(len(kind) for kind in kinds)
        yield from once
        turns = [self._round(kind, chance) for kind in kinds if kind]
        yield from itertools.chain.from_iterable(zip(turns[0], *turns, turns[0], strict=True))

    def _or_skipped(self, kind: Callable[[Bases, tuple[str, ...]], list[Job] | str]) -> list[Job]:
        jobs = kind(self.bases, self.mutants)
        if isinstance(jobs, str):
            self.skipped[jobs] += 1
            return []
        return jobs

    @staticmethod
    def _round(jobs: list[Job], chance: random.Random) -> Iterator[Job]:
        while True:
            yield from chance.sample(jobs, len(jobs))

    def __post_init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self._jobs = self.jobs()

    def trial(self, _: int) -> Iterator[str]:
        """The next job."""
        name, job = next(self._jobs)
        for wrong in job():
            yield f"seed {self.seed}, {name}: {wrong}"


def attack(trials: int, seed: int, workdir: Path, mutants: tuple[str, ...] = (), stop_at: int | None = 20) -> Report:
    """So many faults, drawn from ``seed``; without a Redis, which has no part in it."""
    if why := lacking():
        return Report.of_none(trials, why)
    chosen = [one for one in SITUATIONS if one.name in ("first run", "new day", "changed day", "damaged results")]
    with bases(workdir, chosen, with_redis=False) as built:
        faults = _Faults(built, seed, workdir, mutants)
        report = run_trials(range(trials), faults.trial, stop_at)
        report.details += faults.met
        report.sizes["faults that storage can have"] = faults.known
        report.skipped += faults.skipped
        return report


def replay(situation: str, call_name: str, nth: int, name: str, workdir: Path) -> list[str]:
    """One error alone, as a violation names it."""
    chosen = [one for one in SITUATIONS if one.name == situation]
    with bases(workdir, chosen, with_redis=False) as built:
        return _Faults(built, 0, workdir, ()).fail(built.built[situation], Point(call_name, nth), name)


CAMPAIGN = Campaign(
    "storage-errors",
    "Errors at calls that read or write, full disks, inputs that change while they are read, an output unmounted "
    "in mid-run, all drawn by seed",
    "2, 5, 9, 10",
    attack,
    trials=1_000,
    seed=1,
    shorts={"": Short(30, at_least=25, met={"errors": 1})},
    mutants={
        "listing error as empty": Hunt(1_000, 5, slow=True),
        "EIO as corrupt": Hunt(1_000, 5),
        "path instead of root descriptor": Hunt(1_000, 200, slow=True),
        "written in place": Hunt(1_000, 200, slow=True),
        "only Exception caught": Hunt(1_000, 5, slow=True),
        "no ctime": Hunt(1_000, 200, slow=True),
        "recent times trusted": Hunt(1_000, 5, slow=True),
        "polars maps the input": Hunt(1_000, 5, slow=True),
    },
    timeout=300,
)
