"""The deep check: any altered byte is found, and set aside unharmed; whatever is good stays where it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.errors import StorageError
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable, classify
from state.result.record import FORMAT, bears_nonce
from state.store import footer_cache as footers
from state.store.base import Broken, Unread
from state.store.local import layout, set_aside
from state.store.local.lookup import lookup
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.caches import keep
from tests.builders import DAY, NAME, commit, fail, flip, kept, place

OTHER = "2013-01-02"


@pytest.fixture(params=["new", "known", "known, and no time ever changes"])
def root(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """An output with two good results, whose footers were read before or were not.

    A store through mmap may change no time, and a clock may stand still: then size alone tells one file from another.
    """
    with open_store(tmp_path / "output", create=True, remembered=False) as root:
        commit(root)
        commit(root, day=OTHER)
        if request.param != "new":
            monkeypatch.setattr(footers, "RECENT_NS", -(10**10))  # results that rest since yesterday
            if request.param != "known":
                monkeypatch.setattr(footers, "_identity", lambda status: [status.st_size])
            keep(root.scan().footers, of="results")
        yield root


def met(root: LocalStore) -> list[Broken | Unread]:
    """What a deep check tells of, and its output holds nothing else that is no commit."""
    told: list[Broken | Unread] = []
    output = root.scan_deep(2, told.append)
    bad = {day for day, found in output.days[NAME].items() if isinstance(found, Damaged | Unreadable)}
    assert {one.day for one in told} == bad
    return told


def unexpected(one: Broken | Unread) -> None:
    """Where nothing is to be told."""
    pytest.fail(str(one))


def broken(root: LocalStore) -> list[Broken]:
    """What a deep check finds; everything can be read."""
    found = met(root)
    assert not any(isinstance(one, Unread) for one in found)
    return [one for one in found if isinstance(one, Broken)]


def test_a_good_output_has_nothing_broken(root: LocalStore) -> None:
    """And looking writes nothing."""
    before = sorted(root.path.rglob("*"))
    assert broken(root) == []
    assert sorted(root.path.rglob("*")) == before
    assert root.scan_deep(2, unexpected).days == root.scan().days


def test_a_known_record_is_not_read_again(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seal and its nonce say that it is the same: reading it takes most of the time of a small result."""
    remembered = root.scan().days[NAME]
    read: list[int] = []

    def classify_and_note(fd: int, aggregation: str, day: str) -> Found:
        read.append(fd)
        return classify(fd, aggregation, day)

    monkeypatch.setattr("state.result.classify.classify", classify_and_note)
    assert root.scan_deep(2, unexpected).days[NAME] == remembered
    assert len(read) == (0 if (root.path / layout.note_file("cache/footers")).exists() else 2)


def test_any_flipped_bit_is_found(root: LocalStore) -> None:
    """One bit of every byte of the file: data pages, footer, seal and magic alike. The other day is not suspected."""
    file = place(root)
    good = file.read_bytes()
    missed = []
    for at in range(len(good)):
        flip(file, 8 * at + at % 8)
        if [one.day for one in broken(root)] != [DAY]:
            missed.append(at)
        file.write_bytes(good)
    assert missed == []
    assert broken(root) == []


def test_a_bit_of_a_data_page_is_found_by_the_deep_check_alone(root: LocalStore) -> None:
    """The everyday scan reads the record and still believes it; that is what the deep check is for."""
    flip(place(root), 8 * 8)
    assert isinstance(root.lookup((NAME, DAY)), Commit)
    [one] = broken(root)
    assert (one.aggregation, one.day, one.kept) == (NAME, DAY, "")
    assert one.why


def test_what_is_broken_is_kept_whole_and_its_place_is_empty(root: LocalStore) -> None:
    """Set aside, never destroyed; the next commit needs no repair."""
    flip(place(root), 8 * 8)
    damaged = place(root).read_bytes()
    [one] = broken(root)
    taken = root.set_aside_damaged((one.aggregation, one.day))
    assert taken is not None
    assert (root.path / taken.kept).read_bytes() == damaged
    assert list(kept(root).values()) == [damaged]
    assert root.lookup((NAME, DAY)) is None
    assert root.set_aside_damaged((one.aggregation, one.day)) is None
    assert list(kept(root).values()) == [damaged]
    assert commit(root).generation == 3
    assert broken(root) == []


