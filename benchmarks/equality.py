"""Compares results before any time counts: ``python -m benchmarks.equality EXPECTED FOUND NAME…``.

What is exact (integers, decimals, text, dates) must be exactly equal and stay exact; floats may differ by 1e-9 of their
value, for engines sum in another order. The order of rows is nobody's promise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

TOLERANCE = 1e-9
DATABASE = "results.duckdb"
"""Where a tool keeps its results that has a database of its own: in ``noon.{name}``, with a column ``day``."""


def results(folder: Path, name: str) -> pl.DataFrame:
    """All days of a result, as one frame with the column ``day``."""
    if (folder / DATABASE).exists():
        import duckdb

        with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
            found: pl.DataFrame = connection.sql(f"FROM noon.{name}").pl()
            return found.with_columns(pl.col("day").cast(pl.String))
    files = sorted((folder / name).glob("day=*/*.parquet"))
    parts = [
        pl.read_parquet(file, hive_partitioning=False).with_columns(day=pl.lit(file.parent.name.removeprefix("day=")))
        for file in files
    ]
    return pl.concat(parts) if parts else pl.DataFrame({"day": []}, schema={"day": pl.String})


def difference(expected: pl.DataFrame, found: pl.DataFrame) -> str | None:
    """What differs first, or None."""
    if sorted(expected.columns) != sorted(found.columns):
        return f"columns {sorted(found.columns)}, expected {sorted(expected.columns)}"
    if expected.height != found.height:
        return f"{found.height:,} rows, expected {expected.height:,}"
    inexact = [name for name, dtype in expected.schema.items() if dtype.is_float()]
    for name, dtype in expected.schema.items():
        if found.schema[name].is_float() != dtype.is_float():
            return f"column {name} is {found.schema[name]}, expected {dtype}"
    keys = [name for name in expected.columns if name not in inexact]
    pairs = [_common(frame, expected.schema, keys, inexact).sort(keys) for frame in (expected, found)]
    for name in keys:
        if wrong := (pairs[0][name].ne_missing(pairs[1][name])).sum():
            return f"column {name}: {wrong:,} values differ"
    for name in inexact:
        one, other = pairs[0][name], pairs[1][name]
        far = (one - other).abs() > TOLERANCE * pl.select(pl.max_horizontal(one.abs(), other.abs())).to_series()
        if wrong := (far.fill_null(value=False) | (one.is_null() != other.is_null())).sum():
            return f"column {name}: {wrong:,} values differ by more than {TOLERANCE:g}"
    return None


def _common(frame: pl.DataFrame, schema: pl.Schema, keys: list[str], inexact: list[str]) -> pl.DataFrame:
    """The same columns in one type for each kind: an engine may count in another width."""
    columns = []
    for name in keys:
        dtype = schema[name]
        if dtype.is_integer():
            columns.append(pl.col(name).cast(pl.Int64))
        elif dtype.is_decimal():
            columns.append(pl.col(name).cast(pl.Decimal(38, 6)))
        else:
            columns.append(pl.col(name).cast(dtype))
    return frame.select(*columns, *(pl.col(name).cast(pl.Float64) for name in inexact))


def main() -> int:
    """Compare folders; 1 where they differ."""
    expected, found, *names = sys.argv[1:]
    for name in names:
        if told := difference(results(Path(expected), name), results(Path(found), name)):
            print(f"{name}: {told}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
