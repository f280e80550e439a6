"""One schema for all days of a version: what differs fails by itself, and what differs already is told and mended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.outputs import scan
from state.result.classify import Commit
from state.result.schemas import SchemaDiffers, Schemas, columns, differing_days, schema_of
from state.result.writing import arrow_table
from state.store.local.root import find_store
from tests.builders import RECORD, commit
from tests.flows.test_health import examined
from tests.project import Project, dates

MODULE = '''"""What a station measured: one row for each day."""

import polars as pl

from tasks.catalog import Source, aggregation

station = Source("station/{day}.ndjson")


@aggregation(station, version=VERSION)
def warmest(station: pl.LazyFrame) -> pl.LazyFrame:
    """The highest temperature."""
    return station.select(pl.col("temperature").max()CAST)


@aggregation(station, version=VERSION)
def rain(station: pl.LazyFrame) -> pl.LazyFrame:
    """All rain."""
    return station.select(pl.col("rain").sum()CAST)
'''
DAYS = dates(5)


def _declare(project: Project, version: int = 1, cast: str = "") -> None:
    project.declare(MODULE.replace("VERSION", str(version)).replace("CAST", cast))


def _measure(project: Project, day: str, temperature: object, rain: object) -> None:
    path = project.raw / "station" / f"{day}.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"temperature": temperature, "rain": rain}) + "\n")


def _failed(report: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    assert {one["kind"] for one in report["failed"]} <= {"schema"}
    return {(one["aggregation"], one["day"]): one["error"] for one in report["failed"]}


def test_a_day_of_another_schema_fails_alone_and_all_others_are_read_as_one(api_url: str, tmp_path: Path) -> None:
    """Promise 10: of five days one has only nulls, another floats for integers. They fail, named, whatever their order;
    the others are one dataset; a day that changes into another type keeps its last good result; a raised version
    settles anew.
    """
    project = Project.create(tmp_path / "project", api_url)
    _declare(project)
    for number, day in enumerate(DAYS):
        _measure(project, day, 20.5 if number else None, 7 if number != 3 else 1.5)

    first = project.run()
    assert first.code == 1
    failed = _failed(first.json)
    assert set(failed) == {("warmest", DAYS[0]), ("rain", DAYS[3])}
    assert "column 'temperature' has no type" in failed["warmest", DAYS[0]]
    assert "pl.col('temperature').cast(pl." in failed["warmest", DAYS[0]]
    assert "column 'rain' is Float64, expected Int64 (as in day 2024-01-0" in failed["rain", DAYS[3]]
    assert "raise version=" in failed["rain", DAYS[3]]
    for name in ("warmest", "rain"):
        assert scan(name, output=project.output).collect().height == 4
        assert pl.read_parquet(project.output / name).height == 4

    before = project.result("rain", DAYS[1]).read_bytes()
    _measure(project, DAYS[1], 25.5, 2.5)
    second = project.run()
    assert second.code == 1
    assert set(_failed(second.json)) == {("warmest", DAYS[0]), ("rain", DAYS[1]), ("rain", DAYS[3])}
    assert "expected Float64" not in json.dumps(second.json)
    assert "cast(pl.Float64)" in _failed(second.json)["warmest", DAYS[0]], "the others' type is known now"
    assert [(one["aggregation"], one["day"]) for one in second.json["committed"]] == [("warmest", DAYS[1])]
    assert project.result("rain", DAYS[1]).read_bytes() == before

    _declare(project, version=2, cast=".cast(pl.Float64)")
    assert len(project.run().committed) == 10
    assert pl.read_parquet(project.output / "rain")["rain"].to_list() == [7, 2.5, 7, 1.5, 7]


def test_an_output_that_is_mixed_already_is_told_and_its_command_mends_it(project: Project) -> None:
    """An older Noonmark committed one day in other types: a run warns, health names the day, its command mends it."""
    day = dates(10)[4]
    root = find_store(project.output)
    assert root
    with root:
        good = root.scan().days["totals"][day]
        assert isinstance(good, Commit)
        fields = {"inputs": good.record.inputs, "code": good.record.code, "version": good.record.version}
        commit(root, pl.DataFrame({"sales": [3.0], "items": [None]}), name="totals", day=day, **fields)

    run = project.run()
    assert run.committed == {}
    assert "totals: committed days whose schema is not that of the others" in run.stderr
    assert f"1, among them {day}" in run.stderr

    [problem] = examined(project)["problems"]
    assert (problem["kind"], problem["aggregation"], problem["day"]) == ("schema", "totals", day)
    assert "'items' has no type" in problem["detail"]
    assert problem["command"].startswith("python -m flows.daily ")
    assert project.run(*problem["command"].split()[3:]).committed == {("totals", day): "forced"}
    assert examined(project)["healthy"]
    assert project.rows() == project.expected()


def _schema(**values: object) -> str:
    return schema_of(arrow_table(pl.DataFrame(values)))


INTEGER, FLOAT, NOTHING = _schema(x=[1]), _schema(x=[1.5]), _schema(x=[None])


def _commits(*schemas: str, version: int = 1) -> dict[str, Commit]:
    """Commits of the days 1, 2, 3, … that were made in this order."""
    return {
        str(day): Commit(RECORD._replace(day=str(day), version=version, committed_at=f"{day:04}"), (1, 1), schema)
        for day, schema in enumerate(schemas, 1)
    }


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (_schema(b=["x"], a=[1]), "column 1 is 'b', expected 'a'"),
        (_schema(a=[1]), "column 'b' (String) is missing"),
        (_schema(a=[1], b=["x"], c=[True]), "column 'c' (Boolean) is not expected"),
        (_schema(a=[1], b=[["x"]]), "column 'b' is List(String), expected String"),
        (_schema(a=[1], b=[[None]]), "column 'b' has no type (List(Null))"),
        (_schema(a=[{"x": None}], b=["x"]), "column 'a' has no type (Struct({'x': Null})), as all its values are null"),
        (_schema(A=[1], b=["x"]), "column 'a' (Int64) is missing, column 'A' (Int64) is not expected"),
        (_schema(a=pl.Series([1], dtype=pl.Int32), b=["x"]), "column 'a' is Int32, expected Int64"),
    ],
)
def test_columns_order_and_types_are_compared(schema: str, told: str) -> None:
    """Whatever makes a reader fail or cast differs, and the message says which column and what was expected."""
    with pytest.raises(SchemaDiffers) as caught:
        Schemas({"t": _commits(_schema(a=[1], b=["x"]))}).claim("t", 1, "2", schema)
    assert told in str(caught.value)


def test_the_values_of_an_enum_belong_to_its_type() -> None:
    """They stand in the schema's metadata alone, and polars refuses to read two kinds of them together."""
    one, other = (_schema(x=pl.Series(["u"], dtype=pl.Enum(["u", more]))) for more in "vw")
    with pytest.raises(SchemaDiffers, match="expected Enum"):
        Schemas({"t": _commits(one)}).claim("t", 1, "2", other)
    Schemas({"t": _commits(one)}).claim("t", 1, "2", one)


