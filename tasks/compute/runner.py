"""The Prefect tasks of a run: contiguous days, in as many task runs as a person can read and a server can take.

Whatever Prefect shows of a task agrees with what was committed: a day is committed inside its task, and a task that
holds a bad day commits the others and fails naming it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote
from prefect.utilities.asyncutils import run_coro_as_sync

from state import clock
from state.index.best_effort import BestEffortIndex
from state.partition import Partition
from state.planner.decide import Item
from tasks.compute.context import Days, RunContext
from tasks.compute.failing import record_outcomes
from tasks.compute.outcomes import Committed, Failed, Outcome, Skipped
from tasks.compute.progress import Progress

SINGLE_DAYS = 50
"""Up to so many pending days have a task run each: the nightly case, where a person looks for one day."""
TASKS = 60
"""About so many task runs serve a longer run. A server on SQLite takes in 60 to 200 task runs a second."""

NAMED = 5
"""How many results the message of a failed task names."""

SHOW_SECONDS = 0.5
"""How often progress is shown."""
POLL_SECONDS = 0.2
"""How often a run looks whether days that another run computes are free."""

log = logging.getLogger("noonmark")


class BatchFailed(Exception):
    """A task whose days did not all succeed. ``outcomes`` holds all of them, committed days too."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        failed = [f"{one.aggregation} {one.day}: {one.error}" for one in outcomes if isinstance(one, Failed)]
        super().__init__(f"{len(failed)} results failed: " + "; ".join(failed[:NAMED]) + "; …" * (len(failed) > NAMED))
        self.outcomes = outcomes


class BatchStopped(BatchFailed):
    """A task that was told to end before all of its days had an outcome; ``outcomes`` holds those that have one."""

    def __init__(self, outcomes: list[Outcome], left: Sequence[Partition]) -> None:
        super().__init__(outcomes)
        named = ", ".join(f"{aggregation} {day}" for aggregation, day in left[:NAMED]) + ", …" * (len(left) > NAMED)
        self.args = (f"the run was ended before {len(left)} results were computed: {named}; the next run does it",)


@dataclass(frozen=True, slots=True)
class Batch:
    """Contiguous days of a plan; ``label`` is what the task run is called."""

    label: str
    days: Days


def batches(items: Sequence[Item]) -> Iterator[Batch]:
    """Cut a plan, whose items stand day by day, into the batches that become task runs."""
    days = _by_day(items)
    size = 1 if len(days) <= SINGLE_DAYS else math.ceil(len(days) / TASKS)
    for at in range(0, len(days), size):
        part = days[at : at + size]
        yield Batch(_label(part), part)


def _by_day(items: Sequence[Item]) -> Days:
    return [(day, list(some)) for day, some in groupby(items, key=lambda item: item.day)]


def _label(days: Days) -> str:
    first, last = days[0][0], days[-1][0]
    return first if len(days) == 1 else f"{first} to {last} ({len(days)} days)"


# No Prefect retry: a batch tries again by itself, and only what can pass on a second try.
@task(name="compute days", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False, retries=0)
def compute_days(
    label: str, shop: RunContext, index: BestEffortIndex, days: Days, isolated: bool = False
) -> list[Outcome]:
    """Compute and commit days, tell the index, and return what became of each.

    Days that another run computes are ``leased``, and left to it. ``isolated`` computes them in another process.
    Raises BatchFailed where a result failed, BatchStopped where the run was ended before all had an outcome.
    """
    items = {(item.aggregation, day): item for day, some in days for item in some}
    places = list(items)
    leased = index.acquire(places)
    outcomes: list[Outcome] = [Skipped(*place, "leased") for place in places if place in leased]
    settle = partial(_settle, _computing(isolated), shop, index)
    try:
        outcomes += settle(_only(days, set(places) - leased))
        again = {(one.aggregation, one.day) for one in outcomes if isinstance(one, Failed) and one.passing}
        if again and not shop.stopping.is_set():
            log.info("%s: trying %d results again", label, len(again))
            outcomes = [one for one in outcomes if (one.aggregation, one.day) not in again]
            outcomes += settle(_only(days, again))
    finally:
        index.release(set(places) - leased)
        record_outcomes(shop.root, items, outcomes)
    if left := sorted(items.keys() - {(one.aggregation, one.day) for one in outcomes}):
        raise BatchStopped(outcomes, left)
    if any(isinstance(one, Failed) for one in outcomes):
        raise BatchFailed(outcomes)
    return outcomes


