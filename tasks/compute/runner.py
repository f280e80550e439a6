"""The Prefect tasks of a run: contiguous days, in as many task runs as a person can read and a server can take.

Whatever Prefect shows of a task agrees with what was committed: a day is committed inside its task, and a task that
holds a bad day commits the others and fails naming it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
from tasks.compute.context import RunContext
from tasks.compute.failing import record_outcomes
from tasks.compute.outcomes import Committed, Failed, Observer, Outcome, Skipped

SINGLE_DAYS = 50
"""Up to so many pending days have a task run each: the nightly case, where a person wants to find one day."""
DAYS = 30
"""About so many days share a task run in a longer run. A task run costs some 10 ms, as much as five small days."""
TASKS = 30
"""A longer run has about so many task runs at most, or TURNS for each worker. A server on SQLite takes in 60 to 200 of
them a second, and days of one task run are computed together.
"""
TURNS = 4
"""A longer run has at least so many task runs for each worker, so that all have work until the end."""

NAMED = 5
"""How many results the message of a failed task names."""

TICK_SECONDS = 0.5
"""How often the observer's ``tick`` is called."""
POLL_SECONDS = 0.2
"""How often a run checks whether days that another run computes are free."""

log = logging.getLogger("noonmark")


class BatchFailed(Exception):
    """A task with failed results. ``outcomes`` holds those of all its results, committed ones too."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        failed = [f"{one.aggregation} {one.day}: {one.error}" for one in outcomes if isinstance(one, Failed)]
        super().__init__(f"{len(failed)} results failed: " + "; ".join(failed[:NAMED]) + "; …" * (len(failed) > NAMED))
        self.outcomes = outcomes


class BatchStopped(BatchFailed):
    """A task that was stopped before all of its results had an outcome; ``outcomes`` holds those that have one."""

    def __init__(self, outcomes: list[Outcome], left: Sequence[Partition]) -> None:
        super().__init__(outcomes)
        named = ", ".join(f"{aggregation} {day}" for aggregation, day in left[:NAMED]) + ", …" * (len(left) > NAMED)
        self.args = (f"the run was ended before {len(left)} results were computed: {named}; the next run does it",)


def batches(items: Sequence[Item], workers: int) -> Iterator[list[Item]]:
    """Cut a plan's items, which stand day by day, into the batches that become task runs."""
    days = [list(some) for _, some in groupby(items, key=lambda item: item.day)]
    size = 1
    if len(days) > SINGLE_DAYS:
        least = TURNS * workers
        size = max(math.ceil(len(days) / max(TASKS, least)), min(DAYS, math.ceil(len(days) / least)))
    for at in range(0, len(days), size):
        yield [item for day in days[at : at + size] for item in day]


def label_of(items: Sequence[Item]) -> str:
    """What the task run of a batch is called: its days."""
    first, last, days = items[0].day, items[-1].day, len({item.day for item in items})
    return first if days == 1 else f"{first} to {last} ({days} days)"


# No Prefect retry: ``compute`` retries by itself, and only what may succeed then.
@task(name="compute days", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False, retries=0)
def compute_days(
    label: str,  # noqa: ARG001 the name of the task run
    run: RunContext,
    index: BestEffortIndex,
    items: Sequence[Item],
    isolated: bool = False,
) -> list[Outcome]:
    """Compute and commit results, record them in the index, and return what became of each.

    Days that another run computes are ``leased``, and left to it. ``isolated`` computes in another process. A lease is
    held until its result has an outcome that no retry changes. Raises BatchFailed where a result failed, BatchStopped
    where the run was ended before all had an outcome.
    """
    # With pyarrow these take two tenths of a second, and most runs compute nothing.
    from tasks.compute.group import compute
    from tasks.compute.isolation import compute_isolated

    computing = compute_isolated if isolated else compute
    planned = {item.partition: item for item in items}
    leased = index.acquire(list(planned))
    outcomes: list[Outcome] = [Skipped(*partition, "leased") for partition in planned if partition in leased]
    try:
        for outcome in computing(run, [item for item in items if item.partition not in leased]):
            outcomes.append(outcome)
            index.finish(outcome.partition)
            run.observer.on(outcome)
    finally:
        index.record_commits([one.update for one in outcomes if isinstance(one, Committed)])
        index.release(planned.keys() - leased)
        record_outcomes(run.store, planned, outcomes)
    if left := sorted(planned.keys() - {one.partition for one in outcomes}):
        raise BatchStopped(outcomes, left)
    if any(isinstance(one, Failed) for one in outcomes):
        raise BatchFailed(outcomes)
    return outcomes


def compute_all(run: RunContext, index: BestEffortIndex, items: Sequence[Item], workers: int) -> list[Outcome]:
    """Run a whole plan as Prefect tasks, ``workers`` at once, inside a flow run.

    Results that may take their process with them come after all others, in a process of their own. Days that another
    run computes come last: they are waited for as long as it makes progress, and checked again. Where the run is
    interrupted, the days that are being computed are finished or dropped, and none is begun.
    """
    # Prefect starts a loop for its results when it first has one, and waits for ever where that cannot start: user code
    # may have taken all file descriptors by then.
    run_coro_as_sync(asyncio.sleep(0))
    runner: ThreadPoolTaskRunner[list[Outcome]] = ThreadPoolTaskRunner(max_workers=workers)
    with runner:
        try:
            outcomes = _run(runner, run, index, items, workers)
            while leased := [one.partition for one in outcomes if isinstance(one, Skipped) and one.status == "leased"]:
                free = _wait_for_some(index, leased)
                outcomes = [one for one in outcomes if one.partition not in free]
                outcomes += _run(runner, run, index, [item for item in items if item.partition in free], workers)
        except BaseException:
            run.stopping.set()
            raise
    return outcomes


def _run(
    runner: ThreadPoolTaskRunner[list[Outcome]],
    run: RunContext,
    index: BestEffortIndex,
    items: Sequence[Item],
    workers: int,
) -> list[Outcome]:
    def submit(batch: Sequence[Item], *, isolated: bool = False) -> PrefectFuture[list[Outcome]]:
        label = label_of(batch) + ", in a process of its own" * isolated
        shared = {"run": quote(run), "index": quote(index), "items": quote(batch)}
        return runner.submit(compute_days, {"label": label, **shared, "isolated": isolated})

    together = [submit(one) for one in batches([item for item in items if not item.isolated], workers)]
    outcomes = [outcome for future in together for outcome in _outcomes(future, run.observer)]
    if alone := [item for item in items if item.isolated]:
        # One task, for it starts one process, and a new one only where that one dies.
        outcomes += _outcomes(submit(alone, isolated=True), run.observer)
    return outcomes


def _outcomes(future: PrefectFuture[list[Outcome]], observer: Observer) -> list[Outcome]:
    result = _wait(future, observer)
    if isinstance(result, BatchFailed):
        return result.outcomes
    if isinstance(result, BaseException):
        raise result
    assert isinstance(result, list)
    return result


def _wait(future: PrefectFuture[list[Outcome]], observer: Observer) -> object:
    """What a task returned or raised."""
    while True:
        observer.tick()
        with suppress(TimeoutError):
            return future.result(timeout=TICK_SECONDS, raise_on_failure=False)


def _wait_for_some(index: BestEffortIndex, partitions: list[Partition]) -> set[Partition]:
    """Wait until nobody computes some of these any more, or their lease makes no progress. Returns those."""
    while not (free := set(partitions) - index.leased(partitions)):
        clock.sleep(POLL_SECONDS)
    return free
