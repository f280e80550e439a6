"""A day that fails since a column was read as another type names that column, and what to declare."""

from __future__ import annotations

import polars as pl

from state.result.inferred import interned
from state.result.record import SourceRecord
from tasks.catalog import Source, aggregation
from tasks.catalog.declare import Aggregation, declared
from tasks.compute.type_causes import RunTypes
from tests.state.planner.test_decide import made_commit, recorded

WEATHER = Source("w/{day}.csv")
HEADER = {"weather": interned({"temp": "String", "wind": "String", "at": "String"})}
NO_ROWS, ROWS = {"weather": 0}, {"weather": 3}


@aggregation(WEATHER)
def warmest(weather: pl.LazyFrame) -> pl.LazyFrame:
    """The highest temperature."""
    return weather.select(pl.col("temp").max())


@aggregation(WEATHER)
def everything(weather: pl.LazyFrame) -> pl.LazyFrame:
    """All of it."""
    return weather.sum()


def read_as(temp: str, rows: int = 3) -> SourceRecord:
    """What a commit says of a day."""
    return recorded()._replace(rows=rows, schema=interned({"temp": temp, "wind": "Int64", "at": "String"}))


def found(function: object) -> Aggregation:
    """What a function is declared as."""
    one = declared(function)
    assert one is not None
    return one


CATALOG = {"warmest": found(warmest), "everything": found(everything)}


def run(*temps: str, rows: int = 3) -> RunTypes:
    """The types of a run that finds a commit for each of these."""
    days = {
        f"2024-01-0{number}": made_commit(day=f"2024-01-0{number}", inputs={"weather": read_as(temp, rows)})
        for number, temp in enumerate(temps, 1)
    }
    return RunTypes(CATALOG, {"warmest": days})


def test_the_column_that_the_function_mentions_is_named() -> None:
    """With its type here, its type on the other days, and the line to write; another aggregation's days count too."""
    types = run("Float64", "Float64", "Int64")
    assert types.explain(CATALOG["warmest"], "2024-01-09", HEADER, NO_ROWS) == (
        "column 'temp' of source 'weather' was read as String here and as Float64 on 2 other days: "
        'declare schema_overrides={"temp": pl.Float64}'
    )
    assert types.explain(CATALOG["everything"], "2024-01-09", HEADER, NO_ROWS) == (
        "column 'temp' of source 'weather' was read as String here and as Float64 on 2 other days, "
        "column 'wind' as String here and as Int64 on 3 other days: "
        'declare schema_overrides={"temp": pl.Float64, "wind": pl.Int64}'
    )


def test_a_day_of_text_is_read_by_what_is_advised() -> None:
    """Numbers so far, and then an id such as ab: as numbers the day would fail again."""
    told = run("Int64", "Int64").explain(CATALOG["warmest"], "2024-01-09", {"weather": {"temp": "String"}}, ROWS)
    assert told is not None
    assert 'schema_overrides={"temp": pl.String}, and raise version=' in told


def test_a_type_that_moves_the_other_days_says_so() -> None:
    """Integers so far, and then a float: all days have to be read as floats."""
    here = {"weather": {"temp": "Float64", "wind": "Int64", "at": "String"}}
    told = run("Int64", "Int64").explain(CATALOG["warmest"], "2024-01-09", here, ROWS)
    assert told is not None
    assert told.endswith(
        'declare schema_overrides={"temp": pl.Float64}, and raise version= so that the other days have it too'
    )


def test_a_day_is_not_compared_with_itself() -> None:
    """Nor with days without rows, nor with any where there is no other."""
    assert run("Float64").explain(CATALOG["warmest"], "2024-01-01", HEADER, NO_ROWS) is None
    assert run("Float64", rows=0).explain(CATALOG["warmest"], "2024-01-09", HEADER, NO_ROWS) is None
    assert run().explain(CATALOG["warmest"], "2024-01-09", HEADER, NO_ROWS) is None
    assert run("String").explain(CATALOG["warmest"], "2024-01-09", {"weather": {"temp": "String"}}, NO_ROWS) is None


def test_what_the_run_computes_counts_until_it_is_revoked() -> None:
    """Days of a first run have only each other."""
    types = run()
    types.claim(("warmest", "2024-01-01"), {"weather": read_as("Float64")})
    types.claim(("everything", "2024-01-01"), {"weather": read_as("Float64")})
    told = types.explain(CATALOG["warmest"], "2024-01-09", HEADER, NO_ROWS)
    assert told is not None
    assert "as Float64 on 1 other day:" in told
    for name in ("warmest", "everything"):
        types.release((name, "2024-01-01"))
    assert types.explain(CATALOG["warmest"], "2024-01-09", HEADER, NO_ROWS) is None
