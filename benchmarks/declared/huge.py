"""B5: one day of many million rows, grouped into a hundred groups and into a million."""

from __future__ import annotations

import polars as pl

from tasks.catalog import Source, aggregation

events = Source("events/{day:int}.parquet")

_measures = {
    "events": pl.len(),
    "amount": pl.col("amount").sum(),
    "amount_max": pl.col("amount").max(),
    "weight": pl.col("weight").sum(),
}


@aggregation(events, version=1)
def by_region(events: pl.LazyFrame) -> pl.LazyFrame:
    """Events and their amounts in each of a hundred regions."""
    return events.group_by("region").agg(**_measures).sort("region")


@aggregation(events, version=1)
def by_user(events: pl.LazyFrame) -> pl.LazyFrame:
    """Events and their amounts of each of a million users."""
    return events.group_by("user").agg(**_measures).sort("user")
