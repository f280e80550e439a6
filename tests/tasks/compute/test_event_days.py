"""Which rows a day of events takes, which fail it and how they are named, and which are left out by a word."""

from __future__ import annotations

import datetime as dt
import gzip
import inspect
import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.catalog.declare import Aggregation, aggregation, declared
from tasks.compute.evaluate import Evaluated, evaluate
from tasks.compute.outcomes import JobFailed
from tasks.inputs.listing import list_source
from tasks.inputs.reach import reached
from tasks.inputs.run_listing import RunListing
from tasks.inputs.waiting import NotReady, ready
from tasks.reading import day_input as reading
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.duplicates import DuplicateFiles
from tasks.reading.sound_files import SoundFiles

Row = tuple[str, int]
SCHEMA: dict[str, pl.DataType] = {"at": pl.Datetime("us"), "n": pl.Int64()}


def _source(**options: Any) -> Source:
    return Source("log/{day}.csv", **{"event_time": "at", "schema": SCHEMA, **options})


def _total(*sources: Source) -> Aggregation:
    def total(*frames: pl.LazyFrame) -> pl.LazyFrame:
        """The numbers of the first source's rows, in order."""
        return frames[0].select("n")

    total.__signature__ = _signature(len(sources))  # type: ignore[attr-defined]
    found = declared(aggregation(*sources)(total))
    assert found
    return found


def _signature(number: int) -> Any:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(f"frame_{at}", kind) for at in range(number)])


def _put(root: Path, day: int, rows: Iterable[Row], folder: str = "log") -> None:
    (root / folder).mkdir(exist_ok=True)
    lines = "".join(f"{at if not at or len(at) > 5 else f'2024-03-{at}'},{n}\n" for at, n in rows)
    (root / f"{folder}/2024-03-{day:02}.csv").write_text(f"at,n\n{lines}")


def _read(root: Path, day: int, source: Source) -> DayInput:
    found = read_day(source, f"2024-03-{day:02}", RunListing(InputRoot(root)), SoundFiles())
    assert found
    return found


def _computed(root: Path, day: int, *sources: Source) -> Evaluated | JobFailed:
    one = _total(*sources)
    [results] = evaluate([([one], {source: _read(root, day, source) for source in sources})])
    return results["total"]


def _numbers(root: Path, day: int, *sources: Source) -> list[int]:
    found = _computed(root, day, *sources)
    assert isinstance(found, Evaluated), found
    assert found.rows["frame_0"] == found.frame.height
    return found.frame["n"].to_list()


def _error(root: Path, day: int, *sources: Source) -> str:
    found = _computed(root, day, *sources)
    assert isinstance(found, JobFailed), found
    assert found.kind == "input"
    return found.error


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """Three days of a log, whose events come as much as a day early and late."""
    _put(tmp_path, 4, [("04T10", 1), ("03T23", 2), ("05T00", 3)])
    _put(tmp_path, 5, [("05T10", 4), ("04T23", 5), ("05T11", 6), ("06T01", 7)])
    _put(tmp_path, 6, [("06T10", 8), ("05T12", 9)])
    for file in (tmp_path / "log").iterdir():
        file.write_text(file.read_text().replace(",", ":00:00,").replace("at:00:00,n", "at,n"))
    return tmp_path


EACH_DAY = {3: [2], 4: [1, 5], 5: [3, 4, 6, 9], 6: [7, 8], 7: []}


def test_each_event_lands_in_its_own_day(late: Path) -> None:
    """In the order of the files' days, and then as they stand in the files; the first and last days have what the
    only file near them holds.
    """
    assert {day: _numbers(late, day, _source()) for day in EACH_DAY} == EACH_DAY


def test_a_day_without_a_file_or_an_event_has_no_row(late: Path) -> None:
    """Not the zeros that an aggregation makes of an empty frame, since nothing is known of such a day. A day that has a
    file has them.
    """
    source = _source()

    @aggregation(source)
    def sums(log: pl.LazyFrame) -> pl.LazyFrame:
        """The sum and the number of rows."""
        return log.select(pl.col("n").sum(), rows=pl.len())

    one = declared(sums)
    assert one
    _put(late, 6, [])

    def rows(day: int) -> list[tuple[Any, ...]]:
        [results] = evaluate([([one], {source: _read(late, day, source)})])
        found = results["sums"]
        assert isinstance(found, Evaluated)
        assert found.frame.schema == {"n": pl.Int64, "rows": pl.get_index_type()}
        return found.frame.rows()

    assert rows(3) == [(2, 1)]
    assert rows(6) == [(7, 1)]
    assert rows(7) == []
    _put(late, 5, [])
    assert rows(6) == [(0, 0)]


