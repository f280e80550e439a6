"""Inferred types that differ between a source's days are told once for the source, with the line that settles it."""

from __future__ import annotations

from typing import Any

import polars as pl

from state.result.classify import Found
from state.result.inferred import interned
from state.result.record import SourceRecord
from tasks.catalog import Source, aggregation
from tasks.catalog.declare import Aggregation, declared
from tasks.reading.differing_types import differing_types
from tests.state.planner.test_decide import made_commit, recorded

WEATHER = Source("w/{day}.csv")


def made(name: str, source: Source = WEATHER, version: int = 2) -> Aggregation:
    """An aggregation over the weather."""

    def function(weather: pl.LazyFrame) -> pl.LazyFrame:
        """It."""
        return weather

    function.__name__ = name
    found = declared(aggregation(source, version=version)(function))
    assert found is not None
    return found


def read_as(dtype: str, rows: int = 3, **others: str) -> SourceRecord:
    """What a commit says of a day whose column was read as a type."""
    return recorded()._replace(rows=rows, schema=interned({"temp": dtype, **others}))


def commits_of(**days: SourceRecord) -> dict[str, Found]:
    """Commits of days 2024-01-01 and so on."""
    return {
        f"2024-01-0{number}": made_commit(day=f"2024-01-0{number}", inputs={"weather": one})
        for number, one in enumerate(days.values(), 1)
    }


def told(catalog: list[Aggregation], **output: Any) -> list[tuple[str, str]]:
    """What is told, and what settles it."""
    found = differing_types({one.name: one for one in catalog}, output)
    return [(str(one), one.remedy) for one in found]


def test_a_source_is_told_once_for_all_its_aggregations() -> None:
    """A day that two of them read counts once."""
    days = commits_of(a=read_as("Float64"), b=read_as("Int64"), c=read_as("Float64"), d=read_as("String", 0))
    catalog = [made("warmest"), made("coldest")]
    [(text, remedy)] = told(catalog, warmest=days, coldest=days)
    assert text == (
        "source 'w/{day}.csv': polars inferred types that differ between its days: column 'temp' as Float64 on 2 days "
        "(first 2024-01-01), Int64 on 1 day (first 2024-01-02), String on 1 day without rows (first 2024-01-04)"
    )
    assert remedy == 'schema_overrides={"temp": pl.Float64}'


def test_equal_types_and_new_columns_are_no_difference() -> None:
    """A column that begins on a day has one type."""
    days = commits_of(a=read_as("Float64"), b=read_as("Float64", rain="Int64"))
    assert told([made("warmest")], warmest=days) == []


def test_what_is_declared_now_is_told_no_more() -> None:
    """The days that were inferred once stay as they are until their version is raised."""
    days = commits_of(a=read_as("Float64", rain="Int64"), b=read_as("Int64", rain="Float64"))
    overrides = Source("w/{day}.csv", schema_overrides={"temp": pl.Float64})
    [(text, remedy)] = told([made("warmest", overrides)], warmest=days)
    assert "temp" not in text
    assert remedy == 'schema_overrides={"rain": pl.Float64}'
    schema = Source("w/{day}.csv", schema={"temp": pl.Float64, "rain": pl.Float64})
    assert told([made("warmest", schema)], warmest=days) == []


def test_commits_of_other_versions_do_not_count() -> None:
    """They are computed anew, or were computed by other code."""
    days = commits_of(a=read_as("Float64"), b=read_as("Int64"))
    old = made_commit(day="2024-01-02", version=1, inputs={"weather": read_as("Int64")})
    mixed = {**days, "2024-01-02": old}
    assert told([made("warmest")], warmest=mixed) == []
