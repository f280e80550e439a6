"""What is known of footers: it spares reading them, and nothing that is wrong with it changes an answer."""

from __future__ import annotations

import copy
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.errors import StorageError
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found
from state.result.record import CommitRecord, has_types
from state.store import footer_cache as footers
from state.store.cache_file import CacheFile
from state.store.footer_cache import FooterCache
from state.store.local import layout, scan
from state.store.local.lookup import Classify, lookup
from state.store.local.store import LocalStore
from tasks.caches import keep
from tests.builders import DAY, NAME, RECORD, commit, drafts, fail, flip, place, rows_of

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")


@pytest.fixture
def root(root: LocalStore) -> Iterator[LocalStore]:
    """An output of three days."""
    for number, day in enumerate(DAYS):
        commit(root, rows_of(1, number + 1), day=day)
    yield root
    assert drafts(root) == []


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as old, so that their times prove something: results that rest since yesterday."""
    monkeypatch.setattr(footers, "RECENT_NS", -(10**10))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The days whose file was opened."""
    opened: list[str] = []

    def lookup_and_note(folder: Folder, partition: Partition, *classify: Classify) -> Found | None:
        opened.append(partition[1])
        return lookup(folder, partition, *classify)

    monkeypatch.setattr(scan, "lookup", lookup_and_note)
    return opened


def _scanned(root: LocalStore, read: list[str]) -> tuple[dict[str, Found], list[str]]:
    """A scan that is remembered: what it found, and what it read for that."""
    del read[:]
    output = root.scan()
    keep(output.footers, of="results")
    return dict(output.days[NAME]), sorted(read)


def _file(root: LocalStore) -> Path:
    return root.path / layout.note_file("cache/footers")


def test_a_footer_is_read_once(root: LocalStore, read: list[str]) -> None:
    """The second scan finds the same commits, all of them as they were, and opens no result."""
    first, opened = _scanned(root, read)
    assert opened == list(DAYS)
    again, opened = _scanned(root, read)
    assert opened == []
    assert again == first
    assert all(isinstance(one, Commit) for one in again.values())


def test_what_changed_is_read_and_nothing_else(root: LocalStore, read: list[str]) -> None:
    """A new generation, a new day and a removed one are seen at once; the file grows by what is new."""
    _scanned(root, read)
    size = _file(root).stat().st_size
    commit(root, rows_of(2), day=DAYS[1])
    commit(root, day="2024-01-04")
    place(root, day=DAYS[0]).unlink()
    found, opened = _scanned(root, read)
    assert opened == [DAYS[0], DAYS[1], "2024-01-04"]
    assert sorted(found) == [DAYS[1], DAYS[2], "2024-01-04"]
    assert found[DAYS[1]].record.generation == 2  # type: ignore[union-attr]
    assert size < _file(root).stat().st_size
    assert _scanned(root, read)[1] == [DAYS[0]], "the folder without a result is looked at each time"


@pytest.mark.parametrize("harm", ["cut", "flip", "same size", "another's", "link"])
def test_damage_is_seen_although_the_footer_was_known(root: LocalStore, harm: str, read: list[str]) -> None:
    """Promise 6: whatever is done to a result by way of the file system leaves a trace, and the next run finds it."""
    _scanned(root, read)
    file = place(root, day=DAYS[1])
    content, before = file.read_bytes(), file.stat()
    if harm == "cut":
        file.write_bytes(content[:-1])
    elif harm == "flip":
        flip(file, 8 * content.rfind(b'"rows"'))
    elif harm == "same size":
        with file.open("r+b") as writable:
            writable.write(b"x" * len(content))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps times does
    elif harm == "another's":
        os.replace(place(root, day=DAYS[2]), file)
    else:
        file.rename(file.with_name("kept"))
        file.symlink_to("kept")
    found, opened = _scanned(root, read)
    assert DAYS[1] in opened
    assert isinstance(found[DAYS[1]], Damaged)