@pytest.mark.parametrize("keep", [0, 1 << 20], ids=["on disk", "in memory"])
def test_what_polars_streams_from_disk_is_taken_alike(late: Path, monkeypatch: pytest.MonkeyPatch, keep: int) -> None:
    """A large source is never in memory as a whole."""
    monkeypatch.setattr(reading, "KEEP_BYTES", keep)
    assert _read(late, 5, _source()).in_memory == bool(keep)
    assert {day: sorted(_numbers(late, day, _source())) for day in EACH_DAY} == {
        day: sorted(numbers) for day, numbers in EACH_DAY.items()
    }


def _ndjson(root: Path) -> Source:
    for file in (root / "log").glob("*.csv"):
        rows = pl.read_csv(file).iter_rows(named=True)
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (root / "log" / f"{file.stem}.ndjson.gz").write_bytes(gzip.compress(content))
    return Source("log/{day}.ndjson.gz", event_time=pl.col("at").str.to_datetime())


def _several_files(root: Path) -> Source:
    for file in (root / "log").glob("*.csv"):
        header, *rows = file.read_text().splitlines()
        for number, row in enumerate(rows):
            part = root / "parts" / file.stem / f"{number}.csv"
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(f"{header}\n{row}\n")
    return Source("parts/{day}/*.csv", event_time="at", schema=SCHEMA)


def _epochs(root: Path) -> Source:
    for file in (root / "log").glob("*.csv"):
        times = pl.read_csv(file, schema=SCHEMA).with_columns(pl.col("at").dt.epoch("ms") / 1000)
        (root / "epochs").mkdir(exist_ok=True)
        times.write_csv(root / "epochs" / file.name)
    time = pl.from_epoch((pl.col("at") * 1000).cast(pl.Int64), time_unit="ms")
    return Source("epochs/{day}.csv", event_time=time, time_zone="UTC", naive_time_zone="UTC")


def _read_by_hand(root: Path) -> Source:
    def read(files: list[Path]) -> pl.LazyFrame:
        assert len(files) == 1, "the files of one day"
        return pl.read_csv(files[0], schema=SCHEMA).lazy()

    return Source("log/{day}.csv", read=read, event_time="at")


def _parquet(root: Path) -> Source:
    for file in (root / "log").glob("*.csv"):
        pl.read_csv(file, schema=SCHEMA).write_parquet(file.with_suffix(".parquet"))
    return Source("log/{day}.parquet", event_time="at")


def _prepared(root: Path) -> Source:
    def prepare(content: bytes, *, name: str, day: dt.date) -> bytes:
        assert name == f"log/{day}.csv", "a file comes with its own day, whatever day it is read for"
        return content.replace(b"at,n", f"at,n,{day}".encode(), 1).replace(b"\n", b",\n").replace(b",\n", b"\n", 1)

    schema = {**SCHEMA, "n": pl.Int64()}
    return Source("log/{day}.csv", prepare=prepare, schema=schema, extra_columns="ignore", event_time="at")


def _read_with_the_day(root: Path) -> Source:
    def read(files: list[Path], *, day: dt.date) -> pl.DataFrame:
        assert [file.stem for file in files] == [f"{day}"]
        return pl.read_csv(files[0], schema=SCHEMA)

    return Source("log/{day}.csv", read=read, event_time="at")


def _renamed(root: Path) -> Source:
    (root / "log/2024-03-05.csv").write_text((root / "log/2024-03-05.csv").read_text().replace("at,n", "when,n"))
    return _source(rename={"when": "at"})


def _absolute(root: Path) -> Source:
    return Source(f"{root}/**/{{day:%Y-%m-%d}}.csv", event_time="at", schema=SCHEMA)


@pytest.mark.parametrize(
    "made",
    [_absolute, _ndjson, _several_files, _epochs, _read_by_hand, _parquet, _prepared, _read_with_the_day, _renamed],
)
def test_every_kind_of_source_has_events(late: Path, made: Any) -> None:
    """Other formats, compressed, in several files a day, with epoch floats, renamed or prepared, or through ``read=``,
    which gets the files of one day at a time, with their day.
    """
    source = made(late)
    assert {day: _numbers(late, day, source) for day in EACH_DAY} == EACH_DAY


