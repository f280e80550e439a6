"""Private files: where a result is written before it is published, and what becomes of those whose writer died.

Each is created exclusively and locked by its writer, so whoever gets its lock knows that nobody needs it any more.
"""

from __future__ import annotations

import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from state.filesystem import folder as tree
from state.filesystem.file_locks import close_lockable, open_lockable, try_lock
from state.filesystem.folder import Parent, open_folder
from state.store.local import layout


@dataclass(slots=True)
class StagedFile:
    """A private file under ``_noonmark/tmp/``, open and locked by its writer until it is published or discarded."""

    nonce: str
    fd: int
    published: bool = False


@contextmanager
def draft(root_fd: int, path: Callable[[str], str] | None = None) -> Iterator[StagedFile]:
    """A new private file on the output's own file system; it is gone afterwards unless it was published.

    ``path`` makes its path from its nonce, where it is no result.
    """
    path = path or layout.temporary_file
    nonce, fd = _create_locked(root_fd, path)
    new = StagedFile(nonce, fd)
    try:
        yield new
    finally:
        try:
            if not new.published:
                unlink(root_fd, path(nonce))
        finally:  # a file that cannot be removed now must not stay locked: the next sweep takes it
            close_lockable(fd)


def remove_stale_files(root_fd: int) -> int:
    """Remove the private files of writers that are gone; a file whose lock is held has a living writer.

    Notes of runs stay: they are read before they are removed (``run_note``). Returns how many were removed.
    """
    return sum(
        _sweep(root_fd, f"{layout.DRAFTS}/{name}") for name in draft_names(root_fd) if is_ours(name, layout.TEMPORARY)
    )


def draft_names(root_fd: int) -> list[str]:
    """The names of all private files. Raises OSError."""
    folder = open_folder(root_fd, layout.DRAFTS)
    try:
        return os.listdir(folder)
    finally:
        os.close(folder)


@contextmanager
def orphaned(root_fd: int, path: str) -> Iterator[int | None]:
    """A private file whose writer is gone, open and locked; None for any other, which is to be left alone."""
    try:
        with Parent(root_fd, path) as (folder, name):
            fd = open_lockable(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        yield None
        return
    try:
        with Parent(root_fd, path) as (folder, name):
            gone = stat.S_ISREG(os.fstat(fd).st_mode) and try_lock(fd) and _is_at(folder, name, fd)
        yield fd if gone else None
    finally:
        close_lockable(fd)


def is_ours(name: str, ending: str) -> bool:
    """Whether a name in their folder is one that a private file of this ending has; no other file is ever removed."""
    return name.endswith(ending) and _NONCE.fullmatch(name.removesuffix(ending)) is not None


_NONCE = re.compile("[0-9a-f]{32}")


def _sweep(root_fd: int, path: str) -> bool:
    with orphaned(root_fd, path) as fd:
        if fd is not None:
            unlink(root_fd, path)
        return fd is not None


def _create_locked(root_fd: int, path: Callable[[str], str]) -> tuple[str, int]:
    while True:
        nonce = uuid.uuid4().hex
        with Parent(root_fd, path(nonce)) as (folder, name):
            fd = open_lockable(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, dir_fd=folder)
            # A sweeper may come between creation and lock. Then it has the lock, or the name is gone: begin again.
            if try_lock(fd) and _is_at(folder, name, fd):
                return nonce, fd
        close_lockable(fd)


def _is_at(folder: int, name: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def unlink(root_fd: int, path: str) -> None:
    """Remove a file, where it is still there. Raises OSError."""
    with suppress(FileNotFoundError):
        tree.unlink(root_fd, path)
