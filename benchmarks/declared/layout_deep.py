"""B6: days of three rows, folders at any depth."""

from __future__ import annotations

import polars as pl

from tasks.catalog import Source, aggregation

readings = Source("readings/**/{day}.csv", schema={"sensor": pl.String, "value": pl.Int64})


@aggregation(readings, version=1)
def totals(readings: pl.LazyFrame) -> pl.LazyFrame:
    """Readings and their sum."""
    return readings.select(readings=pl.len(), total=pl.col("value").sum())