def test_a_good_commit_that_landed_meanwhile_is_not_taken_away(root: LocalStore) -> None:
    """The place is judged again under the day's lock: between finding and taking away a run may have rebuilt it."""
    place(root).write_bytes(b"torn")
    [one] = broken(root)
    commit(root)
    good = place(root).read_bytes()
    assert root.set_aside_damaged((one.aggregation, one.day)) is None
    assert place(root).read_bytes() == good
    assert list(kept(root).values()) == [b"torn"]  # by the commit
    assert broken(root) == []


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "text", "empty"])
def test_whatever_stands_in_a_results_place_is_kept(root: LocalStore, kind: str, tmp_path: Path) -> None:
    """A folder with its content, of a link where it led: nothing is lost, and what it points to is not touched."""
    target = tmp_path / "precious"
    target.write_text("precious")
    where = place(root)
    where.unlink()
    if kind == "folder":
        where.mkdir()
        (where / "inside").write_text("inside")
    elif kind == "link":
        where.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(where)
    else:
        where.write_text("" if kind == "empty" else "mine")
    [one] = broken(root)
    taken = root.set_aside_damaged((one.aggregation, one.day))
    assert taken is not None
    saved = root.path / taken.kept
    assert not os.path.lexists(where)
    assert target.read_text() == "precious"
    if kind == "folder":
        assert (saved / "inside").read_text() == "inside"
    elif kind == "link":
        assert saved.read_text() == f"link to {target}\n"
    elif kind == "pipe":
        assert saved.is_fifo()
    else:
        assert saved.read_text() == ("" if kind == "empty" else "mine")
    commit(root)
    assert broken(root) == []


def test_a_result_that_cannot_be_read_is_not_called_broken(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error says nothing about the bytes: it is told, nothing is moved, and the others are checked."""
    failed = fail(monkeypatch, "open", lambda path, *_: str(path).endswith(f"{DAY}/data.parquet"), errno.EIO)
    place(root, day=OTHER).write_bytes(b"torn")
    unread, torn = sorted(met(root), key=lambda one: one.day)
    assert unread == Unread(NAME, DAY, "its result cannot be opened: Input/output error")
    assert isinstance(torn, Broken)
    with pytest.raises(StorageError):
        root.set_aside_damaged((NAME, DAY))
    assert failed
    monkeypatch.undo()
    assert kept(root) == {}
    assert [one.day for one in broken(root)] == [OTHER]


def test_what_cannot_be_set_aside_is_an_error(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the second look cannot read it, it is not taken for good."""
    place(root).write_bytes(b"torn")
    [one] = broken(root)
    monkeypatch.setattr(set_aside, "lookup", lambda *_, **__: Unreadable("cannot be read: Input/output error"))
    with pytest.raises(StorageError, match="Input/output error"):
        root.set_aside_damaged((one.aggregation, one.day))
    monkeypatch.setattr(set_aside, "lookup", lookup)
    assert root.set_aside_damaged((one.aggregation, one.day))


def test_a_record_of_a_later_format_is_not_judged(root: LocalStore) -> None:
    """Only newer code knows its seal. But a number that was altered is damage: its digest is right for the old one."""
    file = place(root)
    good = file.read_bytes()
    file.write_bytes(good.replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1)))
    assert root.lookup((NAME, DAY)) == Newer(FORMAT + 1, altered=True)
    assert [(one.day, one.why) for one in broken(root)] == [
        (DAY, f"the format of its commit record was altered to {FORMAT + 1}")
    ]
    later = bytearray(good.replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT + 1)))
    later[later.rfind(b'"check":"') + 9] ^= 1
    file.write_bytes(later)
    assert root.lookup((NAME, DAY)) == Newer(FORMAT + 1)
    assert broken(root) == []


def test_what_is_known_is_not_believed_of_another_file(root: LocalStore) -> None:
    """A whole result of another day, of the same size and with a seal that holds: its record is read after all."""
    file, other = place(root), place(root, day=OTHER)
    assert file.stat().st_size == other.stat().st_size
    file.write_bytes(other.read_bytes())
    [one] = broken(root)
    assert one.why == f"it is the result of '{NAME}', day '{OTHER}'"


def test_what_was_added_to_is_broken(root: LocalStore) -> None:
    """Every byte that was sealed is there, and one more: readers look for the footer at the end of the file."""
    with place(root).open("ab") as file:
        file.write(b"x")
    [one] = broken(root)
    assert one.why == "it does not end as a Parquet file does"


def test_a_nonce_that_the_data_quote_is_not_the_records(root: LocalStore) -> None:
    """A footer quotes the greatest and the least text of a column, and stands before the record."""
    record = b'{"day":"1","nonce":"aa","seal":"bb"}'
    assert bears_nonce(b'min "nonce":"cc" max' + record, "aa")
    assert not bears_nonce(b'min "nonce":"cc" max' + record, "cc")
    assert not bears_nonce(record, "a")
    assert not bears_nonce(b"no record", "aa")


def test_a_result_that_vanished_is_not_broken(root: LocalStore) -> None:
    """It is lost, which is another matter: the index is corrected, and the next run computes it."""
    place(root).unlink()
    assert broken(root) == []
    assert root.set_aside_damaged((NAME, DAY)) is None
    assert kept(root) == {}
