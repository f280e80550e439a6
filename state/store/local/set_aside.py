"""Keeps what is damaged: it is moved out of the readers' way and never destroyed. Needs the partition's lock.

Without the lock, a good commit that is published meanwhile would be moved.
"""

from __future__ import annotations

import stat
import uuid
from contextlib import suppress

from state.errors import StorageError
from state.filesystem import hiding
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result import verify
from state.result.classify import Damaged, Unreadable
from state.store.base import Broken
from state.store.local import layout
from state.store.local.day_lock import day_lock
from state.store.local.lookup import damaged_path, identify, lookup


def set_aside(root: Folder, partition: Partition, identity: str) -> str:
    """Keep what stands in a partition's place under a second name, durably; returns that path. Raises OSError.

    A file also keeps its place until another is renamed over it. Anything else is moved: what cannot be linked, and
    what stands in place of the day's folder.
    """
    root.make(layout.SET_ASIDE)
    source = damaged_path(root, partition)
    kept = layout.set_aside_file(*partition, f"{identity[:16]}-{uuid.uuid4().hex[:8]}")
    if source != layout.data_file(*partition) or not _linked(root, source, kept):
        hiding.move_hidden(root, source, kept)
    root.flush(layout.SET_ASIDE)
    return kept


def set_aside_damaged(root: Folder, partition: Partition) -> Broken | None:
    """Set a damaged result aside and leave its place empty; None where it is not damaged any more.

    It is verified again under the lock: a good commit that was published meanwhile stays. Raises StorageError, OSError.
    """
    with day_lock(root, partition):
        _, identity = identify(root, partition)
        found = lookup(root, partition, verify.verify)
        if isinstance(found, Unreadable):
            raise StorageError(found.why)
        if not isinstance(found, Damaged):
            return None
        kept = set_aside(root, partition, identity)
        root.unlink(layout.data_file(*partition))
        for folder in (layout.day_folder(*partition), layout.aggregation_folder(partition[0])):
            with suppress(FileNotFoundError):
                root.flush(folder)
    return Broken(*partition, found.why, kept)


def _linked(root: Folder, source: str, kept: str) -> bool:
    """Give a file a second name; False for what cannot have one, or where the file system has no links."""
    if stat.S_ISLNK(root.status(source).st_mode):
        return False
    try:
        root.link(source, kept)
    except OSError:
        return False
    return True
