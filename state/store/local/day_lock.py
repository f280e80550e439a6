"""The lock of a partition, with the high-water mark that it guards.

Identity alone is not enough to publish safely: a partition that was deleted and published again looks absent twice. The
mark holds the highest generation that was ever about to be published, and the highest that was.

Lock and mark lie in a slot of 64 bytes of a file that many days share, and that range of it is locked. Where the
output's file system has no such locks, each day has a lock file of its own: the output's marker says which.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from state import clock
from state.errors import StorageError
from state.filesystem.durable import close, is_missing, read_at, write_at
from state.filesystem.file_locks import close_lockable, try_lock, try_lock_range, unlock, unlock_range
from state.filesystem.folder import READ_OR_CREATE, Folder, InTheWay
from state.partition import Partition
from state.store.local import layout
from state.store.local.layout import SLOT

LOCK_DEADLINE_SECONDS = 30.0
"""How long a writer waits for a lock."""
_POLL_SECONDS = 0.005
_DIGITS = 20
_LINE = _DIGITS + 1
# Two lines, or what a power cut leaves of them. A lock file with any other content is somebody else's.
_LINES = re.compile(rb"[\d\n\0]{0,%d}" % (2 * _LINE))
_SLOT = re.compile(rb"(\d{20}) (\d{20}) ([0-9a-f]{8}) {13}\n")
_OF_SLOTS = b"0123456789abcdef \n\0"
"""Every byte that a slot can hold, whole or torn."""


@dataclass(frozen=True, slots=True)
class HighWater:
    """The bytes of a mark, as a token holds them: a slot, or the lines of a lock file. Older files have one line."""

    content: bytes

    @property
    def generation(self) -> int:
        """The highest generation that was about to be published; 0 for none, or where a power cut left none."""
        return self._numbers()[0]

    @property
    def published(self) -> int:
        """The highest generation that was certainly published; 0 where that is unknown."""
        return self._numbers()[1]

    def _numbers(self) -> tuple[int, int]:
        if len(self.content) == SLOT:
            return slot_numbers(self.content) or (0, 0)
        first, _, second = self.content.partition(b"\n")
        return _number(first), _number(second)


class Place(Protocol):
    """Where a partition's lock and mark lie, and how both are written and locked."""

    @property
    def path(self) -> str:
        """The file, from the output root on."""

    def try_lock(self, fd: int) -> bool:
        """Take the lock without waiting; False where another has it."""

    def unlock(self, fd: int) -> None:
        """Release it."""

    def read(self, fd: int) -> bytes:
        """The bytes of the mark; empty where none was ever written."""

    def require_ours(self, fd: int, mark: bytes, root: Path) -> None:
        """Raise InTheWay where the file is another program's, StorageError where the mark is none of ours."""

    def raise_mark(self, fd: int, before: HighWater, generation: int) -> None:
        """Write that ``generation`` is about to be published."""

    def note_published(self, fd: int, generation: int) -> None:
        """Write that it was."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A day's slot in a file of locks: both numbers and their checksum, written in one call."""

    path: str
    start: int

    def try_lock(self, fd: int) -> bool:
        """As ``Place.try_lock``."""
        return try_lock_range(fd, self.start, SLOT)

    def unlock(self, fd: int) -> None:
        """As ``Place.unlock``."""
        unlock_range(fd, self.start, SLOT)

    def read(self, fd: int) -> bytes:
        """As ``Place.read``. The file may have a hole here, or end before: what was never written reads as zeros."""
        content = read_at(fd, SLOT, self.start)
        return content.ljust(SLOT, b"\0") if content.strip(b"\0") else b""

    def require_ours(self, fd: int, mark: bytes, root: Path) -> None:
        """As ``Place.require_ours``: where the slot proves nothing, the others do."""
        if slot_numbers(mark):
            return
        if not is_of_slots(read_at(fd, layout.LONGEST_LOCKS + 1)):
            raise InTheWay(self.path, "a file of something else", "a file of locks")
        if mark.translate(None, _OF_SLOTS):
            raise StorageError(
                f"{self.path} holds {mark[:16]!r} in the {SLOT} bytes from {self.start} on, where this day's lock is; "
                "expected two numbers and their checksum, or zeros: restore the file from a backup, or set the highest "
                f"generation of this day alone to zero: dd if=/dev/zero of={root / self.path} bs={SLOT} "
                f"seek={self.start // SLOT} count=1 conv=notrunc"
            )

    def raise_mark(self, fd: int, before: HighWater, generation: int) -> None:
        """As ``Place.raise_mark``."""
        write_at(fd, slot(generation, before.published), self.start)

    def note_published(self, fd: int, generation: int) -> None:
        """As ``Place.note_published``."""
        write_at(fd, slot(generation, generation), self.start)


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock file of the day's own: a line for each number."""

    path: str

    def try_lock(self, fd: int) -> bool:
        """As ``Place.try_lock``."""
        return try_lock(fd)

    def unlock(self, fd: int) -> None:
        """As ``Place.unlock``."""
        unlock(fd)

    def read(self, fd: int) -> bytes:
        """As ``Place.read``."""
        return read_at(fd, SLOT)

    def require_ours(self, fd: int, mark: bytes, root: Path) -> None:  # noqa: ARG002 as ``Place``
        """As ``Place.require_ours``."""
        if not is_of_lines(mark):
            raise InTheWay(self.path, "a file of something else", "a lock file")

    def raise_mark(self, fd: int, before: HighWater, generation: int) -> None:  # noqa: ARG002 as ``Place``
        """As ``Place.raise_mark``."""
        write_at(fd, _line(generation), 0)

    def note_published(self, fd: int, generation: int) -> None:
        """As ``Place.note_published``."""
        write_at(fd, _line(generation), _LINE)