def test_a_row_of_a_day_out_of_reach_fails_every_day_that_reads_its_file(late: Path) -> None:
    """With the file, the row, its time and the days that were expected: its right place may be any of them."""
    with (late / "log/2024-03-05.csv").open("a") as file:
        file.write("2024-05-01T03:04:05,10\n")
    told = "log/2024-03-05.csv, row 5: 2024-05-01 03:04:05 is of 2024-05-01, expected 2024-03-04 to 2024-03-06"
    for day in (4, 5, 6):
        error = _error(late, day, _source())
        assert f"1 row of no day: {told}; widen reach=, or leave such rows out with outside='drop'" in error
        assert "no_event=" not in error
    assert (_numbers(late, 3, _source()), _numbers(late, 7, _source())) == ([2], [])


def test_a_file_that_reaches_no_other_day_is_held_to_its_own(late: Path) -> None:
    """``reach=(0, 0)`` says that each file has the events of its day and no others."""
    assert "expected 2024-03-05; log/2024-03-05.csv, row 4" in _error(late, 5, _source(reach=(0, 0)))
    assert _numbers(late, 5, _source(reach=(0, 0), outside="drop")) == [4, 6]


def test_rows_out_of_reach_are_dropped_by_a_word_and_counted_once(late: Path) -> None:
    """In the day of the file that holds them, so that the sum over all days is their number."""
    with (late / "log/2024-03-05.csv").open("a") as file:
        file.write("2024-05-01T00:00:00,10\n2023-05-01T00:00:00,11\n")
    outside = {}
    for day, numbers in EACH_DAY.items():
        found = _computed(late, day, _source(outside="drop"))
        assert isinstance(found, Evaluated)
        assert found.frame["n"].to_list() == numbers
        outside[day] = found.outside["frame_0"]
    assert outside == {3: 0, 4: 0, 5: 2, 6: 0, 7: 0}


def test_a_row_without_a_time_fails_its_readers_unless_it_is_declared_to_be_no_event(late: Path) -> None:
    """Also where rows out of reach are dropped: nobody knows whether it is one."""
    with (late / "log/2024-03-05.csv").open("a") as file:
        file.write(",99\n")
    for options in ({}, {"outside": "drop"}):
        error = _error(late, 4, _source(**options))
        assert "1 row of no day: log/2024-03-05.csv, row 5: no event time (null); say with no_event=" in error
        assert "outside=" not in error
    heartbeats = _source(no_event=pl.col("n") == 99)
    assert {day: _numbers(late, day, heartbeats) for day in EACH_DAY} == EACH_DAY


def test_what_is_no_event_is_left_out_whatever_its_time(late: Path) -> None:
    """A null in the condition says nothing: such a row is an event."""
    with (late / "log/2024-03-05.csv").open("a") as file:
        file.write("2024-05-01T00:00:00,99\n2024-03-05T01:00:00,99\n2024-03-05T02:00:00,\n")
    assert _numbers(late, 5, _source(no_event=pl.col("n") == 99)) == [3, 4, 6, None, 9]


def test_a_file_that_is_not_as_declared_fails_its_readers(late: Path) -> None:
    """By name, in each of the days that read it and in no other."""
    (late / "log/2024-03-06.csv").write_text("at,n\n2024-03-06T10:00:00,8,9\n")
    for day in (5, 6, 7):
        assert _error(late, day, _source()).startswith("log/2024-03-06.csv")
    assert _numbers(late, 4, _source()) == EACH_DAY[4]


def test_a_time_that_cannot_be_read_is_named(late: Path) -> None:
    """Where the expression makes a null of it, by its row; where it raises, by its file."""
    with (late / "log/2024-03-05.csv").open("a") as file:
        file.write("yesterday,10\n")
    schema = {"at": pl.String, "n": pl.Int64}
    lenient = _source(schema=schema, event_time=pl.col("at").str.to_datetime(strict=False))
    assert "log/2024-03-05.csv, row 5: no event time (null)" in _error(late, 5, lenient)
    strict = _source(schema=schema, event_time=pl.col("at").str.to_datetime())
    assert "(in 'log/2024-03-05.csv')" in _error(late, 5, strict)
    text = _source(schema=schema)
    assert "event_time= gives String, expected dates or times, such as" in _error(late, 5, text)
    assert "log/2024-03-04.csv to log/2024-03-06.csv cannot be read" in _error(late, 5, text)


