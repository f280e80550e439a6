"""Types that polars inferred, by the real command: recorded, told once where they differ, and named as a cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.test_health import command
from tests.project import Project

pytestmark = pytest.mark.timeout(300)

WEATHER = '''"""Weather by day."""

import polars as pl

from tasks.catalog import Source, aggregation

weather = Source("weather/{{day}}.csv"{options})


@aggregation(weather, version={version})
def warmth(weather: pl.LazyFrame) -> pl.LazyFrame:
    """The sum of all temperatures."""
    return weather.select(pl.col("temp").sum())


@aggregation(weather, version={version})
def rows(weather: pl.LazyFrame) -> pl.LazyFrame:
    """How many rows there are."""
    return weather.select(rows=pl.len())
'''
FLOATS, INTEGERS, HEADER = "2024-01-01", "2024-01-02", "2024-01-03"
CAUSE = "column 'temp' of source 'weather' was read as {} here and as Float64 on 1 other day: declare {}"
REMEDY = 'schema_overrides={"temp": pl.Float64}'


@pytest.fixture
def weather(tmp_path: Path, api_url: str) -> Project:
    """A day of floats, one of integers, and one whose file holds a header alone."""
    project = Project.create(tmp_path / "weather", api_url)
    project.declare(WEATHER.format(options="", version=1))
    (project.raw / "weather").mkdir()
    for day, lines in ((FLOATS, "A,1.5\nB,2.5\n"), (INTEGERS, "A,3\nB,4\n"), (HEADER, "")):
        (project.raw / f"weather/{day}.csv").write_text("place,temp\n" + lines)
    return project


def test_a_difference_is_recorded_told_once_and_settled_by_one_line(weather: Project) -> None:
    """Two files, one of integers, one of floats, and a header alone: each day that fails by it names the column."""
    end = weather.run("--workers", "1")
    failed = {(one["aggregation"], one["day"]): one for one in end.json["failed"]}
    assert set(failed) == {("warmth", INTEGERS), ("warmth", HEADER)}
    integers, header = failed["warmth", INTEGERS], failed["warmth", HEADER]
    assert (integers["kind"], header["kind"]) == ("schema", "aggregation")
    assert integers["error"].endswith(CAUSE.format("Int64", REMEDY))
    assert header["error"].endswith(CAUSE.format("String", REMEDY))
    types = {day: weather.record("rows", day)["inputs"]["weather"]["schema"] for day in (FLOATS, INTEGERS, HEADER)}
    assert [one["temp"] for one in types.values()] == ["Float64", "Int64", "String"]
    told = (
        "source 'weather/{day}.csv': polars inferred types that differ between its days: column 'temp' as Float64 on 1 "
        "day (first 2024-01-01), Int64 on 1 day (first 2024-01-02), String on 1 day without rows (first 2024-01-03)"
    )
    assert end.stderr.count(told) == 1
    assert f"{told}; declare {REMEDY} in that source" in end.stderr
    [warning] = command(weather, "health", "--json").finish().json["warnings"]
    assert warning["detail"] == told
    assert REMEDY in warning["hint"]

    weather.declare(WEATHER.format(options=f", {REMEDY}", version=2))
    assert len(weather.run().committed) == 6
    rows = weather.rows()
    assert [rows["warmth", day] for day in (FLOATS, INTEGERS, HEADER)] == [[(4.0,)], [(7.0,)], [(0.0,)]]
    assert weather.record("rows", FLOATS)["inputs"]["weather"]["schema"] == {"place": "String"}
    health = command(weather, "health", "--json").finish().json
    assert (health["healthy"], health["warnings"]) == (True, [])
