"""The report of each command as a typed value. Everything that shows, stores or sends a report reads these.

``to_json`` gives the JSON object that ``--json`` prints, ``failure`` the message of a run that did not end well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from flows.report.causes import failures_by_cause
from flows.report.fields import (
    DayRanges,
    Strays,
    Waiting,
    accepted_field,
    if_any,
    ranges_field,
    stray_fields,
    unmatched_field,
    waiting_fields,
)
from state.acceptance import Accepted
from state.index.durability import Durability
from state.index.index import ReconcileStats
from state.planner.plan import Plan
from state.store.base import Broken, Unread
from state.words import counted, enumerated
from tasks.compute.outcomes import Committed, Failed, Outcome, Skipped
from tasks.deep_check import DeepCheck
from tasks.diagnosis import HealthWarning, Problem, causes_of
from tasks.reading.edited import Edited

_COMMITTED = ("aggregation", "day", "generation", "rows", "reason")
"""What ``--json`` shows of a commit."""
AGAIN = "its input, which is being written again since the plan was made"
"""What a planned day waits for that was not ready any more when its turn came."""


class Report(Protocol):
    """What every command ends with."""

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``--json`` prints."""

    def failure(self) -> str | None:
        """What failed or was found, in one line: the message of Prefect's state. None where all is well."""


