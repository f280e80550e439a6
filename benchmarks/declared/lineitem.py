"""B1: four summaries of the TPC-H lines that were shipped on a day. The first alone is "one aggregation".

Amounts are decimals and stay so: every tool that computes them must give the same digits.
"""

from __future__ import annotations

import polars as pl

from tasks.catalog import Source, aggregation

lineitem = Source("lineitem/{day}.parquet")

# A product of two decimals keeps the first one's digits, so that one is given all four.
_discounted = pl.col("l_extendedprice").cast(pl.Decimal(15, 4)) * (1 - pl.col("l_discount"))
_measures = {
    "lines": pl.len(),
    "quantity": pl.col("l_quantity").sum(),
    "price": pl.col("l_extendedprice").sum(),
    "discounted_price": _discounted.sum(),
    "quantity_mean": pl.col("l_quantity").mean(),
}


@aggregation(lineitem, version=1)
def by_status(lineitem: pl.LazyFrame) -> pl.LazyFrame:
    """Lines, quantities, prices and distinct suppliers by return flag and line status."""
    keys = ["l_returnflag", "l_linestatus"]
    return lineitem.group_by(keys).agg(**_measures, suppliers=pl.col("l_suppkey").n_unique()).sort(keys)


@aggregation(lineitem, version=1)
def by_ship_mode(lineitem: pl.LazyFrame) -> pl.LazyFrame:
    """The same by the way of shipping."""
    measured = lineitem.group_by("l_shipmode").agg(**_measures, suppliers=pl.col("l_suppkey").n_unique())
    return measured.sort("l_shipmode")


@aggregation(lineitem, version=1)
def by_supplier(lineitem: pl.LazyFrame) -> pl.LazyFrame:
    """The same by supplier, with distinct parts: nearly as many groups as rows."""
    return lineitem.group_by("l_suppkey").agg(**_measures, parts=pl.col("l_partkey").n_unique()).sort("l_suppkey")


@aggregation(lineitem, version=1)
def by_discount(lineitem: pl.LazyFrame) -> pl.LazyFrame:
    """The same by discount, of which there are eleven."""
    measured = lineitem.group_by("l_discount").agg(**_measures, suppliers=pl.col("l_suppkey").n_unique())
    return measured.sort("l_discount")
