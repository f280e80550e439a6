"""The weather at New York's airports, and what it did to the flights.

Readings are hourly. Temperatures are in °F, wind in miles an hour, rain in inches, visibility in miles.
"""

from __future__ import annotations

import polars as pl

from aggregations.sources import flights, weather
from tasks.catalog import aggregation

# One reading of 2013 says 1,048 mph. No wind on record reached this.
_wind = pl.col("wind_speed").filter(pl.col("wind_speed") < 255)


@aggregation(weather, version=1)
def weather_by_origin(weather: pl.LazyFrame) -> pl.LazyFrame:
    """Each airport's day: hours on record, extremes of temperature, wind and visibility, and rain.

    Rain is summed in hundredths of an inch, as it was measured, so that the sum is exact.
    """
    rain = (pl.col("precip") * 100).round().cast(pl.Int64)
    return (
        weather.group_by("origin")
        .agg(
            hours=pl.len(),
            temp_min=pl.col("temp").min(),
            temp_max=pl.col("temp").max(),
            wind_max=_wind.max(),
            visibility_min=pl.col("visib").min(),
            hours_with_rain=(rain > 0).sum(),
            rain_hundredths=rain.sum(),
        )
        .sort("origin")
    )


@aggregation(flights, weather, version=1)
def delays_by_weather(flights: pl.LazyFrame, weather: pl.LazyFrame) -> pl.LazyFrame:
    """Flights, cancellations and departure delay (minutes) by airport and by the weather of the scheduled hour.

    ``conditions`` is the first that holds of ``rain`` (or snow), ``fog`` (sight below 3 miles), ``wind`` (from 20 mph),
    ``fair``; ``unknown`` where the hour has no record. Every flight is counted once.
    """
    # The clock repeats an hour on one night in autumn; the worse of its two readings stands for both.
    worst = weather.group_by("origin", "hour").agg(pl.col("precip").max(), pl.col("visib").min(), wind=_wind.max())
    conditions = (
        pl.when(pl.col("precip") > 0)
        .then(pl.lit("rain"))
        .when(pl.col("visib") < 3)
        .then(pl.lit("fog"))
        .when(pl.col("wind") >= 20)
        .then(pl.lit("wind"))
        .when(pl.col("precip").is_null())
        .then(pl.lit("unknown"))
        .otherwise(pl.lit("fair"))
    )
    return (
        flights.join(worst, on=["origin", "hour"], how="left")
        .group_by("origin", conditions.alias("conditions"))
        .agg(
            flights=pl.len(),
            cancelled=pl.col("dep_time").null_count(),
            dep_delay_total=pl.col("dep_delay").sum(),
            dep_delay_mean=pl.col("dep_delay").mean(),
        )
        .sort("origin", "conditions")
    )
