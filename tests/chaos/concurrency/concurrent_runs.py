"""Concurrent writers: one stopped at any system call while another commits, eight at once, two versions at once.

The stopped writer continues after its lease has expired, its input has changed and its successor has committed. It must
not replace the newer result by its older one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from state.store.local import layout
from tests.chaos.campaign import Campaign, Hunt, Report, Short, run_trials, shuffled
from tests.chaos.concurrency.races import eight_at_once, foreign_lease, hanging_holder, two_threads, two_versions
from tests.chaos.concurrency.successors import OUTPUTS, VARIANTS, Meanwhile, Variant
from tests.chaos.harness.invariants import generations, whole
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import Bases, Partition, bases
from tests.chaos.harness.tracing import Point, lacking, list_calls, stop_and_wake
from tests.chaos.harness.worker import Worker, call, inspect_in_child, mend_in_child

_IDLE = frozenset({
    "brk", "clock_nanosleep", "clone3", "epoll_create1", "epoll_ctl", "eventfd2", "exit_group", "fcntl", "futex",
    "getrandom", "gettid", "ioctl", "lseek", "madvise", "mmap", "mprotect", "mremap", "munmap", "prctl", "prlimit64",
    "rseq", "rt_sigaction", "rt_sigprocmask", "sched_getaffinity", "sched_yield", "set_robust_list",
})  # fmt: skip
"""Calls that nobody outside the process can tell the time of: to be stopped there is to be stopped at the next."""
_CRITICAL = frozenset({"flock", "linkat", "pwrite64", "rename", "renameat", "unlinkat"})
"""Calls that change what others see: each round begins with them and others in turn."""
_ON_LEASES = (foreign_lease, hanging_holder)
_RACES = (two_threads, *_ON_LEASES, eight_at_once, two_versions)


@dataclass
class _ConcurrentRuns:
    bases: Bases
    seed: int
    folder: Path
    mutants: tuple[str, ...]
    variants: Sequence[Variant]
    races: Sequence[Callable[[Bases, tuple[str, ...]], list[str]]]
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.points: list[tuple[Variant, Point]] = []
        self._order: list[int] = []
        for variant in self.variants:
            with self.bases.copy(base := self.bases.built[variant.output], own_input=True) as scene:
                worker = Worker(variant.stopped, scene, {"version": base.version}, mutants=self.mutants)
                calls = list_calls(worker, self.folder / "calls")
                self.points += [(variant, point) for point in calls if point.call not in _IDLE]

    def trial(self, number: int) -> Iterator[str]:
        """Every race first, then one stop after the other."""
        if number < len(self.races):
            race = self.races[number]
            for wrong in race(self.bases, self.mutants):
                yield f"seed {self.seed}, {race.__name__}: {wrong}"
            return
        variant, point = self.points[self._at(number - len(self.races))]
        for wrong in self.stop(variant, point):
            yield f"seed {self.seed}, {variant.name}, {point}: {wrong} [{point.line[:120]}]"

    def stop(self, variant: Variant, point: Point) -> list[str]:
        """Stop a worker at the point, let the others go on, wake it, and judge what came of it."""
        base = self.bases.built[variant.output]
        with self.bases.copy(base, lease_seconds=1, own_input=True) as scene:
            worker = Worker(variant.stopped, scene, {"version": base.version}, mutants=self.mutants)
            meanwhile, markers = Meanwhile(scene, base, self.mutants), []

            def let_others_go_on() -> None:
                variant.others(meanwhile)
                markers.append(_marker(scene))

            in_time = stop_and_wake(worker, point, self.folder / "log", let_others_go_on)
            if not in_time or not worker.ended_well:
                return [f"the stopped one did not end well: {worker.error}"]
            self.met["successor committed"] += meanwhile.complete
            replaced = ["the marker was replaced"] * ([_marker(scene)] != markers)
            return replaced + self._judge(meanwhile, worker.told)

    def _judge(self, then: Meanwhile, told: Sequence[tuple[str, str, int]]) -> list[str]:
        scene, base = then.scene, then.base
        new = scene.expected(then.version)
        older = {} if then.complete else {**base.old, **base.new}
        allowed = {} if then.complete else base.harmed
        wrong = whole(scene, {} if then.complete else base.old, new, allowed, then.told, older)
        if then.complete and then.untouched:
            wrong += call(inspect_in_child, scene, then.version, mutants=self.mutants)
        if not then.forgotten:
            wrong += _not_rising([*told, *then.ever], generations(scene))
        wrong = [f"when all had ended: {one}" for one in wrong]
        wrong += [
            f"after one more run: {one}" for one in call(mend_in_child, scene, then.version, mutants=self.mutants)
        ]
        return wrong

    def _at(self, number: int) -> int:
        turn, at = divmod(number, len(self.points))
        if at == 0 or not self._order:
            order = shuffled(len(self.points), self.seed, turn)
            critical = [one for one in order if self.points[one][1].call in _CRITICAL]
            rest = [one for one in order if self.points[one][1].call not in _CRITICAL]
            paired = zip(critical, rest, strict=False)
            self._order = [*(one for pair in paired for one in pair), *critical[len(rest) :], *rest[len(critical) :]]
        return self._order[at]


def _marker(scene: Scene) -> bytes:
    return (scene.output / layout.MARKER).read_bytes()


def _not_rising(told: Sequence[tuple[str, str, int]], now: dict[Partition, int]) -> list[str]:
    """Generations that were told twice, or that the place is behind of. A day that was deleted by hand has none."""
    twice = [one for one, times in Counter(told).items() if times > 1]
    behind = [one for one in told if one[:2] in now and now[one[0], one[1]] < one[2]]
    return [f"{name} {day}: generation {number} came twice" for name, day, number in twice] + [
        f"{name} {day} went back behind generation {number}" for name, day, number in behind
    ]


def attack(
    trials: int,
    seed: int,
    workdir: Path,
    mutants: tuple[str, ...] = (),
    with_redis: bool = True,
    variants: Sequence[str] = (),
    races: Sequence[str] = (),
    stop_at: int | None = 20,
) -> Report:
    """Every race once, then one stop after the other, their points in an order drawn from ``seed``.

    ``variants`` and ``races`` narrow it to those of these names.
    """
    if why := lacking():
        return Report.of_none(trials, why)
    with bases(workdir, OUTPUTS, with_redis=with_redis) as built:
        some = [one for one in VARIANTS if not variants or one.name in variants]
        able = [one for one in _RACES if with_redis or one not in _ON_LEASES]
        chosen = [one for one in able if not races or one.__name__ in races]
        runs = _ConcurrentRuns(built, seed, workdir, mutants, some, chosen)
        report = run_trials(range(trials), runs.trial, stop_at)
        report.details += runs.met
        report.sizes["system calls at which a writer can be stopped"] = len(runs.points)
        return report


def replay(variant: str, call_name: str, nth: int, workdir: Path, *, with_redis: bool = True) -> list[str]:
    """One stop alone, as a violation names it."""
    [chosen] = [one for one in VARIANTS if one.name == variant]
    with bases(workdir, OUTPUTS, with_redis=with_redis) as built:
        return _ConcurrentRuns(built, 0, workdir, (), [], []).stop(chosen, Point(call_name, nth))


_REPUBLISHED: dict[str, Any] = {"variants": ("deleted and published again",), "with_redis": False}
_HANGING: dict[str, Any] = {"races": ("hanging_holder",), "variants": ("input changed",)}


def _hunt(short: int = 400, *, slow: bool = True, **options: Any) -> Hunt:
    return Hunt(1_000, short, tests_options=options, slow=slow)


CAMPAIGN = Campaign(
    "concurrent-runs",
    "A writer stopped at a system call for longer than its lease, and woken after a successor: the calls that "
    "change anything first, then others drawn by seed; eight processes at once; two versions of the code at once",
    "2, 3, 8",
    attack,
    trials=300,
    seed=1,
    shorts={  # a run that is shorter than the one that was listed ends before its stop
        "redis": Short(14, at_least=7),
        "without redis": Short(27, at_least=13, options={"with_redis": False}, slow=True),
    },
    mutants={
        "number-only token": _hunt(150, **_REPUBLISHED),
        "no high-water mark": _hunt(variants=("published and deleted",), with_redis=False),
        "no lock": _hunt(150, slow=False, **_REPUBLISHED),
        "lockf": _hunt(**_REPUBLISHED),
        "a lock on the wrong range": _hunt(150, **_REPUBLISHED),
        "two slots in one": _hunt(8, with_redis=False),
        "unlinked lock file": _hunt(**_REPUBLISHED),
        "deadline frees the lock": _hunt(**_REPUBLISHED),
        "unconditional publish": _hunt(**_REPUBLISHED),
        "token read after the input": _hunt(variants=("input changed",), with_redis=False),
        'version "differs"': _hunt(150, **_REPUBLISHED),
        "set-aside without re-check": _hunt(variants=("damage repaired",), with_redis=False),
        "deep set-aside without re-check": _hunt(variants=("deep check stopped",), with_redis=False),
        "temporary file not exclusive": _hunt(),
        "marker overwritten": _hunt(variants=("first runs at once",), with_redis=False),
        "no second decision under the lease": _hunt(),
        "lease released without token": _hunt(variants=("input changed",)),
        "hanging holder waited for": _hunt(1, **_HANGING),
        "renewal without progress": _hunt(1, **_HANGING),
        "index set without compare": _hunt(),
    },
    waits=True,
    timeout=300,
)