def test_an_epoch_in_a_wrong_unit_is_named(tmp_path: Path) -> None:
    """Milliseconds that are read as seconds are of a year that Python's calendar does not have."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log/2024-03-05.csv").write_text("at,n\n1709600000000,1\n")
    source = _source(schema={"at": pl.Int64, "n": pl.Int64}, event_time=pl.from_epoch("at"))
    error = _error(tmp_path, 5, source)
    assert "log/2024-03-05.csv, row 1: " in error
    assert re.search(r"row 1: \+?56145-\d\d-\d\d \S+ is of \+?56145-\d\d-\d\d, expected 2024-03-04 to", error), error


def test_ten_rows_are_named_and_all_are_counted(late: Path) -> None:
    """Over all files, in their order."""
    for day in (4, 5):
        with (late / f"log/2024-03-{day:02}.csv").open("a") as file:
            file.write("2025-01-01T00:00:00,0\n" * 8)
    error = _error(late, 4, _source())
    assert "16 rows of no day: " in error
    assert error.count(", row ") == 10
    assert error.count("log/2024-03-05.csv, row") == 2
    assert " and 6 more; widen reach=" in error


def test_an_hour_of_two_days_is_named(tmp_path: Path) -> None:
    """Where nobody can say of which it is; where both readings are of one day, nothing is asked."""
    _put(tmp_path, 3, [])
    (tmp_path / "log/2024-11-03.csv").write_text("at,n\n2024-11-03T01:30:00,1\n")
    one = read_day(
        zoned := _source(time_zone="Etc/GMT+6", naive_time_zone="America/New_York"),
        "2024-11-03",
        RunListing(InputRoot(tmp_path)),
        SoundFiles(),
    )
    assert one
    [results] = evaluate([([_total(zoned)], {zoned: one})])
    found = results["total"]
    assert isinstance(found, JobFailed)
    assert "row 1: 2024-11-03 01:30:00 comes twice or not at all in America/New_York" in found.error


def test_equal_rows_of_two_files_are_told_and_counted_as_they_are(late: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All columns equal, in the one day that takes them: a warning with their number and both files, no removal."""
    with (late / "log/2024-03-06.csv").open("a") as file:
        file.write("2024-03-05T10:00:00,4\n2024-03-05T11:00:00,6\n2024-03-05T10:00:00,5\n2024-03-05T00:00:00,3\n")
    caplog.set_level(logging.WARNING, "noonmark")
    assert _numbers(late, 5, _source()) == [3, 4, 6, 9, 4, 6, 5, 3]
    [message] = [record.getMessage() for record in caplog.records]
    assert message == (
        "source 'log/{day}.csv', day 2024-03-05 counts equal rows of two files: 2 rows of log/2024-03-05.csv also in "
        "log/2024-03-06.csv; 1 row of log/2024-03-04.csv also in log/2024-03-06.csv"
    )
    caplog.clear()
    assert _numbers(late, 4, _source()) == EACH_DAY[4]
    assert _numbers(late, 6, _source()) == EACH_DAY[6]
    assert not caplog.records


