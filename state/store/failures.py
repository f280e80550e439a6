"""Keeps the last failure of each result: one small note for each, in ``failed/``.

The planner puts what would fail again last. A record that is lost or cannot be read costs that order and nothing else:
none is flushed, and no day counts as done or as failed because of one.
"""

from __future__ import annotations

from state.errors import StorageError
from state.failure import Failure
from state.partition import Partition
from state.store.notes import Notes

_FOLDER = "failed"
_LONGEST = 1 << 20
"""The longest record, in bytes."""


def read_failures(notes: Notes) -> dict[Partition, Failure]:
    """The last failure of every result that has one. Whatever cannot be read is left out."""
    found = {}
    for name in _names(notes):
        failure = _read(notes, name)
        if failure and _name(failure.aggregation, failure.day) == name:
            found[failure.aggregation, failure.day] = failure
    return found


def record_failure(notes: Notes, failure: Failure) -> None:
    """Replace the record of a result. Raises StorageError, OSError."""
    notes.write_note(
        _name(failure.aggregation, failure.day),
        failure.to_json().encode() + b"\n",
        is_ours=lambda content: Failure.from_json(content) is not None,
    )


def forget_failure(notes: Notes, partition: Partition) -> None:
    """Remove the record of a result that does not fail any more. Raises StorageError, OSError."""
    notes.remove_note(_name(*partition))


def _name(aggregation: str, day: str) -> str:
    return f"{_FOLDER}/{aggregation}.{day}.json"


def _names(notes: Notes) -> list[str]:
    try:
        return notes.note_names(_FOLDER)
    except (StorageError, OSError):
        return []


def _read(notes: Notes, name: str) -> Failure | None:
    try:
        content = notes.read_note(name, longest=_LONGEST)
    except (StorageError, OSError):
        return None
    return Failure.from_json(content) if content else None