def place_of(root: Folder, partition: Partition) -> Place:
    """Where the lock of a partition lies."""
    return Slot(*layout.lock_slot(*partition)) if root.lock_ranges else LockFile(layout.lock_file(*partition))


class DayLock:
    """A held lock. ``mark`` holds the bytes of the high-water mark."""

    def __init__(self, fd: int, place: Place, root: Path) -> None:
        self._fd = fd
        self._place = place
        self.mark = place.read(fd)
        place.require_ours(fd, self.mark, root)

    def raise_mark(self, generation: int) -> None:
        """Record that ``generation`` is about to be published. Must precede the rename. Raises OSError."""
        self._place.raise_mark(self._fd, HighWater(self.mark), generation)

    def note_published(self, generation: int) -> None:
        """Record that ``generation``, to which the mark was raised, was published: a kill before leaves that unsaid.

        It guards nothing and only makes a later loss visible, so an error is ignored.
        """
        with suppress(OSError):
            self._place.note_published(self._fd, generation)


def read_mark(root: Folder, partition: Partition) -> HighWater:
    """The mark as it is now, without the lock; empty where none was ever written. Raises OSError."""
    place = place_of(root, partition)
    try:
        fd = root.open_file(place.path)
    except OSError as error:
        if is_missing(error):
            return HighWater(b"")
        raise
    try:
        return HighWater(place.read(fd))
    finally:
        close(fd)


@contextmanager
def day_lock(root: Folder, partition: Partition, deadline_seconds: float | None = None) -> Iterator[DayLock]:
    """Hold a partition's lock. Raises OSError, and StorageError where another holds it beyond the deadline.

    A lock on a descriptor of its own excludes other processes and other threads alike; ``lockf`` would let a second
    thread in. The file is never unlinked, for that gives two holders of one name. The deadline bounds the wait only: a
    lock that is given up while its rename hangs could let that rename land after a successor's.
    """
    place = place_of(root, partition)
    fd = _open(root, place.path)
    try:
        _wait(fd, place, partition, LOCK_DEADLINE_SECONDS if deadline_seconds is None else deadline_seconds)
        yield DayLock(fd, place, root.path)
    finally:
        try:
            place.unlock(fd)  # closing is not enough: a child that was just forked may share it
        finally:
            close_lockable(fd)


def slot(generation: int, published: int) -> bytes:
    """A slot with these numbers, as text: it can be read with ``cat``."""
    numbers = b"%0*d %0*d" % (_DIGITS, generation, _DIGITS, published)
    return (b"%s %08x" % (numbers, zlib.crc32(numbers))).ljust(SLOT - 1) + b"\n"


def slot_numbers(content: bytes) -> tuple[int, int] | None:
    """The numbers in a slot; None for one that was never written, or that a power cut tore."""
    match = _SLOT.fullmatch(content)
    if not match or zlib.crc32(content[: 2 * _DIGITS + 1]) != int(match[3], 16):
        return None
    return int(match[1]), int(match[2])


def is_of_slots(content: bytes) -> bool:
    """Whether a file with this content, or one byte more than a file of locks may have, is one of locks.

    It is if it has a whole slot. A power cut may have left none, and then at least no other byte than slots have.
    """
    if len(content) <= layout.LONGEST_LOCKS and not content.translate(None, _OF_SLOTS):
        return True
    return any(slot_numbers(content[at : at + SLOT]) for at in range(0, len(content), SLOT))


def is_of_lines(content: bytes) -> bool:
    """Whether these are the bytes of a day's own lock file."""
    return bool(_LINES.fullmatch(content))


def _open(root: Folder, path: str) -> int:
    try:
        return root.open_file(path, READ_OR_CREATE, lockable=True)
    except FileNotFoundError:
        root.make(path.rpartition("/")[0])
        return root.open_file(path, READ_OR_CREATE, lockable=True)


def _wait(fd: int, place: Place, partition: Partition, deadline_seconds: float) -> None:
    deadline = clock.monotonic() + deadline_seconds
    while not place.try_lock(fd):
        if clock.monotonic() >= deadline:
            raise StorageError(
                f"{' '.join(partition)} stayed locked by another writer for {deadline_seconds:g} s; the day is left as "
                f"it is, its lock is in {place.path}"
            )
        clock.sleep(_POLL_SECONDS)


def _line(generation: int) -> bytes:
    return b"%0*d\n" % (_DIGITS, generation)


def _number(text: bytes) -> int:
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) <= _DIGITS else 0
