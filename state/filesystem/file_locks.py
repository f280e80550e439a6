"""Locks on files that end with the process that took them, and that no forked child holds.

A lock of ``flock`` belongs to the open file, which a child of ``fork`` shares: without care it would keep the lock
alive after its parent's death.
"""

from __future__ import annotations

import fcntl
import os
import threading

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
