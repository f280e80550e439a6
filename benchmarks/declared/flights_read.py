"""B7: the flights of the sample, by a function of the user's that says of each row in which file it was."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation


def with_file(files: list[Path]) -> pl.LazyFrame:
    """All rows, each with the name of its file."""
    return pl.concat(pl.scan_csv(file, null_values=["NA"]).with_columns(file=pl.lit(file.name)) for file in files)


flights = Source("flights/{day}/*.csv", read=with_file)


@aggregation(flights, version=1)
def delays_by_file_and_carrier(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Flights and minutes of delay of each carrier in each file."""
    delay = pl.col("dep_delay")
    return flights.group_by("file", "carrier").agg(flights=pl.len(), delay=delay.sum()).sort("file", "carrier")
