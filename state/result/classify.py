"""What can stand where a day's result should be, as one open of the file shows it.

A commit, damage, or something that must not be touched because nobody knows what it is: the three are kept apart,
for unknown is neither absent nor damaged.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass

from state.filesystem.durable import is_missing
from state.filesystem.folder import InTheWay, open_folder, status
from state.result.record import KEY, CommitRecord, NewerFormat, Unfit, load
from state.result.seal import Torn, read_footer
from state.store.local import layout


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
    def status(self) -> str:
        """The contract's word for a day that is up to date: ``done``, or ``empty`` where it has no rows."""
        return "done" if self.record.rows else "empty"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file, link or folder that is no commit of this day. ``why`` completes the sentence "it is damaged: …"."""

    why: str


@dataclass(frozen=True, slots=True)
class Newer:
    """A commit whose record has a higher format than this code knows. It is never overwritten.

    ``altered`` says that this format number is itself damage: only the deep check acts on it.
    """

    format: int
    altered: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The place could not be read. It counts neither as done nor as missing, and nothing is done to it."""

    why: str


Found = Commit | Damaged | Newer | Unreadable

_SCHEMA = b"ARROW:schema"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_result(root_fd: int, aggregation: str, day: str) -> int:
    """Open a day's file for reading, never through a link and never waiting on a pipe.

    Raises InTheWay where its folder is none, and other OSErrors.
    """
    folder = open_folder(root_fd, layout.day_folder(aggregation, day))
    try:
        return os.open(layout.DATA, _OPEN, dir_fd=folder)
    finally:
        os.close(folder)


def judge(fd: int, aggregation: str, day: str) -> Found:
    """What an open file is, for this aggregation and day. Raises OSError where it cannot be read."""
    there = os.fstat(fd)
    if not stat.S_ISREG(there.st_mode):
        return Damaged("it is a folder, not a file" if stat.S_ISDIR(there.st_mode) else "it is no regular file")
    try:
        record, schema = _record(read_footer(fd, there.st_size))
    except (Torn, Unfit) as error:
        return Damaged(str(error))
    except NewerFormat as newer:
        return Newer(newer.number, newer.altered)
    if (record.aggregation, record.day) != (aggregation, day):
        return Damaged(f"it is the result of {record.aggregation!a}, day {record.day!a}")
    return Commit(record, (there.st_size, there.st_mtime_ns), schema)


Judge = Callable[[int, str, str], Found]
"""Says what an open file is, for an aggregation and a day. Raises OSError."""


def look(root_fd: int, aggregation: str, day: str, judged_by: Judge | None = None) -> Found | None:
    """What stands in a day's place; None where it is certain that nothing does. Opens the file once.

    ``judged_by`` is ``judge`` or a stricter one.
    """
    try:
        fd = open_result(root_fd, aggregation, day)
    except InTheWay as error:
        if error.path == layout.day_folder(aggregation, day):
            return Damaged(f"its folder is {error.what}, not a folder")
        return Unreadable(f"cannot be reached: {error}")
    except OSError as error:
        if is_missing(error):
            return None
        if kind := _foreign_kind(root_fd, aggregation, day):
            return Damaged(f"it is a {kind}, not a file")
        return Unreadable(f"cannot be opened: {error.strerror}")
    try:
        return (judged_by or judge)(fd, aggregation, day)
    except OSError as error:
        return Unreadable(f"cannot be read: {error.strerror}")
    finally:
        os.close(fd)


def damaged_path(root_fd: int, aggregation: str, day: str) -> str:
    """What stands in the way of a day's result: its file, or what is there instead of its folder. Raises OSError."""
    folder = layout.day_folder(aggregation, day)
    return folder if not stat.S_ISDIR(status(root_fd, folder).st_mode) else layout.data_file(aggregation, day)


def _record(footer: bytes) -> tuple[CommitRecord, str]:
    """The commit record and the schema in a footer."""
    import pyarrow as pa  # it takes a tenth of a second, and where all footers are known nobody needs it
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(pa.BufferReader(footer))
    except (pa.ArrowException, OSError, ValueError) as error:  # a flipped bit can make text that is no UTF-8
        raise Torn("its footer is no Parquet footer") from error
    named = metadata.metadata or {}
    text = named.get(KEY)
    if text is None:
        raise Torn("it holds no commit record: another program wrote it")
    record = load(text)
    if record.rows != metadata.num_rows:
        raise Torn(f"it holds {metadata.num_rows} rows, its commit record says {record.rows}")
    # Thousands of days share one text.
    return record, sys.intern(named.get(_SCHEMA, b"").decode("latin-1"))


def _foreign_kind(root_fd: int, aggregation: str, day: str) -> str | None:
    """What stands there and can never be opened as a file."""
    try:
        mode = status(root_fd, layout.data_file(aggregation, day)).st_mode
    except OSError:
        return None
    return "link" if stat.S_ISLNK(mode) else "socket" if stat.S_ISSOCK(mode) else None
