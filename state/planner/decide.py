"""What is to be done about one day of one aggregation, and why: the contract's reasons and statuses.

Pure, like the planner that asks it for every day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from state.failure import DIED, Failure
from state.inputs.files import DayFiles
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable


@dataclass(frozen=True, slots=True)
class Declared:
    """An aggregation as the planner sees it. ``sources`` maps the name in the record to the key in ``Facts.inputs``."""

    name: str
    version: int
    code: str
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan depends on.

    ``inputs[source][day]`` and ``unreadable[source][day]`` come from one listing of each source,
    ``output[aggregation][day]`` from one scan of the output. ``index[aggregation]`` is the set of days that Redis
    remembers; it can tell ``lost`` from ``new`` and nothing else. ``contents[source, day]`` holds the digests of those
    files whose times settle nothing (see ``doubted``): one for each way in which a file's name counts. ``failures`` are
    the last failures of results that have one; they can put a result last and nothing else. ``published`` has, of
    ``irreplaceable`` and of retired commits, the highest generation that surely stood in their place. ``blocked`` says
    of an aggregation what stands in its folder's place.
    """

    inputs: Mapping[str, Mapping[str, DayFiles]]
    output: Mapping[str, Mapping[str, Found]]
    unreadable: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    index: Mapping[str, Collection[str]] = field(default_factory=dict)
    contents: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    failures: Mapping[Partition, Failure] = field(default_factory=dict)
    published: Mapping[Partition, int] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)

    def found(self, aggregation: Declared, day: str) -> Found | None:
        """What stands in the day's place."""
        if why := self.blocked.get(aggregation.name):
            return Unreadable(f"cannot be reached: {why}")
        return self.output.get(aggregation.name, {}).get(day)

    def has_input(self, aggregation: Declared, day: str) -> bool:
        """Whether every source has the day."""
        return all(day in self.inputs.get(source, ()) for source in aggregation.sources.values())


@dataclass(frozen=True, slots=True)
class Item:
    """One result to compute, with its reason; ``over`` is the nonce of the commit that stood there, or empty.

    ``files`` says how many files each source had of the day, in the sources' order: with fewer it is not computed.
    ``basis`` is the digest of the input's listing and of the code that it is planned for, ``failure`` its last failure,
    whatever it failed on. ``suspected`` says that a run died while it computed results of this aggregation, and nobody
    knows yet of which.
    """

    aggregation: str
    day: str
    reason: str
    over: str = ""
    files: tuple[int, ...] = ()
    basis: str = field(default="", compare=False)
    failure: Failure | None = field(default=None, compare=False)
    suspected: bool = field(default=False, compare=False)

    @property
    def isolated(self) -> bool:
        """Whether it is to be computed in a process of its own."""
        return self.suspected or self.may_kill

    @property
    def failed_alike(self) -> bool:
        """Whether it failed on this very input and code, and nothing speaks for another end now."""
        return self.failure is not None and self.failure.repeats_on(self.basis)

    @property
    def may_kill(self) -> bool:
        """Whether its process died when it was last computed from this input and code."""
        return self.failure is not None and self.failure.kind == DIED and self.failed_alike


@dataclass(frozen=True, slots=True)
class Blocked:
    """A day that can neither be planned nor called done. ``kind``: ``unreadable`` or ``unrecoverable``.

    ``older``: a result stands there, and is an older one than was published.
    """

    aggregation: str
    day: str
    kind: str
    why: str
    older: bool = False


