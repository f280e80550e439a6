"""What failed when it was last computed: one small record for each such result, under ``_noonmark/failed/``.

The planner puts what would fail again last, so that it keeps nothing waiting. A record that is lost or cannot be read
costs that order and nothing else: none is flushed, and no day counts as done or as failed because of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from state.failure import Failure
from state.filesystem.durable import CHUNK, make_folders, write_whole
from state.filesystem.folder import open_file, open_folder, rename
from state.partition import Partition
from state.store.local import layout
from state.store.local.set_aside import clear_place
from state.store.local.staging import draft, unlink


def read_failures(root_fd: int) -> dict[Partition, Failure]:
    """The last failure of every result that has one. Nothing is written, and what cannot be read is left out."""
    return {(one.aggregation, one.day): one for one in _records(root_fd)}


def record_failure(root_fd: int, failure: Failure) -> None:
    """Replace the record of a result. Raises OSError."""
    make_folders(root_fd, layout.FAILED)
    with draft(root_fd) as new:
        write_whole(new.fd, failure.to_json().encode() + b"\n")
        target = layout.failure_file(failure.aggregation, failure.day)
        clear_place(root_fd, target, lambda content: Failure.from_json(content) is not None)
        rename(root_fd, layout.temporary_file(new.nonce), target)
        new.published = True


def forget_failure(root_fd: int, place: Partition) -> None:
    """Remove the record of a result that has one no more. Raises OSError."""
    unlink(root_fd, layout.failure_file(*place))


def _records(root_fd: int) -> Iterator[Failure]:
    try:
        folder = open_folder(root_fd, layout.FAILED)
    except OSError:
        return
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    finally:
        os.close(folder)
    for name in names:
        path = f"{layout.FAILED}/{name}"
        failure = Failure.from_json(_content(root_fd, path))
        if failure and layout.failure_file(failure.aggregation, failure.day) == path:
            yield failure


def _content(root_fd: int, path: str) -> bytes:
    try:
        fd = open_file(root_fd, path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.pread(fd, CHUNK, 0)
    except OSError:
        return b""
    finally:
        os.close(fd)
