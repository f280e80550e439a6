"""The planner: a pure function from what is there (input, output, index) to what is to be computed, and why.

No clock and no I/O, so it can be tested by the million, and one planner serves a schedule, a deployment's run, the
command line and ``--dry-run``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise

from state.days import DayRange, day_at, order, ordinal, ranges_of
from state.partition import Partition
from state.planner.current import Declared
from state.planner.decide import Blocked, Facts, Item, decide, decide_retired, unread
from state.result.classify import Commit, Newer
from state.result.schemas import differing_days
from state.status import WITH_COMMIT


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run is narrowed to. ``limit`` counts days; an empty ``days`` or ``only`` means all."""

    days: Sequence[DayRange] = ()
    only: Collection[str] = ()
    force: bool = False
    limit: int | None = None
    newest_first: bool = False

    def covers(self, day: str) -> bool:
        """Whether a day is among those asked for."""
        return not self.days or any(day in asked for asked in self.days)

    def among(self, days: Iterable[str]) -> Iterable[str]:
        """Those of the days that are asked for."""
        return filter(self.covers, days) if self.days else days


@dataclass(slots=True)
class Plan:
    """``items`` in the order of computing, ``statuses[aggregation]`` of all days that are not in it, and ``blocked``.

    ``declared`` are the aggregations that the plan is made for; a blocked day may be one of another.
    """

    items: list[Item] = field(default_factory=list)
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    blocked: list[Blocked] = field(default_factory=list)
    declared: frozenset[str] = frozenset()
    gaps: dict[str, list[DayRange]] = field(default_factory=dict)
    """Aggregation to the days without input that its status ``missing`` counts, in their order."""
    orphaned: dict[str, list[DayRange]] = field(default_factory=dict)
    """Aggregation to the days of its status ``orphaned``."""
    waiting: dict[str, dict[str, str]] = field(default_factory=dict)
    """Aggregation to the days of its status ``waiting``, in their order, and what each waits for."""
    left: int = 0
    """How many days would be planned without a limit, and are not."""
    changed_code: dict[str, int] = field(default_factory=dict)
    """Aggregation to the number of its commits that have its version but were computed by other code."""
    differing: dict[str, dict[str, str]] = field(default_factory=dict)
    """Aggregation to the days not in the plan whose schema is not that of the others, and what is wrong with each."""
    unread: set[tuple[str, str]] = field(default_factory=set)
    """The (source, day) pairs that only their contents can tell to be unchanged, where ``Facts.contents`` has none.

    Their results are planned as changed.
    """
    recovered: list[Partition] = field(default_factory=list)
    """Results that failed once and need nothing any more: their failures are to be forgotten."""

    def counts(self) -> Counter[str]:
        """How many results are planned for each reason."""
        return Counter(item.reason for item in self.items)

    def skipped(self) -> Counter[str]:
        """How many days have each status, over all aggregations; blocked days are not among them."""
        return sum(self.statuses.values(), Counter())


def plan(declared: Sequence[Declared], facts: Facts, selection: Selection) -> Plan:
    """What to compute, in which order and why, and the status of every other day.

    Of several reasons a result has the first that holds. Where ``unread`` is not empty, the plan is provisional: plan
    again with those contents.
    """
    result = Plan(declared=frozenset(one.name for one in declared))
    suspected = {name for (name, _), failure in facts.failures.items() if failure.is_suspicion}
    for aggregation in declared:
        statuses = result.statuses[aggregation.name] = Counter()
        blocked = []
        named: dict[str, list[str]] = {"orphaned": [], "waiting": []}
        for day in selection.among(_known_days(aggregation, facts)):
            found = decide(aggregation, day, facts, force=selection.force)
            if isinstance(found, Item):
                result.items.append(replace(found, suspected=True) if aggregation.name in suspected else found)
                if found.reason == "changed":
                    result.unread.update(unread(aggregation, day, facts))
            elif isinstance(found, Blocked):
                blocked.append(found)
            else:
                statuses[found] += 1
                if found in named:
                    named[found].append(day)
                if facts.failures and found in WITH_COMMIT and (aggregation.name, day) in facts.failures:
                    result.recovered.append((aggregation.name, day))
        result.blocked += sorted(blocked, key=lambda one: order(one.day))
        _note_days(aggregation, facts, named, result)
        if not selection.days and (gaps := _gaps(aggregation, facts)):
            result.gaps[aggregation.name] = gaps
            statuses["missing"] = sum(gap.length for gap in gaps)
        if other := _computed_by_other_code(aggregation, facts):
            result.changed_code[aggregation.name] = other
        if differing := _differing(aggregation, facts, result.items):
            result.differing[aggregation.name] = differing
    if not selection.only:
        _add_retired(declared, facts, selection, result)
    _arrange(result, selection)
    return result


