"""The raw files of the sample: the columns that the aggregations use, with their types. The files have others too.

Types are declared because a guess is made from the first rows of a file, and another day's rows may look otherwise.
"""

from __future__ import annotations

import polars as pl

from tasks.catalog import Source

# Times of day are clock readings (1530 is 15:30, and midnight is 2400), so they are no amounts of minutes.
flights = Source(
    "flights/{day}/*.csv",
    null_values=["NA"],
    extra_columns="ignore",
    schema={
        "dep_time": pl.Int64,
        "dep_delay": pl.Int64,
        "arr_time": pl.Int64,
        "arr_delay": pl.Int64,
        "carrier": pl.String,
        "tailnum": pl.String,
        "origin": pl.String,
        "dest": pl.String,
        "air_time": pl.Int64,
        "distance": pl.Int64,
        "hour": pl.Int64,
    },
)

weather = Source(
    "weather/{day}/*.csv",
    null_values=["NA"],
    extra_columns="ignore",
    schema={
        "origin": pl.String,
        "hour": pl.Int64,
        "temp": pl.Float64,
        "dewp": pl.Float64,
        "humid": pl.Float64,
        "wind_dir": pl.Int64,
        "wind_speed": pl.Float64,
        "wind_gust": pl.Float64,
        "precip": pl.Float64,
        "pressure": pl.Float64,
        "visib": pl.Float64,
    },
)
