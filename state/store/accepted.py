"""Reads and writes what a person accepted: the word of ``flows.repair --accept-output``."""

from __future__ import annotations

import os

from state.acceptance import Accepted
from state.errors import StorageError
from state.filesystem.durable import flush, flush_folder, is_missing, read_whole, write_whole
from state.filesystem.folder import InTheWay, open_file, rename
from state.store.local import layout
from state.store.local.set_aside import clear_place
from state.store.local.staging import draft
from state.store.local.store import LocalStore


def read_accepted(root: LocalStore) -> Accepted:
    """What was accepted. A file that holds something else accepts nothing. Raises StorageError."""
    try:
        fd = open_file(root.fd, layout.ACCEPTED, os.O_RDONLY)
        try:
            content = read_whole(fd)
        finally:
            os.close(fd)
    except InTheWay:
        return Accepted()
    except OSError as error:
        if is_missing(error):
            return Accepted()
        raise StorageError(f"{root.path / layout.ACCEPTED} cannot be read: {error.strerror}") from error
    return Accepted.from_json(content)


def revoke_accepted(root: LocalStore, outdated: Accepted) -> None:
    """Remove entries that no run needs any more. Raises StorageError, OSError."""
    if outdated == Accepted():
        return
    accepted = read_accepted(root)
    if (left := accepted.without(outdated)) != accepted:
        write_accepted(root, left)


def write_accepted(root: LocalStore, accepted: Accepted) -> None:
    """Replace all that is accepted, durably. Raises OSError."""
    with draft(root.fd) as new:
        write_whole(new.fd, accepted.to_json())
        flush(new.fd)
        clear_place(root.fd, layout.ACCEPTED, Accepted.is_record)
        rename(root.fd, layout.temporary_file(new.nonce), layout.ACCEPTED)
        new.published = True
    flush_folder(root.fd, layout.OWN)
