"""What the footers of results said, kept so that a run reads again only what changed since.

A file's identity (inode, size, mtime and ctime) stands for its footer where the times are old enough to prove anything.
They are kept in a file of the cache: whatever is wrong with it costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from state import clock
from state.inputs.files import RECENT_NS
from state.partition import Partition
from state.result import classify as found
from state.result.classify import Commit, Found
from state.result.record import FORMAT, CommitRecord, SourceRecord, has_types
from state.store.cache_file import CacheFile
from state.store.local import layout

_Entry = Sequence[Any]
"""Aggregation, day, the identity, the values of the record, and the schema. A block holds each schema once, and in its
entries where it stands."""

# Values stand without their names: code whose records have other fields must not take them for its own.
_NAMES = [str(FORMAT), *CommitRecord._fields, *SourceRecord._fields, "schema"]
_FIELDS = hashlib.sha256(" ".join(_NAMES).encode()).hexdigest()[:16]
_INPUTS = CommitRecord._fields.index("inputs")
_FORM = f"noonmark footers {_FIELDS}"


class Footers:
    """The footers that are known of an output, and those that are learned in one look at it."""

    def __init__(self, root_fd: int) -> None:
        """Read what is known. Nothing is written, and nothing that is wrong with it is an error."""
        self._root_fd = root_fd
        self._began_ns = clock.time_ns()
        self._learned: dict[Partition, _Entry] = {}
        self._used: dict[Partition, _Entry] = {}
        self._file = CacheFile(root_fd, layout.FOOTERS, _FORM, _packed, _unpacked)
        self._known: dict[Partition, _Entry] = {
            (one[0], one[1]): one for one in self._file.entries if type(one[0]) is type(one[1]) is str
        }

    def known(self, place: Partition, fd: int | None = None) -> Commit | None:
        """The commit in a place, if its file is one whose footer is known; ``fd`` is that file where it is open."""
        entry = self._known.get(place)
        if entry is None:
            return None
        try:
            status = self._status(place) if fd is None else os.fstat(fd)
            if _identity(status) != entry[2]:
                return None
            record = _record(entry[3])
        except (OSError, TypeError, LookupError, AttributeError):  # its block's digest says nothing of types
            return None
        if not has_types(record) or (record.aggregation, record.day) != place:
            return None
        self._used[place] = entry
        return Commit(record, (status.st_size, status.st_mtime_ns), entry[4])

    def forget(self, place: Partition) -> None:
        """Read a place's file anew, whatever is known of it."""
        self._known.pop(place, None)

    def judge(self, fd: int, aggregation: str, day: str) -> Found:
        """As ``classify.judge``; a commit whose file's times prove something is learned. Raises OSError."""
        status = os.fstat(fd)
        what = found.judge(fd, aggregation, day)
        if isinstance(what, Commit) and max(status.st_mtime_ns, status.st_ctime_ns) + RECENT_NS < self._began_ns:
            self._learned[aggregation, day] = (aggregation, day, _identity(status), what.record, what.schema)
        return what

    def _status(self, place: Partition) -> os.stat_result:
        return os.stat(layout.data_file(*place), dir_fd=self._root_fd, follow_symlinks=False)

    def save(self) -> None:
        """Keep what was learned, and drop what is of no use any more. Raises OSError."""
        kept = [entry for place, entry in self._used.items() if place not in self._learned]
        self._file.save(kept, list(self._learned.values()))


def _packed(entries: Sequence[_Entry]) -> list[Any]:
    at = {schema: number for number, schema in enumerate(dict.fromkeys(entry[4] for entry in entries))}
    return [list(at), [[*entry[:4], at[entry[4]]] for entry in entries]]


def _unpacked(block: list[Any]) -> list[_Entry]:
    schemas, entries = block
    if not {*map(type, schemas)} <= {str}:
        raise TypeError
    for entry in entries:
        entry[4] = schemas[entry[4]]
    return list(entries)


def _identity(status: os.stat_result) -> list[int]:
    """Inode, size (bytes), mtime and ctime (ns) of a result's file."""
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _record(values: Sequence[Any]) -> CommitRecord:
    named = list(values)
    named[_INPUTS] = {name: SourceRecord(*source) for name, source in named[_INPUTS].items()}
    return CommitRecord(*named)
