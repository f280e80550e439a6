"""The Prefect tasks of a run: contiguous days, in as many task runs as a person can read and a server can take.

Whatever Prefect shows of a task agrees with what was committed: a day is committed inside its task, and a task that
holds a bad day commits the others and fails naming it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from state.verdict import Item
from tasks.compute import Workshop, compute_day
from tasks.memory import Memory
from tasks.outcomes import Committed, Failed, Outcome

SINGLE_DAYS = 50
"""Up to so many pending days have a task run each: the nightly case, where a person looks for one day."""
TASKS = 60
"""About so many task runs serve a longer run. A server on SQLite takes in 60 to 200 task runs a second."""

log = logging.getLogger("noonmark")

Days = Sequence[tuple[str, Sequence[Item]]]
"""Days with their planned results."""


class BatchFailed(Exception):
    """A task whose days did not all succeed. ``outcomes`` holds all of them, committed days too."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        failed = [f"{one.aggregation} {one.day}: {one.error}" for one in outcomes if isinstance(one, Failed)]
        super().__init__(f"{len(failed)} results failed: " + "; ".join(failed[:5]) + "; …" * (len(failed) > 5))
        self.outcomes = outcomes


@dataclass(frozen=True, slots=True)
class Batch:
    """Contiguous days of a plan; ``label`` is what the task run is called."""

    label: str
    days: Days


def batches(items: Sequence[Item]) -> Iterator[Batch]:
    """Cut a plan, whose items stand day by day, into the batches that become task runs."""
    days = [(day, list(some)) for day, some in groupby(items, key=lambda item: item.day)]
    size = 1 if len(days) <= SINGLE_DAYS else math.ceil(len(days) / TASKS)
    for at in range(0, len(days), size):
        part = days[at : at + size]
        first, last = part[0][0], part[-1][0]
        yield Batch(first if len(part) == 1 else f"{first} to {last} ({len(part)} days)", part)


# No Prefect retry: a batch tries again by itself, and only what can pass on a second try.
@task(name="compute days", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False, retries=0)
def compute_days(label: str, shop: Workshop, memory: Memory, days: Days) -> list[Outcome]:
    """Compute and commit days, tell the index, and return what became of each. Raises BatchFailed."""
    outcomes = _settle(shop, memory, days)
    again = {(one.aggregation, one.day) for one in outcomes if isinstance(one, Failed) and one.passing}
    if again and not shop.stopping.is_set():
        log.info("%s: trying %d results again", label, len(again))
        outcomes = [one for one in outcomes if (one.aggregation, one.day) not in again]
        retried = [(day, [item for item in items if (item.aggregation, day) in again]) for day, items in days]
        outcomes += _settle(shop, memory, retried)
    if any(isinstance(one, Failed) for one in outcomes):
        raise BatchFailed(outcomes)
    return outcomes


def compute_all(shop: Workshop, memory: Memory, items: Sequence[Item], workers: int) -> list[Outcome]:
    """Run a whole plan as Prefect tasks, ``workers`` at once, inside a flow run.

    Where the run is interrupted, the days that are being computed are finished or dropped, and none is begun.
    """
    outcomes: list[Outcome] = []
    runner: ThreadPoolTaskRunner[list[Outcome]] = ThreadPoolTaskRunner(max_workers=workers)
    with runner:
        try:
            futures = [
                runner.submit(
                    compute_days,
                    {"label": one.label, "shop": quote(shop), "memory": quote(memory), "days": quote(one.days)},
                )
                for one in batches(items)
            ]
            for future in futures:
                result: object = future.result(raise_on_failure=False)
                if isinstance(result, BatchFailed):
                    outcomes += result.outcomes
                elif isinstance(result, BaseException):
                    raise result
                else:
                    assert isinstance(result, list)
                    outcomes += result
        except BaseException:
            shop.stopping.set()
            raise
    return outcomes


def _settle(shop: Workshop, memory: Memory, days: Days) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        for day, items in days:
            if shop.stopping.is_set():
                break
            outcomes += compute_day(shop, day, items)
    finally:
        memory.tell([one.news for one in outcomes if isinstance(one, Committed)])
    return outcomes
