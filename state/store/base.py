"""What a run asks of an output, whatever the output lies on: one protocol, and the values that it speaks in.

``state.store.local`` keeps an output on a file system. Nothing above a store sees a descriptor, a path of a private
file, or a step of publishing: ``commit`` alone makes results durable and visible, in the one order that is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from state.partition import Partition
from state.result.classify import Commit, Found
from state.result.record import LARGEST, CommitRecord

if TYPE_CHECKING:
    import pyarrow as pa


class Superseded(Exception):
    """Another writer published since the token was read. Nothing was published; the day is to be planned again."""


@dataclass(frozen=True, slots=True)
class Token:
    """The fencing token of a partition: what a writer saw there before it read any input.

    A result is published over exactly this and nothing else. ``identity`` is empty for nothing, a commit's nonce, or
    the digest of what is damaged. ``mark`` is the store's own evidence against a partition that was deleted and
    published again meanwhile (a file system's high-water mark, an object's version); ``high_water`` is the highest
    generation that it remembers.
    """

    found: Found | None
    identity: str
    mark: bytes
    high_water: int = 0

    @property
    def generation(self) -> int:
        """The generation that comes next: above the commit's, and above every one that was ever published here.

        Nobody counts to the largest that a record can hold. One that was forged to be it stays it; nonces tell apart.
        """
        current = self.found.record.generation if isinstance(self.found, Commit) else 0
        return min(max(current, self.high_water) + 1, LARGEST)

    @property
    def nonce(self) -> str:
        """The nonce of the commit that is replaced, or an empty string."""
        return self.identity if isinstance(self.found, Commit) else ""


class Staged(Protocol):
    """A result that is written where no reader sees it. ``Store.commit`` publishes it; if left, it is gone."""

    @property
    def partition(self) -> Partition:
        """The aggregation and the day that it is the result of."""

    @property
    def token(self) -> Token:
        """What it may be published over."""

    @property
    def record(self) -> CommitRecord:
        """Its commit record, with the nonce and the generation that the store gave it."""

    def content(self) -> bytes:
        """The bytes as a reader will find them. Raises OSError."""


class Store(Protocol):
    """An output. Every method raises StorageError (or OSError) where it cannot tell: an error is never an absence."""

    @property
    def id(self) -> str:
        """The id in the output's marker, which tells which output an index belongs to."""

    @property
    def path(self) -> Path:
        """Where the output lies, for messages."""

    def token(self, partition: Partition) -> Token:
        """The token of a partition as it is now. To be read before any input."""

    def stage(
        self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table
    ) -> AbstractContextManager[Staged]:
        """Write a result with its record and seal, where no reader sees it.

        The store gives the record its ``nonce`` and ``generation``. The result is gone when the context is left, unless
        it was published.
        """

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        """Flush staged results, verify each, publish each over exactly what its token saw, and flush that.

        ``verify`` is called for each result once all are flushed and before it is published; what it raises keeps that
        result back and is its answer. The answers stand in the group's order: the commit, durable from now on, or why
        there is none: Superseded, StorageError, OSError, or what ``verify`` raised. One's error is no other's.
        """

    def sync(self) -> None:
        """Make durable whatever other processes published and may not have lived to flush."""

    def remove_stale(self) -> int:
        """Remove what writers left behind that are gone; returns how many."""
