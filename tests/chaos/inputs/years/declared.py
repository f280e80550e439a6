"""The aggregations over the two years, as a user would declare them. The real commands import this module too."""

from __future__ import annotations

import polars as pl

from tasks.catalog import Reference, Source, aggregation


def without_sum(content: bytes) -> bytes:
    """The rows alone."""
    return content.rpartition(b"Summe;")[0]


sales = Source("sales/**/{day}_*.csv", schema={"shop": pl.String, "note": pl.String, "items": pl.Int64})
cases = Source(
    "cases/*/{day:%m-%d-%Y}.csv",
    duplicates="first",
    rename={"Province/State": "region", "Country/Region": "country", "Confirmed": "cases"},
    schema={"region": pl.String, "country": pl.String, "cases": pl.Int64},
)
continents = Reference("tables/continents.csv", schema={"country": pl.String, "continent": pl.String})
meter = Source(
    "meter/{day:int}.csv",
    separator=";",
    encoding="cp1252",
    prepare=without_sum,
    schema={"room": pl.String, "fault": pl.Int64, "watts": pl.Int64},
)
trips = Source("trips/dt={day}/*.ndjson.gz", schema={"city": pl.String, "seats": pl.Int64, "metres": pl.Int64})
clicks = Source(
    "clicks/*/{day}-*.jsonl",
    schema={"time": pl.String, "page": pl.String, "clicks": pl.Int64},
    event_time=pl.col("time").str.to_datetime(time_zone="UTC"),
    time_zone="Europe/Berlin",
    reach=(1, 1),
)
air = Source("air/{day:%Y/%m/%d}.json", schema={"station": pl.String, "degrees": pl.Int64})


@aggregation(sales)
def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold in each shop."""
    return sales.group_by("shop").agg(pl.col("items").sum()).sort("shop")


@aggregation(sales)
def sales_total(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Sales and items of the day."""
    return sales.select(sales=pl.len(), items=pl.col("items").sum())


@aggregation(cases)
def cases_by_country(cases: pl.LazyFrame) -> pl.LazyFrame:
    """Cases of each country."""
    return cases.group_by("country").agg(pl.col("cases").sum()).sort("country")


@aggregation(cases, references={"continents": continents})
def cases_by_continent(cases: pl.LazyFrame, continents: pl.LazyFrame) -> pl.LazyFrame:
    """Cases of each continent, by the table of today."""
    known = cases.join(continents, on="country", how="left")
    return known.group_by("continent").agg(pl.col("cases").sum()).sort("continent")


@aggregation(meter)
def power(meter: pl.LazyFrame) -> pl.LazyFrame:
    """Of each room the most watts, and how many faults were noted."""
    return meter.group_by("room").agg(pl.col("watts").max(), faults=pl.col("fault").count()).sort("room")


@aggregation(trips)
def trips_by_city(trips: pl.LazyFrame) -> pl.LazyFrame:
    """Trips and metres of each city."""
    return trips.group_by("city").agg(trips=pl.len(), metres=pl.col("metres").sum()).sort("city")


@aggregation(clicks)
def clicks_by_page(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Visits and clicks of each page, on the days of Berlin."""
    return clicks.group_by("page").agg(visits=pl.len(), clicks=pl.col("clicks").sum()).sort("page")


@aggregation(air)
def air_extremes(air: pl.LazyFrame) -> pl.LazyFrame:
    """The lowest and the highest of the day, and how many stations told."""
    return air.select(lowest=pl.col("degrees").min(), highest=pl.col("degrees").max(), stations=pl.len())
