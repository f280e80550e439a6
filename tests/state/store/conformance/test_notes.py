"""Notes: small files of the output's own, replaced as a whole."""

from __future__ import annotations

import pytest

from state.errors import StorageError
from state.store.base import Store
from tests.state.store.conformance.harness.base import Harness

ACCEPTED = "accepted.json"
FAILED = "failed/totals.2013-01-01.json"
CACHE = "cache/footers"


def is_ours(content: bytes) -> bool:
    """Whether a content is one of these tests' notes."""
    return content.startswith(b"ours")


def write(store: Store, name: str, content: bytes, *, durable: bool = False) -> None:
    """Write a note of these tests."""
    store.write_note(name, content, is_ours=is_ours, durable=durable)


@pytest.mark.parametrize("name", [ACCEPTED, FAILED, CACHE])
def test_a_note_is_read_back(given: Harness, name: str) -> None:
    """By every process, whole or up to a length, until it is replaced or removed."""
    assert given.store.read_note(name) is None
    for content in (b"ours: longer", b"ours"):
        write(given.store, name, content)
        assert given.another().read_note(name) == content
    assert given.store.read_note(name, longest=2) == b"ou"
    given.store.remove_note(name)
    assert given.store.read_note(name) is None
    assert given.kept() == []
    assert given.staged() == 0


def test_removing_no_note_is_no_error(given: Harness) -> None:
    """Two runs may forget the same failure."""
    given.store.remove_note(FAILED)


def test_notes_are_listed_by_folder(given: Harness) -> None:
    """With the folder's name, sorted; a folder that is not there has none."""
    assert given.store.note_names("failed") == []
    for name in (FAILED, "failed/others.10.json", CACHE, ACCEPTED):
        write(given.store, name, b"ours")
    assert given.store.note_names("failed") == ["failed/others.10.json", FAILED]


def test_a_note_is_added_to(given: Harness) -> None:
    """At its end, and created where it is missing."""
    given.store.append_note(CACHE, b"ours")
    given.another().append_note(CACHE, b" and theirs")
    assert given.store.read_note(CACHE) == b"ours and theirs"


def test_what_is_not_ours_is_set_aside(given: Harness) -> None:
    """Promise 6: what somebody put in a note's place is kept."""
    given.overwrite_note(ACCEPTED, b"somebody's")
    assert given.store.read_note(ACCEPTED) == b"somebody's"
    write(given.store, ACCEPTED, b"ours")
    assert given.store.read_note(ACCEPTED) == b"ours"
    assert given.kept() == [b"somebody's"]


@pytest.mark.parametrize("names_stay", [True, False])
def test_a_durable_note_survives_a_power_cut(given: Harness, names_stay: bool) -> None:
    """What a person accepted stays accepted."""
    write(given.store, ACCEPTED, b"ours: old", durable=True)
    write(given.store, ACCEPTED, b"ours: new", durable=True)
    given.power_cut(names_stay=names_stay)
    assert given.store.read_note(ACCEPTED) == b"ours: new"


def test_a_note_that_cannot_be_written_stays_as_it_was(given: Harness) -> None:
    """It is replaced as a whole or not at all."""
    write(given.store, ACCEPTED, b"ours: old", durable=True)
    with given.failing("write note"), pytest.raises((StorageError, OSError)):
        write(given.store, ACCEPTED, b"ours: new", durable=True)
    assert given.store.read_note(ACCEPTED) == b"ours: old"
    assert given.staged() == 0


def test_an_error_of_reading_is_no_missing_note(given: Harness) -> None:
    """Promise 5: nothing that was accepted is forgotten for an I/O error."""
    write(given.store, ACCEPTED, b"ours")
    with given.failing("read note"), pytest.raises((StorageError, OSError)):
        given.store.read_note(ACCEPTED)
