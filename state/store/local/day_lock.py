"""The day's own lock on a file system, with the high-water mark that it guards.

Identity alone is not enough to publish safely: a day that was deleted and published anew looks absent twice. The mark
remembers the highest generation that was ever about to be published, and behind it the highest that was. Only the
holder of the lock writes it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from state import clock
from state.errors import StorageError
from state.filesystem.durable import is_missing, make_folders
from state.filesystem.file_locks import close_lockable, open_lockable, try_lock
from state.filesystem.folder import InTheWay, Parent, in_the_way, open_file, require_file
from state.store.local import layout

_POLL_SECONDS = 0.005
_MARK_DIGITS = 20
# What two lines can be, and what a power cut can leave of them: whatever else stands in a lock file is somebody's.
_MARK = re.compile(rb"[\d\n\0]{0,%d}" % (2 * (_MARK_DIGITS + 1)))
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


class DayLock:
    """A held lock. ``mark`` holds the bytes of the high-water mark: two lines, of which old files have the first."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self.mark = os.pread(fd, 64, 0)
        if not _MARK.fullmatch(self.mark):
            raise InTheWay(path, "a file of something else", "a lock file")

    def raise_mark(self, generation: int) -> None:
        """Remember that ``generation`` is about to be published. Must come before the rename."""
        os.pwrite(self._fd, _line(generation), 0)

    def note_published(self, generation: int) -> None:
        """Remember that ``generation`` stands in its place: after the rename, where a kill leaves the mark alone.

        It guards nothing, and only tells a later loss: where it cannot be written, the day is published all the same.
        """
        with suppress(OSError):
            os.pwrite(self._fd, _line(generation), len(_line(0)))


def read_mark(root_fd: int, aggregation: str, day: str) -> bytes:
    """The mark's bytes as they are now, without the lock; empty where none was ever written. Raises OSError."""
    try:
        fd = open_file(root_fd, layout.lock_file(aggregation, day), os.O_RDONLY)
    except OSError as error:
        if is_missing(error):
            return b""
        raise
    try:
        return os.pread(fd, 64, 0)
    finally:
        os.close(fd)


def generation_of(mark: bytes) -> int:
    """The generation that a mark states; 0 for none, and for one that a power cut left unwritten."""
    return _number(mark.partition(b"\n")[0])


def published_of(mark: bytes) -> int:
    """The highest generation that surely stood in the day's place; 0 where the mark does not say."""
    return _number(mark.partition(b"\n")[2])


def _line(generation: int) -> bytes:
    return b"%0*d\n" % (_MARK_DIGITS, generation)


def _number(text: bytes) -> int:
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) <= _MARK_DIGITS else 0


@contextmanager
def day_lock(root_fd: int, aggregation: str, day: str, deadline_seconds: float) -> Iterator[DayLock]:
    """Hold the day's lock. Raises StorageError where another holds it for longer than the deadline.

    ``flock`` on a descriptor of its own excludes other processes and other threads alike (``lockf`` lets a second
    thread in), and the file is never unlinked: two holders of one name would be the price. The deadline bounds the
    wait only. A lock that were given up while its rename hangs could see that rename land after a successor's.
    """
    path = layout.lock_file(aggregation, day)
    fd = _open(root_fd, path)
    try:
        _wait(fd, path, deadline_seconds)
        yield DayLock(fd, path)
    finally:
        try:
            fcntl.flock(fd, fcntl.LOCK_UN)  # not by closing alone: a child that was just forked may share it
        finally:
            close_lockable(fd)


def _open(root_fd: int, path: str) -> int:
    try:
        return _open_below(root_fd, path)
    except FileNotFoundError:
        make_folders(root_fd, os.path.dirname(path))
        return _open_below(root_fd, path)


def _open_below(root_fd: int, path: str) -> int:
    with Parent(root_fd, path) as (folder, name):
        try:
            fd = open_lockable(name, _OPEN, dir_fd=folder)
        except OSError as error:
            raise in_the_way(folder, name, path, "a file", error) from error
    try:
        require_file(fd, path)
    except BaseException:
        close_lockable(fd)
        raise
    return fd


def _wait(fd: int, path: str, deadline_seconds: float) -> None:
    deadline = clock.monotonic() + deadline_seconds
    while not try_lock(fd):
        if clock.monotonic() >= deadline:
            raise StorageError(
                f"{path} stayed locked by another writer for {deadline_seconds:g} s; the day is left as it is"
            )
        clock.sleep(_POLL_SECONDS)
