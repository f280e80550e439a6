"""The daily flow: survey input, output and index, plan, repair the index, compute and commit.

``python -m flows.daily`` on a terminal, ``daily/daily`` as a deployment; one planner serves both.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:  # started as a file, it finds none of the modules below
    step = "in the project's folder: python -m flows.daily"
    step = "in the project's folder: python -m flows.daily"
    print(f"noonmark: flows/daily.py is not a script\n  → {step}", file=sys.stderr)
    sys.exit(2)

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from prefect import flow

from flows.cli.arguments import CommandLine, FromOne, Hidden
from flows.cli.command import run_command
from flows.cli.garbage import collecting
from flows.cli.options import selection_of
from flows.cli.prefect_server import is_configured, temporary_server
from flows.opening import opened_index, opened_root, seen_root, used_index
from flows.report.finish import finish, report_of
from flows.report.log import log, log_blocked, log_plan, log_warnings
from flows.report.models import DailyReport, PlanReport
from flows.report.progress import shown_progress
from flows.report.terminal import show_daily
from state import clock
from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Selection
from state.result.schemas import Schemas
from state.settings import Settings, read_settings
from state.store.accepted import revoke_accepted
from state.store.base import Store
from tasks.caches import keep
from tasks.catalog.load import Catalog, load
from tasks.compute.context import AdaptiveBatchSize, RunContext
from tasks.compute.failing import forget_recovered, record_deaths, show_failures
from tasks.compute.outcomes import Outcome, after
from tasks.compute.runner import compute_all
from tasks.diagnosis import warnings_of_strays, warnings_of_types
from tasks.reading.differing_types import differing_types
from tasks.reading.sound_files import SoundFiles
from tasks.survey import Survey, survey

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


def run(settings: Settings, catalog: Catalog, selection: Selection, workers: int) -> DailyReport:
    """One whole run, inside a flow run. Raises Refused, StorageError."""
    with planned(settings, catalog, selection, workers) as ready:
        return ready.compute()


@dataclass(frozen=True)
class PlannedRun:
    """A run whose plan is made and whose index is repaired. It is computed once, as long as what it opened is open."""

    settings: Settings
    catalog: Catalog
    root: Store
    raw: InputRoot
    index: BestEffortIndex
    found: Survey
    workers: int
    planning_seconds: float

    @property
    def has_work(self) -> bool:
        """Whether anything is to be computed."""
        return bool(self.found.plan.items)

    def compute(self) -> DailyReport:
        """Compute and commit what is planned, inside a flow run where that is anything. Raises StorageError."""
        began = clock.monotonic()
        plan, root = self.found.plan, self.root
        outcomes: list[Outcome] = []
        if self.has_work:
            known_sound = SoundFiles(root)
            with shown_progress(plan.items) as observer, root.run_note() as note, collecting():
                context = RunContext(
                    *(self.catalog, self.raw, root, AdaptiveBatchSize(self.workers), observer),
                    schemas=Schemas(self.found.output.days),
                    known_sound=known_sound,
                    broken_links=self.found.broken,
                    note=note,
                    module=self.settings.aggregations,
                )
                outcomes = compute_all(context, self.index, plan.items, self.workers)
            keep(known_sound, of="inputs")
            log_warnings(warnings_of_types(differing_types(self.catalog, after(self.found.output.days, outcomes))))
        show_failures(root, self.index, plan.items, plan.recovered)
        # What others renamed they may not have lived to flush, and this run is about to call it done.
        root.sync()
        seconds = self.planning_seconds + clock.monotonic() - began
        return DailyReport.of(plan, outcomes, seconds, self.found.unmatched, self.found.strays)


@contextmanager
def planned(settings: Settings, catalog: Catalog, selection: Selection, workers: int) -> Iterator[PlannedRun]:
    """Survey input and output, plan, and repair the index. Raises Refused, StorageError."""
    began = clock.monotonic()
    with (
        opened_index(settings) as index,
        opened_root(settings, catalog, index) as root,
        InputRoot(settings.input) as raw,
    ):
        record_deaths(root)
        found = survey(catalog, raw, root, index, selection, workers)
        log_warnings(warnings_of_strays(found.strays))
        log_plan(found.plan)
        index.reconcile(found.output.reachable(found.remembered), found.output.days)
        keep(found.output.footers, of="results")
        keep(found.digests, of="inputs")
        revoke_accepted(root, found.outdated)
        root.remove_stale()
        forget_recovered(root, found.plan.recovered)
        yield PlannedRun(settings, catalog, root, raw, index, found, workers, clock.monotonic() - began)


def preview(settings: Settings, catalog: Catalog, selection: Selection) -> PlanReport:
    """The plan as a run would make it now. Starts no server and writes nothing. Raises Refused, StorageError."""
    with opened_index(settings, start=False) as index, InputRoot(settings.input) as raw:
        with seen_root(settings, catalog, index) or nullcontext() as root:
            found = survey(catalog, raw, root, index, selection, settings.workers)
            if root is None:
                known = "; earlier runs left an index, and where it has commits, a run is refused"
                log.warning("there is no output at %s yet%s", settings.output, known * bool(used_index(settings)))
        log_warnings(warnings_of_strays(found.strays))
        log_plan(found.plan)
        log_blocked(found.plan)
        return PlanReport(found.plan, bool(index.unavailable_reason), found.unmatched, found.strays)


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
