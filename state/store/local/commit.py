"""Publishes days: the only writer of results.

Token first, input next, publish last and only over what the token saw. Flushes are done for many days together, on
both sides of their publication. docs/design.md says why each step is there and what goes wrong without it.
"""

from __future__ import annotations

from collections.abc import Sequence

from state.errors import StorageError
from state.filesystem.durable import flush, flush_folder, make_folders
from state.filesystem.flushing import flush_each
from state.filesystem.folder import rename
from state.partition import Partition
from state.result.classify import Damaged
from state.store.base import Superseded, Token
from state.store.local import layout
from state.store.local.day_lock import day_lock, generation_of, read_mark
from state.store.local.identity import identify
from state.store.local.set_aside import set_aside
from state.store.local.staging import StagedFile

LOCK_DEADLINE_SECONDS = 30.0


def read_token(root_fd: int, aggregation: str, day: str) -> Token:
    """The token of a day as it is now. Raises StorageError where the place cannot be read: an error is no token."""
    try:
        mark = read_mark(root_fd, aggregation, day)
        found, identity = identify(root_fd, aggregation, day)
    except OSError as error:
        raise StorageError(f"{layout.data_file(aggregation, day)} cannot be read: {error.strerror}") from error
    return Token(found, identity, mark, generation_of(mark))


def flush_drafts(drafts: Sequence[StagedFile]) -> list[OSError | None]:
    """Force written drafts to the device, all at once; what each failed with, in their order.

    One that failed is worthless: nobody knows what of it is there, and a second flush would not complain.
    """
    return flush_each(lambda new: flush(new.fd), drafts)


def publish(root_fd: int, aggregation: str, day: str, token: Token, new: StagedFile) -> None:
    """Put a flushed draft in the day's place, if the place is still what the token saw.

    Readers see it from then on. It is committed once ``flush_published`` returned without an error for it.
    Raises Superseded where the place changed, StorageError where the day's lock was not to be had in time, OSError
    where a step failed. After an OSError the day may be published or not: the next look tells, and both are whole.
    """
    with day_lock(root_fd, aggregation, day, LOCK_DEADLINE_SECONDS) as lock:
        found, identity = identify(root_fd, aggregation, day)
        if (identity, lock.mark) != (token.identity, token.mark):
            raise Superseded
        if isinstance(found, Damaged):
            set_aside(root_fd, aggregation, day, identity)
        make_folders(root_fd, layout.day_folder(aggregation, day))
        lock.raise_mark(token.generation)
        rename(root_fd, layout.temporary_file(new.nonce), layout.data_file(aggregation, day))
        new.published = True
        lock.note_published(token.generation)


def flush_published(root_fd: int, places: Sequence[Partition]) -> list[OSError | None]:
    """Make published days durable, all at once; what each (aggregation, day) failed with, in their order.

    Always every parent of each: another process may have created it and been killed before it flushed it.
    """
    parents = [_parents(aggregation, day) for aggregation, day in places]
    folders = list(dict.fromkeys(folder for some in parents for folder in some))
    failed = dict(zip(folders, flush_each(lambda folder: flush_folder(root_fd, folder), folders), strict=True))
    return [next((error for folder in some if (error := failed[folder])), None) for some in parents]


def _parents(aggregation: str, day: str) -> tuple[str, ...]:
    return layout.day_folder(aggregation, day), layout.aggregation_folder(aggregation), "."
