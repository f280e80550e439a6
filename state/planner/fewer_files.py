"""Days that have fewer files than their commits were computed from: a few are a change like any other, many are not.

Where one of several mounts below a wildcard is gone, every day would be recomputed from what the others hold. Pure.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from state.acceptance import Accepted, Entries
from state.inputs.files import DayFiles
from state.planner.current import Declared
from state.planner.decide import Facts
from state.planner.plan import Plan
from state.result.classify import Commit, commits

_LEAST = 10
_SHARE = 10
"""A plan is refused that computes this many days and more than one in so many commits of an aggregation from fewer."""


@dataclass(frozen=True, slots=True)
class FewerFiles:
    """A committed day that has fewer files of a source than its commit was computed from (``then``).

    ``day`` is that of the source, which is EVERY_DAY for a reference; ``result`` is the commit's.
    """

    result: str
    day: str
    source: str
    then: int
    now: DayFiles

    @property
    def digest(self) -> str:
        """What is accepted of it: these paths and no others, whatever the files hold."""
        paths = b"\0".join(os.fsencode(file.path) for file in self.now.files)
        return hashlib.sha256(paths).hexdigest()[:32]

    def accepted_by(self, accepted: Accepted) -> bool:
        """Whether a person accepted that just these files are left."""
        return self.source in accepted.fewer_files and accepted.fewer_files[self.source].get(self.day) == self.digest


def days_with_fewer(aggregation: Declared, facts: Facts, days: Iterable[str]) -> Iterator[FewerFiles]:
    """Which of these days have a commit and fewer files than it says; once for each source."""
    for day in days:
        found = facts.found(aggregation, day)
        if isinstance(found, Commit):
            for name, source, read_day in aggregation.compared(aggregation.reads(day)):
                then, now = found.record.inputs.get(name), facts.inputs.get(source, {}).get(read_day)
                if then and now and len(now.files) < then.files:
                    yield FewerFiles(day, read_day, source, then.files, now)


def refusal(declared: Sequence[Declared], facts: Facts, plan: Plan, accepted: Accepted) -> str | None:
    """Why a plan is not to be computed, or None."""
    planned: dict[str, list[str]] = {}
    for item in plan.items:
        planned.setdefault(item.aggregation, []).append(item.day)
    for one in declared:
        found = [
            some for some in days_with_fewer(one, facts, planned.get(one.name, ())) if not some.accepted_by(accepted)
        ]
        if _too_many(one, facts, found):
            return _message(one, facts, found)
    return None


def acceptable(declared: Sequence[Declared], facts: Facts) -> Entries:
    """What a person accepts who says that the files which are left are all that there are."""
    entries: dict[str, dict[str, str]] = {}
    for one in declared:
        found = list(days_with_fewer(one, facts, facts.output.get(one.name, ())))
        if _too_many(one, facts, found):
            for some in found:
                entries.setdefault(some.source, {})[some.day] = some.digest
    return entries


def expired(declared: Sequence[Declared], facts: Facts, accepted: Accepted) -> Entries:
    """Accepted entries that apply no longer: the day has other files, or a commit that was computed from these."""
    if not accepted.fewer_files:
        return {}
    needed = {
        (some.source, some.day)
        for one in declared
        for some in days_with_fewer(one, facts, facts.output.get(one.name, ()))
        if some.accepted_by(accepted)
    }
    return {
        source: {day: digest for day, digest in days.items() if (source, day) not in needed}
        for source, days in accepted.fewer_files.items()
    }


def _too_many(aggregation: Declared, facts: Facts, found: Sequence[FewerFiles]) -> bool:
    days = len({one.result for one in found})
    return days >= _LEAST and days * _SHARE > _commits(aggregation, facts)


def _commits(aggregation: Declared, facts: Facts) -> int:
    return len(commits(facts.output.get(aggregation.name, {})))


def _message(aggregation: Declared, facts: Facts, found: Sequence[FewerFiles]) -> str:
    one = found[0]
    of_source = [some for some in found if some.source == one.source]
    then, now = sum(some.then for some in of_source), sum(len(some.now.files) for some in of_source)
    return (
        f"{aggregation.name} would compute {len({some.result for some in found}):,} of its "
        f"{_commits(aggregation, facts):,} committed days from fewer files than before: source {one.source!r} has "
        f"{now:,} of their {then:,} files (day {one.day} has {len(one.now.files):,} of {one.then:,} left, among them "
        f"{one.now.files[0].path!r})"
    )
