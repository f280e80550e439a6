"""Results that readers cannot read are refused by name, and what passes is read alike by every reader."""

from __future__ import annotations

import datetime as dt
import os
import re
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from state.filesystem.durable import read_whole
from state.result import readable
from state.result.readable import Misread, misnamed, require_readable
from state.result.schemas import schema_of
from state.result.writing import arrow_table, write_result
from tests.builders import RECORD
from tests.project import SHOPS, Project, dates

MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC).replace(tzinfo=None)
READABLE: dict[str, tuple[list[Any], Any]] = {
    **{str(one): ([1, 0, None], one) for one in (pl.Int8, pl.Int64, pl.UInt8, pl.UInt64, pl.Float32, pl.Float64)},
    "Float16": ([1.5, None], getattr(pl, "Float16", pl.Float32)),
    "Null": ([None, None], pl.Null),
    "Boolean": ([True, None], pl.Boolean),
    "String": (["a", "", None], pl.String),
    "Binary": ([b"a", b"", None], pl.Binary),
    "Date": ([MOMENT.date(), None], pl.Date),
    "Time": ([MOMENT.time(), None], pl.Time),
    **{f"Datetime {unit}": ([MOMENT, None], pl.Datetime(unit)) for unit in ("ms", "us", "ns")},
    "Datetime with a zone": ([MOMENT.replace(tzinfo=dt.UTC), None], pl.Datetime("us", "Europe/Berlin")),
    **{f"Duration {unit}": ([dt.timedelta(1, 2), None], pl.Duration(unit)) for unit in ("ms", "us", "ns")},
    "Decimal": ([Decimal("1.23"), None], pl.Decimal(38, 10)),
    "Categorical": (["a", "b", None], pl.Categorical()),
    "Enum": (["a", "b", None], pl.Enum(["b", "a"])),
    "Enum of nothing": ([None], pl.Enum([])),
    "List": ([[1], [], None], pl.List(pl.Int64)),
    "List of lists": ([[["a"], []], []], pl.List(pl.List(pl.String))),
    "List of nulls": ([[None], [], None], pl.List(pl.Null)),
    "List of categories": ([["a"], None], pl.List(pl.Categorical())),
    "List of times": ([[MOMENT.time()]], pl.List(pl.Time)),
    "Array": ([[1, None], None], pl.Array(pl.Int64, 2)),
    "Array of arrays": ([[[1, 2], [3, 4]], None], pl.Array(pl.Int64, (2, 2))),
    "Struct": ([{"a": 1, "b": {"c": None}}, None], pl.Struct({"a": pl.Int64, "b": pl.Struct({"c": pl.Int64})})),
}
NAMED = [
    (pl.Schema({"DAY": pl.Int64}), "column 'DAY'.*DuckDB and Spark"),
    (pl.Schema({"day": pl.Int64}), "column 'day': rename or drop it, the folder carries the day"),
    (pl.Schema({"a": pl.Int64, "b": pl.Int64, "A": pl.Int64}), "columns 'a' and 'A'"),
    (pl.Schema({"x": pl.List(pl.Struct({"a": pl.Int64, "A": pl.Int64}))}), "'x'.*fields 'a' and 'A'"),
    (pl.Schema({"x": pl.Int64, "y": pl.Int128}), "column 'y'.*Int128.*128 bits.*pl.String for ids, or pl.UInt64"),
    (pl.Schema({"x": pl.List(pl.UInt128)}), "column 'x'.*128 bits"),
    (pl.Schema({"x": pl.Array(pl.Int64, 0)}), "'x'.*lists of no element"),
    (pl.Schema({"x": pl.Struct({"y": pl.List(pl.Array(pl.Int64, (2, 0)))})}), "'x'.*lists of no element"),
]
UNWRITABLE: list[tuple[list[Any], Any]] = [
    ([1], pl.Int128),
    ([{}], pl.Struct({})),
    ([[{}]], pl.List(pl.Struct({}))),
    ([object()], pl.Object),
]


def _written(folder: Path, frame: pl.DataFrame) -> tuple[int, str]:
    table = arrow_table(frame)
    place = folder / "day=2024-01-01/data.parquet"
    place.parent.mkdir(parents=True)
    fd = os.open(place, os.O_RDWR | os.O_CREAT)
    write_result(fd, table, RECORD._replace(rows=table.num_rows))
    return fd, schema_of(table)


