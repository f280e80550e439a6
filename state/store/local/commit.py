"""Publishes results: the only writer of them.

Token first, input next, publish last and only over what the token saw. Flushes are done for a whole group, before and
after it is published. docs/design.md says why each step is there and what goes wrong without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from state.errors import StorageError
from state.filesystem.durable import read_whole, status_of
from state.filesystem.flushing import flush_each
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result.classify import Commit, Damaged, stat_of
from state.result.record import CommitRecord
from state.result.schemas import schema_of
from state.store.base import Staged, Superseded, Token
from state.store.local import layout
from state.store.local.day_lock import day_lock, read_mark
from state.store.local.lookup import identify
from state.store.local.set_aside import set_aside
from state.store.local.staging import StagedFile, staged_file

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StagedResult:
    """A result in a private file."""

    partition: Partition
    token: Token
    record: CommitRecord
    schema: str
    file: StagedFile

    def content(self) -> bytes:
        """The bytes as a reader will find them. Raises OSError."""
        return read_whole(self.file.fd)


def read_token(root: Folder, partition: Partition) -> Token:
    """The token of a partition as it is now. Raises StorageError where it cannot be read: an error is not a token."""
    try:
        mark = read_mark(root, partition)
        found, identity = identify(root, partition)
    except OSError as error:
        raise StorageError(f"{layout.data_file(*partition)} cannot be read: {error.strerror}") from error
    return Token(found, identity, mark.content, mark.generation)


@contextmanager
def stage(
    root: Folder, partition: Partition, token: Token, record: CommitRecord, table: pa.Table
) -> Iterator[StagedResult]:
    """Write a result to a private file. Raises OSError, such as for a full disk."""
    from state.result.writing import write_result  # with pyarrow it takes a tenth of a second; most runs write nothing

    with staged_file(root) as file:
        record = record._replace(nonce=file.nonce, generation=token.generation)
        write_result(file.fd, table, record)
        yield StagedResult(partition, token, record, schema_of(table), file)


def commit(root: Folder, group: Sequence[StagedResult], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
    """Flush, verify, publish and flush again. The answers stand in the group's order."""
    flushed = list(flush_each(StagedFile.flush, [one.file for one in group]))  # all, before one is published
    answers = [error or _published(root, one, verify) for one, error in zip(group, flushed, strict=True)]
    published = [one.partition for one, answer in zip(group, answers, strict=True) if isinstance(answer, Commit)]
    errors = iter(_flush_published(root, published))
    return [next(errors) or answer if isinstance(answer, Commit) else answer for answer in answers]


def _published(root: Folder, one: StagedResult, verify: Callable[[Staged], None]) -> Commit | Exception:
    """The commit, once it has its place; it is not durable yet."""
    try:
        verify(one)
        _publish(root, one.partition, one.token, one.file)
        return Commit(one.record, stat_of(status_of(one.file.fd)), one.schema)
    except Exception as error:  # noqa: BLE001 it is this result's answer, and no other's
        return error


def _publish(root: Folder, partition: Partition, token: Token, file: StagedFile) -> None:
    """Rename a flushed file to its place, if the place is still what the token saw.

    Readers see it from then on. It is committed once ``_flush_published`` returned without an error for it. Raises
    Superseded where the place changed, StorageError where the lock was not free in time, OSError where a step failed.
    After an OSError it may be published or not: the next lookup tells, and either is whole.
    """
    assert file.flushed
    with day_lock(root, partition) as lock:
        found, identity = identify(root, partition)
        if (identity, lock.mark) != (token.identity, token.mark):
            raise Superseded
        if isinstance(found, Damaged):
            set_aside(root, partition, identity)
        root.make(layout.day_folder(*partition))
        lock.raise_mark(token.generation)
        file.move(layout.data_file(*partition))
        lock.note_published(token.generation)


def _flush_published(root: Folder, partitions: Sequence[Partition]) -> list[OSError | None]:
    """Make published results durable, all at once; what each failed with, in their order.

    Always with every parent: another process may have created it and been killed before it flushed it.
    """
    parents = [(layout.day_folder(*one), layout.aggregation_folder(one[0]), ".") for one in partitions]
    folders = list(dict.fromkeys(folder for some in parents for folder in some))
    failed = dict(zip(folders, flush_each(root.flush, folders), strict=True))
    return [next((error for folder in some if (error := failed[folder])), None) for some in parents]
