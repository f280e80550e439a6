"""The index as a run uses it: there or not, the run goes on, and says once that it goes on without.

This is where "Redis decides nothing" is kept for the flows: no call here fails, and none keeps a run waiting twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from state.errors import IndexUnavailable
from state.index.durability import Durability
from state.index.index import Index, IndexSnapshot, IndexUpdate, ReconcileStats
from state.index.leases import Leases
from state.partition import Partition
from state.result.classify import Found

log = logging.getLogger("noonmark")

Answer = TypeVar("Answer")


class BestEffortIndex:
    """An index that may be lacking. ``absence`` says why, or is None; ``foreign``: it belongs to another output."""

    def __init__(self, index: Index | None, absence: str | None = None, leases: Leases | None = None) -> None:
        self._index = index
        self._leases = leases
        self.absence = absence
        self.foreign = False

    def belongs_to(self, root_id: str, *, bind: bool) -> bool:
        """Whether the index is this output's; ``bind`` binds one that is nobody's yet. A foreign one is given up."""
        index = self._index
        if index is None:
            return False
        try:
            if index.bind(root_id) if bind else index.root() in (root_id, None):
                return True
            self.foreign = True
            self.lose(
                "the index belongs to another output; this run goes on without it. If it is to serve this output "
                "from now on: python -m flows.repair --accept-output"
            )
        except IndexUnavailable as error:
            self.lose(str(error))
        return False

    def bind_anew(self, root_id: str, aggregations: Iterable[str]) -> None:
        """Let the index forget these aggregations and belong to this output. Raises IndexUnavailable."""
        if (index := self._index) is not None:
            index.bind_anew(root_id, aggregations)

    def remembers(self, aggregations: Iterable[str]) -> bool:
        """Whether the index knows any commit of these aggregations."""
        return self._ask(lambda index: index.remembers(aggregations), False)

    def read(self, aggregations: Sequence[str]) -> dict[str, IndexSnapshot]:
        """What the index holds; nothing where there is none."""
        return self._ask(lambda index: index.read(aggregations), {})

    def reconcile(
        self, then: Mapping[str, IndexSnapshot], output: Mapping[str, Mapping[str, Found]], *, dry_run: bool = False
    ) -> ReconcileStats:
        """Make the index equal to the output, where there is one."""
        return self._ask(lambda index: index.reconcile(then, output, dry_run=dry_run), ReconcileStats())

    def tell(self, commits: Sequence[IndexUpdate]) -> None:
        """Tell the index of commits. They are committed whether it hears of them or not."""
        self._ask(lambda index: index.commit(commits), None)

    def copy_failures(self, failures: Mapping[str, Mapping[str, str]]) -> None:
        """Show the failures of these aggregations to whoever looks at Redis: for each of them, day to JSON."""
        self._ask(lambda index: index.copy_failures(failures), None)

    def aggregations(self) -> set[str]:
        """The aggregations that the index knows, declared or not."""
        return self._ask(Index.aggregations, set())

    def durability(self) -> Durability | None:
        """How much the server would remember after a crash; None without one."""
        return self._ask(Index.durability, None)

    def take(self, places: Sequence[Partition]) -> set[Partition]:
        """Lease days for this run; returns those that another run computes. Without Redis that is none."""
        leases = self._leases
        leased: set[Partition] = self._ask(lambda _: leases.take(places) if leases else set(), set())
        if leases and (overruled := sorted(leases.overruled.intersection(places) - leased)):
            leases.overruled.difference_update(overruled)
            named = ", ".join(" ".join(place) for place in overruled[:3]) + ", …" * (len(overruled) > 3)
            log.warning(
                "computing what another run holds, which got no further for as long as a lease lasts: %s", named
            )
        return leased

    def leased(self, places: Sequence[Partition]) -> set[Partition]:
        """Those of these days that another run computes now."""
        leases = self._leases
        return self._ask(lambda _: leases.leased(places) if leases else set(), set())

    def settle(self, place: Partition) -> None:
        """Say that a day has its outcome: its lease is given up soon, and those taken with it are kept for longer."""
        if self._leases:
            self._leases.settle(place)

    def release(self, places: Collection[Partition]) -> None:
        """Give days up, computed or not."""
        try:
            if self._leases:
                if self._index:
                    self._leases.release(places)
                else:
                    self._leases.forget(places)
        except IndexUnavailable as error:
            self.lose(str(error))

    def _ask(self, call: Callable[[Index], Answer], otherwise: Answer) -> Answer:
        """What the index answers, or ``otherwise``. It is looked up once: another thread may lose it meanwhile."""
        index = self._index
        try:
            return otherwise if index is None else call(index)
        except IndexUnavailable as error:
            self.lose(str(error))
            return otherwise

    def lose(self, why: str) -> None:
        """Go on without the index from here, and say so once."""
        if self.absence is None:
            self._index = None
            self.absence = why
            log.warning("going on without Redis: %s", why)
