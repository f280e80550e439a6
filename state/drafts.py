"""Private files: where a result is written before it is published, and what becomes of those whose writer died.

Each is created exclusively and locked by its writer, so whoever gets its lock knows that nobody needs it any more.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from state import layout
from state.flocks import close_lockable, open_lockable, try_lock


@dataclass(slots=True)
class Draft:
    """A private file under ``_noonmark/tmp/``, open and locked by its writer until it is published or discarded."""

    nonce: str
    fd: int
    published: bool = False


@contextmanager
def draft(root_fd: int) -> Iterator[Draft]:
    """A new private file on the output's own file system; it is gone afterwards unless it was published."""
    nonce, fd = _create_locked(root_fd)
    new = Draft(nonce, fd)
    try:
        yield new
    finally:
        try:
            if not new.published:
                _unlink(root_fd, layout.temporary_file(nonce))
        finally:  # a file that cannot be removed now must not stay locked: the next sweep takes it
            close_lockable(fd)


def sweep_drafts(root_fd: int) -> int:
    """Remove the private files of writers that are gone; a file whose lock is held has a living writer.

    Returns how many were removed.
    """
    folder = os.open(layout.DRAFTS, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root_fd)
    try:
        names = os.listdir(folder)
    finally:
        os.close(folder)
    return sum(_sweep(root_fd, f"{layout.DRAFTS}/{name}") for name in names)


def _sweep(root_fd: int, path: str) -> bool:
    try:
        fd = open_lockable(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=root_fd)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode) or not try_lock(fd) or not _is_at(root_fd, path, fd):
            return False
        _unlink(root_fd, path)
        return True
    finally:
        close_lockable(fd)


def _create_locked(root_fd: int) -> tuple[str, int]:
    while True:
        nonce = uuid.uuid4().hex
        path = layout.temporary_file(nonce)
        fd = open_lockable(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, dir_fd=root_fd)
        # A sweeper may come between creation and lock. Then it has the lock, or the name is gone: begin again.
        if try_lock(fd) and _is_at(root_fd, path, fd):
            return nonce, fd
        close_lockable(fd)


def _is_at(root_fd: int, path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, dir_fd=root_fd, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def _unlink(root_fd: int, path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path, dir_fd=root_fd)
