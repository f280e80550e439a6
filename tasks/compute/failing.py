"""Keeps the records of what fails: from a batch's outcomes, from runs that died, and until a result is as it should be.

A record puts a result last in the next plan. One that cannot be written costs that order alone, and is no failure.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from state import clock
from state.failure import DIED, Failure
from state.index.best_effort import BestEffortIndex
from state.partition import Partition
from state.planner.decide import Item
from state.status import WITH_COMMIT
from state.store.base import Store
from state.store.failures import forget_failure, read_failures, record_failure
from tasks.compute.outcomes import Committed, Failed, Outcome

log = logging.getLogger("noonmark")


def record_deaths(root: Store) -> None:
    """Record a failure for every result that a run was computing as it died: one of them may have been the cause."""
    with _errors_logged(), root.interrupted() as partitions:
        for partition in sorted(partitions):
            error = f"the run that computed it died, with {len(partitions) - 1} other results"
            record_failure(root, Failure(*partition, DIED, error, basis="", times=1, failed_at=_now()))
        if partitions:
            log.warning(
                "an earlier run died while it computed %s (the first is %s %s): this run computes their aggregations "
                "in a child process, and these results last",
                "1 result" if len(partitions) == 1 else f"{len(partitions)} results",
                *min(partitions),
            )


def record_outcomes(root: Store, items: Mapping[Partition, Item], outcomes: Sequence[Outcome]) -> None:
    """Record what failed, and forget the failures of what did not."""
    with _errors_logged():
        for one in outcomes:
            item = items[one.partition]
            if isinstance(one, Failed):
                times = item.failure.times + 1 if item.failure else 1
                said = (one.kind, one.error, item.basis, times, _now(), one.summary)
                record_failure(root, Failure(one.aggregation, one.day, *said))
            elif item.failure and (isinstance(one, Committed) or one.status in WITH_COMMIT):
                forget_failure(root, one.partition)


def forget_recovered(root: Store, recovered: Collection[Partition]) -> None:
    """Forget the failures of results that need nothing any more."""
    with _errors_logged():
        for partition in recovered:
            forget_failure(root, partition)


def show_failures(
    root: Store, index: BestEffortIndex, items: Collection[Item], recovered: Collection[Partition]
) -> None:
    """Copy the records to Redis, for dashboards, where this run had to do with any."""
    failures = read_failures(root)
    names = {name for name, _ in (*failures, *recovered)} | {item.aggregation for item in items if item.failure}
    copy: dict[str, dict[str, str]] = {name: {} for name in names}
    for (name, day), failure in failures.items():
        copy[name][day] = failure.to_json()
    index.copy_failures(copy)


@contextmanager
def _errors_logged() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.warning("what failed cannot be recorded, so the next run may compute it before other days: %s", error)


def _now() -> str:
    return clock.utc_now().isoformat(timespec="milliseconds")
