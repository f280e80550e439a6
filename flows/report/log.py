"""Noonmark's logger; logs what a run is about to do, and what a person should know of its plan."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from flows.report.causes import failures_by_cause
from state.errors import HEALTH
from state.planner.plan import Plan
from state.words import counted
from tasks.compute.outcomes import Failed, traceback_log
from tasks.diagnosis import HealthWarning, warnings_of_code

log = logging.getLogger("noonmark")


def set_detail(*, quiet: bool, verbose: bool, tracebacks: bool) -> None:
    """Set how much is logged: warnings only, or a line for each result too; and the tracebacks of what failed."""
    log.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    traceback_log.setLevel(logging.DEBUG if tracebacks else logging.WARNING)


def log_plan(plan: Plan) -> None:
    """Log warnings about code and schemas, then what is planned."""
    log_warnings(warnings_of_code(plan))
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


def log_warnings(warnings: Iterable[HealthWarning]) -> None:
    """Log what health warns of, each with what to do about it."""
    for one in warnings:
        log.warning("%s; %s", one.detail, one.hint)


def log_blocked(plan: Plan) -> None:
    """Log the days that a run would report as failed without computing them, those of one cause in a line."""
    for cause in failures_by_cause(Failed(one.aggregation, one.day, one.kind, one.why) for one in plan.blocked):
        log.warning("%s; a run would report it as failed", cause)
