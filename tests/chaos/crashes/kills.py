"""SIGKILL at every system call of a worker, in every situation: results are whole, and the next run does the rest.

The calls are listed, not sampled. A process is killed as it enters a call: to be killed after one is to be killed
before the next.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from state.filesystem.folder import Folder
from tests.chaos.campaign import Campaign, Hunt, NotStruck, Report, Short, run_trials, shuffled
from tests.chaos.harness.invariants import judged
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import SITUATIONS, Base, Bases, bases
from tests.chaos.harness.tracing import KILL, Point, lacking, let_go_until, list_calls
from tests.chaos.harness.worker import Worker, run_in_child


@dataclass
class _Kills:
    """The trials of one campaign: every call of every situation, round after round, each round in another order."""

    bases: Bases
    seed: int
    folder: Path
    mutants: tuple[str, ...]
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.points: list[tuple[Base, Point | None]] = [(next(iter(self.bases.built.values())), None)]
        for base in self.bases.built.values():
            with self.bases.copy(base) as scene:
                worker = Worker(run_in_child, scene, {"version": base.version}, mutants=self.mutants)
                self.points += [(base, point) for point in list_calls(worker, self.folder / "calls")]
                if not worker.ended_well or worker.result["failed"]:
                    raise RuntimeError(f"{base.name}: undisturbed, it failed: {worker.error or worker.result}")

    def trial(self, number: int) -> Iterator[str]:
        """Kill at the point that stands at this number."""
        base, point = self.points[self._at(number)]
        where = f"seed {self.seed}, {base.name}, {point or 'a child lives on'}"
        for wrong in self.kill(base, point):
            yield f"{where}: {wrong}" + (f" [{point.line[:120]}]" if point else "")

    def kill(self, base: Base, point: Point | None) -> list[str]:
        """Run until the point, be killed there, and be judged. None: killed under the lock, with a child that lives."""
        with self.bases.copy(base) as scene:
            if point is None:
                reported = self._leave_child(scene, base)
            else:
                worker = Worker(run_in_child, scene, {"version": base.version}, mutants=self.mutants)
                tracer = let_go_until(worker, point, KILL, self.folder / "log")
                in_time = worker.wait()
                tracer.wait()
                if not in_time:
                    return ["the worker did not end"]
                if worker.process.exitcode != -signal.SIGKILL:
                    raise NotStruck
                reported = worker.told
            wrong = self._judge(scene, base, reported)
            if point is None:
                os.kill(self._child, signal.SIGKILL)
            return wrong

    def _judge(self, scene: Scene, base: Base, reported: Sequence[tuple[str, str, int]]) -> list[str]:
        self.met["results told before the kill"] += len(reported)
        return judged(scene, base, reported, self.mutants)

    def _leave_child(self, scene: Scene, base: Base) -> list[tuple[str, str, int]]:
        worker = Worker(die_under_the_lock, scene, base.version, mutants=self.mutants)
        worker.let_go()
        worker.wait()
        [self._child] = [pid for kind, pid in (one for one in worker.told if len(one) == 2) if kind == "child"]
        return [one for one in worker.told if len(one) == 3]

    def _at(self, number: int) -> int:
        turn, at = divmod(number, len(self.points))
        return 1 + shuffled(len(self.points) - 1, self.seed, turn)[at - 1] if at else 0


def die_under_the_lock(scene: Scene, version: int, told: Any) -> None:
    """What a process runs that forks a child while it holds a day's lock, as a pool does, and is killed there."""
    make = Folder.make

    def fork_and_die(folder: Folder, path: str) -> None:
        make(folder, path)
        if "/day=" not in path:
            return
        if (child := os.fork()) == 0:
            while True:
                signal.pause()
        told("child", child)
        os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(Folder, "make", fork_and_die):
        run(scene, version=version, told=told)


def attack(
    trials: int,
    seed: int,
    workdir: Path,
    mutants: tuple[str, ...] = (),
    situations: Sequence[str] = (),
    stop_at: int | None = 20,
) -> Report:
    """Kill ``trials`` times, in all situations or some. Each round takes all points in another order of ``seed``."""
    if why := lacking():
        return Report.of_none(trials, why)
    chosen = [one for one in SITUATIONS if not situations or one.name in situations]
    with bases(workdir, chosen) as built:
        kills = _Kills(built, seed, workdir, mutants)
        report = run_trials(range(trials), kills.trial, stop_at)
        report.details += kills.met
        report.sizes["system calls at which a worker can be killed"] = len(kills.points)
        return report


def replay(situation: str, call: str, nth: int, workdir: Path, mutants: tuple[str, ...] = ()) -> list[str]:
    """One kill alone: at the ``nth`` call of ``call`` in a situation, as a violation names them."""
    chosen = [one for one in SITUATIONS if one.name == situation]
    with bases(workdir, chosen) as built:
        return _Kills(built, 0, workdir, mutants).kill(built.built[situation], Point(call, nth))


def _hunt(*situations: str, slow: bool = False) -> Hunt:
    return Hunt(6_000, 300, tests_options={"situations": situations}, slow=slow)


CAMPAIGN = Campaign(
    "kills",
    f"SIGKILL at every system call of a real worker, in {len(SITUATIONS)} situations",
    "1, 2, 6, 7",
    attack,
    trials=5_100,  # some runs end before the call that a kill waits for
    seed=1,
    shorts={"": Short(30, at_least=24)},  # likewise
    mutants={
        "written in place": _hunt("damaged results"),
        "temporary file in the day's folder": _hunt("changed day", slow=True),
        "drafts not swept": _hunt("changed day", slow=True),
        "damaged file overwritten": _hunt("damaged results", slow=True),
        "child keeps the lock": _hunt("first run", slow=True),
        "marks are not taken over": _hunt("earlier version"),
        "lease blocks for ever": _hunt("changed day", slow=True),
        "Redis believed about done": _hunt("first run", "changed day", slow=True),
        "names from a footer believed": _hunt("damaged results", slow=True),
    },
    timeout=300,
)
"""What a power cut alone shows is none of its mutants: the kernel keeps what a killed process wrote."""
