"""Taking in a day's files: what is computed from is what was digested, and every change shows."""

from __future__ import annotations

import errno
import gzip
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.errors import StorageError
from state.inputs.files import InputChanged, read_contents
from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.compute.day_inputs import DayInputs
from tasks.inputs import run_listing
from tasks.inputs.run_listing import RunListing
from tasks.reading import day_input as intake
from tasks.reading.day_input import DayInput, contents_digest, read_day
from tasks.reading.duplicates import DuplicateFiles
from tasks.reading.references import ReadReferences
from tasks.reading.sound_files import SoundFiles
from tests.builders import DAY, fail

SALES = Source("sales/{day}/*.csv")


def _put(root: Path, content: bytes = b"amount\n1\n2\n", name: str = "a.csv") -> Path:
    file = root / "sales" / DAY / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def _taken(root: Path, source: Source = SALES) -> DayInput:
    taken = read_day(source, DAY, RunListing(InputRoot(root)), SoundFiles())
    assert taken is not None
    return taken


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as old, so that their times prove something: an input that rests since yesterday."""
    monkeypatch.setattr(intake, "RECENT_NS", -(10**9))


def _rewrite(file: Path) -> None:
    file.write_bytes(b"amount\n1\n2\n3\n")


def _edit_and_hide(file: Path) -> None:
    """The same size, and the old mtime put back: ctime alone tells."""
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"amount\n8\n9\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_ctime_ns != before.st_ctime_ns


def _replace_and_hide(file: Path) -> None:
    """What ``cp -p`` and a rename leave: the same size and mtime, another inode."""
    before = file.stat()
    other = file.with_suffix(".new")
    other.write_bytes(b"amount\n8\n9\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(file)


def _remove(file: Path) -> None:
    file.unlink()


def _add(file: Path) -> None:
    _put(file.parents[2], name="b.csv")


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [_rewrite, _edit_and_hide, _replace_and_hide, _remove, _add, _pipe])
def test_a_change_after_the_taking_shows(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """What is about to be published is stale: however the files changed, the second look raises."""
    file = _put(tmp_path)
    taken = _taken(tmp_path)
    taken.check()
    change(file)
    with pytest.raises(InputChanged):
        taken.check()


@pytest.mark.parametrize("change", [_rewrite, _edit_and_hide, _replace_and_hide, _remove, _pipe])
def test_a_change_between_listing_and_reading_shows(
    tmp_path: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are not those of the listing are not taken for them; a pipe is not waited for."""
    file = _put(tmp_path)
    then = RunListing(InputRoot(tmp_path)).list_day(SALES, DAY)
    change(file)
    monkeypatch.setattr(run_listing, "list_day", lambda *_: then)
    with pytest.raises(InputChanged):
        read_day(SALES, DAY, RunListing(InputRoot(tmp_path)), SoundFiles())


def test_an_edit_within_one_tick_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the clock of a file system ticks too seldom to show an edit, recent times prove nothing: bytes are read."""
    file = _put(tmp_path)
    before = RunListing(InputRoot(tmp_path)).list_day(SALES, DAY)
    taken = _taken(tmp_path)
    assert not taken.stat_proves
    file.write_bytes(b"amount\n8\n9\n")
    monkeypatch.setattr(run_listing, "list_day", lambda *_: before)
    monkeypatch.setattr("state.inputs.files._compare", lambda *_: None)
    with pytest.raises(InputChanged, match="within one tick"):
        taken.check()


def test_times_are_believed_only_when_they_are_old(tmp_path: Path) -> None:
    """A time in the last two seconds, or ahead of this clock, proves nothing; ctime is asked too, and cannot be set."""
    file = _put(tmp_path)
    for mtime in (0, file.stat().st_mtime_ns, file.stat().st_mtime_ns + 10**12):
        os.utime(file, ns=(mtime, mtime))
        assert not _taken(tmp_path).stat_proves


@pytest.mark.usefixtures("settled")
def test_old_times_spare_the_second_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose times prove them are read once."""
    _put(tmp_path)
    taken = _taken(tmp_path)
    assert taken.stat_proves
    fail(monkeypatch, "open", lambda path, *_: str(path).endswith(".csv"))
    taken.check()


def test_small_days_are_read_into_memory(tmp_path: Path) -> None:
    """What is in memory cannot be truncated under polars, which would kill the process, nor change at all."""
    file = _put(tmp_path)
    taken = _taken(tmp_path)
    assert taken.in_memory
    file.write_bytes(b"")
    assert taken.frame().collect()["amount"].to_list() == [1, 2]


