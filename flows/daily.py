"""The daily flow: survey input, output and index, plan, repair the index, compute and commit.

``python -m flows.daily`` on a terminal, ``daily/daily`` as a deployment; one planner serves both.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.cli.command import Parser, ProblemsRemain, collecting, run_command
from flows.cli.options import add_selection, selection_of
from flows.cli.prefect_server import reporting
from flows.opening import opened_index, opened_root, seen_root
from flows.report.progress import shown_progress
from flows.report.terminal import Summary, counted, plan_to_json, show_daily
from flows.settings import Settings, read_settings
from state import clock
from state.errors import ConfigurationError
from state.filesystem.durable import flush_file_system
from state.index.best_effort import log
from state.inputs.root import InputRoot
from state.planner.plan import Plan, Selection
from state.result.schemas import Schemas
from state.store.accepted import revoke_accepted
from state.store.local.run_note import RunNote
from state.store.local.staging import remove_stale_files
from tasks.catalog.load import Catalog, load
from tasks.compute.context import AdaptiveBatchSize, RunContext
from tasks.compute.failing import forget_recovered, record_deaths, show_failures
from tasks.compute.runner import compute_all
from tasks.diagnosis import HEALTH
from tasks.survey import remember_digests, remember_footers, survey


@flow(name="daily", description="Compute and commit the days whose aggregates are missing, stale or damaged.")
def daily(
    days: list[str] | None = None,
    only: list[str] | None = None,
    force: bool = False,
    limit: Annotated[int, Field(ge=1)] | None = None,
    newest_first: bool = False,
    workers: Annotated[int, Field(ge=1)] | None = None,
    retry_quarantined: bool = False,  # noqa: ARG001 nothing is quarantined yet: every run tries every day
    dry_run: bool = False,
) -> dict[str, Any]:
    """Find the days to compute, compute them, commit each. Returns the JSON object of the contract.

    Args:
        days: Narrow the run to ranges such as 2013-01-01..2013-01-31, 2013-01-01, 2013-06-01.. or ..12.
        only: Narrow the run to these aggregations.
        force: Compute the selected days even where nothing changed; needs days or only.
        limit: At most this many days.
        newest_first: Begin with the newest day.
        workers: Days computed at once; by default NOONMARK_WORKERS.
        retry_quarantined: Also try days that are quarantined.
        dry_run: Return the plan and do nothing.
    """
    settings = read_settings(strict=False)
    catalog = load(settings.aggregations)
    selection = selection_of(catalog, days=days, only=only, force=force, limit=limit, newest_first=newest_first)
    if dry_run:
        return preview(settings, catalog, selection)
    summary = run(settings, catalog, selection, workers or settings.workers)
    if summary.failed:
        raise ProblemsRemain(summary.failures(), summary.to_json())
    return summary.to_json()


def run(settings: Settings, catalog: Catalog, selection: Selection, workers: int) -> Summary:
    """One whole run, inside a flow run. Raises Refused, StorageError."""
    began = clock.monotonic()
    with (
        opened_index(settings) as index,
        opened_root(settings, catalog, index) as root,
        InputRoot(settings.input) as raw,
    ):
        record_deaths(root)
        found = survey(catalog, raw, root, index, selection, workers)
        tell_plan(found.plan)
        index.reconcile(found.output.reachable(found.remembered), found.output.days)
        remember_footers(found.output)
        remember_digests(found)
        revoke_accepted(root, found.outdated)
        remove_stale_files(root.fd)
        forget_recovered(root, found.plan.recovered)
        days = len({item.day for item in found.plan.items})
        with shown_progress(days) as progress, RunNote(root.fd) as note, collecting():
            shop = RunContext(
                *(catalog, raw, root, AdaptiveBatchSize(workers), progress),
                schemas=Schemas(found.output.days),
                passed_over=found.broken,
                note=note,
                module=settings.aggregations,
            )
            outcomes = compute_all(shop, index, found.plan.items, workers)
        show_failures(root, index, found.plan.items, found.plan.recovered)
        # What others renamed they may not have lived to flush, and this run is about to call it done.
        flush_file_system(root.fd)
    return Summary.of(found.plan, outcomes, clock.monotonic() - began)


def preview(settings: Settings, catalog: Catalog, selection: Selection) -> dict[str, Any]:
    """The plan as a run would make it now. Starts no server and writes nothing. Raises Refused, StorageError."""
    with opened_index(settings, start=False) as index, InputRoot(settings.input) as raw:
        with seen_root(settings, catalog, index) or nullcontext() as root:
            found = survey(catalog, raw, root, index, selection, settings.workers)
            if root is None:
                log.warning("there is no output at %s yet", settings.output)
        tell_plan(found.plan)
        for one in found.plan.troubles:
            log.warning("%s %s (%s): %s; a run would fail of it", one.aggregation, one.day, one.kind, one.why)
        return plan_to_json(found.plan) | ({"index": "unread"} if index.unavailable_reason else {})


def tell_plan(plan: Plan) -> None:
    """Log what is about to be done, and what a person should know of it."""
    for name, commits in plan.changed_code.items():
        log.warning(
            "%s: its code changed since %d of its days were computed, and its version did not; "
            "raise version= to recompute them",
            name,
            commits,
        )
    for name, differing in plan.differing.items():
        log.warning(
            "%s: committed days whose schema is not that of the others, so that readers of all days may fail: %d, "
            "among them %s: %s; %s names each, with the command that mends it",
            name,
            len(differing),
            *next(iter(differing.items())),
            HEALTH,
        )
    if plan.items:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(plan.counts().items()))
        days = len({item.day for item in plan.items})
        log.info("planned %s of %s: %s", counted(len(plan.items), "result"), counted(days, "day"), reasons)


def _act(options: argparse.Namespace, settings: Settings) -> Mapping[str, Any]:
    catalog = load(settings.aggregations)
    asked = {name: getattr(options, name) for name in ("days", "only", "force", "limit", "newest_first")}
    selection = selection_of(catalog, **asked)
    if options.workers is not None and options.workers < 1:
        raise ConfigurationError(f"--workers {options.workers}: expected a number from 1")
    if options.dry_run:
        return preview(settings, catalog, selection)
    with reporting():
        report: Mapping[str, Any] = daily(**asked, workers=options.workers, retry_quarantined=options.retry_quarantined)
    return report


def main() -> None:
    """The command line."""
    parser = Parser(prog="python -m flows.daily", description="Compute and commit the days that need it.")
    add_selection(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="days computed at once (default: NOONMARK_WORKERS)")
    parser.add_argument("--retry-quarantined", action="store_true", help="also try days that are quarantined")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    run_command(parser, _act, show_daily)


if __name__ == "__main__":
    main()
