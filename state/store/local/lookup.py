"""Finds what stands in a partition's place, and its identity: what a writer compares before it replaces anything."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable

from state.errors import StorageError
from state.filesystem.durable import close, is_missing, pieces
from state.filesystem.folder import Folder, InTheWay
from state.partition import Partition
from state.result import classify
from state.result.classify import Commit, Damaged, Found, Unreadable
from state.store.local import layout

Classify = Callable[[int, str, str], Found]
"""Says what an open file is, for an aggregation and a day. Raises OSError."""


def lookup(root: Folder, partition: Partition, classified: Classify | None = None) -> Found | None:
    """What stands in a partition's place; None where it is certain that nothing does. Opens the file once.

    ``classified`` is ``classify.classify`` or a stricter function.
    """
    path = layout.data_file(*partition)
    try:
        fd = root.open_anything(path)
    except InTheWay as error:
        if error.path == layout.day_folder(*partition):
            return Damaged(f"its folder is {error.what}, not a folder")
        return Unreadable(f"cannot be reached: {error}")
    except OSError as error:
        if is_missing(error):
            return None
        if kind := _foreign_kind(root, path):
            return Damaged(f"it is a {kind}, not a file")
        return Unreadable(f"cannot be opened: {error.strerror}")
    try:
        return (classified or classify.classify)(fd, *partition)
    except OSError as error:
        return Unreadable(f"cannot be read: {error.strerror}")
    finally:
        close(fd)


def identify(root: Folder, partition: Partition) -> tuple[Found | None, str]:
    """What stands in a partition's place, and its identity.

    That is empty for nothing, a commit's nonce, or the digest of what is damaged. A generation's number is not an
    identity: a partition that was deleted and published again can have the same one. Raises OSError, and StorageError
    where it cannot be read: an error is not an identity.
    """
    found = lookup(root, partition)
    if isinstance(found, Unreadable):
        raise StorageError(f"{layout.data_file(*partition)} {found.why}; nothing is done to it")
    if isinstance(found, Commit):
        return found, found.record.nonce
    if found is None:
        return None, ""
    try:
        return found, _digest(root, partition)
    except OSError as error:
        if is_missing(error):  # removed since the lookup
            return None, ""
        raise


def damaged_path(root: Folder, partition: Partition) -> str:
    """The path of what is damaged: the result's file, or what stands in place of its folder. Raises OSError."""
    folder = layout.day_folder(*partition)
    return layout.data_file(*partition) if stat.S_ISDIR(root.status(folder).st_mode) else folder


def _digest(root: Folder, partition: Partition) -> str:
    path = damaged_path(root, partition)
    there = root.status(path)
    if not stat.S_ISREG(there.st_mode):
        return f"{stat.S_IFMT(there.st_mode):o}-{there.st_ino}"
    digest = hashlib.sha256()
    fd = root.open_anything(path)
    try:
        for piece in pieces(fd):
            digest.update(piece)
    finally:
        close(fd)
    return digest.hexdigest()


def _foreign_kind(root: Folder, path: str) -> str | None:
    """What stands there and can never be opened as a file."""
    try:
        mode = root.status(path).st_mode
    except OSError:
        return None
    return "link" if stat.S_ISLNK(mode) else "socket" if stat.S_ISSOCK(mode) else None
