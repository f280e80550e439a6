"""What became of one planned result: small plain values, which is all that a task hands back, and who hears of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from state.index.index import IndexUpdate
from state.partition import Partition
from state.result.classify import Found
from state.result.inferred import Types
from state.status import Reason, Status

traceback_log = logging.getLogger("noonmark.tracebacks")
"""Gets the traceback of each failure that an exception caused, at DEBUG."""


@dataclass(frozen=True, slots=True)
class _OfResult:
    aggregation: str
    day: str

    @property
    def partition(self) -> Partition:
        """Which result it is about."""
        return self.aggregation, self.day


@dataclass(frozen=True, slots=True)
class Committed(_OfResult):
    """Published by this run, durably. ``update`` is what the index is to record."""

    generation: int
    rows: int
    reason: Reason
    update: IndexUpdate


@dataclass(frozen=True, slots=True)
class Skipped(_OfResult):
    """Not computed after all: another run did it (``done``, ``empty``, ``ahead``) or is at it (``leased``), or its
    input is not ready any more (``waiting``).
    """

    status: Status


@dataclass(frozen=True, slots=True)
class Failed(_OfResult):
    """Not published; what was committed before is still there.

    ``kind``: ``input``, ``aggregation``, ``schema``, ``storage``, ``unsettled``, ``unreadable``, ``unrecoverable``,
    ``broken`` or ``died`` (its process ended while it was computed). ``summary`` is the error without what is the day's
    own, such as the names of its files: results that share it failed of one cause.
    """

    kind: str
    error: str
    summary: str = ""


class JobFailed(Exception):
    """A result cannot be committed. ``transient``: another attempt may succeed without any change.

    ``cause`` is the exception that the message tells of, for ``--traceback``, ``summary`` as in ``Failed``. ``types``
    and ``rows`` are those of each source, where an inferred type may explain it.
    """

    def __init__(
        self,
        kind: str,
        error: str,
        *,
        transient: bool = False,
        cause: BaseException | None = None,
        summary: str = "",
        types: Mapping[str, Types] | None = None,
        rows: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(error)
        self.__cause__ = cause
        self.kind = kind
        self.error = error
        self.summary = summary
        self.transient = transient
        self.types = types or {}
        self.rows = rows or {}


class JobSkipped(Exception):
    """A result need not be computed; ``status`` says why, as in ``Skipped``."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


Outcome = Committed | Skipped | Failed
"""What became of one planned result."""


def after(days: Mapping[str, Mapping[str, Found]], outcomes: Iterable[Outcome]) -> dict[str, Mapping[str, Found]]:
    """What an output holds after these outcomes, of which a scan found ``days`` before."""
    committed: dict[str, dict[str, Found]] = {}
    for one in outcomes:
        if isinstance(one, Committed):
            committed.setdefault(one.aggregation, {})[one.day] = one.update.commit
    return {**days, **{name: {**days.get(name, {}), **some} for name, some in committed.items()}}


class Observer:
    """Gets every outcome that is final. This one ignores them."""

    def on(self, outcome: Outcome) -> None:
        """One result has its outcome. Called by the threads that compute."""

    def tick(self) -> None:
        """Called by the run's own thread, at least twice a second while it waits."""
