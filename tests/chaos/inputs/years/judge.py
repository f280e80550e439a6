"""What each result must hold, counted in plain Python from what the files were written from. Neither polars nor
Noonmark has a part in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Rows = Sequence[tuple[Any, ...]]


def _by(rows: Rows, key: int, *values: Callable[[tuple[Any, ...]], int]) -> list[tuple[Any, ...]]:
    counted = [Counter[str]() for _ in values]
    for row in rows:
        for counter, value in zip(counted, values, strict=True):
            counter[row[key]] += value(row)
    return [(name, *(counter[name] for counter in counted)) for name in sorted({row[key] for row in rows})]


RESULTS: Mapping[str, Callable[[Rows], list[tuple[Any, ...]]]] = {
    "items_by_shop": lambda rows: _by(rows, 0, lambda row: row[2]),
    "sales_total": lambda rows: [(len(rows), sum(row[2] for row in rows))],
    "cases_by_country": lambda rows: _by(rows, 1, lambda row: row[2]),
    "power": lambda rows: [
        (len(rows), max(row[2] for row in rows), sum(row[1] is not None for row in rows)),
    ],
    "trips_by_city": lambda rows: _by(rows, 0, lambda _: 1, lambda row: row[2]),
    "air_extremes": lambda rows: [(min(row[1] for row in rows), max(row[1] for row in rows), len(rows))],
}
"""The rows of a day's files to the rows of each aggregation's result."""


def result_of(aggregation: str, files: Iterable[Rows]) -> list[tuple[Any, ...]]:
    """The result of a day whose files hold these rows."""
    return RESULTS[aggregation]([row for rows in files for row in rows])
