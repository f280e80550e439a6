"""The daily flow: survey input, output and index, plan, repair the index, compute and commit.

``python -m flows.daily`` on a terminal, ``daily/daily`` as a deployment; one planner serves both.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.cli.command import Parser, run_command
from flows.cli.garbage import collecting
from flows.cli.options import add_selection, selection_of
from flows.cli.prefect_server import prefect_server
from flows.opening import opened_index, opened_root, seen_root
from flows.report.finish import finish, report_of
from flows.report.log import log, log_blocked, log_plan
from flows.report.models import DailyReport, PlanReport
from flows.report.progress import shown_progress
from flows.report.terminal import show_daily
from state import clock
from state.errors import ConfigurationError
from state.inputs.root import InputRoot
from state.planner.plan import Selection
from state.result.schemas import Schemas
from state.settings import Settings, read_settings
from state.store.accepted import revoke_accepted
from tasks.catalog.load import Catalog, load
from tasks.compute.context import AdaptiveBatchSize, RunContext
from tasks.compute.failing import forget_recovered, record_deaths, show_failures
from tasks.compute.runner import compute_all
from tasks.survey import remember_digests, remember_footers, survey


@flow(name="daily", description="Compute and commit the days whose aggregates are missing, stale or damaged.")
def daily(
    days: list[str] | None = None,
    only: list[str] | None = None,
    force: bool = False,
    limit: Annotated[int, Field(ge=1)] | None = None,
    newest_first: bool = False,
    workers: Annotated[int, Field(ge=1)] | None = None,
    retry_quarantined: bool = False,  # noqa: ARG001 accepted, and without effect yet
    dry_run: bool = False,
) -> dict[str, Any]:
    """Find the days to compute, compute them, commit each. Returns what `--json` prints.

    Args:
        days: Narrow the run to ranges such as 2013-01-01..2013-01-31, 2013-01-01, 2013-06-01.. or ..12.
        only: Narrow the run to these aggregations.
        force: Compute the selected days even where nothing changed; needs days or only.
        limit: At most this many days.
        newest_first: Begin with the newest day.
        workers: Days computed at once; by default NOONMARK_WORKERS.
        retry_quarantined: Has no effect yet.
        dry_run: Return the plan and do nothing.
    """
    settings = read_settings()
    catalog = load(settings.aggregations)
    selection = selection_of(catalog, days=days, only=only, force=force, limit=limit, newest_first=newest_first)
    if dry_run:
        return finish(preview(settings, catalog, selection))
    return finish(run(settings, catalog, selection, workers or settings.workers))


def run(settings: Settings, catalog: Catalog, selection: Selection, workers: int) -> DailyReport:
    """One whole run, inside a flow run. Raises Refused, StorageError."""
    began = clock.monotonic()
    with (
        opened_index(settings) as index,
        opened_root(settings, catalog, index) as root,
        InputRoot(settings.input) as raw,
    ):
        record_deaths(root)
        found = survey(catalog, raw, root, index, selection, workers)
        log_plan(found.plan)
        index.reconcile(found.output.reachable(found.remembered), found.output.days)
        remember_footers(found.output)
        remember_digests(found)
        revoke_accepted(root, found.outdated)
        root.remove_stale()
        forget_recovered(root, found.plan.recovered)
        with shown_progress(found.plan.items) as observer, root.run_note() as note, collecting():
            context = RunContext(
                *(catalog, raw, root, AdaptiveBatchSize(workers), observer),
                schemas=Schemas(found.output.days),
                broken_links=found.broken,
                note=note,
                module=settings.aggregations,
            )
            outcomes = compute_all(context, index, found.plan.items, workers)
        show_failures(root, index, found.plan.items, found.plan.recovered)
        # What others renamed they may not have lived to flush, and this run is about to call it done.
        root.sync()
    return DailyReport.of(found.plan, outcomes, clock.monotonic() - began, found.unmatched)


def preview(settings: Settings, catalog: Catalog, selection: Selection) -> PlanReport:
    """The plan as a run would make it now. Starts no server and writes nothing. Raises Refused, StorageError."""
    with opened_index(settings, start=False) as index, InputRoot(settings.input) as raw:
        with seen_root(settings, catalog, index) or nullcontext() as root:
            found = survey(catalog, raw, root, index, selection, settings.workers)
            if root is None:
                log.warning("there is no output at %s yet", settings.output)
        log_plan(found.plan)
        log_blocked(found.plan)
        return PlanReport(found.plan, bool(index.unavailable_reason), found.unmatched)


def _act(options: argparse.Namespace, settings: Settings) -> DailyReport | PlanReport:
    catalog = load(settings.aggregations)
    asked = {name: getattr(options, name) for name in ("days", "only", "force", "limit", "newest_first")}
    selection = selection_of(catalog, **asked)
    if options.workers is not None and options.workers < 1:
        raise ConfigurationError(f"--workers {options.workers}: expected a number from 1")
    if options.dry_run:
        return preview(settings, catalog, selection)
    with prefect_server():
        return report_of(partial(daily, **asked, workers=options.workers), DailyReport)


def main() -> None:
    """The command line."""
    parser = Parser(prog="python -m flows.daily", description="Compute and commit the days that need it.")
    add_selection(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="days computed at once (default: NOONMARK_WORKERS)")
    parser.add_argument("--retry-quarantined", action="store_true", help=argparse.SUPPRESS)  # accepted, without effect
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    run_command(parser, _act, show_daily)


if __name__ == "__main__":
    main()
