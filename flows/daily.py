"""The daily flow: survey input, output and index, plan, repair the index, compute and commit.

``python -m flows.daily`` on a terminal, ``daily/daily`` as a deployment; one planner serves both.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:  # started as a file, it finds none of the modules below
    step = "in the project's folder: python -m flows.daily"
    print(f"noonmark: flows/daily.py is not a script\n  → {step}", file=sys.stderr)
    sys.exit(2)

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from prefect import flow

from flows.cli.arguments import CommandLine, FromOne, Hidden
from flows.cli.command import run_command
from flows.cli.options import selection_of
from flows.cli.prefect_server import is_configured, temporary_server
from flows.planned_run import PlannedRun, planned, preview, run
from flows.report.finish import finish, report_of
from flows.report.models import DailyReport, PlanReport
from flows.report.terminal import show_daily
from state import clock
from state.settings import Settings, read_settings
from tasks.catalog.load import load

_planned: ContextVar[PlannedRun | None] = ContextVar("planned", default=None)
"""The run that a command has planned before it called the flow."""


@flow(name="daily", description="Compute and commit the days whose aggregates are missing, stale or damaged.")
def daily(
    *,
    days: list[str] | None = None,
    only: list[str] | None = None,
    force: bool = False,
    limit: FromOne | None = None,
    newest_first: bool = False,
    workers: FromOne | None = None,
    retry_quarantined: Annotated[bool, Hidden] = False,  # noqa: ARG001 accepted, and without effect yet
    dry_run: bool = False,
) -> dict[str, Any]:
    """Find the days whose aggregates are missing, stale or damaged, compute them, and commit each.

    Args:
        days: Only these days: 2013-01-31, 2013-01-01..2013-01-31, 2013-06-01.. or ..2012-12-31; several with commas.
        only: Only these aggregations; several with commas.
        force: Compute the selected days even where nothing changed; needs days or only.
        limit: Compute at most this many days.
        newest_first: Begin with the newest day.
        workers: How many days are computed at once; by default NOONMARK_WORKERS.
        retry_quarantined: Has no effect yet.
        dry_run: Return the plan and do nothing.

    Returns:
        What `--json` prints.
    """
    if ready := _planned.get():
        return finish(ready.compute())
    settings = read_settings()
    catalog = load(settings.aggregations)
    selection = selection_of(catalog, days=days, only=only, force=force, limit=limit, newest_first=newest_first)
    if dry_run:
        return finish(preview(settings, catalog, selection))
    return finish(run(settings, catalog, selection, workers or settings.workers))


def _act(given: Mapping[str, Any], settings: Settings) -> DailyReport | PlanReport:
    asked = dict(given)
    dry_run = asked.pop("dry_run", False)
    narrowed = {name: asked[name] for name in ("days", "only", "force", "limit", "newest_first") if name in asked}
    catalog = load(settings.aggregations)
    selection = selection_of(catalog, **narrowed)
    if dry_run:
        return preview(settings, catalog, selection)
    if is_configured():
        return report_of(partial(daily, **asked), DailyReport)
    with planned(settings, catalog, selection, asked.get("workers") or settings.workers) as ready:
        if not ready.has_work:
            return ready.compute()
        began = clock.monotonic()
        token = _planned.set(ready)
        try:
            with temporary_server():
                report = report_of(partial(daily, **asked), DailyReport)
        finally:
            _planned.reset(token)
        waited = clock.monotonic() - began - (report.seconds - ready.planning_seconds)
        return replace(report, server_seconds=waited)


def main() -> None:
    """The command line."""
    examples = ("", "--dry-run", "--limit 3 --newest-first", "--days 2013-01-01..2013-01-31 --only NAME --force")
    run_command(CommandLine("python -m flows.daily", daily.fn, examples), _act, show_daily)


if __name__ == "__main__":
    main()
