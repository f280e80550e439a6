"""Mutants of what a writer compares and holds while it publishes: no regression, convergence."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

from state.errors import StorageError
from state.filesystem import file_locks as flocks
from state.filesystem.file_locks import try_lock_range
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result.classify import Commit
from state.store.local import commit as commits
from state.store.local import day_lock as locks
from state.store.local import layout
from state.store.local.day_lock import DayLock, HighWater, day_lock
from state.store.local.lookup import identify
from tests.chaos.campaign import Mutant, without
from tests.chaos.mutants.publishing import nothing

_lock_slot = layout.lock_slot


@contextmanager
def _number_only() -> Iterator[None]:

    def identify_by_number(folder: Folder, partition: Partition) -> Any:
        found, identity = identify(folder, partition)
        return found, str(found.record.generation) if isinstance(found, Commit) else identity

    with patch("state.store.local.commit.identify", identify_by_number):
        yield


class _Unmarked(DayLock):
    """A lock without a high-water mark."""

    def __init__(self, *_: object) -> None:
        self.mark = b""

    def raise_mark(self, generation: int) -> None:
        pass

    def note_published(self, generation: int) -> None:
        pass


def _of_process(fd: int, start: int, length: int) -> bool:
    """``lockf`` in the place of F_OFD_SETLK: it locks for the process, not for the descriptor."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _elsewhere(fd: int, start: int, length: int) -> bool:
    return try_lock_range(fd, start + os.getpid() * layout.LONGEST_LOCKS, length)


def _first_slot(aggregation: str, day: str) -> tuple[str, int]:
    return _lock_slot(aggregation, day)[0], 0


@contextmanager
def _unlinked() -> Iterator[None]:
    @contextmanager
    def lock_and_unlink(folder: Folder, partition: Partition) -> Iterator[DayLock]:
        try:
            with day_lock(folder, partition) as held:
                yield held
        finally:
            folder.unlink(locks.place_of(folder, partition).path)

    with patch("state.store.local.commit.day_lock", lock_and_unlink):
        yield


@contextmanager
def _freed_by_deadline() -> Iterator[None]:
    wait = locks._wait

    def wait_and_go_on(*arguments: Any) -> None:
        with suppress(StorageError):
            wait(*arguments)

    with patch.object(locks, "_wait", wait_and_go_on):
        yield


@contextmanager
def _kept_by_child() -> Iterator[None]:
    def open_inherited(path: Any, flags: int, mode: int = 0o666, dir_fd: int | None = None) -> int:
        descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
        os.set_inheritable(descriptor, True)
        return descriptor

    with (
        patch.object(flocks, "open_lockable", open_inherited),
        patch("state.filesystem.folder.open_lockable", open_inherited),
    ):
        yield


@contextmanager
def _unconditional() -> Iterator[None]:
    publish = commits._publish

    def publish_over_anything(folder: Folder, partition: Partition, _: Any, new: Any) -> None:
        publish(folder, partition, commits.read_token(folder, partition), new)

    with patch.object(commits, "_publish", publish_over_anything):
        yield


LOCKING: dict[str, Mutant] = {
    # Removes the nonce from what is compared: a commit is known by its generation alone.
    "number-only token": _number_only,
    # Removes the memory of the highest generation that was ever published.
    "no high-water mark": without(
        {
            "state.store.local.day_lock.DayLock": _Unmarked,
            "state.store.local.commit.read_mark": lambda *_: HighWater(b""),
        }
    ),
    # Removes the day's lock; what is compared is still compared.
    "no lock": without({"state.store.local.day_lock._wait": nothing}),
    # Removes what keeps a second thread of one process out.
    "lockf": without({"state.store.local.day_lock.try_lock_range": _of_process}),
    # Removes the agreement on which bytes are locked: each process has others.
    "a lock on the wrong range": without({"state.store.local.day_lock.try_lock_range": _elsewhere}),
    # Removes the slots of all days but the first in a file: they share its lock and its mark. No result regresses, but
    # days that are computed together supersede each other.
    "two slots in one": without({"state.store.local.layout.lock_slot": _first_slot}),
    # Removes the marks of earlier versions, as an output is taken over.
    "marks are not taken over": without({"state.store.local.takeover._copy_marks": nothing}),
    # Removes the lock file with the lock: two holders of one name.
    "unlinked lock file": _unlinked,
    # Removes the lock from who holds it too long, though its rename may still come.
    "deadline frees the lock": _freed_by_deadline,
    # Removes the care for forked children: one that lives on keeps the lock of its dead parent.
    "child keeps the lock": _kept_by_child,
    # Removes the comparison under the lock: whoever holds it publishes.
    "unconditional publish": _unconditional,
}