def compute_all(shop: RunContext, index: BestEffortIndex, items: Sequence[Item], workers: int) -> list[Outcome]:
    """Run a whole plan as Prefect tasks, ``workers`` at once, inside a flow run.

    Results that may take their process with them come after all others, in a process of their own. Days that another
    run computes come last: they are waited for as long as it gets on, and looked at again. Where the run is
    interrupted, the days that are being computed are finished or dropped, and none is begun.
    """
    # Prefect starts a loop for its results when it first has one, and waits for ever where that cannot start: user code
    # may have taken all file descriptors by then.
    run_coro_as_sync(asyncio.sleep(0))
    runner: ThreadPoolTaskRunner[list[Outcome]] = ThreadPoolTaskRunner(max_workers=workers)
    with runner:
        try:
            outcomes = _run(runner, shop, index, items)
            while waiting := _leased(outcomes, items):
                free = _wait_for_some(index, waiting)
                outcomes = [one for one in outcomes if (one.aggregation, one.day) not in free]
                outcomes += _run(runner, shop, index, [item for item in items if (item.aggregation, item.day) in free])
        except BaseException:
            shop.stopping.set()
            raise
    return outcomes


def _run(
    runner: ThreadPoolTaskRunner[list[Outcome]], shop: RunContext, index: BestEffortIndex, items: Sequence[Item]
) -> list[Outcome]:
    def submit(batch: Batch, *, isolated: bool = False) -> PrefectFuture[list[Outcome]]:
        shared = {"shop": quote(shop), "index": quote(index), "days": quote(batch.days)}
        return runner.submit(compute_days, {"label": batch.label, **shared, "isolated": isolated})

    together = [submit(one) for one in batches([item for item in items if not item.isolated])]
    outcomes = [outcome for future in together for outcome in _outcomes(future, shop.progress)]
    if alone := _by_day([item for item in items if item.isolated]):
        # One task, for it starts one process, and a new one only where that one dies.
        batch = Batch(f"{_label(alone)}, in a process of its own", alone)
        outcomes += _outcomes(submit(batch, isolated=True), shop.progress)
    return outcomes


def _outcomes(future: PrefectFuture[list[Outcome]], progress: Progress) -> list[Outcome]:
    result = _wait(future, progress)
    if isinstance(result, BatchFailed):
        return result.outcomes
    if isinstance(result, BaseException):
        raise result
    assert isinstance(result, list)
    return result


def _wait(future: PrefectFuture[list[Outcome]], progress: Progress) -> object:
    """What a task returned or raised; progress is shown meanwhile."""
    while True:
        progress.show()
        with suppress(TimeoutError):
            return future.result(timeout=SHOW_SECONDS, raise_on_failure=False)


def _leased(outcomes: Sequence[Outcome], items: Sequence[Item]) -> list[Partition]:
    leased = {(one.aggregation, one.day) for one in outcomes if isinstance(one, Skipped) and one.status == "leased"}
    return [place for item in items if (place := (item.aggregation, item.day)) in leased]


def _wait_for_some(index: BestEffortIndex, places: list[Partition]) -> set[Partition]:
    """Those of these days that nobody computes any more, or whose holder was waited for in vain: some will be."""
    while not (free := set(places) - index.leased(places)):
        clock.sleep(POLL_SECONDS)
    return free


def _only(days: Days, places: Collection[Partition]) -> Days:
    chosen = [(day, [item for item in items if (item.aggregation, day) in places]) for day, items in days]
    return [(day, items) for day, items in chosen if items]


Computing = Callable[[RunContext, Days], Iterator[Outcome]]
"""Computes and commits days."""


def _computing(isolated: bool) -> Computing:
    # With pyarrow it takes two tenths of a second, and most runs compute nothing.
    from tasks.compute.group import compute
    from tasks.compute.isolation import compute_isolated

    return compute_isolated if isolated else compute


def _settle(compute: Computing, shop: RunContext, index: BestEffortIndex, days: Days) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        for one in compute(shop, days):
            outcomes.append(one)
            if not (isinstance(one, Failed) and one.passing):  # that one is tried again, under its lease
                index.finish((one.aggregation, one.day))
    finally:
        index.record_commits([one.news for one in outcomes if isinstance(one, Committed)])
    return outcomes