def test_every_type_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """What is compared before a result is written is what the next run finds in its footer."""
    frame = pl.DataFrame(
        {
            "enum": pl.Series([["u"]], dtype=pl.List(pl.Enum(["u", "v"]))),
            "category": pl.Series(["u"], dtype=pl.Categorical),
            "time": pl.Series([1], dtype=pl.Datetime("ms", "Europe/Berlin")),
            "duration": pl.Series([1], dtype=pl.Duration("ns")),
            "decimal": pl.Series(["1.5"]).cast(pl.Decimal(12, 3)),
            "struct": [{"x": 1, "y": [1.5]}],
            "array": pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)),
            "bytes": [b"x"],
        }
    )
    from state.store.local.root import open_store

    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        commit(root, frame)
        [found] = root.scan().days["totals"].values()
        assert isinstance(found, Commit)
    assert found.schema == schema_of(arrow_table(frame))
    assert columns(found.schema) == tuple(frame.schema.items())


def test_what_most_days_have_is_settled_and_of_equally_many_the_oldest() -> None:
    """So the fewest days are to be computed again; a column without a type settles nothing."""
    assert set(differing_days(1, _commits(INTEGER, FLOAT, FLOAT).values())) == {"1"}
    assert set(differing_days(1, _commits(FLOAT, INTEGER).values())) == {"2"}
    assert set(differing_days(1, _commits(NOTHING, NOTHING, FLOAT).values())) == {"1", "2"}
    assert set(differing_days(1, _commits(NOTHING).values())) == {"1"}
    assert set(differing_days(1, _commits(schema_of(arrow_table(pl.DataFrame({"": [None]})))).values())) == {"1"}
    assert not differing_days(1, _commits(FLOAT, FLOAT).values())
    assert not differing_days(2, _commits(FLOAT, INTEGER).values()), "of other versions"


def test_a_day_is_held_against_all_other_days_of_its_version() -> None:
    """A wrong type on the only committed day can be mended by that day; one among others cannot change by itself."""
    alone = Schemas({"t": _commits(INTEGER)})
    alone.claim("t", 1, "1", FLOAT)
    alone.claim("t", 1, "2", FLOAT)
    with pytest.raises(SchemaDiffers, match="as in day 2") as caught:
        alone.claim("t", 1, "1", INTEGER)
    assert "day 2" not in caught.value.summary
    assert "one schema" in caught.value.summary
    with pytest.raises(SchemaDiffers):
        Schemas({"t": _commits(INTEGER, INTEGER)}).claim("t", 1, "1", FLOAT)
    Schemas({"t": _commits(INTEGER, INTEGER)}).claim("t", 2, "1", FLOAT)


def test_a_result_that_was_not_committed_settles_nothing() -> None:
    """Promise 10: a day that fails after its schema was counted does not stand before the others."""
    schemas = Schemas({"t": _commits(INTEGER)})
    schemas.claim("t", 1, "1", FLOAT)
    schemas.release("t", "1")
    schemas.release("t", "1")
    with pytest.raises(SchemaDiffers, match="expected Int64"):
        schemas.claim("t", 1, "2", FLOAT)


@pytest.mark.parametrize("schema", ["", "x", "é", "AAAA", INTEGER[:-8]])
def test_a_schema_that_cannot_be_read_is_compared_with_none(schema: str) -> None:
    """Harm to a footer that leaves its record whole is for the deep check: it fails no other day."""
    assert columns(schema) == ()
    assert not differing_days(1, _commits(schema, schema, FLOAT).values())
    Schemas({"t": _commits(schema, schema)}).claim("t", 1, "3", FLOAT)
