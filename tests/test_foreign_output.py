"""What others leave in the output: links, folders, plain files, forged records. Told, kept, and harmless to others."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from tests.chaos.foreign import sealed
from tests.project import Project, dates
from tests.test_health import mended

DAYS = dates(10)


def _forged(project: Project, day: str, **fields: Any) -> None:
    """Put a result in the place of ``totals``' that is whole, sealed, and says what it is told to."""
    record = project.record("totals", day)
    told = {name: record[name] for name in ("version", "code", "generation", "nonce")}
    names = {"aggregation": "totals", "day": day, "inputs": {}, **told, **fields}
    sealed(project.result("totals", day), pl.DataFrame({"sales": [1], "items": [1]}), **names)


def test_a_forged_record_makes_one_damaged_day(project: Project) -> None:
    """Promise 10: a version that is a text or no number, or a nonce that is none, under a digest and a seal that fit:
    the others go on, and just that day is computed again. ``--deep`` ends well too.
    """
    odd: list[dict[str, Any]] = [{"version": "1"}, {"version": math.nan}, {"nonce": "\ud800"}, {"generation": 10**30}]
    for day, fields in zip(DAYS, odd, strict=False):
        _forged(project, day, **fields)
    project.sell("2024-01-11", [("north", 1)])
    run = project.run().committed
    corrupt = {("totals", day): "corrupt" for day in DAYS[: len(odd)]}
    new = dict.fromkeys([("totals", "2024-01-11"), ("items_by_shop", "2024-01-11")], "new")
    assert run == corrupt | new
    assert project.rows() == project.expected()

    _forged(project, DAYS[4], nonce=None)
    _forged(project, DAYS[5], version=[1])
    report = mended(project, deep=True)
    assert [(one["aggregation"], one["day"]) for one in report["set_aside"]] == [("totals", day) for day in DAYS[4:6]]
    assert {one["why"] for one in report["set_aside"]} == {"its commit record holds what no record of ours does"}
