"""Locks on files, and on ranges of files, that end with the process that took them, and that no forked child holds.

A lock of ``flock`` belongs to the open file, which a child of ``fork`` shares: without care it would keep the lock
alive after its parent's death. So does a lock on a range by ``F_OFD_SETLK``, which Linux has. The range locks of POSIX
(``lockf``) belong to the process: they let its threads in, and go with any close.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import threading

_SET_RANGE: int | None = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" else None
# struct flock of Linux: l_type, l_whence, l_start, l_len, l_pid; then what aligns it, as the compiler does.
_RANGE = struct.Struct("hhqqi0q")
_NO_RANGES = {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a kernel or a file system says that has no such locks."""

_open_here: set[int] = set()
_guard = threading.RLock()  # reentrant: a signal handler may fork


def _close_in_child() -> None:
    for descriptor in _open_here:
        os.close(descriptor)
    _open_here.clear()
    _guard.release()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_close_in_child)


def open_lockable(path: str | os.PathLike[str], flags: int, mode: int = 0o666, dir_fd: int | None = None) -> int:
    """Open a file for locking; no child keeps the descriptor. Close it by ``close_lockable``. Raises OSError."""
    with _guard:
        descriptor = os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)
        _open_here.add(descriptor)
    return descriptor


def adopt_lockable(descriptor: int) -> None:
    """Treat an inherited descriptor as one of ``open_lockable``: no child of this process keeps it."""
    with _guard:
        os.set_inheritable(descriptor, False)
        _open_here.add(descriptor)


def close_lockable(descriptor: int) -> None:
    """Close the descriptor; the lock goes with it, unless another descriptor of the same opening holds it too."""
    with _guard:
        _open_here.discard(descriptor)
        os.close(descriptor)


def try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock without waiting; False where another has it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Release the lock now, also where a child that was just forked shares the open file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def knows_ranges() -> bool:
    """Whether this system has locks on ranges that belong to the open file. A file system may still refuse them."""
    return _SET_RANGE is not None


def excludes_by_range(one: int, other: int) -> bool:
    """Whether ranges of a file, opened twice and locked by nobody, can be locked, and exclude one another.

    Raises OSError where that cannot be told.
    """
    if _SET_RANGE is None:
        return False
    try:
        taken = try_lock_range(one, 0, 1) and try_lock_range(other, 1, 1) and not try_lock_range(other, 0, 1)
        unlock_range(one, 0, 2)
        unlock_range(other, 0, 2)
    except OSError as error:
        if error.errno in _NO_RANGES:
            return False
        raise
    return taken


def try_lock_range(descriptor: int, start: int, length: int) -> bool:
    """Take the lock on a range without waiting; False where another has a part of it. The range may lie beyond the end.

    The descriptor must be open for writing. The lock goes as one of ``try_lock`` does.
    """
    try:
        _set_range(descriptor, fcntl.F_WRLCK, start, length)
    except BlockingIOError:
        return False
    return True


def unlock_range(descriptor: int, start: int, length: int) -> None:
    """Release the lock on a range now, also where a child that was just forked shares the open file."""
    _set_range(descriptor, fcntl.F_UNLCK, start, length)


def _set_range(descriptor: int, kind: int, start: int, length: int) -> None:
    if _SET_RANGE is None:
        raise OSError(errno.ENOTSUP, "this system has no locks on ranges of open files")
    fcntl.fcntl(descriptor, _SET_RANGE, _RANGE.pack(kind, os.SEEK_SET, start, length, 0))
