"""Private files: where a result is written before it is published, and what becomes of those whose writer died.

Each is created exclusively and locked by its writer, so whoever gets its lock knows that nobody needs it any more.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable, Iterator
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
def draft(root_fd: int, path: Callable[[str], str] | None = None) -> Iterator[Draft]:
    """A new private file on the output's own file system; it is gone afterwards unless it was published.

    ``path`` makes its path from its nonce, where it is no result.
    """
    path = path or layout.temporary_file
    nonce, fd = _create_locked(root_fd, path)
    new = Draft(nonce, fd)
    try:
        yield new
    finally:
        try:
            if not new.published:
                unlink(root_fd, path(nonce))
        finally:  # a file that cannot be removed now must not stay locked: the next sweep takes it
            close_lockable(fd)


def sweep_drafts(root_fd: int) -> int:
    """Remove the private files of writers that are gone; a file whose lock is held has a living writer.

    Notes of runs stay: they are read before they are removed (``state.run_note``). Returns how many were removed.
    """
    return sum(_sweep(root_fd, f"{layout.DRAFTS}/{name}") for name in draft_names(root_fd) if _is_result(name))


def draft_names(root_fd: int) -> list[str]:
    """The names of all private files. Raises OSError."""
    folder = os.open(layout.DRAFTS, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root_fd)
    try:
        return os.listdir(folder)
    finally:
        os.close(folder)


@contextmanager
def orphaned(root_fd: int, path: str) -> Iterator[int | None]:
    """A private file whose writer is gone, open and locked; None for any other, which is to be left alone."""
    try:
        fd = open_lockable(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=root_fd)
    except OSError:
        yield None
        return
    try:
        gone = stat.S_ISREG(os.fstat(fd).st_mode) and try_lock(fd) and _is_at(root_fd, path, fd)
        yield fd if gone else None
    finally:
        close_lockable(fd)


def _is_result(name: str) -> bool:
    return not name.endswith(layout.NOTE)


def _sweep(root_fd: int, path: str) -> bool:
    with orphaned(root_fd, path) as fd:
        if fd is not None:
            unlink(root_fd, path)
        return fd is not None


def _create_locked(root_fd: int, path: Callable[[str], str]) -> tuple[str, int]:
    while True:
        nonce = uuid.uuid4().hex
        fd = open_lockable(path(nonce), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, dir_fd=root_fd)
        # A sweeper may come between creation and lock. Then it has the lock, or the name is gone: begin again.
        if try_lock(fd) and _is_at(root_fd, path(nonce), fd):
            return nonce, fd
        close_lockable(fd)


def _is_at(root_fd: int, path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, dir_fd=root_fd, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def unlink(root_fd: int, path: str) -> None:
    """Remove a file, where it is still there. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(path, dir_fd=root_fd)