def _note_days(aggregation: Declared, facts: Facts, named: Mapping[str, Sequence[str]], result: Plan) -> None:
    """Note the days of those statuses that a person wants to see named."""
    if orphaned := named["orphaned"]:
        result.orphaned[aggregation.name] = ranges_of(orphaned)
    if waiting := sorted(named["waiting"], key=order):
        result.waiting[aggregation.name] = {day: facts.waits_for(aggregation.reads(day)) or "" for day in waiting}


def known_days(declared: Iterable[Declared], facts: Facts) -> set[str]:
    """Every day that any source, the output or the index has of these aggregations."""
    found: set[str] = set()
    for one in declared:
        found.update(facts.output.get(one.name, ()), facts.index.get(one.name, ()))
        for source in one.daily_sources:
            found.update(facts.inputs.get(source, ()), facts.unreadable.get(source, ()))
    return found


def _known_days(aggregation: Declared, facts: Facts) -> Iterable[str]:
    """In the order in which they were found. What is done needs no other, and in memory it lies in this one."""
    sources = aggregation.daily_sources
    first, *others = (facts.inputs.get(source, {}) for source in sources)
    with_input = (day for day in first if all(day in days for days in others))
    unreadable = (day for source in sources for day in facts.unreadable.get(source, ()))
    known = (facts.output.get(aggregation.name, ()), facts.index.get(aggregation.name, ()), with_input, unreadable)
    return dict.fromkeys(chain.from_iterable(known))


def _gaps(aggregation: Declared, facts: Facts) -> list[DayRange]:
    """Days between the first and the last that any source has which neither every source nor a commit has."""
    known = [set(facts.inputs.get(s, ())) | set(facts.unreadable.get(s, ())) for s in aggregation.daily_sources]
    every = set.union(*known)
    if not every:
        return []
    first, last = min(every, key=order), max(every, key=order)
    between = DayRange(first, last)
    there = set.intersection(*known) | set(facts.output.get(aggregation.name, ()))
    there = (there & every) | {day for day in there - every if day in between}
    begin, end = ordinal(first), ordinal(last)
    if len(there) == end - begin + 1:
        return []  # as nearly always, and ordering 100,000 days takes a while
    bounds = [begin - 1, *sorted(map(ordinal, there)), end + 1]
    return [
        DayRange(day_at(one + 1, first), day_at(other - 1, first)) for one, other in pairwise(bounds) if other - one > 1
    ]


def _computed_by_other_code(aggregation: Declared, facts: Facts) -> int:
    commits = (found.record for found in facts.output.get(aggregation.name, {}).values() if isinstance(found, Commit))
    return sum(
        record.version == aggregation.version
        and record.code != aggregation.code
        and _kind_of(record.code) == _kind_of(aggregation.code)
        for record in commits
    )


def _kind_of(code: str) -> str:
    """How a fingerprint was made. Two of different kinds differ even where the code is the same."""
    return code.rpartition(":")[0]


def _differing(aggregation: Declared, facts: Facts, items: Iterable[Item]) -> dict[str, str]:
    days = differing_days(aggregation.version, facts.output.get(aggregation.name, {}).values())
    planned = {item.day for item in items if item.aggregation == aggregation.name} if days else ()
    gone = "; its input is gone, so restore that first"
    return {
        day: why if facts.has_input(aggregation.reads(day)) else why + gone
        for day, why in days.items()
        if day not in planned
    }


def _add_retired(declared: Sequence[Declared], facts: Facts, selection: Selection, result: Plan) -> None:
    names = {aggregation.name for aggregation in declared}
    for name, days in facts.output.items():
        if name in names:
            continue
        covered = sorted(selection.among(days), key=order)
        blocked = [one for day in covered if (one := decide_retired(name, day, days[day], facts))]
        commits = sum(isinstance(found, Commit | Newer) for found in days.values())
        if kept := commits - sum(one.regressed for one in blocked):
            result.statuses[name] = Counter(retired=kept)
        result.blocked += blocked


def _arrange(result: Plan, selection: Selection) -> None:
    """Day by day; what failed on the same input and code comes last, so that it keeps nothing else waiting."""
    result.items.sort(key=lambda item: item.aggregation)
    result.items.sort(key=lambda item: order(item.day), reverse=selection.newest_first)
    result.items.sort(key=lambda item: (item.repeats_failure, item.may_kill))
    if selection.limit is not None:
        days = list(dict.fromkeys(item.day for item in result.items))
        first = set(days[: selection.limit])
        result.items = [item for item in result.items if item.day in first]
        result.left = len(days) - len(first)
