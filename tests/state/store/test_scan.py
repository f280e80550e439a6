"""The scan and its judgement: what stands in each day's place, and no error that looks like an absence."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from state.errors import StorageError
from state.result.classify import Commit, Damaged, Newer, Unreadable
from state.result.record import FORMAT, KEY, dump
from state.result.writing import arrow_table
from state.store.local import layout
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tests.builders import DAY, NAME, RECORD, commit, fail, place, rows_of


@pytest.fixture
def root(root: LocalStore) -> LocalStore:
    """An output of two days and two aggregations."""
    commit(root)
    commit(root, day="2013-01-02")
    commit(root, name="others", day="10")
    return root


def test_what_was_committed_is_found(root: LocalStore) -> None:
    """Every day of every aggregation, declared or not, with its record and what a listing shows of its file."""
    output = root.scan()
    assert {name: set(days) for name, days in output.days.items()} == {NAME: {DAY, "2013-01-02"}, "others": {"10"}}
    assert output.strays == ()
    found = output.days[NAME][DAY]
    assert isinstance(found, Commit)
    status = place(root).stat()
    assert found.stat == (status.st_size, status.st_mtime_ns)
    assert (found.record.generation, found.record.rows, found.record.day) == (1, 3, DAY)


def test_an_empty_output_holds_nothing(tmp_path: Path) -> None:
    """A new output is no error."""
    with open_store(tmp_path / "out", create=True, remembered=False) as empty:
        assert empty.scan().days == {}
        assert empty.aggregations() == []


def test_what_is_nobodys_is_told_and_made_no_path(root: LocalStore) -> None:
    """Names that are no aggregation or no day are strays: none becomes a day, whatever it looks like."""
    for name in ("day=2013-02-30", "day=07", "day=", "week=2013-W01", "day=2013-01-01 ", "DAY=2013-01-03"):
        (root.path / NAME / name).mkdir()
    (root.path / "_private").mkdir()
    (root.path / "no name").mkdir()
    (root.path / "file").touch()
    output = root.scan()
    assert set(output.days[NAME]) == {DAY, "2013-01-02"}
    assert len([stray for stray in output.strays if stray.startswith(f"{NAME}/")]) == 6
    assert {"_private", "no name", "file"} <= set(output.strays)
    assert layout.OWN not in output.strays


def test_a_folder_without_a_result_is_an_absence(root: LocalStore) -> None:
    """A killed run leaves an empty day's folder, a person one without its file: there is no result."""
    (root.path / NAME / "day=2013-01-03").mkdir()
    place(root).unlink()
    assert set(root.scan().days[NAME]) == {"2013-01-02"}
    assert DAY in root.days(NAME)


def test_a_broken_link_beside_the_aggregations_is_a_stray(root: LocalStore) -> None:
    """A link called ``latest`` that leads nowhere is nobody's; it does not end every run."""
    (root.path / "latest").symlink_to("nowhere")
    assert "latest" in root.scan().strays


