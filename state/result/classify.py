"""What a result's file is, as one reading of its end shows it.

A commit, damage, or something that must not be touched because nobody knows what it is: these are kept apart, for
unknown is neither absent nor damaged.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from state.filesystem.durable import status_of
from state.result.record import KEY, CommitRecord, NewerFormat, Unfit, load
from state.result.seal import Torn, read_footer
from state.status import Status


@dataclass(frozen=True, slots=True)
class Commit:
    """A published result.

    ``stat`` is what the store says of it without reading it, such as size (bytes) and mtime (ns) of a file; whoever
    keeps it compares it as a whole. ``schema`` is the Arrow schema as the footer holds it (see ``schemas``), or empty
    where it was not read.
    """

    record: CommitRecord
    stat: tuple[int, ...]
    schema: str = ""

    @property
    def status(self) -> Status:
        """The status of a partition with this commit where it is current: ``done``, or ``empty`` without rows."""
        return "done" if self.record.rows else "empty"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file, link or folder that is not a commit of this partition. ``why`` completes "it is damaged: …"."""

    why: str


@dataclass(frozen=True, slots=True)
class Newer:
    """A commit whose record has a higher format than this code knows. It is never overwritten.

    ``altered``: the format number itself is damaged. Only the deep check acts on that.
    """

    format: int
    altered: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What could not be read. It counts neither as done nor as missing, and is not touched."""

    why: str


Found = Commit | Damaged | Newer | Unreadable


def commits(found: Mapping[str, Found]) -> dict[str, Commit]:
    """The commits among what was found, by day."""
    return {day: one for day, one in found.items() if isinstance(one, Commit)}


_SCHEMA = b"ARROW:schema"


def classify(fd: int, aggregation: str, day: str) -> Found:
    """What an open file is, for this partition; ``verify.verify`` also checks its bytes. Raises OSError."""
    status = status_of(fd)
    if not stat.S_ISREG(status.st_mode):
        return Damaged("it is a folder, not a file" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    try:
        record, schema = _record(read_footer(fd, status.st_size))
    except (Torn, Unfit) as error:
        return Damaged(str(error))
    except NewerFormat as newer:
        return Newer(newer.number, newer.altered)
    if (record.aggregation, record.day) != (aggregation, day):
        return Damaged(f"it is the result of {record.aggregation!a}, day {record.day!a}")
    return Commit(record, stat_of(status), schema)


def stat_of(status: os.stat_result) -> tuple[int, int]:
    """A commit's ``stat`` where it is a file: size (bytes) and mtime (ns)."""
    return status.st_size, status.st_mtime_ns


def _record(footer: bytes) -> tuple[CommitRecord, str]:
    """The commit record and the schema in a footer."""
    import pyarrow as pa  # it takes a tenth of a second, and where all footers are known nobody needs it
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(pa.BufferReader(footer))
    except (pa.ArrowException, OSError, ValueError) as error:  # a flipped bit can make text that is no UTF-8
        raise Torn("its footer is not a Parquet footer") from error
    named = metadata.metadata or {}
    text = named.get(KEY)
    if text is None:
        raise Torn("it holds no commit record: another program wrote it")
    record = load(text)
    if record.rows != metadata.num_rows:
        raise Torn(f"it holds {metadata.num_rows} rows, its commit record says {record.rows}")
    # Thousands of days share one text.
    return record, sys.intern(named.get(_SCHEMA, b"").decode("latin-1"))