def test_a_row_is_shared_as_often_as_both_files_have_it(late: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ten equal rows here and one there are one row that may have been delivered twice."""
    with (late / "log/2024-03-05.csv").open("a") as file:
        file.write("2024-03-05T12:00:00,7\n" * 10)
    with (late / "log/2024-03-06.csv").open("a") as file:
        file.write("2024-03-05T12:00:00,7\n")
    _numbers(late, 5, _source())
    assert "1 row of log/2024-03-05.csv also in log/2024-03-06.csv" in caplog.text
    with (late / "log/2024-03-06.csv").open("a") as file:
        file.write("2024-03-05T12:00:00,7\n" * 14)
    _numbers(late, 5, _source())
    assert "10 rows of log/2024-03-05.csv also in log/2024-03-06.csv" in caplog.text


def test_a_number_that_reading_gives_to_a_row_hides_no_equal_one(late: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It stands in no file, as the path of the file does not."""
    with (late / "log/2024-03-06.csv").open("a") as file:
        file.write("2024-03-05T10:00:00,4\n")
    _numbers(late, 5, _source(row_index_name="number", include_file_paths="path"))
    assert "1 row of log/2024-03-05.csv also in log/2024-03-06.csv" in caplog.text


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "json"])
def test_neighbours_of_other_types_are_named_with_their_column(tmp_path: Path, suffix: str) -> None:
    """No common type is made up: a number that became text again would have lost its zeros."""
    for day, value in ((4, "04"), (5, "ab")):
        _put_value(tmp_path / f"log/2024-03-{day:02}.{suffix}", day, value)
    error = _error(tmp_path, 4, Source(f"log/{{day}}.{suffix}", event_time=pl.col("at").cast(pl.String).str.to_date()))
    assert f"log/2024-03-05.{suffix} cannot be read as declared: column 'k': found String, expected Int64" in error
    assert f"as in log/2024-03-04.{suffix}" in error
    assert 'schema_overrides={"k": …}' in error
    source = Source(
        f"log/{{day}}.{suffix}",
        event_time=pl.col("at").cast(pl.String).str.to_date(),
        schema_overrides={"k": pl.String},
    )
    if suffix == "csv":
        assert isinstance(_read_only(tmp_path, 4, source), pl.DataFrame)


def _put_value(path: Path, day: int, value: str) -> None:
    path.parent.mkdir(exist_ok=True)
    row = {"at": f"2024-03-{day:02}", "k": int(value) if value.isdigit() else value}
    texts = {".csv": f"at,k\n{row['at']},{value}\n", ".ndjson": json.dumps(row) + "\n", ".json": json.dumps([row])}
    path.write_text(texts[path.suffix])


def _read_only(root: Path, day: int, source: Source) -> pl.DataFrame:
    return _read(root, day, source).frame().collect()


def test_the_keys_of_json_neighbours_have_no_order(tmp_path: Path) -> None:
    """As those of one day's files have none."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log/2024-03-04.ndjson").write_text('{"at": "2024-03-04", "k": 1}\n')
    (tmp_path / "log/2024-03-05.ndjson").write_text('{"k": 2, "at": "2024-03-04"}\n')
    source = Source("log/{day}.ndjson", event_time=pl.col("at").str.to_date())
    assert _read_only(tmp_path, 4, source).rows() == [("2024-03-04", 1), ("2024-03-04", 2)]


def test_json_files_of_one_day_have_a_common_type(tmp_path: Path) -> None:
    """As its CSV files have: the columns are those of one day."""
    (tmp_path / "log/2024-03-04").mkdir(parents=True)
    (tmp_path / "log/2024-03-04/a.json").write_text('[{"n": 1}]')
    (tmp_path / "log/2024-03-04/b.json").write_text('[{"n": 1.5}]')
    assert _read_only(tmp_path, 4, Source("log/{day}/*.json")).rows() == [(1.0,), (1.5,)]


def test_a_text_that_gives_no_time_is_shown(tmp_path: Path) -> None:
    """With what reads it: the recipe for text without zones makes nulls of texts that carry an offset."""
    (tmp_path / "log").mkdir()
    lenient = Source("log/{day}.csv", schema={"ts": pl.String}, event_time=pl.col("ts").str.to_datetime(strict=False))
    file = tmp_path / "log/2024-03-05.csv"
    file.write_text("ts\n2024-03-05T00:30:00\n2024-03-05T00:30:00+02:00\n")
    error = _error(tmp_path, 5, lenient)
    assert "row 2: no event time (null) from '2024-03-05T00:30:00+02:00'; let event_time= read the offsets" in error
    assert "time_zone='UTC'" in error
    assert "no_event" not in error
    file.write_text("ts\n2024-03-05 00:30:00\n05.03.2024\n")
    error = _error(tmp_path, 5, lenient)
    assert "row 2: no event time (null) from '05.03.2024'" in error
    assert "let event_time= read what it shows, or say with no_event=" in error


def test_rows_of_any_type_can_be_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nulls equal nulls; lists and structures are compared too, and paths of files are not."""
    (tmp_path / "log").mkdir()
    row = {"at": "2024-03-05T10:00:00", "tags": ["a", None], "who": {"name": None, "size": 1.5}, "n": None}
    for day in (5, 6):
        (tmp_path / f"log/2024-03-{day:02}.ndjson").write_text(json.dumps(row) + "\n")
    schema = {"at": pl.Datetime, "tags": pl.List(pl.String), "n": pl.Int64}
    schema["who"] = pl.Struct({"name": pl.String, "size": pl.Float64})
    source = Source("log/{day}.ndjson", event_time="at", schema=schema, include_file_paths="path")
    assert _numbers(tmp_path, 5, source) == [None, None]
    assert "1 row of log/2024-03-05.ndjson also in log/2024-03-06.ndjson" in caplog.text


