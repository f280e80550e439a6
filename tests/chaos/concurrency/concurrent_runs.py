"""Writers that meet: one stopped at any system call while another commits, eight at once, two versions at once.

A stopped one is woken after its lease has run out, its input has changed and its successor is done: it must not put its
older result over the newer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from state.store.local import layout
from tests.chaos import mutants as registry
from tests.chaos.campaign import Mutant, Report, run_trials, shuffled
from tests.chaos.concurrency.races import eight_at_once, foreign_lease, hanging_holder, two_threads, two_versions
from tests.chaos.concurrency.successors import OUTPUTS, VARIANTS, Meanwhile, Variant
from tests.chaos.harness.invariants import generations, whole
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import Bases, Partition, bases
from tests.chaos.harness.tracing import Point, lacking, list_calls, stop_and_wake
from tests.chaos.harness.worker import Worker, call, inspect_in_child, mend_in_child

CAUGHT = (
    "number-only token",
    "no high-water mark",
    "no lock",
    "lockf",
    "unlinked lock file",
    "deadline frees the lock",
    "unconditional publish",
    "token read after the input",
    'version "differs"',
    "set-aside without re-check",
    "deep set-aside without re-check",
    "temporary file not exclusive",
    "marker overwritten",
    "no second decision under the lease",
    "lease released without token",
    "hanging holder waited for",
    "renewal without progress",
    "index set without compare",
)
MUTANTS: dict[str, Mutant] = {name: registry.MUTANTS[name] for name in CAUGHT}
_IDLE = frozenset({
    "brk", "clock_nanosleep", "clone3", "epoll_create1", "epoll_ctl", "eventfd2", "exit_group", "fcntl", "futex",
    "getrandom", "gettid", "ioctl", "lseek", "madvise", "mmap", "mprotect", "mremap", "munmap", "prctl", "prlimit64",
    "rseq", "rt_sigaction", "rt_sigprocmask", "sched_getaffinity", "sched_yield", "set_robust_list",
})  # fmt: skip
"""Calls that nobody outside the process can tell the time of: to be stopped there is to be stopped at the next."""
_CRITICAL = frozenset({"flock", "linkat", "pwrite64", "rename", "renameat", "unlinkat"})
"""Calls that change what others see: each round begins with them and others in turn."""
_ON_LEASES = (foreign_lease, hanging_holder)
_MEETINGS = (two_threads, *_ON_LEASES, eight_at_once, two_versions)


@dataclass
class _ConcurrentRuns:
    bases: Bases
    seed: int
    folder: Path
    mutants: tuple[str, ...]
    variants: Sequence[Variant]
    meetings: Sequence[Callable[[Bases, tuple[str, ...]], list[str]]]
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
        """A meeting of each kind first, then one stop after the other."""
        if number < len(self.meetings):
            meeting = self.meetings[number]
            for wrong in meeting(self.bases, self.mutants):
                yield f"seed {self.seed}, {meeting.__name__}: {wrong}"
            return
        variant, point = self.points[self._at(number - len(self.meetings))]
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


def campaign(
    trials: int,
    seed: int,
    workdir: Path,
    mutants: tuple[str, ...] = (),
    with_redis: bool = True,
    variants: Sequence[Variant] = VARIANTS,
    stop_at: int | None = 20,
) -> Report:
    """One meeting of each kind, then ``trials`` stops in all, their points in an order drawn from ``seed``."""
    if why := lacking():
        return Report.of_none(trials, why)
    with bases(workdir, OUTPUTS, with_redis=with_redis) as built:
        chosen = [one for one in _MEETINGS if with_redis or one not in _ON_LEASES]
        crowds = _ConcurrentRuns(built, seed, workdir, mutants, variants, chosen)
        report = run_trials(range(trials), crowds.trial, stop_at)
        report.details += crowds.met
        report.sizes["system calls at which a writer can be stopped"] = len(crowds.points)
        return report


def replay(variant: str, call_name: str, nth: int, workdir: Path, *, with_redis: bool = True) -> list[str]:
    """One stop alone, as a violation names it."""
    [chosen] = [one for one in VARIANTS if one.name == variant]
    with bases(workdir, OUTPUTS, with_redis=with_redis) as built:
        return _ConcurrentRuns(built, 0, workdir, (), [], []).stop(chosen, Point(call_name, nth))
