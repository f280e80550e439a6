"""What a reader of docs/measurements.md sees first: a few ratios in words, those that are lost too, and a chart."""

from __future__ import annotations

from typing import NamedTuple


class Headline(NamedTuple):
    """A ratio of a benchmark, as a sentence. ``what`` is how the benchmark calls it."""

    benchmark: str
    what: str
    sentence: str


HEADLINES = (
    Headline(
        "days",
        "one aggregation, 2 threads: cost per day against plain loop",
        "A small day, beside a plain polars loop that publishes as durably and keeps no books",
    ),
    Headline(
        "days",
        "four aggregations, 2 threads: cost per day against four plain loops",
        "Four aggregations of a small day, beside four such loops",
    ),
    Headline(
        "flights",
        "five aggregations: cost per day against five plain loops",
        "Five aggregations of a day of CSV, beside five such loops",
    ),
    Headline("peers", "2,526 days: cost per day against luigi_range", "A small day of 2,526, beside Luigi"),
    Headline("peers", "365 days: cost per day against dagster_partitions", "A small day of 365, beside Dagster"),
    Headline(
        "repair",
        "100,000 commits: repair from nothing, against reading the footers",
        "The repair of a lost index of 100,000 commits, beside reading their footers with pyarrow",
    ),
)
"""Where Noonmark costs less than what stands beside it, or about as much."""

LOST = (
    Headline(
        "peers",
        "2,526 days: cost per day against duckdb_partitions",
        "A small day of 2,526, beside DuckDB's partitioned write, which flushes no file and proves none",
    ),
    Headline("peers", "365 days: cost per day against duckdb_partitions", "A small day of 365, beside the same"),
    Headline("peers", "365 days: cost per day against plain", "A small day of 365, beside a durable polars loop"),
    Headline(
        "huge",
        "a hundred groups, 50 million rows: time against plain polars, streaming",
        "One day of 50 million rows in a hundred groups, beside one plain streaming query",
    ),
    Headline(
        "huge",
        "a million groups, 50 million rows: time against plain polars, streaming",
        "One day of 50 million rows in a million groups, beside one plain streaming query",
    ),
    Headline(
        "repair",
        "10,000 small results: repair --deep, against SHA-256 over the same files",
        "`repair --deep` of 10,000 results of 2 kB, beside SHA-256 over the same files",
    ),
)
"""Where Noonmark costs more."""

CHART = "peers", "365 days: ", ", cost"
"""The benchmark of the chart, and what stands before and after the name of each tool there."""
STARTS = "peers", "365 days: ", ", empty run, whole process"
"""Where the start of each tool is measured."""