def test_a_footer_of_this_moment_is_not_kept(
    root: LocalStore, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times within a tick of now prove nothing: what is written over within it would bear the same ones."""
    monkeypatch.setattr(footers, "RECENT_NS", 2_000_000_000)
    assert _scanned(root, read)[1] == list(DAYS)
    assert _scanned(root, read)[1] == list(DAYS)


@pytest.mark.parametrize("harm", ["empty", "cut", "flip", "noise", "other fields", "folder", "unreadable"])
def test_a_bad_file_costs_time_and_nothing_else(
    root: LocalStore, harm: str, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in the cache's place, the scan is right, and afterwards the cache serves again."""
    first, _ = _scanned(root, read)
    file = _file(root)
    content = file.read_bytes()
    if harm == "folder":
        file.unlink()
        file.mkdir()
    elif harm == "unreadable":
        inode = file.stat().st_ino
        fail(monkeypatch, "pread", lambda fd, *_: os.fstat(fd).st_ino == inode)
    else:
        harmed = {"empty": b"", "cut": content[:-7], "noise": b"\0" * 300, "other fields": _of_other_code(content)}
        file.write_bytes(harmed.get(harm, content))
        if harm == "flip":
            flip(file, 8 * 300)
    found, opened = _scanned(root, read)
    assert opened == list(DAYS)
    assert found == first
    if harm not in ("folder", "unreadable"):
        assert _scanned(root, read) == (first, [])


_VALUES: tuple[object, ...] = (None, True, 1, "x", [], {}, [1], "\ud800", [[]], {"sales": [1]})


@pytest.mark.parametrize("part", ["block", "half", "entry", "part", "field"])
def test_a_forged_cache_is_not_believed_to_be_of_our_types(root: LocalStore, part: str, read: list[str]) -> None:
    """Promise 10: a whole block under its own digest may hold anything; its footers are read again, and all is well."""
    first, _ = _scanned(root, read)
    file = _file(root)
    block = json.loads(file.read_bytes().splitlines()[1])
    places = {"block": 1, "half": 3, "entry": 1, "part": 5, "field": len(CommitRecord._fields)}
    for value in _VALUES:
        for at in range(places[part]):
            forged = copy.deepcopy(block)
            if part == "half":
                forged[at] = value
            elif part == "entry":
                forged[1][0] = value
            elif part == "part":
                forged[1][0][at] = value
            elif part == "field":
                forged[1][0][3][at] = value
            form = CacheFile(root, "", footers._FORM, packed=lambda told: told)
            file.write_bytes(form._block(value if part == "block" else forged))  # type: ignore[arg-type]
            found, _ = _scanned(root, read)
            known = found[DAYS[0]].record  # type: ignore[union-attr]
            assert has_types(known)
            assert (known.aggregation, known.day) == (NAME, DAYS[0])
            assert found.keys() == first.keys()


def _typed(root: LocalStore, number: int, dtype: str) -> None:
    """Commit a day whose input had an inferred type."""
    source = RECORD.inputs["sales"]._replace(schema={"items": dtype, "shop": "String"})
    commit(root, day=DAYS[number], inputs={"sales": source, "other": RECORD.inputs["sales"]})


def test_inferred_types_stand_once_in_a_block(root: LocalStore, read: list[str]) -> None:
    """With 100,000 days of 15 columns they would take as long to read as all else; days of equal types share one."""
    for number, dtype in enumerate(("Int64", "Float64", "Int64")):
        _typed(root, number, dtype)
    first, _ = _scanned(root, read)
    assert _file(root).read_bytes().count(b'"String"') == 2
    again, opened = _scanned(root, read)
    assert (again, opened) == (first, [])
    for found in (first, again):
        types = [found[day].record.inputs["sales"].schema for day in DAYS]  # type: ignore[union-attr]
        assert [one["items"] for one in types] == ["Int64", "Float64", "Int64"]
        assert types[0] is types[2]


@pytest.mark.parametrize("value", [*_VALUES, [{"items": 1}], [{"items": "Int64"}], [{}] * 9])
@pytest.mark.parametrize("at", ["table", "number"])
def test_forged_types_are_read_again(root: LocalStore, read: list[str], at: str, value: Any) -> None:
    """Whatever stands in their place, each record has types of texts."""
    for number in range(len(DAYS)):
        _typed(root, number, "Int64")
    first, _ = _scanned(root, read)
    file = _file(root)
    forged = json.loads(file.read_bytes().splitlines()[1])
    if at == "table":
        forged[2] = value
    else:
        forged[1][0][3][footers._INPUTS]["sales"][footers._TYPES] = value
    form = CacheFile(root, "", footers._FORM, packed=lambda told: told)
    file.write_bytes(form._block(forged))
    found, _ = _scanned(root, read)
    assert found.keys() == first.keys()
    for one in found.values():
        assert isinstance(one, Commit)
        assert has_types(one.record)
        assert all(type(text) is str for text in one.record.inputs["sales"].schema.values())


def _of_other_code(content: bytes) -> bytes:
    """What code would have written whose records have other fields: a whole block, which this code cannot read."""
    fields = content.split(b" ", 3)[2]
    return content.replace(fields, b"0" * len(fields), 1)


def test_whole_blocks_before_a_torn_one_serve(root: LocalStore, read: list[str]) -> None:
    """An append that a crash cut short costs its own entries alone, and the next save mends the file."""
    _scanned(root, read)
    whole = _file(root).stat().st_size
    commit(root, day="2024-01-04")
    _scanned(root, read)
    os.truncate(_file(root), whole + 30)
    assert _scanned(root, read)[1] == ["2024-01-04"]
    assert _scanned(root, read)[1] == []


def test_the_file_is_written_anew_before_it_is_mostly_of_no_use(root: LocalStore, read: list[str]) -> None:
    """However often a day is computed again, the cache stays of the size of what it describes."""
    for generation in range(2, 12):
        commit(root, rows_of(generation), day=DAYS[0])
        _scanned(root, read)
    blocks = [json.loads(line) for line in _file(root).read_text().splitlines() if line[0] == "["]
    entries = [entry for _, some, _ in blocks for entry in some]
    assert len(entries) <= 2 * len(DAYS)
    assert _scanned(root, read)[1] == []


def test_a_cache_that_cannot_be_written_is_told_and_harms_nothing(
    root: LocalStore, read: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only or full output fails where results are concerned, not for a cache."""
    fail(monkeypatch, "write", lambda *_: True)
    _scanned(root, read)
    assert "cannot be kept, so the next run reads it again" in caplog.text
    monkeypatch.undo()
    assert drafts(root) == []


def test_a_look_writes_nothing(root: LocalStore, read: list[str]) -> None:
    """Who only looks (``--dry-run``, health) uses what is known, and keeps nothing."""
    root.scan()
    assert not (root.path / layout.note_file("cache")).exists()


def test_a_listing_that_fails_is_an_error_though_all_footers_are_known(
    root: LocalStore, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 5: what is known of files says nothing of which there are."""
    _scanned(root, read)
    fail(monkeypatch, "scandir", lambda *_: True)
    with pytest.raises(StorageError, match="cannot be listed"):
        root.scan()
    monkeypatch.undo()


def test_the_file_is_no_result_to_any_reader(root: LocalStore, read: list[str]) -> None:
    """Nothing below _noonmark ends in .parquet, and modes follow the umask."""
    _scanned(root, read)
    assert [path.name for path in (root.path / layout.note_file("cache")).iterdir()] == ["footers"]
    assert not stat.S_IMODE(_file(root).stat().st_mode) & 0o133


def test_two_runs_append_side_by_side(root: LocalStore, read: list[str]) -> None:
    """Each block stands for itself, so two runs at once lose nothing that either learned."""
    one, two = FooterCache(root), FooterCache(root)
    for known, day in ((one, DAYS[0]), (two, DAYS[1])):
        lookup(root.folder, (NAME, day), scan._learning(known))
    one.save()
    two.save()
    known = FooterCache(root)
    assert [day for day in (*DAYS, DAY) if (NAME, day) in known.partitions] == [DAYS[0], DAYS[1]]
