"""The facts of a day's raw files: what a listing shows of them, and what their bytes are.

Two levels, so that a touched file is no change and an edited one is: names, sizes and times are compared first,
contents only where those differ or prove nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from state.filesystem.durable import CHUNK

RECENT_NS = 2_000_000_000
"""How old a file's times must be to prove anything: two seconds, the coarsest tick of a file system in use (FAT)."""

LARGE = 64 << 20
"""From this size on a file is digested by BLAKE3: SHA-256 took three to four times as long, and as long as a query."""

BLAKE3 = "blake3:"
"""How a digest of contents begins that a file's BLAKE3 has a part in."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """One raw file as a listing shows it.

    ``path`` is relative to its source's root, with ``/``; ``size`` in bytes; times in nanoseconds since the epoch.
    ``ctime_ns`` and ``inode`` are there because ``cp -p`` keeps size and mtime.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @staticmethod
    def of(path: str, status: os.stat_result) -> FileStat:
        """What a listing shows of the file at a path."""
        return FileStat(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class DayFiles:
    """A day's files of one source, sorted bytewise by path, and the digest of all that a listing shows of them."""

    files: tuple[FileStat, ...]
    stat: str

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size for file in self.files)


def day_files(files: Iterable[FileStat]) -> DayFiles:
    """One day's files. The digest covers paths, sizes, both times and inodes."""
    in_order = tuple(sorted(files, key=lambda file: os.fsencode(file.path)))
    digest = hashlib.sha256()
    for file in in_order:
        digest.update(os.fsencode(file.path))
        digest.update(f"\0{file.size} {file.mtime_ns} {file.ctime_ns} {file.inode}\n".encode())
    return DayFiles(in_order, digest.hexdigest())


def has_large(files: Iterable[FileStat]) -> bool:
    """Whether any of the files is digested by BLAKE3. An earlier commit of them may have their SHA-256."""
    return any(file.size >= LARGE for file in files)


def newest_ns(files: Iterable[FileStat]) -> int:
    """The latest time that any of the files bears, in nanoseconds; 0 for no file."""
    return max((max(file.mtime_ns, file.ctime_ns) for file in files), default=0)


class InputChanged(Exception):
    """A file is not, or no longer, what the listing showed. The day is to be listed again."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a day's files hold: the digest of names and bytes, and the bytes themselves where they were asked for.

    ``each`` has the digest of each file's bytes alone: SHA-256, or BLAKE3 of a large file. ``digest`` is the SHA-256
    over names and those, in hex, and begins with ``blake3:`` where any of them is BLAKE3's.
    """

    digest: str
    buffers: tuple[bytes, ...] | None
    each: tuple[bytes, ...]


def read_contents(
    root_fd: int,
    files: Sequence[FileStat],
    *,
    keep: bool,
    name_of: Callable[[str], str] = os.path.basename,
    by_sha256: bool = False,
) -> Contents:
    """Read and digest the files of a day, whose paths are below the folder that is open as ``root_fd``.

    The digest covers name and bytes of each file, in the order given. ``name_of`` makes the name of the path: by
    default the file's own, so that the same files moved to another folder are no change. ``keep`` returns the bytes
    too, so that what is computed from is what was digested. ``by_sha256``: as earlier commits have it.
    Raises InputChanged where a file differs from its listing before or after it was read, OSError where it cannot be.
    """
    digest = hashlib.sha256()
    buffers, each = [], []
    for file in files:
        name = os.fsencode(name_of(file.path))
        by_blake3 = file.size >= LARGE and not by_sha256
        content, content_digest = _read(root_fd, file, keep, by_blake3=by_blake3)
        digest.update(len(name).to_bytes(4, "big") + name + content_digest)
        buffers.append(content)
        each.append(content_digest)
    kind = BLAKE3 if has_large(files) and not by_sha256 else ""
    return Contents(kind + digest.hexdigest(), tuple(buffers) if keep else None, tuple(each))


def _read(root_fd: int, file: FileStat, keep: bool, *, by_blake3: bool) -> tuple[bytes, bytes]:
    try:
        fd = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root_fd)
    except FileNotFoundError as error:
        raise InputChanged(f"{file.path} is gone") from error
    try:
        _compare(file, os.fstat(fd))
        pieces = []
        digest: Any = blake3() if by_blake3 else hashlib.sha256()
        left = file.size
        # Into a buffer of the file's own size, and not of a megabyte that is given back to the system each time.
        while left >= 0 and (piece := os.read(fd, min(left + 1, CHUNK))):
            digest.update(piece)
            if keep:
                pieces.append(piece)
            left -= len(piece)
        if left:
            raise InputChanged(f"{file.path} changed while it was read")
        _compare(file, os.fstat(fd))
    finally:
        os.close(fd)
    return b"".join(pieces), digest.digest()


def _compare(file: FileStat, now: os.stat_result) -> None:
    if not stat.S_ISREG(now.st_mode) or FileStat.of(file.path, now) != file:
        raise InputChanged(f"{file.path} changed while it was read")
