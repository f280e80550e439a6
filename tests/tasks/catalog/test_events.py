"""When an event happened, and its day: what a Source may say of it, zones, and days of 23 and 25 hours."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.errors import DeclarationError
from tasks.catalog import Source
from tasks.catalog.load import load

AT = pl.col("at")


def _source(**options: Any) -> Source:
    return Source("log/{day}.csv", **options)


def _days(times: pl.Series, **options: Any) -> list[dt.date | None]:
    """The day of each time, as a source with these options sees it."""
    events = _source(event_time="at", **options).events
    assert events
    return pl.DataFrame({"at": times}).select(events.day(times.dtype)).to_series().to_list()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time_zone": "UTC"}, "time_zone= needs event_time="),
        ({"naive_time_zone": "UTC"}, "naive_time_zone= needs event_time="),
        ({"reach": (1, 1)}, "reach= needs event_time="),
        ({"outside": "drop"}, "outside= needs event_time="),
        ({"no_event": AT.is_null()}, "no_event= needs event_time="),
        ({"event_time": 3}, "event_time=3, expected a polars expression or a column's name"),
        ({"event_time": ""}, "event_time='', expected a polars expression or a column's name"),
        ({"event_time": pl.col("a", "b")}, "event_time= gives several columns, expected one"),
        ({"event_time": AT.max()}, "event_time= gives one value for all rows, or not one for each"),
        ({"event_time": AT.drop_nulls()}, "event_time= gives one value for all rows, or not one for each"),
        ({"event_time": "at", "no_event": True}, "no_event=True, expected a polars expression or a column's name"),
        ({"event_time": "at", "reach": 1}, "reach=1, expected two whole numbers from 0 to 366, such as (1, 1)"),
        ({"event_time": "at", "reach": (1, -1)}, "reach=(1, -1), expected two whole numbers from 0"),
        ({"event_time": "at", "reach": (1, True)}, "reach=(1, True), expected two whole numbers from 0"),
        ({"event_time": "at", "reach": (1, 1, 1)}, "reach=(1, 1, 1), expected two whole numbers from 0"),
        ({"event_time": "at", "outside": "ignore"}, "outside='ignore', expected 'fail' or 'drop'"),
        ({"event_time": "at", "time_zone": "Europe/Berln"}, "IANA name, did you mean 'Europe/Berlin'?"),
        ({"event_time": "at", "time_zone": 1}, "time_zone=1 is no time zone; expected an IANA name, such as"),
        ({"event_time": "at", "time_zone": "UTC", "naive_time_zone": "CEST"}, "naive_time_zone='CEST' is no time zone"),
        ({"event_time": "at", "naive_time_zone": "UTC"}, "naive_time_zone= needs time_zone="),
    ],
)
def test_what_contradicts_itself_or_is_unknown_is_refused_at_import(options: dict[str, Any], told: str) -> None:
    """With the source, the argument, what was found and what was expected."""
    with pytest.raises(DeclarationError) as raised:
        _source(**options)
    assert str(raised.value).startswith("source 'log/{day}.csv': ")
    assert told in str(raised.value)


def test_numbered_days_have_no_events() -> None:
    """A time says a date, and no number."""
    with pytest.raises(DeclarationError, match="event_time= says a date, and its days are numbers"):
        Source("log/{day:int}.csv", event_time="at")


def test_a_source_of_events_reads_a_day_before_and_after_unless_it_says_otherwise() -> None:
    """It has a key of its own where its days have other files than the template's; without events nothing changes."""
    plain, usual, own, wide = (
        _source(),
        _source(event_time="at"),
        _source(event_time="at", reach=(0, 0)),
        _source(event_time="at", reach=(0, 2)),
    )
    assert usual.file_days("2024-03-01") == ["2024-02-29", "2024-03-01", "2024-03-02"]
    assert wide.file_days("2024-02-28") == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert wide.event_days("2024-03-01") == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert own.file_days("2024-03-01") == plain.file_days("2024-03-01") == ["2024-03-01"]
    assert plain.key == own.key != usual.key != wide.key


def test_the_ends_of_the_calendar_have_no_neighbours() -> None:
    """A day that does not exist is read by nobody."""
    source = _source(event_time="at")
    assert source.file_days("0001-01-01") == ["0001-01-01", "0001-01-02"]
    assert source.file_days("9999-12-31") == ["9999-12-30", "9999-12-31"]


