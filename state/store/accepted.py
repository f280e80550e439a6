"""Reads and writes what a person accepted by ``flows.repair --accept-output``."""

from __future__ import annotations

from state.acceptance import Accepted
from state.filesystem.folder import InTheWay
from state.store.notes import Notes

NAME = "accepted.json"


def read_accepted(notes: Notes) -> Accepted:
    """What was accepted. A file that holds something else accepts nothing. Raises StorageError."""
    try:
        return Accepted.from_json(notes.read_note(NAME) or b"")
    except InTheWay:
        return Accepted()


def revoke_accepted(notes: Notes, outdated: Accepted) -> None:
    """Remove entries that no run needs any more. Raises StorageError, OSError."""
    if outdated == Accepted():
        return
    accepted = read_accepted(notes)
    if (left := accepted.without(outdated)) != accepted:
        write_accepted(notes, left)


def write_accepted(notes: Notes, accepted: Accepted) -> None:
    """Replace all that is accepted, durably. Raises StorageError, OSError."""
    notes.write_note(NAME, accepted.to_json(), is_ours=Accepted.is_record, durable=True)
