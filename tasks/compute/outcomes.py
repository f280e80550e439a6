"""What became of one planned result: small plain values, which is all that a task hands back."""

from __future__ import annotations

from dataclasses import dataclass

from state.index.index import IndexUpdate


@dataclass(frozen=True, slots=True)
class Committed:
    """Published by this run, durably. ``news`` is what the index is to be told."""

    aggregation: str
    day: str
    generation: int
    rows: int
    reason: str
    news: IndexUpdate


@dataclass(frozen=True, slots=True)
class Skipped:
    """Not computed after all: another run did it (``done``, ``empty``, ``ahead``), or is at it (``leased``)."""

    aggregation: str
    day: str
    status: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Not published; what stood there stands. ``passing`` says that a second try can succeed without any change.

    ``kind``: ``input``, ``aggregation``, ``schema``, ``storage``, ``unsettled``, ``unreadable``, ``unrecoverable``,
    ``broken`` or ``died`` (its process ended while it was computed).
    """

    aggregation: str
    day: str
    kind: str
    error: str
    passing: bool = False


Outcome = Committed | Skipped | Failed
"""What became of one planned result."""
