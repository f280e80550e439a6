"""Keeps what the footers of results said, so that a run reads again only those that changed.

A file's identity (inode, size, mtime and ctime) stands for its footer where its times are old enough to prove anything.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from typing import Any

from state import clock
from state.inputs.files import RECENT_NS
from state.partition import Partition
from state.result.classify import Commit, stat_of
from state.result.inferred import interned
from state.result.record import FORMAT, CommitRecord, SourceRecord, has_types
from state.store.cache_file import CacheFile
from state.store.notes import Notes

NAME = "cache/footers"
_Entry = Sequence[Any]
"""Aggregation, day, identity, the values of the record, and the schema. On disk each schema stands once in a block, and
its number in the entries; likewise the inferred types of sources, where there are any."""

# Values stand without their names: code whose records have other fields must not read them as its own.
_NAMES = [str(FORMAT), *CommitRecord._fields, *SourceRecord._fields, "schema", "types"]
_FIELDS = hashlib.sha256(" ".join(_NAMES).encode()).hexdigest()[:16]
_INPUTS = CommitRecord._fields.index("inputs")
_TYPES = SourceRecord._fields.index("schema")
_FORM = f"noonmark footers {_FIELDS}"


class FooterCache:
    """The footers that are known of an output, and those that one scan learned."""

    def __init__(self, notes: Notes) -> None:
        """Read what is known; nothing that is wrong with it is an error."""
        self._began_ns = clock.time_ns()
        self._learned: dict[Partition, _Entry] = {}
        self._used: dict[Partition, _Entry] = {}
        self._file = CacheFile(notes, NAME, _FORM, _packed, _unpacked)
        self._known: dict[Partition, _Entry] = {
            (one[0], one[1]): one for one in self._file.entries if type(one[0]) is type(one[1]) is str
        }

    @property
    def partitions(self) -> Collection[Partition]:
        """Those whose footer is known, if the file is still the same."""
        return self._known.keys()

    def known(self, partition: Partition, status: os.stat_result) -> Commit | None:
        """The commit of a partition, if this is the status of the file whose footer is known."""
        entry = self._known.get(partition)
        try:
            if entry is None or _identity(status) != entry[2]:
                return None
            record = _record(entry[3])
        except (TypeError, LookupError, AttributeError):  # its block's digest says nothing of types
            return None
        if not has_types(record) or (record.aggregation, record.day) != partition:
            return None
        self._used[partition] = entry
        return Commit(record, stat_of(status), entry[4])

    def forget(self, partition: Partition) -> None:
        """Read this partition's file again, whatever is known."""
        self._known.pop(partition, None)

    def learn(self, partition: Partition, status: os.stat_result, commit: Commit) -> None:
        """Keep a commit, where the times of its file are old enough to prove anything.

        ``status`` is that of the file before its footer was read.
        """
        if max(status.st_mtime_ns, status.st_ctime_ns) + RECENT_NS < self._began_ns:
            self._learned[partition] = (*partition, _identity(status), commit.record, commit.schema)

    def save(self) -> None:
        """Keep what was learned, and drop what is outdated. Raises StorageError, OSError."""
        kept = [entry for partition, entry in self._used.items() if partition not in self._learned]
        self._file.save(kept, list(self._learned.values()))


def _packed(entries: Sequence[_Entry]) -> list[Any]:
    at = {schema: number for number, schema in enumerate(dict.fromkeys(entry[4] for entry in entries))}
    types: dict[tuple[tuple[str, str], ...], int] = {}
    known: dict[int, int] = {}
    packed = []
    for entry in entries:
        values = list(entry[3])
        inputs = values[_INPUTS]
        for name, source in inputs.items():
            if inferred := source[_TYPES]:
                number = known.get(id(inferred))  # nearly all days share one mapping
                if number is None:
                    number = known[id(inferred)] = types.setdefault(tuple(inferred.items()), len(types))
                inputs = {**inputs, name: [*source[:_TYPES], number, *source[_TYPES + 1 :]]}
        values[_INPUTS] = inputs
        packed.append([*entry[:3], values, at[entry[4]]])
    return [list(at), packed, list(map(dict, types))]


def _unpacked(block: list[Any]) -> list[_Entry]:
    schemas, entries, found = block
    if not ({*map(type, schemas)} <= {str} and {*map(type, found)} <= {dict}):
        raise TypeError
    types = [interned(one) for one in found]
    if not {type(text) for one in types for text in one.values()} <= {str}:
        raise TypeError
    for entry in entries:
        entry[4] = schemas[entry[4]]
        inputs = entry[3][_INPUTS] if types else {}
        if type(inputs) is not dict:
            raise TypeError
        for source in inputs.values():
            if source[_TYPES] != {}:
                source[_TYPES] = types[source[_TYPES]]
    return list(entries)


def _identity(status: os.stat_result) -> list[int]:
    """Inode, size (bytes), mtime and ctime (ns) of a result's file."""
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _record(values: Sequence[Any]) -> CommitRecord:
    named = list(values)
    named[_INPUTS] = {name: SourceRecord(*source) for name, source in named[_INPUTS].items()}
    return CommitRecord(*named)
