"""Noonmark's logger; logs what a run is about to do, and what a person should know of its plan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from state.errors import HEALTH
from state.planner.plan import Plan
from state.words import counted
from tasks.compute.outcomes import traceback_log
from tasks.inputs.strays import Stray, grouped
from tasks.reading.differing_types import DifferingTypes

log = logging.getLogger("noonmark")


def set_detail(*, quiet: bool, verbose: bool, tracebacks: bool) -> None:
    """Set how much is logged: warnings only, or a line for each result too; and the tracebacks of what failed."""
    log.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    traceback_log.setLevel(logging.DEBUG if tracebacks else logging.WARNING)


def log_plan(plan: Plan) -> None:
    """Log warnings about code and schemas, then what is planned."""
    for name, commits in plan.changed_code.items():
        log.warning(
            "%s: its code changed since %d of its days were computed, and its version did not; "
            "raise version= to recompute them",
            name,
            commits,
        )
    for name, statuses in plan.statuses.items():
        if ahead := statuses["ahead"]:
            log.warning(
                "%s: %s of a higher version than this code, and never overwritten; raise version= above theirs to "
                "compute them anew",
                name,
                counted(ahead, "committed day") + (" is" if ahead == 1 else " are"),
            )
    for name, differing in plan.differing.items():
        log.warning(
            "%s: committed days whose schema is not that of the others, so that readers of all days may fail: %d, "
            "among them %s: %s; %s lists each, with the command that fixes it",
            name,
            len(differing),
            *next(iter(differing.items())),
            HEALTH,
        )
    if plan.items:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(plan.counts().items()))
        days = len({item.day for item in plan.items})
        log.info("planned %s of %s: %s", counted(len(plan.items), "result"), counted(days, "day"), reasons)


def log_strays(strays: Mapping[str, Sequence[Stray]]) -> None:
    """Log what looks like input and is none, each source and reason in a line; health shows it in its own report."""
    for group in grouped(strays):
        log.warning("%s; %s", group, group.hint)


def log_types(differing: Iterable[DifferingTypes]) -> None:
    """Log the sources whose inferred types differ between their days, each with what settles it."""
    for one in differing:
        log.warning("%s; declare %s in that source", one, one.remedy)


def log_blocked(plan: Plan) -> None:
    """Log the days that a run would report as failed without computing them."""
    for one in plan.blocked:
        log.warning("%s %s (%s): %s; a run would report it as failed", one.aggregation, one.day, one.kind, one.why)
