"""What is wrong, and the command that mends it: the comparison of input, output and index as a list of problems.

Healthy means that a run would find nothing to do and that the index equals the output. Nothing is written here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from state.index.index import ReconcileStats
from state.planner.plan import Plan
from state.store.local.root import ACCEPT

DAILY = "python -m flows.daily"
REPAIR = "python -m flows.repair"
HEALTH = "python -m flows.health"

_DETAILS = {
    "new": "its input has no result yet",
    "changed": "its input changed since its result was computed",
    "outdated": "its result is of a lower version",
    "corrupt": "its result is damaged",
    "lost": "its result was committed and is gone",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``aggregation`` and ``day`` are empty where it concerns no single one."""

    kind: str
    aggregation: str
    day: str
    detail: str
    command: str


def problems_of(plan: Plan) -> Iterator[Problem]:
    """What a plan says is wrong: each result that a run would compute, or should, and each day in trouble."""
    for item in plan.items:
        one = f"{DAILY} --days {item.day} --only {item.aggregation}"
        detail = _DETAILS[item.reason]
        if item.failure and item.failed_alike:
            detail += f"; when it was last computed it failed ({item.failure.kind}): {item.failure.error}"
        yield Problem(item.reason, item.aggregation, item.day, detail, one)
    for aggregation, days in plan.differing.items():
        for day, why in days.items():
            yield Problem("schema", aggregation, day, why, f"{DAILY} --force --days {day} --only {aggregation}")
    for trouble in plan.troubles:
        # A damaged result whose input is gone can only be put away; one that the index remembers, forgotten.
        if trouble.older:
            yield Problem(trouble.kind, trouble.aggregation, trouble.day, trouble.why, ACCEPT)
        elif trouble.kind == "unrecoverable":
            yield Problem(trouble.kind, trouble.aggregation, trouble.day, trouble.why, f"{REPAIR} --deep")
        else:
            retired = trouble.aggregation not in plan.declared  # no run would take its name
            one = HEALTH if retired else f"{DAILY} --days {trouble.day} --only {trouble.aggregation}"
            yield Problem(trouble.kind, trouble.aggregation, trouble.day, f"{trouble.why}; mend that, then run", one)


def problem_of_index(differences: ReconcileStats) -> Problem | None:
    """The index's differences from the output, as one problem."""
    told = [
        f"{number:,} {what}"
        for number, what in (
            (differences.added, "missing"),
            (differences.updated, "wrong"),
            (differences.removed, "too many"),
        )
        if number
    ]
    return Problem("index", "", "", f"the index differs from the output: {', '.join(told)}", REPAIR) if told else None


def problems_of_own(counted: Sequence[str]) -> Iterator[Problem]:
    """What below ``_noonmark/`` a reader of the output would count among the results."""
    for path in counted:
        told = f"a reader of **/*.parquet counts {path!r} among the results"
        yield Problem("foreign", "", "", told, f"{REPAIR} --deep")


def counts_of(plan: Plan) -> dict[str, dict[str, int]]:
    """How many days of each aggregation have each status or reason."""
    counts = defaultdict(Counter, {name: Counter(statuses) for name, statuses in plan.statuses.items()})
    for item in plan.items:
        counts[item.aggregation][item.reason] += 1
    for trouble in plan.troubles:
        counts[trouble.aggregation][trouble.kind] += 1
    return {name: dict(statuses) for name, statuses in counts.items()}
