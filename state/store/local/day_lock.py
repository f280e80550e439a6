"""The lock file of a partition, with the high-water mark that its lock guards.

Identity alone is not enough to publish safely: a partition that was deleted and published again looks absent twice. The
mark holds the highest generation that was ever about to be published and, on a second line, the highest that was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from state import clock
from state.errors import StorageError
from state.filesystem.durable import close, is_missing, read_at, write_at
from state.filesystem.file_locks import close_lockable, try_lock, unlock
from state.filesystem.folder import READ_OR_CREATE, Folder, InTheWay
from state.partition import Partition
from state.store.local import layout

LOCK_DEADLINE_SECONDS = 30.0
"""How long a writer waits for a lock."""
_POLL_SECONDS = 0.005
_DIGITS = 20
_LINE = _DIGITS + 1
# Two lines, or what a power cut leaves of them. A lock file with any other content is somebody else's.
_MARK = re.compile(rb"[\d\n\0]{0,%d}" % (2 * _LINE))


@dataclass(frozen=True, slots=True)
class HighWater:
    """The bytes of a mark, as a token holds them. Older files have the first line only."""

    content: bytes

    @property
    def generation(self) -> int:
        """The highest generation that was about to be published; 0 for none, or where a power cut left none."""
        return _number(self.content.partition(b"\n")[0])

    @property
    def published(self) -> int:
        """The highest generation that was certainly published; 0 where that is unknown."""
        return _number(self.content.partition(b"\n")[2])


class DayLock:
    """A held lock. ``mark`` holds the bytes of the high-water mark."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self.mark = read_at(fd, 64)
        if not _MARK.fullmatch(self.mark):
            raise InTheWay(path, "a file of something else", "a lock file")

    def raise_mark(self, generation: int) -> None:
        """Record that ``generation`` is about to be published. Must precede the rename. Raises OSError."""
        write_at(self._fd, _line(generation), 0)

    def note_published(self, generation: int) -> None:
        """Record that ``generation`` was published: a kill before the rename leaves only the first line raised.

        It guards nothing and only makes a later loss visible, so an error is ignored.
        """
        with suppress(OSError):
            write_at(self._fd, _line(generation), _LINE)


def read_mark(root: Folder, partition: Partition) -> HighWater:
    """The mark as it is now, without the lock; empty where none was ever written. Raises OSError."""
    try:
        fd = root.open_file(layout.lock_file(*partition))
    except OSError as error:
        if is_missing(error):
            return HighWater(b"")
        raise
    try:
        return HighWater(read_at(fd, 64))
    finally:
        close(fd)


@contextmanager
def day_lock(root: Folder, partition: Partition, deadline_seconds: float | None = None) -> Iterator[DayLock]:
    """Hold a partition's lock. Raises OSError, and StorageError where another holds it beyond the deadline.

    ``flock`` on a descriptor of its own excludes other processes and other threads alike; ``lockf`` would let a second
    thread in. The file is never unlinked, for that gives two holders of one name. The deadline bounds the wait only: a
    lock that is given up while its rename hangs could let that rename land after a successor's.
    """
    path = layout.lock_file(*partition)
    fd = _open(root, path)
    try:
        _wait(fd, path, LOCK_DEADLINE_SECONDS if deadline_seconds is None else deadline_seconds)
        yield DayLock(fd, path)
    finally:
        try:
            unlock(fd)  # closing is not enough: a child that was just forked may share it
        finally:
            close_lockable(fd)


def _open(root: Folder, path: str) -> int:
    try:
        return root.open_file(path, READ_OR_CREATE, lockable=True)
    except FileNotFoundError:
        root.make(path.rpartition("/")[0])
        return root.open_file(path, READ_OR_CREATE, lockable=True)


def _wait(fd: int, path: str, deadline_seconds: float) -> None:
    deadline = clock.monotonic() + deadline_seconds
    while not try_lock(fd):
        if clock.monotonic() >= deadline:
            raise StorageError(
                f"{path} stayed locked by another writer for {deadline_seconds:g} s; the day is left as it is"
            )
        clock.sleep(_POLL_SECONDS)


def _line(generation: int) -> bytes:
    return b"%0*d\n" % (_DIGITS, generation)


def _number(text: bytes) -> int:
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) <= _DIGITS else 0
