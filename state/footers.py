"""What the footers of results said, kept so that a run reads again only what changed since.

A file's identity (inode, size, mtime and ctime) stands for its footer where the times are old enough to prove anything.
The file here is a cache: blocks that carry their own digest, appended to, and rebuilt from the output where they do
not fit. Whatever is wrong with it costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from state import found, layout
from state.drafts import draft
from state.files import exists_not, make_folders, read_whole, write_whole
from state.found import Commit, Found
from state.inputs import RECENT_NS
from state.layout import Place
from state.record import FORMAT, CommitRecord, SourceRecord

_Entry = Sequence[Any]
"""Aggregation, day, the identity, the values of the record, and the schema. A block holds each schema once, and in its
entries where it stands."""

# Values stand without their names: code whose records have other fields must not take them for its own.
_NAMES = [str(FORMAT), *CommitRecord._fields, *SourceRecord._fields, "schema"]
_FIELDS = hashlib.sha256(" ".join(_NAMES).encode()).hexdigest()[:16]
_INPUTS = CommitRecord._fields.index("inputs")
_HEADER = f"noonmark footers {_FIELDS} {{digest}} {{length}}\n"
_HEADER_BYTES = len(_HEADER.format(digest="0" * 64, length=f"{0:12}"))


class Footers:
    """The footers that are known of an output, and those that are learned in one look at it."""

    def __init__(self, root_fd: int) -> None:
        """Read what is known. Nothing is written, and nothing that is wrong with it is an error."""
        self._root_fd = root_fd
        self._began_ns = time.time_ns()
        self._learned: dict[Place, _Entry] = {}
        self._used: dict[Place, _Entry] = {}
        try:
            entries, self._whole = _blocks(_content(root_fd))
        except OSError:
            entries, self._whole = [], False
        self._read = len(entries)
        self._known: dict[Place, _Entry] = {(one[0], one[1]): one for one in entries}

    def known(self, place: Place, fd: int | None = None) -> Commit | None:
        """The commit in a place, if its file is one whose footer is known; ``fd`` is that file where it is open."""
        entry = self._known.get(place)
        if entry is None:
            return None
        try:
            status = self._status(place) if fd is None else os.fstat(fd)
        except OSError:
            return None
        if _identity(status) != entry[2]:
            return None
        self._used[place] = entry
        return Commit(_record(entry[3]), status.st_size, status.st_mtime_ns, entry[4])

    def judge(self, fd: int, aggregation: str, day: str) -> Found:
        """As ``state.found.judge``; a commit whose file's times prove something is learned. Raises OSError."""
        status = os.fstat(fd)
        what = found.judge(fd, aggregation, day)
        if isinstance(what, Commit) and max(status.st_mtime_ns, status.st_ctime_ns) + RECENT_NS < self._began_ns:
            self._learned[aggregation, day] = (aggregation, day, _identity(status), what.record, what.schema)
        return what

    def _status(self, place: Place) -> os.stat_result:
        return os.stat(layout.data_file(*place), dir_fd=self._root_fd, follow_symlinks=False)

    def save(self) -> None:
        """Keep what was learned: appended, or written anew where more than half of what stands there is of no use.

        It is not flushed: a cache that is lost is learned again. Raises OSError.
        """
        live = len(self._used) + len(self._learned)
        if self._whole and not self._learned and self._read <= 2 * live:
            return
        make_folders(self._root_fd, layout.CACHE)
        if self._whole and self._read + len(self._learned) <= 2 * live:
            fd = os.open(layout.FOOTERS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666, dir_fd=self._root_fd)
            try:
                write_whole(fd, _block(list(self._learned.values())))
            finally:
                os.close(fd)
            return
        with draft(self._root_fd) as new:
            write_whole(new.fd, _block(list((self._used | self._learned).values())))
            os.rename(
                layout.temporary_file(new.nonce), layout.FOOTERS, src_dir_fd=self._root_fd, dst_dir_fd=self._root_fd
            )
            new.published = True


def _content(root_fd: int) -> bytes:
    try:
        fd = os.open(layout.FOOTERS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root_fd)
    except OSError as error:
        if exists_not(error):
            return b""
        raise
    try:
        return read_whole(fd)
    finally:
        os.close(fd)


def _block(entries: list[_Entry]) -> bytes:
    at = {schema: number for number, schema in enumerate(dict.fromkeys(entry[4] for entry in entries))}
    block = [list(at), [[*entry[:4], at[entry[4]]] for entry in entries]]
    body = json.dumps(block, separators=(",", ":")).encode() + b"\n"
    return _header(body) + body


def _header(body: bytes) -> bytes:
    return _HEADER.format(digest=hashlib.sha256(body).hexdigest(), length=f"{len(body):12}").encode()


def _blocks(content: bytes) -> tuple[list[_Entry], bool]:
    """The entries of all blocks up to the first that is not whole, and whether all are."""
    entries: list[_Entry] = []
    at = 0
    while at < len(content):
        header = content[at : at + _HEADER_BYTES]
        length = header[-13:-1].strip()
        body = content[at + _HEADER_BYTES : at + _HEADER_BYTES + int(length)] if length.isdigit() else b""
        if header != _header(body):
            return entries, False
        schemas, some = json.loads(body)
        for entry in some:
            entry[4] = schemas[entry[4]]
        entries += some
        at += len(header) + len(body)
    return entries, True


def _identity(status: os.stat_result) -> list[int]:
    """Inode, size (bytes), mtime and ctime (ns) of a result's file."""
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _record(values: Sequence[Any]) -> CommitRecord:
    named = list(values)
    named[_INPUTS] = {name: SourceRecord(*source) for name, source in named[_INPUTS].items()}
    return CommitRecord(*named)
