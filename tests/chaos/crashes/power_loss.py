"""The power cut at every step of a worker, on ext4 and xfs, with the journal flushed at the last moment or lost.

After each cut the file system is mounted again. Every result that was reported as committed is there and whole, and one
more run does the rest. SIGKILL proves nothing here: the kernel keeps what a killed process wrote.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.campaign import Campaign, Hunt, NotStruck, Report, Short, run_trials, shuffled
from tests.chaos.crashes import loop_devices
from tests.chaos.crashes.loop_devices import Disk
from tests.chaos.harness import tracing
from tests.chaos.harness.invariants import judged
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import SITUATIONS, Base, Bases, bases
from tests.chaos.harness.tracing import KILL, STOP, Point, let_go_until, list_calls, wait_stopped
from tests.chaos.harness.worker import Worker, call, run_in_child

_CHANGING = frozenset(
    {
        "write",
        "pwrite64",
        "fsync",
        "syncfs",
        "rename",
        "renameat",
        "renameat2",
        "linkat",
        "unlinkat",
        "mkdirat",
        "mkdir",
    }
)
_REMADE = 200
"""Trials after which a file system is made anew: journals and folders grow. The kinds take turns."""


def _changes(point: Point) -> bool:
    """Whether a call can change what lies on a disk: between two that do not, all cuts are one."""
    return point.call in _CHANGING or "O_CREAT" in point.line or point.call == "exit_group"


@dataclass(frozen=True, slots=True)
class _PowerCut:
    """Where and how: ``second``: the worker is killed there, another one runs to its end, and then the power goes."""

    base: Base
    point: Point
    how: int
    second: bool

    def __str__(self) -> str:
        journal = "journal flushed" if self.how == loop_devices.JOURNAL_FLUSHED else "journal lost"
        return f"{self.base.name}, {self.point}, {journal}" + ", after a second run" * self.second


@dataclass
class _PowerCuts:
    """The trials on one disk after another: every step of every situation, in an order drawn from the seed."""

    bases: Bases
    disk: Disk
    seed: int
    folder: Path
    mutants: tuple[str, ...]
    cuts: list[_PowerCut] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    def list_once(self) -> None:
        """Find every step, where nobody did: one undisturbed run of each situation."""
        if self.cuts:
            return
        for base in self.bases.built.values():
            with self.bases.copy(base, where=self.disk.place) as scene:
                worker = Worker(run_in_child, scene, {"version": base.version}, mutants=self.mutants)
                points = [point for point in list_calls(worker, self.folder / "calls") if _changes(point)]
            self.cuts += [
                _PowerCut(base, point, how, second)
                for point in points
                for how in (loop_devices.JOURNAL_FLUSHED, loop_devices.JOURNAL_LOST)
                for second in (False, True)
            ]

    def trial(self, number: int) -> Iterator[str]:
        """Cut where this number says."""
        turn, at = divmod(number, len(self.cuts))
        cut = self.cuts[shuffled(len(self.cuts), self.seed, turn)[at]]
        for wrong in self.cut(cut):
            yield f"seed {self.seed}, {self.disk.kind}, {cut}: {wrong} [{cut.point.line[:120]}]"

    def cut(self, cut: _PowerCut) -> list[str]:
        """Run until the point, cut, mount again, and judge."""
        base = cut.base
        with self.bases.copy(base, where=self.disk.place) as scene:
            self.disk.flush()
            worker = Worker(run_in_child, scene, {"version": base.version}, mutants=self.mutants)
            log = self.folder / "log"
            tracer = let_go_until(worker, cut.point, KILL if cut.second else STOP, log)
            if cut.second:
                worker.wait()
                told = self._run_again(cut, scene)
                self.disk.cut(cut.how)
            else:
                if not wait_stopped(worker, log):
                    worker.wait()
                    tracer.wait()
                    raise NotStruck
                self.disk.cut(cut.how)
                worker.kill()
                worker.wait()
                told = worker.told
            tracer.wait()
            self.disk.restart()
            self.met["results told before the cut"] += len(told)
            return judged(scene, base, told, self.mutants)

    def _run_again(self, cut: _PowerCut, scene: Scene) -> list[tuple[str, str, int]]:
        """Another worker, undisturbed: it reports every result as done, whoever renamed it."""
        summary = call(run_in_child, scene, {"version": cut.base.version}, mutants=self.mutants)
        if summary["failed"]:
            raise RuntimeError(f"{cut}: undisturbed, it failed: {summary['failed']}")
        return [(name, day, 1) for name, day in cut.base.new]


def attack(
    trials: int,
    seed: int,
    workdir: Path,
    mutants: tuple[str, ...] = (),
    kinds: Sequence[str] = loop_devices.KINDS,
    situations: Sequence[str] = (),
    stop_at: int | None = 20,
) -> Report:
    """Cut ``trials`` times, half of them on each kind of file system, in all situations or some."""
    report = Report()
    able = []
    for kind in kinds:
        if why := tracing.lacking() or loop_devices.lacking(kind):
            report.skipped[why] += trials // len(kinds)
        else:
            able.append(kind)
    if able:
        each = trials // len(kinds)
        steps: dict[str, list[_PowerCut]] = {kind: [] for kind in able}
        began = time.monotonic()
        chosen = [one for one in SITUATIONS if not situations or one.name in situations]
        with bases(workdir, chosen) as built:
            for first, kind in itertools.product(range(0, each, _REMADE), able):
                with loop_devices.disk(kind) as made:
                    part = _PowerCuts(built, made, seed, workdir, mutants, steps[kind])
                    part.list_once()
                    report.add(run_trials(range(first, min(first + _REMADE, each)), part.trial, stop_at))
                    report.details += part.met
                if stop_at is not None and len(report.violations) >= stop_at:
                    break
        report.sizes.update({f"ways to cut on {kind}": len(some) for kind, some in steps.items()})
        report.seconds = time.monotonic() - began
    return report


CAMPAIGN = Campaign(
    "power-loss",
    "The power cut at every step of a real worker, on ext4 and xfs, with the journal flushed and lost",
    "1, 2, 7",
    attack,
    trials=3_000,  # some runs end before the step that a cut waits for
    seed=1,
    shorts={
        kind: Short(
            60, at_least=50, met={"results told before the cut": 11}, options={"kinds": (kind,)}, slow=True, timeout=300
        )
        for kind in loop_devices.KINDS
    },
    mutants={
        "no file flush": Hunt(4_000, 400, tests_options={"kinds": ("ext4",)}, slow=True),
        "no folder flush at all": Hunt(4_000, 400, tests_options={"kinds": ("ext4",)}, slow=True),
        "no flush before reporting another's commit": Hunt(4_000, 400, tests_options={"kinds": ("xfs",)}, slow=True),
        "written in place": Hunt(4_000, 400, tests_options={"kinds": ("ext4",)}, slow=True),
    },
    timeout=300,
)
"""Its mutants are what no kill ever shows."""
