"""What an analyst asks about a day of departures from New York's three airports.

Delays are whole minutes and negative where a flight was early. Their totals are exact, so that means are the same
in every run; a cancelled flight has no departure and takes part in counts alone.
"""

from __future__ import annotations

import polars as pl

from aggregations.sources import flights
from tasks.catalog import aggregation


@aggregation(flights, version=1)
def departures_by_carrier(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Each carrier's flights, cancellations, and departure delay in minutes: total, mean, and 90th percentile.

    The percentile is a delay that occurred: the least that nine of ten departures did not exceed.
    """
    delay = pl.col("dep_delay")
    return (
        flights.group_by("carrier")
        .agg(
            flights=pl.len(),
            cancelled=pl.col("dep_time").null_count(),
            dep_delay_total=delay.sum(),
            dep_delay_mean=delay.mean(),
            dep_delay_p90=delay.quantile(0.9, interpolation="higher").cast(pl.Int64),
        )
        .sort("carrier")
    )


@aggregation(flights, version=1)
def delays_by_hour_and_origin(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Delays in minutes by scheduled hour of departure (local, 0 to 23) and airport; ``late`` is 15 minutes or more."""
    return (
        flights.group_by("hour", "origin")
        .agg(
            flights=pl.len(),
            cancelled=pl.col("dep_time").null_count(),
            late=(pl.col("dep_delay") >= 15).sum(),
            dep_delay_total=pl.col("dep_delay").sum(),
            dep_delay_mean=pl.col("dep_delay").mean(),
            arr_delay_mean=pl.col("arr_delay").mean(),
        )
        .sort("hour", "origin")
    )


@aggregation(flights, version=1)
def busiest_routes(flights: pl.LazyFrame) -> pl.LazyFrame:
    """The day's ten routes with the most flights, cancelled ones included; of equally busy ones, the first by name."""
    return (
        flights.group_by("origin", "dest")
        .agg(
            flights=pl.len(),
            cancelled=pl.col("dep_time").null_count(),
            carriers=pl.col("carrier").n_unique(),
            distance_miles=pl.col("distance").max(),
        )
        .sort("flights", "origin", "dest", descending=[True, False, False])
        .head(10)
    )