def verdict(aggregation: Declared, day: str, facts: Facts, *, force: bool) -> Item | Blocked | str:
    """An item to compute, trouble to report, or the day's status. ``facts.contents`` must answer ``doubted``."""
    found = facts.found(aggregation, day)
    for source in aggregation.sources.values():
        if why := facts.unreadable.get(source, {}).get(day):
            return Blocked(aggregation.name, day, "unreadable", f"its input cannot be read: {why}")
    if isinstance(found, Unreadable):
        return Blocked(aggregation.name, day, "unreadable", f"its result {found.why}")
    if isinstance(found, Newer) or (isinstance(found, Commit) and found.record.version > aggregation.version):
        return "ahead"
    if not facts.has_input(aggregation, day):
        if isinstance(found, Commit):
            return older_trouble(aggregation.name, day, found, facts, "its input is gone") or "orphaned"
        why = f"its result is damaged ({found.why})" if isinstance(found, Damaged) else "its result is lost"
        return Blocked(aggregation.name, day, "unrecoverable", f"{why} and its input is gone")
    if reason := "forced" if force else _reason(aggregation, day, found, facts):
        over = found.record.nonce if isinstance(found, Commit) else ""
        files = tuple(len(facts.inputs[source][day].files) for source in aggregation.sources.values())
        failure = facts.failures.get((aggregation.name, day))
        return Item(aggregation.name, day, reason, over, files, _basis(aggregation, day, facts), failure)
    assert isinstance(found, Commit)
    return found.status


def irreplaceable(aggregation: Declared, facts: Facts) -> Iterator[str]:
    """The days with a commit that no run can compute anew, for they have no input: ``facts.published`` counts there."""
    for day, found in facts.output.get(aggregation.name, {}).items():
        if isinstance(found, Commit) and not facts.has_input(aggregation, day):
            yield day


def older_trouble(name: str, day: str, commit: Commit, facts: Facts, lost: str) -> Blocked | None:
    """What is wrong with a commit that no run can compute anew, where a newer one once stood in its place."""
    stands, published = commit.record.generation, facts.published.get((name, day), 0)
    if published <= stands:
        return None
    why = f"generation {stands} stands where generation {published} was published, and {lost}"
    wanted = f"expected generation {published}, restored from a backup"
    return Blocked(name, day, "unrecoverable", f"{why}; {wanted}", older=True)


def retired_trouble(name: str, day: str, found: Found, facts: Facts) -> Blocked | None:
    """What is wrong with a result that nobody computes any more: no run can rebuild it."""
    if isinstance(found, Newer):
        return None
    if isinstance(found, Commit):
        return older_trouble(name, day, found, facts, "its aggregation is no longer declared")
    if isinstance(found, Unreadable):
        return Blocked(name, day, "unreadable", f"its result {found.why}")
    why = f"its result is damaged ({found.why}) and its aggregation is no longer declared"
    return Blocked(name, day, "unrecoverable", why)


def doubted(aggregation: Declared, day: str, facts: Facts) -> set[tuple[str, str]]:
    """The (source, day) pairs whose contents must be read to decide: the listing differs, and the sizes do not."""
    found = facts.found(aggregation, day)
    if not isinstance(found, Commit) or found.record.version != aggregation.version:
        return set()
    doubts = set()
    for name, source in aggregation.sources.items():
        then, now = found.record.inputs.get(name), facts.inputs.get(source, {}).get(day)
        if then and now and then.stat != now.stat and (then.files, then.bytes) == (len(now.files), now.bytes):
            doubts.add((source, day))
    return doubts


def _basis(aggregation: Declared, day: str, facts: Facts) -> str:
    said = [str(aggregation.version), aggregation.code]
    said += [f"{name} {facts.inputs[source][day].stat}" for name, source in sorted(aggregation.sources.items())]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _reason(aggregation: Declared, day: str, found: Found | None, facts: Facts) -> str | None:
    if isinstance(found, Damaged):
        return "corrupt"
    if not isinstance(found, Commit):
        return "lost" if day in facts.index.get(aggregation.name, ()) else "new"
    if found.record.version < aggregation.version:
        return "outdated"
    return "changed" if _changed(aggregation, day, found, facts) else None


def _changed(aggregation: Declared, day: str, commit: Commit, facts: Facts) -> bool:
    recorded = commit.record.inputs
    if set(recorded) != set(aggregation.sources):
        return True
    for name, source in aggregation.sources.items():
        then, now = recorded[name], facts.inputs[source][day]
        if then.stat == now.stat:
            continue
        if (then.files, then.bytes) != (len(now.files), now.bytes) or then.contents not in facts.contents[source, day]:
            return True
    return False