@pytest.mark.parametrize("path", [".", NAME])
@pytest.mark.parametrize("call", ["open", "scandir"])
def test_an_error_of_listing_is_an_error(
    root: LocalStore, path: str, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 5: days that cannot be listed are not days that are missing: the scan ends, and names the folder."""
    inode = (root.path / path).stat().st_ino

    def broken(what: object, *_: object) -> bool:
        return what == path if isinstance(what, str) else isinstance(what, int) and os.fstat(what).st_ino == inode

    failed = fail(monkeypatch, call, broken)
    with pytest.raises(StorageError, match=r"cannot be (listed|opened)"):
        root.scan()
    assert failed


@pytest.mark.parametrize("call", ["open", "listdir"])
def test_a_day_that_cannot_be_listed_may_hold_foreign_files(
    root: LocalStore, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that could not be looked into is neither foreign itself nor free of foreign files."""
    output, inode = root.scan(), place(root).parent.stat().st_ino

    def broken(what: object, *_: object) -> bool:
        return what == f"{NAME}/day={DAY}" or (isinstance(what, int) and os.fstat(what).st_ino == inode)

    failed = fail(monkeypatch, call, broken)
    with pytest.raises(StorageError, match=r"cannot be (listed|opened)"):
        root.foreign_files(output)
    assert failed


@pytest.mark.parametrize(
    ("call", "number"), [("open", errno.EIO), ("open", errno.EACCES), ("open", errno.EMFILE), ("pread", errno.EIO)]
)
def test_a_result_that_cannot_be_read_is_unreadable(
    root: LocalStore, call: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 5: an I/O error is no damage (which would be replaced) and no absence (which would be computed)."""
    inode = place(root).stat().st_ino

    def broken(what: object, *_: object) -> bool:
        return what == layout.data_file(NAME, DAY) if call == "open" else os.fstat(int(str(what))).st_ino == inode

    fail(monkeypatch, call, broken, number)
    days = root.scan().days[NAME]
    assert isinstance(days[DAY], Unreadable)
    assert isinstance(days["2013-01-02"], Commit)


def test_a_result_that_vanishes_is_an_absence_and_no_error(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day may be deleted between the listing and the look."""
    fail(monkeypatch, "open", lambda path, *_: path == layout.data_file(NAME, DAY), errno.ENOENT)
    assert set(root.scan().days[NAME]) == {"2013-01-02"}


def test_one_damaged_day_hides_no_other(root: LocalStore) -> None:
    """Promise 10, for the scan: whatever stands in one place, the others are judged as ever."""
    for damage in (b"", b"PAR1", b"PAR1" * 10, os.urandom(1000)):
        place(root).write_bytes(damage)
        days = root.scan().days[NAME]
        assert isinstance(days[DAY], Damaged)
        assert isinstance(days["2013-01-02"], Commit)


@pytest.mark.parametrize(("name", "day"), [(NAME, "2013-01-03"), ("others", DAY), ("others", "11")])
def test_a_result_in_anothers_place_is_not_adopted(root: LocalStore, name: str, day: str) -> None:
    """Promise 6: a whole result, copied or moved where it does not belong, is damage there and says whose it is."""
    target = place(root, name, day)
    target.parent.mkdir()
    target.write_bytes(place(root).read_bytes())
    found = root.scan().days[name][day]
    assert isinstance(found, Damaged)
    assert f"'{NAME}', day '{DAY}'" in found.why


def _with_record(file: Path, text: str, frame: pl.DataFrame) -> None:
    pq.write_table(arrow_table(frame).replace_schema_metadata({KEY: text.encode()}), file)


def test_a_newer_format_is_told_apart_from_damage(root: LocalStore) -> None:
    """A result of later code is not this code's to judge, though its digest may fail here."""
    _with_record(place(root), json.dumps({"format": FORMAT + 1, "check": "otherwise"}), rows_of(1))
    assert root.lookup((NAME, DAY)) == Newer(FORMAT + 1)


def test_a_record_that_disagrees_with_its_rows_is_damage(root: LocalStore) -> None:
    """A record that was put on other rows proves nothing about them."""
    text = pq.read_metadata(place(root)).metadata[KEY].decode()
    _with_record(place(root), text, rows_of(1, 4))
    found = root.lookup((NAME, DAY))
    assert isinstance(found, Damaged)
    assert "4 rows" in found.why


def test_a_record_that_fails_its_digest_is_damage(root: LocalStore) -> None:
    """Promise 6: every run sees an altered record, without reading the rows."""
    fields = json.loads(dump(RECORD._replace(rows=3, generation=2))) | {"check": "0" * 64, "seal": "0" * 64}
    _with_record(place(root), json.dumps(fields), rows_of(1))
    found = root.lookup((NAME, DAY))
    assert isinstance(found, Damaged)
    assert "digest" in found.why
