"""Durable steps on a file system: what a power cut must not undo goes through here.

Every path is relative to a descriptor of the output root. A path that starts again at ``/`` could lead beneath a
mount point whose file system went away in the middle of a run.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Callable

from state.filesystem.folder import open_folder

CHUNK = 1 << 20


def flush(fd: int) -> None:
    """Force a file's or a folder's content to the device. Raises OSError; a failed flush is never tried again."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def flush_folder(root_fd: int, path: str) -> None:
    """Make the names in a folder below the root durable."""
    fd = open_folder(root_fd, path)
    try:
        flush(fd)
    finally:
        os.close(fd)


def _syncfs() -> Callable[[int], int] | None:
    try:
        function: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return function


def flush_file_system(fd: int) -> None:
    """Flush everything on the file system of ``fd``: what other processes renamed but did not live to flush."""
    syncfs = _syncfs()
    if syncfs is None:
        os.sync()
    elif syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def make_folders(root_fd: int, path: str) -> None:
    """Create ``path`` and its missing parents. Their durability is the caller's: another may have made them."""
    os.close(open_folder(root_fd, path, create=True))


def read_whole(fd: int) -> bytes:
    """All bytes of an open file, from its start."""
    pieces = []
    offset = 0
    while piece := os.pread(fd, CHUNK, offset):
        pieces.append(piece)
        offset += len(piece)
    return b"".join(pieces)


def write_whole(fd: int, content: bytes) -> None:
    """Write all of ``content`` at the descriptor's position; a short write goes on, a full disk raises."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def is_missing(error: OSError) -> bool:
    """Whether an error says for certain that a path is not there. Every other error says that nobody knows."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR)
