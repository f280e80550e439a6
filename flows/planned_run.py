"""A run of ``daily`` from opening what it works with to its report: survey, plan, repair the index, compute, commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from flows.cli.garbage import collecting
from flows.opening import opened_index, opened_root, seen_root, used_index
from flows.report.log import log, log_blocked, log_plan, log_warnings
from flows.report.models import DailyReport, PlanReport
from flows.report.progress import shown_progress
from state import clock
from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Selection
from state.result.schemas import Schemas
from state.settings import Settings
from state.store.accepted import revoke_accepted
from state.store.base import Store
from tasks.caches import keep
from tasks.catalog.load import Catalog
from tasks.compute.context import AdaptiveBatchSize, RunContext
from tasks.compute.failing import forget_recovered, record_deaths, show_failures
from tasks.compute.outcomes import Outcome, after
from tasks.compute.runner import compute_all
from tasks.diagnosis import warnings_of_strays, warnings_of_types
from tasks.reading.differing_types import differing_types
from tasks.reading.sound_files import SoundFiles
from tasks.survey import Survey, survey


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
                try:
                    outcomes = compute_all(context, self.index, plan.items, self.workers)
                finally:
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
