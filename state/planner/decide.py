"""What is to be done about one day of one aggregation, and why: a reason to compute it, or a status.

Pure, like the planner that asks it for every day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from state.failure import DIED, Failure
from state.partition import Partition
from state.planner.current import Contents, Declared, Files, Read, is_current, unknown_inputs
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable
from state.result.record import CommitRecord
from state.status import Reason, Status


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan depends on.

    ``inputs[source][day]`` and ``unreadable[source][day]`` come from one listing of each source,
    ``output[aggregation][day]`` from one scan of the output. ``index[aggregation]`` is the set of days that Redis
    has; it can tell ``lost`` from ``new`` and nothing else. ``contents`` has the digests that were needed.
    ``failures`` are the last failures of results that have one; they can put a result last and nothing else.
    ``published`` has, of commits that no run can recompute, the highest generation that surely was published there.
    ``unreachable`` says why an aggregation's folder cannot be entered. ``waiting[source][day]`` says what input that is
    there still waits for: nothing is computed from it yet. ``absent[source][day]`` is how many of the days whose files
    are read for a day have none, where any has none. ``expired`` has the results that there are none of, each with a
    day whose files were there for it once and are gone.
    """

    inputs: Files
    output: Mapping[str, Mapping[str, Found]]
    unreadable: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    index: Mapping[str, Collection[str]] = field(default_factory=dict)
    contents: Contents = field(default_factory=dict)
    failures: Mapping[Partition, Failure] = field(default_factory=dict)
    published: Mapping[Partition, int] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    absent: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    expired: Mapping[Partition, str] = field(default_factory=dict)

    def found(self, aggregation: Declared, day: str) -> Found | None:
        """What the output has of the day."""
        if why := self.unreachable.get(aggregation.name):
            return Unreadable(f"cannot be reached: {why}")
        return self.output.get(aggregation.name, {}).get(day)

    def waits_for(self, reads: Sequence[Read]) -> str | None:
        """What the first of these inputs that is not ready waits for."""
        return next((why for _, source, day in reads if (why := self.waiting.get(source, {}).get(day))), None)

    def has_lost_files(self, aggregation: Declared, reads: Sequence[Read], record: CommitRecord) -> bool:
        """Whether days that a commit was computed from have lost all of their files, while others have some.

        What the rest makes is another result, and a wrong one. Where the code is not the commit's, more days may be
        read than then: such as were never there are not lost, so fewer files must be left too.
        """
        for name, source, day in reads if self.absent else ():
            now, then = self.absent.get(source, {}).get(day, 0), record.inputs.get(name)
            if then and now > then.absent:
                files = self.inputs.get(source, {}).get(day)
                if record.code == aggregation.code or not files or len(files.files) < then.files:
                    return True
        return False

    def unreadable_input(self, reads: Sequence[Read]) -> str | None:
        """Why the first of these inputs that cannot be read cannot."""
        for _, source, day in reads:
            if source in self.unreadable and (why := self.unreadable[source].get(day)):
                return why
        return None

    def has_input(self, reads: Sequence[Read]) -> bool:
        """Whether all of these inputs are there."""
        for _, source, day in reads:  # noqa: SIM110 a generator takes three times as long, for each of 100,000 days
            if source not in self.inputs or day not in self.inputs[source]:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Item:
    """One result to compute, with its reason; ``over`` is the nonce of the commit that stood there, or empty.

    ``files`` says how many files each source had of the day, in the sources' order: with fewer it is not computed.
    ``basis`` is the digest of the input's listing and of the code that it is planned for, ``failure`` its last failure,
    whatever it failed on. ``suspected`` says that an earlier run died while it computed results of this aggregation:
    nobody knows yet of which.
    """

    aggregation: str
    day: str
    reason: Reason
    over: str = ""
    files: tuple[int, ...] = ()
    basis: str = field(default="", compare=False)
    failure: Failure | None = field(default=None, compare=False)
    suspected: bool = field(default=False, compare=False)

    @property
    def partition(self) -> Partition:
        """Which result it is."""
        return self.aggregation, self.day

    @property
    def isolated(self) -> bool:
        """Whether it is to be computed in a process of its own."""
        return self.suspected or self.may_kill

    @property
    def repeats_failure(self) -> bool:
        """Whether it failed on this very input and code, and nothing speaks for another end now."""
        return self.failure is not None and self.failure.repeats_on(self.basis)

    @property
    def may_kill(self) -> bool:
        """Whether its process died when it was last computed from this input and code."""
        return self.failure is not None and self.failure.kind == DIED and self.repeats_failure


@dataclass(frozen=True, slots=True)
class Blocked:
    """A day that can neither be planned nor called done. ``kind``: ``unreadable`` or ``unrecoverable``.

    ``regressed``: there is a commit, and it is older than one that was published there. ``partial``: a part of its
    input is left, and can be computed by force.
    """

    aggregation: str
    day: str
    kind: str
    why: str
    regressed: bool = False
    partial: bool = False