def test_two_sources_have_their_own_days(late: Path) -> None:
    """One whose files lie by the event's day is read as ever beside one of events."""
    _put(late, 5, [("2024-03-05T00:00:00", 70)], "plain")
    plain = Source("plain/{day}.csv", schema=SCHEMA)
    found = _computed(late, 5, _source(), plain)
    assert isinstance(found, Evaluated)
    assert found.rows == {"frame_0": 4, "frame_1": 1}


def test_a_day_says_how_many_of_its_neighbours_are_absent(late: Path) -> None:
    """Also of its own file."""
    (late / "log/2024-03-05.csv").unlink()
    assert {day: _read(late, day, _source()).absent for day in (3, 4, 5, 6, 7)} == {3: 2, 4: 2, 5: 1, 6: 2, 7: 2}
    assert _read(late, 4, Source("log/{day}.csv")).absent == 0


def test_dates_are_event_times(tmp_path: Path) -> None:
    """A column of dates needs no expression."""
    (tmp_path / "log").mkdir()
    for day in (4, 5):
        (tmp_path / f"log/2024-03-{day:02}.csv").write_text("at,n\n2024-03-04,1\n2024-03-05,2\n")
    source = _source(schema={"at": pl.Date, "n": pl.Int64})
    assert _numbers(tmp_path, 4, source) == [1, 1]
    assert dt.date(2024, 3, 4) in _read(tmp_path, 4, source).frame().collect()["at"]


def _twice(root: Path) -> None:
    """The same file, byte by byte, on two days, and twice on one of them."""
    for folder in ("one/2024-03-04", "one/2024-03-05", "two/2024-03-05"):
        file = root / folder / "a.csv"
        file.parent.mkdir(parents=True)
        file.write_text("at,n\n2024-03-04T10:00:00,1\n2024-03-05T10:00:00,2\n")


def test_a_file_comes_twice_only_where_it_does_on_one_day(tmp_path: Path) -> None:
    """Equal files of two days are two files; equal rows in them are told."""
    _twice(tmp_path)
    one = Source("one/{day}/a.csv", event_time="at", schema=SCHEMA)
    assert _numbers(tmp_path, 4, one) == [1, 1]
    first = Source("*/{day}/a.csv", event_time="at", schema=SCHEMA, duplicates="first")
    assert _numbers(tmp_path, 4, first) == [1, 1]
    every = Source("*/{day}/a.csv", event_time="at", schema=SCHEMA, duplicates="allow")
    assert _numbers(tmp_path, 4, every) == [1, 1, 1]
    with pytest.raises(DuplicateFiles, match=r"'two/2024-03-05/a.csv' as in 'one/2024-03-05/a.csv'"):
        _read(tmp_path, 4, Source("*/{day}/a.csv", event_time="at", schema=SCHEMA))


def test_a_day_waits_for_the_markers_of_all_days_that_it_reads(tmp_path: Path) -> None:
    """Also when its turn comes, after the plan was made; a marker that a wildcard matches is no input."""
    source = Source("log/{day}/*", read=_read_csv, event_time="at", marker="_SUCCESS.csv")
    for day in (4, 5, 6):
        folder = tmp_path / f"log/2024-03-{day:02}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(f"at,n\n2024-03-05T10:00:00,{day}\n")
        (folder / "_SUCCESS.csv").touch()
    assert _numbers(tmp_path, 5, source) == [4, 5, 6]
    (tmp_path / "log/2024-03-06/_SUCCESS.csv").unlink()
    root = InputRoot(tmp_path)
    found = reached(ready(root, source, list_source(root, source.template)), source)
    assert {day[-2:]: why for day, why in found.waiting.items()} == dict.fromkeys(
        ("05", "06", "07"), "its marker 'log/2024-03-06/_SUCCESS.csv'"
    )
    with pytest.raises(NotReady, match=r"its marker 'log/2024-03-06/_SUCCESS.csv'"):
        _read(tmp_path, 5, source)


def _read_csv(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_csv(files, schema=SCHEMA)
