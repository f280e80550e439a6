"""What each result must hold, counted in plain Python from what the files were written from. Neither polars nor
Noonmark has a part in it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

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
        (room, max(row[2] for row in rows if row[0] == room), faults)
        for room, faults in _by(rows, 0, lambda row: row[1] is not None)
    ],
    "trips_by_city": lambda rows: _by(rows, 0, lambda _: 1, lambda row: row[2]),
    "clicks_by_page": lambda rows: _by(rows, 1, lambda _: 1, lambda row: row[2]),
    "air_extremes": lambda rows: [(min(row[1] for row in rows), max(row[1] for row in rows), len(rows))],
}
"""The rows of a day's files to the rows of each aggregation's result."""
JOINED: Mapping[str, Callable[[Rows, Mapping[str, str]], list[tuple[Any, ...]]]] = {
    "cases_by_continent": lambda rows, table: _by([(table[row[1]], row[2]) for row in rows], 0, lambda row: row[1]),
}
"""Likewise, with the table that such a result is joined with."""
EVENTS = {"clicks_by_page": ZoneInfo("Europe/Berlin")}
"""The aggregations whose rows are events: the first value of a row is when, and the zone is that of the days."""


def result_of(aggregation: str, day: str, files: Iterable[Rows], table: Rows = ()) -> list[tuple[Any, ...]]:
    """The result of a day whose files, and those of the days around it, hold these rows, joined with a table."""
    rows = [row for some in files for row in some]
    if zone := EVENTS.get(aggregation):
        rows = [row for row in rows if dt.datetime.fromisoformat(row[0]).astimezone(zone).date().isoformat() == day]
    return JOINED[aggregation](rows, dict(table)) if aggregation in JOINED else RESULTS[aggregation](rows)
