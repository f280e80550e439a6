"""Where the days of a source lie costs nothing: in one folder, or in folders that a wildcard matches."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pytest

from tasks.compute.outcomes import Committed
from tasks.inputs import run_listing
from tests.tasks.inputs import test_listing, test_waiting
from tests.tasks.inputs.test_waiting import Yard

scanned = test_listing.scanned
yard = test_waiting.yard
DAYS = [str(dt.date(2023, 12, 12) + dt.timedelta(at)) for at in range(40)]


@pytest.mark.parametrize("template", ["data/{day}.csv", "data/*/{day}.csv", "data/**/{day}.csv"])
def test_a_run_over_many_days_opens_each_file_once_wherever_it_lies(
    yard: Yard, scanned: list[str], monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    """Nothing is read twice, and no folder is listed once for each day that is looked for in it."""
    by_year = "*/" in template
    yard.declare(template)
    for at, day in enumerate(DAYS):
        yard.put(f"data/{day[:4]}/{day}.csv" if by_year else f"data/{day}.csv", text=f"x\n{at}\n")
    monkeypatch.setattr(run_listing, "RECENT_NS", -(10**18))
    opened: list[str] = []
    real = os.open

    def noted(path: Any, *given: Any, **options: Any) -> int:
        if str(path).endswith(".csv"):
            opened.append(str(path))
        return real(path, *given, **options)

    monkeypatch.setattr(os, "open", noted)
    outcomes = yard.run()
    assert [isinstance(one, Committed) for one in outcomes] == [True] * len(DAYS)
    assert len(opened) == len(set(opened)) == len(DAYS)
    listed = len([path for path in scanned if "data" in path])
    assert listed == (2 * 3 if by_year else 1)  # by the survey, and by the run where names must be looked for
