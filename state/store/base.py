"""The protocol of a store, which keeps an output, and the values that it takes and returns.

``state.store.local`` keeps an output on a file system. Nothing above a store sees a descriptor, a path of a private
file, or a step of publishing: ``commit`` alone makes results durable and visible, in the one order that is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from state.partition import Partition
from state.result.classify import Commit, Found
from state.result.record import LARGEST, CommitRecord
from state.store.footer_cache import FooterCache
from state.store.notes import Notes

if TYPE_CHECKING:
    import pyarrow as pa


class Superseded(Exception):
    """Another writer published since the token was read. Nothing was published; plan the day again."""


@dataclass(frozen=True, slots=True)
class Token:
    """The fencing token of a partition: what a writer saw there before it read any input.

    A result is published over exactly this and nothing else. ``identity`` is empty for nothing, a commit's nonce, or
    the digest of what is damaged. ``mark`` is the store's own evidence that a partition was not deleted and published
    again meanwhile (a file system's high-water mark, an object's version); ``high_water`` is the highest generation
    that was ever about to be published there.
    """

    found: Found | None
    identity: str
    mark: bytes
    high_water: int = 0

    @property
    def generation(self) -> int:
        """The next generation: above the commit's, and above every one that was ever published here.

        One that was forged to be the largest stays it; nonces still differ.
        """
        current = self.found.record.generation if isinstance(self.found, Commit) else 0
        return min(max(current, self.high_water) + 1, LARGEST)

    @property
    def nonce(self) -> str:
        """The nonce of the commit that will be replaced, or an empty string."""
        return self.identity if isinstance(self.found, Commit) else ""


class Staged(Protocol):
    """A result that is written where no reader sees it, until ``Store.commit`` publishes it."""

    @property
    def partition(self) -> Partition:
        """The partition that it is the result of."""

    @property
    def token(self) -> Token:
        """What it may be published over."""

    @property
    def record(self) -> CommitRecord:
        """Its commit record, with the nonce and the generation that the store gave it."""

    @property
    def schema(self) -> str:
        """The Arrow schema as its footer holds it."""

    def content(self) -> bytes:
        """The bytes as a reader will find them. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A result that is not what was committed, and where it is kept (a path below the output root) or empty."""

    aggregation: str
    day: str
    why: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A result, or the input of one, that could not be read: neither good nor damaged, and not touched."""

    aggregation: str
    day: str
    why: str


Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class Output:
    """What a scan found: ``days[aggregation][day]``, and ``strays``, paths that are nobody's.

    ``footers`` are those that the scan knew or learned; who may write saves them for the next one. ``blocked`` says for
    an aggregation what stands in place of its folder, such as a link: nothing is known of its days.
    """

    days: Mapping[str, Mapping[str, Found]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    footers: FooterCache | None = None
    blocked: Mapping[str, str] = field(default_factory=dict)

    @property
    def foreign(self) -> list[str]:
        """The strays that a reader of the output's folder may count among the results."""
        return [path for path in self.strays if "/" in path or path.lower().endswith(".parquet")]

    def blocked_among(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Those of these aggregations whose folder cannot be entered, and what stands in its place."""
        return [(name, self.blocked[name]) for name in names if name in self.blocked]

    def reachable(self, remembered: Mapping[str, Known]) -> dict[str, Known]:
        """What is remembered of aggregations whose days are known: of the others nothing is to be forgotten."""
        return {name: one for name, one in remembered.items() if name not in self.blocked}


class RunNote(Protocol):
    """The durable-enough note of what a run is computing, so that a later run can tell where it died.

    It survives the process, not a power cut. It is removed on leaving its context.
    """

    def computing(self, partitions: Iterable[Partition]) -> AbstractContextManager[None]:
        """Record that this thread computes these results while the context is entered. Any thread may call it."""


class Store(Notes, Protocol):
    """An output. Every method raises StorageError or OSError where it cannot tell: an error is never an absence."""

    @property
    def id(self) -> str:
        """The id in the output's marker, which tells which output an index belongs to."""

    @property
    def path(self) -> Path:
        """Where the output lies, for messages."""

    def __enter__(self) -> Self:
        """The store, which is open as long as it is entered."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def handle(self) -> tuple[list[int], list[int | str]]:
        """What a child process opens the same output by: descriptors that it must inherit, and values for JSON."""

    # Reading

    def aggregations(self) -> list[str]:
        """The names of aggregations that the output has something of, declared or not."""

    def days(self, aggregation: str) -> list[str]:
        """The days of an aggregation that the output has something of; in no particular order."""

    def scan(self) -> Output:
        """What stands in every partition's place, by the footers of results. Writes nothing."""

    def scan_deep(self, threads: int, report: Callable[[Broken | Unread], None]) -> Output:
        """As ``scan``, with every byte of every result checked, in ``threads`` files at once.

        ``report`` is called for each result that is damaged or cannot be read, as soon as it is found.
        """

    def lookup(self, partition: Partition) -> Found | None:
        """What stands in a partition's place; None where it is certain that nothing does."""

    def read(self, partition: Partition, wanted: Callable[[Commit], bool]) -> tuple[Found | None, bytes]:
        """As ``lookup``, with every byte checked, and the bytes of a good commit. The result is opened once.

        A commit that is not ``wanted`` is neither checked nor read.
        """

    def published_generation(self, partition: Partition) -> int:
        """The highest generation that was certainly published in a partition's place; 0 where that is unknown."""

    # Writing

    def token(self, partition: Partition) -> Token:
        """The token of a partition as it is now. Read it before any input."""

    def stage(
        self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table
    ) -> AbstractContextManager[Staged]:
        """Write a result with its record and seal, where no reader sees it.

        The store gives the record its ``nonce`` and ``generation``. The result is removed when the context is left,
        unless it was published.
        """

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        """Flush staged results, verify each, publish each over exactly what its token saw, and flush that.

        ``verify`` is called for each result once all are flushed and before it is published. The answers stand in the
        group's order: the commit, durable from now on, or why there is none: Superseded, StorageError, OSError, or what
        ``verify`` raised. One's error is no other's.
        """

    def set_aside_damaged(self, partition: Partition) -> Broken | None:
        """Keep a damaged result elsewhere and leave its place empty; None where it is not damaged any more."""

    def sync(self) -> None:
        """Make durable whatever other processes published and may not have lived to flush."""

    # Housekeeping

    def remove_stale(self) -> int:
        """Remove the staged results of dead writers. Returns how many."""

    def run_note(self) -> AbstractContextManager[RunNote]:
        """The note of a new run. Nothing is written before the run computes something."""

    def interrupted(self) -> AbstractContextManager[set[Partition]]:
        """The results that runs were computing as they died.

        Their notes are removed on leaving, unless an exception is raised: another run may read them until then.
        """

    def foreign_files(self, output: Output) -> list[str]:
        """The paths beside results, and below the store's own folder, that a reader of folders would read."""

    def visible_own_files(self) -> list[str]:
        """Those of the store's own files that a reader of ``**/*.parquet`` would read."""

    def hide_own_files(self) -> list[str]:
        """Give those other names. Returns the paths as they were."""
