"""A store that keeps its output on a file system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from state.filesystem.durable import read_whole
from state.filesystem.file_locks import adopt_lockable, close_lockable
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result import classify, verify
from state.result.classify import Commit, Found
from state.result.record import CommitRecord
from state.store.base import Broken, Staged, Token
from state.store.local import commit
from state.store.local.commit import StagedResult
from state.store.local.day_lock import read_mark
from state.store.local.lookup import lookup
from state.store.local.run_note import LocalRunNote, interrupted
from state.store.local.scan import LocalScan
from state.store.local.set_aside import set_aside_damaged
from state.store.local.staging import remove_stale_files

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LocalStore(LocalScan):
    """An open output root: ``folder`` is its open folder, ``id`` its marker's. It is open while it is entered.

    ``writing`` is the descriptor that makes it one of the output's writers: see ``takeover``.
    """

    folder: Folder
    id: str
    writing: int | None = field(default=None, kw_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the root's descriptor."""
        self.folder.close()
        if self.writing is not None:
            close_lockable(self.writing)

    @property
    def path(self) -> Path:
        """As ``Store.path``."""
        return self.folder.path

    def handle(self) -> tuple[list[int], list[int | str]]:
        """As ``Store.handle``; the values are those of ``from_handle``."""
        fd, writing = self.folder.fd, self.writing
        descriptors = [fd] if writing is None else [fd, writing]  # a child that outlives its parent still writes
        return descriptors, [fd, self.id, str(self.path), self.folder.lock_ranges, -1 if writing is None else writing]

    @classmethod
    def from_handle(cls, fd: int, identity: str, path: str, lock_ranges: bool, writing: int) -> LocalStore:
        """The store of a handle, in a child process that inherited its descriptors."""
        if writing >= 0:
            adopt_lockable(writing)
        folder = Folder(fd, Path(path), lock_ranges=lock_ranges)
        return cls(folder, identity, writing=writing if writing >= 0 else None)

    # Reading; the rest is ``LocalScan``'s

    def lookup(self, partition: Partition) -> Found | None:
        """As ``Store.lookup``."""
        return lookup(self.folder, partition)

    def read(self, partition: Partition, wanted: Callable[[Commit], bool]) -> tuple[Found | None, bytes]:
        """As ``Store.read``."""
        content = b""

        def verified(fd: int, aggregation: str, day: str) -> Found:
            nonlocal content
            found = classify.classify(fd, aggregation, day)
            if isinstance(found, Commit) and not wanted(found):
                return found
            found = verify.verify_bytes(fd, found)
            if isinstance(found, Commit):
                content = read_whole(fd)
            return found

        return lookup(self.folder, partition, verified), content

    def published_generation(self, partition: Partition) -> int:
        """As ``Store.published_generation``."""
        return read_mark(self.folder, partition).published

    # Writing

    def token(self, partition: Partition) -> Token:
        """As ``Store.token``."""
        return commit.read_token(self.folder, partition)

    def stage(
        self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table
    ) -> AbstractContextManager[Staged]:
        """As ``Store.stage``."""
        return commit.stage(self.folder, partition, token, record, table)

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        """As ``Store.commit``. Flushes wait for the device together, before and after the publications."""
        staged = [one for one in group if isinstance(one, StagedResult)]
        assert len(staged) == len(group)  # all are results of this store
        return commit.commit(self.folder, staged, verify)

    def set_aside_damaged(self, partition: Partition) -> Broken | None:
        """As ``Store.set_aside_damaged``."""
        return set_aside_damaged(self.folder, partition)

    def sync(self) -> None:
        """As ``Store.sync``."""
        self.folder.flush_file_system()

    # Housekeeping

    def remove_stale(self) -> int:
        """As ``Store.remove_stale``."""
        return remove_stale_files(self.folder)

    def run_note(self) -> LocalRunNote:
        """As ``Store.run_note``."""
        return LocalRunNote(self.folder)

    def interrupted(self) -> AbstractContextManager[set[Partition]]:
        """As ``Store.interrupted``."""
        return interrupted(self.folder)