def decide(aggregation: Declared, day: str, facts: Facts, *, force: bool) -> Item | Blocked | Status:
    """An item to compute, what blocks the day, or the day's status.

    A commit of which only contents that nobody has read can tell is taken for changed: see ``unread``.
    """
    found, reads = facts.found(aggregation, day), aggregation.reads(day)
    compared = aggregation.compared(reads)
    if why := facts.unreadable_input(compared):
        return Blocked(aggregation.name, day, "unreadable", f"its input cannot be read: {why}")
    if isinstance(found, Unreadable):
        return Blocked(aggregation.name, day, "unreadable", f"its result {found.why}")
    if isinstance(found, Newer) or (isinstance(found, Commit) and found.record.version > aggregation.version):
        return "ahead"
    if not facts.has_input(compared):
        if isinstance(found, Commit):
            return regression(aggregation.name, day, found, facts, "its input is gone") or "orphaned"
        why = f"its result is damaged ({found.why})" if isinstance(found, Damaged) else "its result is lost"
        return Blocked(aggregation.name, day, "unrecoverable", f"{why} and its input is gone")
    if reason := "forced" if force else _reason(aggregation, day, reads, found, facts):
        if isinstance(found, Commit) and not force and facts.has_lost_files(aggregation, compared, found.record):
            return regression(aggregation.name, day, found, facts, "a part of its input is gone") or "orphaned"
        if facts.waiting and facts.waits_for(reads):
            return "waiting"
        if facts.expired and not force and (gone := facts.expired.get((aggregation.name, day))):
            return _partial(aggregation.name, day, found, gone)
        if compared is not reads and (why := facts.unreadable_input(reads)):
            return Blocked(aggregation.name, day, "unreadable", f"its input cannot be read: {why}")
        over = found.record.nonce if isinstance(found, Commit) else ""
        files = tuple(len(facts.inputs[source][that].files) for _, source, that in reads)
        failure = facts.failures.get((aggregation.name, day))
        return Item(aggregation.name, day, reason, over, files, _basis(aggregation, reads, facts), failure)
    assert isinstance(found, Commit)
    return found.status


def unread(aggregation: Declared, day: str, facts: Facts) -> list[tuple[str, str]]:
    """The (source, day) pairs whose contents must be read to tell whether a commit is current; else none."""
    found, reads = facts.found(aggregation, day), aggregation.reads(day)
    if not isinstance(found, Commit):
        return []
    return unknown_inputs(found.record, aggregation, reads, facts.inputs, facts.contents)


def decide_retired(name: str, day: str, found: Found, facts: Facts) -> Blocked | None:
    """What is wrong with a result of an aggregation that is no longer declared: no run can rebuild it."""
    if isinstance(found, Newer):
        return None
    if isinstance(found, Commit):
        return regression(name, day, found, facts, "its aggregation is no longer declared")
    if isinstance(found, Unreadable):
        return Blocked(name, day, "unreadable", f"its result {found.why}")
    why = f"its result is damaged ({found.why}) and its aggregation is no longer declared"
    return Blocked(name, day, "unrecoverable", why)


def regression(name: str, day: str, commit: Commit, facts: Facts, cause: str) -> Blocked | None:
    """What is wrong with a commit that no run can recompute, where a newer one was published there."""
    current, published = commit.record.generation, facts.published.get((name, day), 0)
    if published <= current:
        return None
    why = f"generation {current} stands where generation {published} was published, and {cause}"
    wanted = f"expected generation {published}, restored from a backup"
    return Blocked(name, day, "unrecoverable", f"{why}; {wanted}", regressed=True)


def _partial(name: str, day: str, found: Found | None, gone: str) -> Blocked:
    why = f"its result is damaged ({found.why})" if isinstance(found, Damaged) else "it has no result"
    why += f" and the files of {gone} are gone, which may have held its events; expected them back"
    return Blocked(name, day, "unrecoverable", why, partial=True)


def _basis(aggregation: Declared, reads: Sequence[Read], facts: Facts) -> str:
    said = [str(aggregation.version), aggregation.code]
    said += [f"{name} {facts.inputs[source][day].stat}" for name, source, day in sorted(reads)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _reason(aggregation: Declared, day: str, reads: Sequence[Read], found: Found | None, facts: Facts) -> Reason | None:
    if isinstance(found, Damaged):
        return "corrupt"
    if not isinstance(found, Commit):
        return "lost" if day in facts.index.get(aggregation.name, ()) else "new"
    if found.record.version < aggregation.version:
        return "outdated"
    return None if is_current(found.record, aggregation, reads, facts.inputs, facts.contents) else "changed"
