"""The index as a run uses it: optional. No call here fails; after the first failure the run goes on without Redis.

This is where the flows keep "Redis decides nothing".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Self, TypeVar

from state.errors import ACCEPT, HEALTH, IndexUnavailable
from state.index.connection import Connection
from state.index.durability import Durability
from state.index.index import Index, IndexSnapshot, IndexUpdate, ReconcileStats
from state.index.leases import Leases
from state.partition import Partition
from state.result.classify import Found

log = logging.getLogger("noonmark")

Answer = TypeVar("Answer")


class BestEffortIndex:
    """An index and its leases, or neither: ``unavailable_reason`` then says why.

    ``foreign``: the index belongs to another output. Without ``leases`` no day is ever leased.
    """

    def __init__(
        self, index: Index | None, unavailable_reason: str | None = None, leases: Leases | None = None
    ) -> None:
        self._index = index
        self._leases = leases
        self.unavailable_reason = unavailable_reason
        self.foreign = False

    @classmethod
    @contextmanager
    def open(cls, url: str, namespace: str, lease_seconds: int | None) -> Iterator[Self]:
        """The index of a server; nothing is sent yet. ``lease_seconds`` of None: no leases.

        Raises ConfigurationError for an invalid URL.
        """
        with ExitStack() as stack:
            connection = stack.enter_context(closing(Connection(url)))
            leases = None
            if lease_seconds is not None:
                leases = stack.enter_context(closing(Leases(connection, namespace, lease_seconds)))
            yield cls(Index(connection, namespace), leases=leases)

    def belongs_to(self, root_id: str, *, bind: bool) -> bool:
        """Whether the index is this output's. ``bind`` binds an unbound one. A foreign one is disabled."""
        index = self._index
        if index is None:
            return False
        try:
            if index.bind(root_id) if bind else index.root() in (root_id, None):
                return True
            self.foreign = True
            self.disable(f"the index belongs to another output; to bind it to this output: {ACCEPT}")
        except IndexUnavailable as error:
            self.disable(str(error))
        return False

    def rebind(self, root_id: str, aggregations: Iterable[str]) -> None:
        """Clear what the index holds of these aggregations and bind it to this output. Raises IndexUnavailable."""
        if (index := self._index) is not None:
            index.rebind(root_id, aggregations)

    def has_commits(self, aggregations: Iterable[str]) -> bool:
        """Whether the index holds a commit of any of these aggregations."""
        return self._ask(lambda index: index.has_commits(aggregations), False)

    def read(self, aggregations: Sequence[str]) -> dict[str, IndexSnapshot]:
        """What the index holds of each aggregation; empty without an index."""
        return self._ask(lambda index: index.read(aggregations), {})

    def reconcile(
        self, then: Mapping[str, IndexSnapshot], output: Mapping[str, Mapping[str, Found]], *, dry_run: bool = False
    ) -> ReconcileStats:
        """Make the index equal to the output. ``then`` was read before the output was scanned."""
        return self._ask(lambda index: index.reconcile(then, output, dry_run=dry_run), ReconcileStats())

    def record_commits(self, updates: Sequence[IndexUpdate]) -> None:
        """Record commits in the index. They are committed whether or not this succeeds."""
        self._ask(lambda index: index.record_commits(updates), None)

    def copy_failures(self, failures: Mapping[str, Mapping[str, str]]) -> None:
        """Copy the failures of these aggregations (day to JSON) to Redis, for dashboards."""
        self._ask(lambda index: index.copy_failures(failures), None)

    def aggregations(self) -> set[str]:
        """The aggregations that the index holds, declared or not."""
        return self._ask(Index.aggregations, set())

    def durability(self) -> Durability | None:
        """What the server would keep after a crash; None without one."""
        return self._ask(Index.durability, None)

    def acquire(self, partitions: Sequence[Partition]) -> set[Partition]:
        """Lease days for this run; returns those that another run computes: without Redis, none."""
        leases = self._leases
        return self._ask(lambda _: leases.acquire(partitions) if leases else set(), set())

    def leased(self, partitions: Sequence[Partition]) -> set[Partition]:
        """Those of these days that another run computes now."""
        leases = self._leases
        return self._ask(lambda _: leases.leased(partitions) if leases else set(), set())

    def finish(self, partition: Partition) -> None:
        """Note that a day has its outcome: its lease is released soon, and those acquired with it stay renewed."""
        if self._leases:
            self._leases.finish(partition)

    def release(self, partitions: Collection[Partition]) -> None:
        """Release the leases of days, computed or not."""
        if leases := self._leases:
            leases.forget(partitions)  # they expire where Redis cannot be used
            self._ask(lambda _: leases.release(partitions), None)

    def disable(self, reason: str) -> None:
        """Go on without the index from here, and log that once."""
        if self.unavailable_reason is None:
            self._index = None
            self.unavailable_reason = reason
            log.warning("going on without Redis: %s (no result is less safe; to look again: %s)", reason, HEALTH)

    def _ask(self, call: Callable[[Index], Answer], otherwise: Answer) -> Answer:
        """What the index answers, or ``otherwise``. Read once: another thread may disable the index meanwhile."""
        index = self._index
        try:
            return otherwise if index is None else call(index)
        except IndexUnavailable as error:
            self.disable(str(error))
            return otherwise