@dataclass(frozen=True, slots=True)
class DailyReport:
    """What a run did. ``seconds`` is the time from the beginning of the survey to the last commit.

    ``unmatched`` says of each source that no file matches where its template stops matching. ``gaps`` are the days
    without input of each aggregation, ``orphaned`` those whose raw files are gone, ``waiting`` those whose input is not
    ready; ``left`` is how many days a limit left for later runs. ``strays`` look like input and are none.
    ``server_seconds`` is how long it waited for a temporary Prefect server, beside ``seconds``.
    """

    committed: tuple[Committed, ...] = ()
    failed: tuple[Failed, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    unmatched: Mapping[str, str] = field(default_factory=dict)
    gaps: DayRanges = field(default_factory=dict)
    orphaned: DayRanges = field(default_factory=dict)
    left: int = 0
    server_seconds: float = 0.0
    waiting: Waiting = field(default_factory=dict)
    strays: Strays = field(default_factory=dict)

    @classmethod
    def of(
        cls, plan: Plan, outcomes: Iterable[Outcome], seconds: float, unmatched: Mapping[str, str], strays: Strays
    ) -> DailyReport:
        """Everything that was planned, and everything that was not."""
        committed: list[Committed] = []
        failed = [Failed(one.aggregation, one.day, one.kind, one.why) for one in plan.blocked]
        skipped = Counter(plan.skipped())
        waiting = {name: dict(days) for name, days in plan.waiting.items()}
        for outcome in outcomes:
            match outcome:
                case Committed():
                    committed.append(outcome)
                case Failed():
                    failed.append(outcome)
                case Skipped():
                    skipped[outcome.status] += 1
                    if outcome.status == "waiting":
                        waiting.setdefault(outcome.aggregation, {})[outcome.day] = AGAIN
        ranges = plan.gaps, plan.orphaned
        ends = tuple(committed), tuple(failed), skipped, seconds, unmatched
        return cls(*ends, *ranges, plan.left, waiting=waiting, strays=strays)

    def failure(self) -> str | None:
        """Which results failed, and which sources match no file."""
        found = []
        if self.failed:
            causes = enumerated([str(one) for one in failures_by_cause(self.failed)], "; ")
            found.append(f"{counted(len(self.failed), 'result')} failed, {len(self.committed)} committed: {causes}")
        return "; ".join([*found, *map(told_unmatched, self.unmatched.items())]) or None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``--json`` prints."""
        return {
            "committed": [{name: getattr(one, name) for name in _COMMITTED} for one in self.committed],
            "failed": [_without_empty(one, "summary") for one in self.failed],
            "skipped": dict(self.skipped),
            "seconds": round(self.seconds, 3),
            **if_any(unmatched=unmatched_field(self.unmatched), left=self.left),
            **if_any(without_input=ranges_field(self.gaps), orphaned=ranges_field(self.orphaned)),
            **waiting_fields(self.waiting),
            **stray_fields(self.strays),
        }


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a run would compute. ``unread``: no index was read, so lost results count as new.

    ``unmatched`` says of each source that no file matches where its template stops matching.
    """

    plan: Plan
    unread: bool
    unmatched: Mapping[str, str] = field(default_factory=dict)
    strays: Strays = field(default_factory=dict)

    def failure(self) -> str | None:
        """Which sources match no file; what is planned is no verdict."""
        return "; ".join(map(told_unmatched, self.unmatched.items())) or None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``--dry-run --json`` prints."""
        items = [{"aggregation": one.aggregation, "day": one.day, "reason": one.reason} for one in self.plan.items]
        return {
            "plan": items,
            "counts": dict(self.plan.counts()),
            **if_any(index="unread" if self.unread else "", unmatched=unmatched_field(self.unmatched)),
            **if_any(without_input=ranges_field(self.plan.gaps), orphaned=ranges_field(self.plan.orphaned)),
            **if_any(left=self.plan.left),
            **waiting_fields(self.plan.waiting),
            **stray_fields(self.strays),
        }


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did, or in a dry run would do.

    ``index`` counts index entries. ``absence`` says why there was no index; ``index_required``: that is a failure.
    ``deep`` is None where not every byte was checked, ``accepted`` where nothing was to be accepted. ``unreachable``
    are aggregations whose folder could not be entered. ``dry_run``: nothing was done.
    """

    index: ReconcileStats
    absence: str | None
    index_required: bool
    deep: DeepCheck | None = None
    unreachable: tuple[Unread, ...] = ()
    accepted: Accepted | None = None
    dry_run: bool = False

    @property
    def unreadable(self) -> tuple[Unread, ...]:
        """Everything that could not be read."""
        return (*(self.deep.unreadable if self.deep else ()), *self.unreachable)

    def failure(self) -> str | None:
        """What is not in order after the repair."""
        deep = self.deep or DeepCheck()
        found = []
        if self.index_required and self.absence:
            found.append(f"the index was not repaired: {self.absence}")
        bad: list[Broken | Edited | Unread] = [*deep.set_aside, *deep.edited, *self.unreadable]
        if bad:
            names = enumerated([f"{one.aggregation} {one.day}".strip() for one in bad])
            found.append(f"{counted(len(bad), 'result')} damaged, unreadable or computed from other bytes: {names}")
        if deep.foreign:
            paths = enumerated(deep.foreign)
            found.append(f"{counted(len(deep.foreign), 'foreign file')} beside results: {paths}")
        return "; ".join(found) or None

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``--json`` prints."""
        found: dict[str, Any] = asdict(self.index) | {"set_aside": []}
        if self.deep:
            found |= {name: some if isinstance(some, int) else list(some) for name, some in asdict(self.deep).items()}
        if self.deep or self.unreachable:
            found["unreadable"] = [asdict(one) for one in self.unreadable]
        found |= if_any(index="unread" if self.absence else "")
        return found | ({"accepted": accepted_field(self.accepted)} if self.accepted else {})


@dataclass(frozen=True, slots=True)
class RedisReport:
    """How durable the index is, or why there is none (``absence``), and what a scan costs that rebuilds it.

    The scan of ``commits`` took ``seconds``.
    """

    durability: Durability | None
    absence: str | None
    commits: int
    seconds: float

    @property
    def cost(self) -> str:
        """What its loss would cost."""
        return f"if it is lost, a scan of {counted(self.commits, 'commit')} rebuilds it, in about {self.seconds:.1f} s"

    def to_json(self) -> dict[str, Any]:
        """What a server says of itself, or why there is none, and the cost of losing it."""
        return (asdict(self.durability) if self.durability else {"absence": self.absence}) | {"cost": self.cost}


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What is wrong, and what could be better. ``counts`` maps an aggregation to its days of each status or reason,
    or ``failed``.

    ``gaps`` are the days without input of each aggregation, ``orphaned`` those whose raw files are gone, ``waiting``
    those whose input is not ready.
    """

    problems: tuple[Problem, ...]
    counts: Mapping[str, Mapping[str, int]]
    warnings: tuple[HealthWarning, ...]
    redis: RedisReport
    gaps: DayRanges = field(default_factory=dict)
    orphaned: DayRanges = field(default_factory=dict)
    waiting: Waiting = field(default_factory=dict)
    strays: Strays = field(default_factory=dict)

    def failure(self) -> str | None:
        """What was found, with the commands that fix it."""
        if not self.problems:
            return None
        named = [f"{one} ({'; '.join(one.steps)})" for one in causes_of(self.problems)]
        return f"{counted(len(self.problems), 'problem')} found: {enumerated(named, '; ')}"

    def to_json(self) -> dict[str, Any]:
        """The JSON object that ``--json`` prints."""
        return {
            "healthy": not self.problems,
            "problems": [_without_empty(one, "hint", "summary") for one in self.problems],
            "counts": {name: dict(counts) for name, counts in self.counts.items()},
            "warnings": [_without_empty(one, "hint") for one in self.warnings],
            "redis": self.redis.to_json(),
            **if_any(without_input=ranges_field(self.gaps), orphaned=ranges_field(self.orphaned)),
            **waiting_fields(self.waiting),
            **stray_fields(self.strays),
        }


def told_unmatched(one: tuple[str, str]) -> str:
    """A source that no file matches, and why, in one line."""
    source, why = one
    return f"no file matches source {source!r}: {why}"


def _without_empty(one: Failed | Problem | HealthWarning, *fields: str) -> dict[str, Any]:
    """Its fields, but for those of ``fields`` that hold nothing."""
    return {name: value for name, value in asdict(one).items() if value or name not in fields}
