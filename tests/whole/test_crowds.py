"""Several runs over one output, and days that arrive in any order: nothing is counted twice, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from examples.orders import generate
from state import outputs
from tests.project import Project, dates

pytestmark = pytest.mark.timeout(300)  # whole runs, on machines that may be busy


@pytest.mark.parametrize("redis_url", ["none", ""], ids=["without-redis", "embedded-server"])
def test_two_runs_at_once_give_the_rows_of_one(api_url: str, tmp_path: Path, redis_url: str) -> None:
    """Promises 3, 7 and 8, with and without leases: each result is reported as committed by one run alone."""
    project = Project.create(tmp_path / "project", api_url, dates(20), redis_url=redis_url)
    (meeting := tmp_path / "meeting").mkdir()
    environment = {"MEET": str(meeting), "PACE": "0.03"}
    runs = [project.start("--json", *options, env=environment) for options in ([], ["--newest-first"])]

    one, other = (run.finish() for run in runs)

    assert one.committed.keys() | other.committed.keys() == project.expected().keys()
    assert not one.committed.keys() & other.committed.keys()
    assert one.committed
    assert other.committed
    assert project.rows() == project.expected()
    assert {project.record(*key)["generation"] for key in project.expected()} == {1}
    assert project.drafts == []
    assert project.processes() == []
    assert project.run("--dry-run").planned == {}
    if not redis_url:
        days = project.index()["noonmark:{totals}:processed_days"]
        assert days == {day.encode() for day in dates(20)}


def test_two_forced_runs_at_once_replace_whole_days_by_whole_days(project: Project, tmp_path: Path) -> None:
    """Promise 3: each publishes only over what it saw. A day that another replaced meanwhile is begun anew."""
    (meeting := tmp_path / "meeting").mkdir()
    environment = {"NOONMARK_REDIS_URL": "none", "MEET": str(meeting), "PACE": "0.03"}
    for run in [project.start("--json", "--force", "--only", "totals", env=environment) for _ in range(2)]:
        assert run.finish().code == 0, run.finish().stderr
    assert project.rows() == project.expected()
    assert project.drafts == []


def test_items_out_are_items_in_whatever_happens(api_url: str, tmp_path: Path) -> None:
    """Day 10 before day 9, day 0 last, overlapping runs, a rerun and a lost Redis: each item is counted once.

    Two public pipelines of this kind had totals two to three times too high after exactly this.
    """
    project = Project.create(tmp_path / "project", api_url)
    orders = {"NOONMARK_AGGREGATIONS": "examples.orders"}
    sold = generate(project.raw, [10], seed=4)
    assert list(project.run(env=orders).committed) == [("items_by_hour", "10")]

    sold |= generate(project.raw, [9, *range(1, 9), 11], seed=4)
    overlapping = [project.start("--json", env=orders) for _ in range(2)]
    assert {day for run in overlapping for _, day in run.finish().committed} == {*map(str, range(1, 10)), "11"}
    assert _counted(project) == sold

    shutil.rmtree(project.redis)
    sold |= generate(project.raw, [0], seed=4)
    assert project.run(env=orders).committed == {("items_by_hour", "0"): "new"}
    assert project.run("--dry-run", env=orders).planned == {}

    assert _counted(project) == sold
    assert sorted(sold) == list(range(12))
    index = project.index()
    assert index["noonmark:{items_by_hour}:processed_days"] == {str(day).encode() for day in range(12)}
    assert index["noonmark:{items_by_hour}:last_processed_day"] == b"11"
    assert {project.record("items_by_hour", str(day))["generation"] for day in range(12)} == {1}


def _counted(project: Project) -> dict[int, int]:
    results = outputs.scan("items_by_hour", output=project.output)
    return dict(results.group_by("day").agg(pl.col("items").sum()).collect().iter_rows())
