"""Private files: where a file is written before it is published, and how those of dead writers are removed.

Each is created exclusively and locked by its writer. Whoever gets its lock knows that its writer is gone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from state.filesystem.durable import flush, write_whole
from state.filesystem.file_locks import close_lockable, try_lock
from state.filesystem.folder import Folder
from state.store.local import layout

_NONCE = re.compile("[0-9a-f]{32}")


@dataclass(slots=True)
class StagedFile:
    """A private file, open and locked by its writer until it is published or removed."""

    root: Folder
    nonce: str
    path: str
    fd: int
    flushed: bool = False
    published: bool = False

    def write(self, content: bytes) -> None:
        """Add to it. Raises OSError; then it is worthless."""
        write_whole(self.fd, content)

    def flush(self) -> None:
        """Make its content durable. Raises OSError; then it is worthless, and a second flush would not notice."""
        flush(self.fd)
        self.flushed = True

    def move(self, target: str) -> None:
        """Rename it to its place, over a file that stands there. Raises OSError."""
        self.root.rename(self.path, target)
        self.published = True


@contextmanager
def staged_file(root: Folder, path_of: Callable[[str], str] = layout.temporary_file) -> Iterator[StagedFile]:
    """A new private file; it is removed on leaving unless it was moved. ``path_of`` makes its path from its nonce.

    Raises OSError.
    """
    new = _create_locked(root, path_of)
    try:
        yield new
    finally:
        try:
            if not new.published:
                root.unlink(new.path)
        finally:  # a file that cannot be removed now must not stay locked: ``remove_stale_files`` removes it later
            close_lockable(new.fd)


def remove_stale_files(root: Folder) -> int:
    """Remove the private files of dead writers, but not the notes of runs. Returns how many. Raises OSError."""
    removed = 0
    for path in private_files(root, layout.TEMPORARY):
        with abandoned(root, path) as fd:
            if fd is not None:
                root.unlink(path)
                removed += 1
    return removed


def private_files(root: Folder, ending: str) -> list[str]:
    """The paths of private files with this ending. No other file there is ever removed. Raises OSError."""
    return [
        f"{layout.STAGING}/{name}"
        for name in root.names(layout.STAGING)
        if name.endswith(ending) and _NONCE.fullmatch(name.removesuffix(ending))
    ]


@contextmanager
def abandoned(root: Folder, path: str) -> Iterator[int | None]:
    """A private file whose writer is gone, open and locked; None for any other, which must not be touched."""
    try:
        fd = root.open_file(path, lockable=True)
    except OSError:
        yield None
        return
    try:
        yield fd if try_lock(fd) and root.is_at(path, fd) else None
    finally:
        close_lockable(fd)


def _create_locked(root: Folder, path_of: Callable[[str], str]) -> StagedFile:
    while True:
        nonce = uuid.uuid4().hex
        path = path_of(nonce)
        fd = root.create_locked(path)
        if fd is not None:  # or else ``remove_stale_files`` came between creation and lock
            return StagedFile(root, nonce, path, fd)