def test_without_a_zone_the_day_is_the_one_that_is_written() -> None:
    """Of dates, of times without a zone, and of times with one: their own."""
    late = dt.datetime(2024, 7, 1, 23, 30)  # noqa: DTZ001 a time that carries no zone is what this is about
    assert _days(pl.Series([dt.date(2024, 7, 1), None])) == [dt.date(2024, 7, 1), None]
    assert _days(pl.Series([late])) == [dt.date(2024, 7, 1)]
    assert _days(pl.Series([late]).dt.replace_time_zone("UTC")) == [dt.date(2024, 7, 1)]
    assert _days(pl.Series([late]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")) == [
        dt.date(2024, 7, 2)
    ]


def test_with_a_zone_the_day_is_the_one_there() -> None:
    """Times with a zone are converted; those without are read in the zone that was said, and never in a guessed one."""
    late = pl.Series([dt.datetime(2024, 7, 1, 23, 30)])  # noqa: DTZ001 as above
    assert _days(late.dt.replace_time_zone("UTC"), time_zone="Europe/Berlin") == [dt.date(2024, 7, 2)]
    assert _days(late, time_zone="Europe/Berlin", naive_time_zone="UTC") == [dt.date(2024, 7, 2)]
    assert _days(late, time_zone="Europe/Berlin", naive_time_zone="Europe/Berlin") == [dt.date(2024, 7, 1)]
    assert _days(late, time_zone="UTC", naive_time_zone="America/New_York") == [dt.date(2024, 7, 2)]
    with pytest.raises(TypeError, match="naive_time_zone='UTC' too, or 'Europe/Berlin' where they are local"):
        _days(late, time_zone="Europe/Berlin")
    with pytest.raises(TypeError, match="gives dates, and time_zone='UTC' has no use for them"):
        _days(pl.Series([dt.date(2024, 7, 1)]), time_zone="UTC")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["2024-01-01"], r"gives String, expected dates or times, such as pl.col\(…\).str.to_datetime"),
        ([1704067200.5], r"gives Float64, expected dates or times, such as pl.from_epoch"),
        ([1704067200], r"gives Int64, expected dates or times, such as pl.from_epoch"),
        ([dt.time(1, 2)], r"gives Time, expected dates or times$"),
        ([None], r"gives Null, expected dates or times$"),
    ],
)
def test_what_is_no_time_is_refused_with_the_way_to_make_it_one(values: list[Any], told: str) -> None:
    """Numbers have a unit that nobody guesses, and text a shape."""
    with pytest.raises(TypeError, match=told):
        _days(pl.Series(values))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-30", 24),
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("America/New_York", "2024-03-10", 23),
        ("America/New_York", "2024-11-03", 25),
    ],
)
def test_days_have_the_hours_that_they_have(zone: str, day: str, hours: int) -> None:
    """Every hour of five days lands in one day: 23 on the day that puts the clock forward, 25 where it goes back."""
    date = dt.date.fromisoformat(day)
    begin = dt.datetime.combine(date, dt.time(), dt.UTC) - dt.timedelta(days=2)
    times = pl.Series([begin + dt.timedelta(hours=hour) for hour in range(5 * 24)])
    found = Counter(_days(times, time_zone=zone))
    assert found.total() == 5 * 24
    assert found[date] == hours
    epochs = times.dt.epoch("s").cast(pl.Float64)
    events = _source(event_time=pl.from_epoch("at"), time_zone=zone, naive_time_zone="UTC").events
    assert events
    naive = pl.DataFrame({"at": epochs.cast(pl.Int64)}).select(events.day(pl.Datetime("us")))
    assert Counter(naive.to_series().to_list()) == found


def test_an_hour_that_comes_twice_matters_only_where_its_readings_are_of_two_days() -> None:
    """01:30 of 3 November in New York is 05:30 or 06:30 UTC: one day there and in New York, two where midnight lies
    between them.
    """
    twice = pl.Series([dt.datetime(2024, 11, 3, 1, 30)])  # noqa: DTZ001 as above
    assert _days(twice, time_zone="America/New_York", naive_time_zone="America/New_York") == [dt.date(2024, 11, 3)]
    assert _days(twice, time_zone="UTC", naive_time_zone="America/New_York") == [dt.date(2024, 11, 3)]
    assert _days(twice, time_zone="Etc/GMT+6", naive_time_zone="America/New_York") == [None]


def test_an_hour_that_never_was_matters_only_where_its_readings_are_of_two_days() -> None:
    """02:30 of 31 March does not exist in Berlin: it is 00:30 or 01:30 UTC, whichever clock was read."""
    never = pl.Series([dt.datetime(2024, 3, 31, 2, 30)])  # noqa: DTZ001 as above
    assert _days(never, time_zone="Europe/Berlin", naive_time_zone="Europe/Berlin") == [dt.date(2024, 3, 31)]
    assert _days(never, time_zone="UTC", naive_time_zone="Europe/Berlin") == [dt.date(2024, 3, 31)]
    assert _days(never, time_zone="Etc/GMT+1", naive_time_zone="Europe/Berlin") == [None]


MODULE = '''"""Events."""

import polars as pl

from tasks.catalog import Source, aggregation

AT = pl.col("at")


@aggregation(Source("log/{day}.csv", event_time=AT, reach=(1, 1)))
def total(log):
    """How many."""
    return log.select(pl.len())
'''


def test_what_says_the_time_counts_into_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expression, wherever it is written, and the reach: a changed one is told as changed code."""
    monkeypatch.syspath_prepend(tmp_path)
    codes = set()
    for number, (old, new) in enumerate([("", ""), ('AT = pl.col("at")', 'AT = pl.col("seen")'), ("(1, 1)", "(1, 2)")]):
        (tmp_path / f"events_{number}.py").write_text(MODULE.replace(old, new) if old else MODULE)
        codes.add(load(f"events_{number}")["total"].code)
    assert len(codes) == 3
