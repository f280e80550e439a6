"""Reads, writes and flushes open files: what a power cut must not undo goes through here."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator

CHUNK = 1 << 20


def flush(fd: int) -> None:
    """Force a file's or a folder's content to the device. Raises OSError; never retry a failed flush."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def _syncfs() -> Callable[[int], int] | None:
    try:
        function: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return function


def flush_file_system(fd: int) -> None:
    """Flush everything on the file system of ``fd``, also what other processes wrote. Raises OSError."""
    syncfs = _syncfs()
    if syncfs is None:
        os.sync()
    elif syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def read_at(fd: int, size: int, offset: int = 0) -> bytes:
    """Up to ``size`` bytes of an open file. Raises OSError."""
    return os.pread(fd, size, offset)


def write_at(fd: int, content: bytes, offset: int) -> None:
    """Write a few bytes in one call. Raises OSError."""
    os.pwrite(fd, content, offset)


def pieces(fd: int, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of an open file, in pieces. Raises OSError."""
    while end is None or start < end:
        piece = os.pread(fd, CHUNK if end is None else min(CHUNK, end - start), start)
        if not piece:
            return
        yield piece
        start += len(piece)


def read_whole(fd: int) -> bytes:
    """All bytes of an open file. Raises OSError."""
    return b"".join(pieces(fd))


def write_whole(fd: int, content: bytes) -> None:
    """Write all of ``content`` at the descriptor's position; a short write continues, a full disk raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def status_of(fd: int) -> os.stat_result:
    """The status of an open file. Raises OSError."""
    return os.fstat(fd)


def close(fd: int) -> None:
    """Close a descriptor."""
    os.close(fd)


def is_missing(error: OSError) -> bool:
    """Whether an error proves that a path does not exist. Every other error proves nothing."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR)