@pytest.mark.parametrize("name", READABLE)
def test_what_passes_is_read_by_every_reader(tmp_path: Path, name: str) -> None:
    """A type that no rule refuses comes back from polars and pyarrow, and DuckDB and pandas read all of its rows."""
    values, dtype = READABLE[name]
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    assert misnamed(frame.schema) is None
    fd, schema = _written(tmp_path, frame)
    require_readable(partial(read_whole, fd), frame, schema)
    os.close(fd)
    found = duckdb.sql(f"select x from read_parquet('{tmp_path}/*/*.parquet', hive_partitioning=true)")
    assert found is not None
    assert len(found.fetchall()) == frame.height
    assert len(pd.read_parquet(tmp_path)) == frame.height


@pytest.mark.parametrize(("schema", "told"), NAMED)
def test_what_readers_confuse_is_refused_by_name(schema: pl.Schema, told: str) -> None:
    """Names that DuckDB and Spark take for one, and lists without elements: each is told with its column."""
    assert re.search(told, misnamed(schema) or "")


@pytest.mark.parametrize(("values", "dtype"), UNWRITABLE)
def test_what_cannot_be_written_is_never_read(tmp_path: Path, values: list[Any], dtype: Any) -> None:
    """Types that Parquet lacks are refused as they are written."""
    with pytest.raises((TypeError, pa.ArrowException)):
        _written(tmp_path, pl.DataFrame({"x": pl.Series(values, dtype=dtype)}))


def test_what_comes_back_as_something_else_is_told(tmp_path: Path) -> None:
    """Whatever differs (a type, a value, a column, or that it cannot be read) fails, and says which column and how."""
    written = pl.DataFrame({"x": [1, None]})
    fd, _ = _written(tmp_path, written)
    for computed, told in (
        (written.cast(pl.Int32), "column 'x' of type Int32 came back from polars as Int64"),
        (pl.DataFrame({"x": [1, 2]}), "column 'x' of type Int64 came back from polars with other values"),
        (written.rename({"x": "y"}), r"polars reads columns \['x'\], not \['y'\]"),
    ):
        with pytest.raises(Misread, match=told):
            require_readable(partial(read_whole, fd), computed, told)
    os.truncate(fd, 40)
    with pytest.raises(Misread, match="polars cannot read it back"):
        require_readable(partial(read_whole, fd), written, "torn")
    os.close(fd)


def test_a_schema_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one schema the first result is read, and the first one with rows."""
    read: list[int] = []

    def noted(fd: int) -> bytes:
        read.append(fd)
        return read_whole(fd)

    monkeypatch.setattr(readable, "_known", set())
    fds = []
    for number, rows in enumerate((0, 0, 2, 3, 0)):
        frame = pl.DataFrame({"x": range(rows)}, schema={"x": pl.Int64})
        fd, schema = _written(tmp_path / str(number), frame)
        require_readable(partial(noted, fd), frame, schema)
        fds.append(fd)
    assert read == [fds[0], fds[2]]
    for fd in fds:
        os.close(fd)


ODD = '''

@aggregation(sales)
def shouting(sales: pl.LazyFrame) -> pl.LazyFrame:
    """A column that DuckDB takes for the day."""
    return sales.select(DAY=pl.col("items").sum())


@aggregation(sales)
def twins(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Two columns that differ in case alone."""
    return sales.select(a=pl.len(), A=pl.len())


@aggregation(sales)
def hollow(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Lists of no element."""
    return sales.select(x=pl.lit(pl.Series([[]], dtype=pl.Array(pl.Int64, 0))))
'''


def test_a_result_that_no_reader_reads_fails_its_day_alone(api_url: str, tmp_path: Path) -> None:
    """What would be committed and then misread is that aggregation's failure; the other results are committed."""
    project = Project.create(tmp_path / "project", api_url, dates(1))
    project.declare(SHOPS + ODD)
    run = project.run()
    assert run.code == 1
    told = {one["aggregation"]: (one["kind"], one["error"]) for one in run.json["failed"]}
    assert set(told) == {"shouting", "twins", "hollow"}
    assert {kind for kind, _ in told.values()} == {"aggregation"}
    assert "column 'DAY'" in told["shouting"][1]
    assert "columns 'a' and 'A'" in told["twins"][1]
    assert "lists of no element" in told["hollow"][1]
    assert project.rows() == project.expected()