def test_large_days_and_own_readers_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: beyond the limit polars streams; a ``read=`` function gets paths. The answers are the same."""
    _put(tmp_path)
    given: list[list[Path]] = []

    def read(files: list[Path]) -> pl.LazyFrame:
        given.append(files)
        return pl.scan_csv(files)

    own = _taken(tmp_path, Source("sales/{day}/*.csv", read=read))
    monkeypatch.setattr(intake, "KEEP_BYTES", 10)
    large = _taken(tmp_path)
    assert not own.in_memory
    assert not large.in_memory
    assert own.frame().collect().equals(large.frame().collect())
    assert given == [[tmp_path / "sales" / DAY / "a.csv"]]
    assert own.contents.digest == large.contents.digest


def test_a_day_without_files_is_none(tmp_path: Path) -> None:
    """No files is an answer; an unreadable folder is an error (promise 5)."""
    assert read_day(SALES, DAY, RunListing(InputRoot(tmp_path)), SoundFiles()) is None


@pytest.mark.parametrize("call", ["scandir", "open"])
def test_an_error_is_no_absence(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: files that cannot be listed or read are neither missing nor changed."""
    _put(tmp_path)
    root = InputRoot(tmp_path)
    files = RunListing(root).list_day(SALES, DAY)
    fail(monkeypatch, call, lambda path, *_: isinstance(path, int) or path.endswith("a.csv"), errno.EIO)
    with pytest.raises((OSError, StorageError)):
        read_day(SALES, DAY, RunListing(root), SoundFiles())
    if call == "open":
        with pytest.raises(StorageError, match="cannot be read"):
            contents_digest(SALES, root, files)


def test_the_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    """Another name, other bytes, another cut between files: another digest. A touched or moved file: the same."""

    def digest(number: int, files: dict[str, bytes]) -> str:
        for name, content in files.items():
            _put(tmp_path / str(number), content, name)
        return _taken(tmp_path / str(number)).contents.digest

    same = [{"a.csv": b"ab", "b.csv": b"c"}] * 2
    others = [
        {"a.csv": b"a", "b.csv": b"bc"},
        {"a.csv": b"abc"},
        {"a.csv": b"ab", "c.csv": b"c"},
        {"a.csv": b"c", "b.csv": b"ab"},
        {"a.csv": b"ab", "b.csv": b"c", "c.csv": b""},
    ]
    digests = [digest(number, files) for number, files in enumerate([*same, *others])]
    assert digests[0] == digests[1]
    assert len(set(digests)) == len(others) + 1


def test_the_digest_of_a_listing_is_the_digest_of_the_taking(tmp_path: Path) -> None:
    """The planner and the computation speak of the same contents; what changed since the listing has no digest."""
    file = _put(tmp_path)
    files = RunListing(InputRoot(tmp_path)).list_day(SALES, DAY)
    assert contents_digest(SALES, InputRoot(tmp_path), files) == _taken(tmp_path).contents.digest
    _rewrite(file)
    assert contents_digest(SALES, InputRoot(tmp_path), files) is None


def test_packed_files_are_read_from_memory_too(tmp_path: Path) -> None:
    """What a suffix says is understood from bytes as from paths, several files in their order."""
    _put(tmp_path, gzip.compress(b"amount\n1\n"), "a.csv.gz")
    _put(tmp_path, gzip.compress(b"amount\n2\n"), "b.csv.gz")
    taken = _taken(tmp_path, Source("sales/{day}/*.csv.gz"))
    assert taken.in_memory
    assert taken.bytes == 18
    assert taken.frame().collect()["amount"].to_list() == [1, 2]


