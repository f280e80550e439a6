"""An output on a file system: one object over the descriptor of its root.

A path that starts again at ``/`` could lead beneath a mount point whose file system went away in the middle of a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from state.filesystem.durable import flush_file_system, read_whole
from state.partition import Partition
from state.result.classify import Commit
from state.result.record import CommitRecord
from state.result.schemas import schema_of
from state.store.base import Staged, Token
from state.store.local.commit import flush_drafts, flush_published, publish, read_token
from state.store.local.staging import StagedFile, draft, remove_stale_files

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LocalStore:
    """An open output root: ``fd`` its descriptor, ``id`` from its marker, ``path`` for messages only."""

    fd: int
    id: str
    path: Path

    def __enter__(self) -> LocalStore:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def token(self, partition: Partition) -> Token:
        """As ``Store.token``."""
        return read_token(self.fd, *partition)

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        """As ``Store.stage``. Raises OSError where the disk is full."""
        from state.result.writing import write_result  # with pyarrow it takes a tenth of a second, and few write

        with draft(self.fd) as file:
            record = record._replace(nonce=file.nonce, generation=token.generation)
            write_result(file.fd, table, record)
            yield _Staged(partition, token, record, schema_of(table), file)

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        """As ``Store.commit``. Flushes wait for the device together, on both sides of the publications."""
        staged = [one for one in group if isinstance(one, _Staged)]
        assert len(staged) == len(group)  # results of this store
        failed: list[Exception | None] = list(flush_drafts([one.file for one in staged]))
        for at, one in enumerate(staged):
            if failed[at] is None:
                failed[at] = self._publish(one, verify)
        published = [at for at, error in enumerate(failed) if error is None]
        errors = flush_published(self.fd, [staged[at].partition for at in published])
        for at, error in zip(published, errors, strict=True):
            failed[at] = error
        return [error or one.commit() for one, error in zip(staged, failed, strict=True)]

    def _publish(self, one: _Staged, verify: Callable[[Staged], None]) -> Exception | None:
        try:
            verify(one)
            publish(self.fd, *one.partition, one.token, one.file)
        except Exception as error:  # noqa: BLE001 it is this result's answer, and no other's
            return error
        return None

    def sync(self) -> None:
        """As ``Store.sync``."""
        flush_file_system(self.fd)

    def remove_stale(self) -> int:
        """As ``Store.remove_stale``."""
        return remove_stale_files(self.fd)


@dataclass(frozen=True, slots=True)
class _Staged:
    partition: Partition
    token: Token
    record: CommitRecord
    schema: str
    file: StagedFile

    def content(self) -> bytes:
        return read_whole(self.file.fd)

    def commit(self) -> Commit:
        status = os.fstat(self.file.fd)
        return Commit(self.record, (status.st_size, status.st_mtime_ns), self.schema)
