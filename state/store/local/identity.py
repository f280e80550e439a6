"""The identity of what stands in a day's place: what a writer compares before it replaces anything.

A generation's number is no identity: a day that was deleted and published anew can bear the same one.
"""

from __future__ import annotations

import hashlib
import os
import stat

from state.errors import StorageError
from state.filesystem.durable import CHUNK, is_missing
from state.filesystem.folder import status
from state.result.classify import Commit, Found, Unreadable, damaged_path, look, open_result
from state.store.local import layout


def identify(root_fd: int, aggregation: str, day: str) -> tuple[Found | None, str]:
    """What stands in a day's place, and its identity.

    The identity is empty for nothing, a commit's nonce, or the digest of a file that is no commit. Raises StorageError
    where the place cannot be read: an error is no identity.
    """
    found = look(root_fd, aggregation, day)
    if isinstance(found, Unreadable):
        raise StorageError(f"{layout.data_file(aggregation, day)} {found.why}; nothing is done to it")
    if isinstance(found, Commit):
        return found, found.record.nonce
    if found is None:
        return None, ""
    try:
        return found, _digest_of_place(root_fd, aggregation, day)
    except OSError as error:
        if is_missing(error):  # taken away since it was looked at: now nothing stands there
            return None, ""
        raise


def _digest_of_place(root_fd: int, aggregation: str, day: str) -> str:
    path = damaged_path(root_fd, aggregation, day)
    there = status(root_fd, path)
    if not stat.S_ISREG(there.st_mode) or path != layout.data_file(aggregation, day):
        return f"{stat.S_IFMT(there.st_mode):o}-{there.st_ino}"
    digest = hashlib.sha256()
    fd = open_result(root_fd, aggregation, day)
    try:
        with os.fdopen(os.dup(fd), "rb") as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
    finally:
        os.close(fd)
    return digest.hexdigest()