def test_packed_files_count_as_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that lie in memory packed have no room there unpacked: polars streams them, from the bytes digested."""
    _put(tmp_path, gzip.compress(b"amount\n" + b"1\n" * 500), "a.csv.gz")
    file = _put(tmp_path, gzip.compress(b"amount\n" + b"2\n" * 500), "b.csv.gz")
    packed = Source("sales/{day}/*.csv.gz")
    small = _taken(tmp_path, packed)
    monkeypatch.setattr(intake, "KEEP_BYTES", 2000)
    large = _taken(tmp_path, packed)
    assert (small.in_memory, small.bytes) == (True, 2014)
    assert (large.in_memory, large.bytes) == (False, large.files.bytes)
    assert large.contents.digest == small.contents.digest
    file.write_bytes(b"")
    assert large.frame().collect().equals(small.frame().collect())


def test_a_function_that_sees_paths_sees_true_ones(tmp_path: Path) -> None:
    """Bytes have no path, and polars would say ``in-mem``: such a day is read from disk, however small."""
    file = _put(tmp_path)
    taken = _taken(tmp_path, Source("sales/{day}/*.csv", include_file_paths="path"))
    assert not taken.in_memory
    assert taken.frame().collect().rows() == [(1, str(file)), (2, str(file))]


@pytest.mark.parametrize(
    ("options", "known"), [({}, 5), ({"n_rows": 2}, None), ({"n_rows": 9, "schema": {"amount": pl.Int64}}, None)]
)
def test_parquet_says_itself_how_many_rows_it_has(tmp_path: Path, options: dict[str, Any], known: int | None) -> None:
    """Its footers are believed where all rows are read, and they agree with what polars counts."""
    for name, rows in (("a", 3), ("b", 2)):
        frame = pl.DataFrame({"amount": range(rows)})
        _put(tmp_path, b"", f"{name}.parquet")
        frame.write_parquet(tmp_path / "sales" / DAY / f"{name}.parquet", row_group_size=2)
    taken = _taken(tmp_path, Source("sales/{day}/*.parquet", **options))
    counted = taken.tally(taken.frame()).collect()
    assert taken.rows == known
    assert taken.tallied(counted).rows == (2 if options.get("n_rows") == 2 else 5)


def test_rows_of_an_unused_file_do_not_count(tmp_path: Path) -> None:
    """Of equal files one is read, and its rows count once."""
    for name in ("a.parquet", "a (1).parquet"):
        _put(tmp_path, b"", name)
        pl.DataFrame({"amount": [1, 2]}).write_parquet(tmp_path / "sales" / DAY / name)
    taken = _taken(tmp_path, Source("sales/{day}/*.parquet", duplicates="first"))
    assert taken.unused
    assert taken.rows == taken.frame().collect().height == 2


def test_rows_of_text_are_counted(tmp_path: Path) -> None:
    """Text does not say how many rows it has."""
    _put(tmp_path)
    assert _taken(tmp_path).rows is None


PARQUET = Source("sales/{day}/*.parquet")


def _put_parquet(root: Path, name: str = "a.parquet") -> Path:
    file = _put(root, b"", name)
    pl.DataFrame({"amount": [1, 2]}).write_parquet(file)
    return file


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Files are large, and none is read to be digested before this is set."""
    monkeypatch.setattr(intake, "KEEP_BYTES", 10)
    released = threading.Event()

    def read(*given: Any, **options: Any) -> Any:
        assert released.wait(30)
        return read_contents(*given, **options)

    monkeypatch.setattr(intake, "read_contents", read)
    yield released
    released.set()


@pytest.mark.usefixtures("settled")
def test_a_large_file_is_digested_while_it_is_computed_from(tmp_path: Path, held: threading.Event) -> None:
    """Its rows are there before its digest, which is the same in the end."""
    file = _put_parquet(tmp_path)
    taken = _taken(tmp_path, PARQUET)
    assert taken.frame().collect()["amount"].to_list() == [1, 2]
    assert not taken.digesting.done()
    held.set()
    listed = RunListing(InputRoot(tmp_path)).list_day(PARQUET, DAY)
    assert taken.contents.digest == contents_digest(PARQUET, InputRoot(tmp_path), listed)
    assert file.exists()


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [_rewrite, _remove], ids=["rewritten", "removed"])
def test_a_change_before_the_digest_shows(
    tmp_path: Path, held: threading.Event, change: Callable[[Path], None]
) -> None:
    """What polars read is not what is digested then: the digest says so, and no commit is made of it."""
    file = _put_parquet(tmp_path)
    taken = _taken(tmp_path, PARQUET)
    change(file)
    held.set()
    with pytest.raises(InputChanged):
        _ = taken.contents


def test_recent_times_want_the_digest_first(tmp_path: Path, held: threading.Event) -> None:
    """An edit within one tick, after polars read and before the digest, would not show: so that comes first."""
    _put_parquet(tmp_path)
    held.set()
    taken = _taken(tmp_path, PARQUET)
    assert not taken.stat_proves
    assert taken.digesting.done()


@pytest.mark.usefixtures("settled")
def test_what_asks_for_digests_has_them_first(tmp_path: Path, held: threading.Event) -> None:
    """Several files may be one file twice, and text may be known to be sound: nothing of them is computed before."""
    held.set()
    _put(tmp_path)
    assert _taken(tmp_path).digesting.done()
    file = _put_parquet(tmp_path)
    os.link(file, file.with_name("b.parquet"))
    with pytest.raises(DuplicateFiles):
        _taken(tmp_path, PARQUET)


@pytest.mark.usefixtures("settled")
def test_a_group_ends_after_its_last_reading(tmp_path: Path, held: threading.Event) -> None:
    """Whoever closes the input root comes after that; a descriptor that is read from may be another file's by then."""
    _put_parquet(tmp_path)
    listing = RunListing(InputRoot(tmp_path))
    with DayInputs(listing, ReadReferences(listing, SoundFiles()), SoundFiles()) as inputs:
        read = inputs.read(PARQUET, DAY)
        assert read is not None
        assert not read.digesting.done()
        threading.Timer(0.05, held.set).start()
    assert read.digesting.done()
