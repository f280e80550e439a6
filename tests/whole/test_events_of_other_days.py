"""Events that lie in another day's file, by the real commands: what is computed, what waits, what fails and is told."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tests.flows.test_health import command
from tests.project import Project

VISITS = '''"""Visits by page."""

import polars as pl

from tasks.catalog import Source, aggregation

visits = Source(
    "visits/{day}.csv",
    schema={"at": pl.String, "page": pl.String},
    event_time=pl.col("at").str.to_datetime(strict=False, time_zone="UTC"),
    time_zone="Europe/Berlin",
    no_event=pl.col("page") == "ping",
)


@aggregation(visits)
def pages(visits: pl.LazyFrame) -> pl.LazyFrame:
    """Visits of each page."""
    return visits.group_by("page").len().sort("page")
'''
FILES = {
    "2024-03-30": ["2024-03-30T10:00:00Z,home", "2024-03-29T12:00:00Z,news"],
    "2024-03-31": ["2024-03-30T22:59:59Z,home", "2024-03-30T23:00:00Z,home", "2024-03-31T22:00:00Z,home", ",ping"],
    "2024-04-01": ["2024-03-31T21:59:59Z,news", "2024-04-01T05:00:00Z,news"],
}


def _write(project: Project, files: Mapping[str, list[str]]) -> None:
    (project.raw / "visits").mkdir(exist_ok=True)
    for day, rows in files.items():
        (project.raw / f"visits/{day}.csv").write_text("at,page\n" + "".join(f"{row}\n" for row in rows))


def test_late_events_by_the_real_command(tmp_path: Path, api_url: str) -> None:
    """Each in its local day, on a day of 23 hours too. The newest days wait and are no problem; a row of no day fails
    just the days that read its file, by name, and what stood there stays; a word leaves such rows out and counts them.
    """
    project = Project.create(tmp_path / "project", api_url)
    project.declare(VISITS)
    _write(project, FILES)
    first = project.run()
    assert sorted(first.committed) == [("pages", "2024-03-29"), ("pages", "2024-03-30"), ("pages", "2024-03-31")]
    assert first.json["skipped"] == {"waiting": 2}
    assert project.rows() == {
        ("pages", "2024-03-29"): [("news", 1)],
        ("pages", "2024-03-30"): [("home", 2)],
        ("pages", "2024-03-31"): [("home", 1), ("news", 1)],
    }
    healthy = command(project, "health", "--json").finish()
    assert healthy.code == 0, healthy.stderr
    assert healthy.json["counts"] == {"pages": {"done": 3, "waiting": 2}}
    inputs = project.record("pages", "2024-03-29")["inputs"]["visits"]
    assert (inputs["files"], inputs["rows"], inputs["absent"]) == (1, 1, 2)
    assert "absent" not in project.record("pages", "2024-03-31")["inputs"]["visits"]

    _write(project, {"2024-04-02": ["2024-04-09T10:00:00Z,home", "yesterday,home", "2024-04-01T23:00:00Z,home"]})
    before = project.rows()
    failed = project.run()
    assert failed.code == 1
    [one] = failed.json["failed"]
    assert (one["day"], one["kind"]) == ("2024-04-01", "input")
    assert (
        "visits/2024-04-02.csv, row 1: 2024-04-09 10:00:00+00:00 is of 2024-04-09, expected 2024-04-01 to"
        in one["error"]
    )
    assert "row 2: no event time (null)" in one["error"]
    assert project.rows() == before

    _write(project, {"2024-04-02": ["2024-04-09T10:00:00Z,home", "2024-04-01T05:00:00Z,news"], "2024-04-03": []})
    project.declare(VISITS.replace('time_zone="Europe/Berlin",', 'time_zone="Europe/Berlin",\n    outside="drop",'))
    dropped = project.run()
    assert sorted(day for _, day in dropped.committed) == ["2024-04-01", "2024-04-02"]
    assert (
        "day 2024-04-01 counts equal rows of two files: 1 row of visits/2024-04-01.csv also in visits/2024-04-02"
        in (dropped.stderr)
    )
    assert project.rows()["pages", "2024-04-01"] == [("home", 1), ("news", 2)]
    assert project.record("pages", "2024-04-02")["inputs"]["visits"]["outside"] == 1
    assert "outside" not in project.record("pages", "2024-04-01")["inputs"]["visits"]
    deep = command(project, "repair", "--deep", "--json").finish()
    assert deep.code == 0, deep.stderr


def test_raw_files_that_expire_leave_the_results_of_their_neighbours(tmp_path: Path, api_url: str) -> None:
    """A day whose neighbour is gone keeps what the late rows in it made, and a run, a plan and ``health`` name the day;
    neither a revised file nor a higher version computes it from a part.
    """
    project = Project.create(tmp_path / "project", api_url)
    project.declare(VISITS)
    days = [f"2024-04-0{number}" for number in range(1, 8)]
    own = {day: [f"{day}T10:00:00Z,home"] for day in days}
    late = {day: [*own[day], f"{before}T11:00:00Z,home"] for before, day in pairwise(days)}
    _write(project, own | late)
    assert len(project.run().committed) == 7
    before = project.rows()
    assert before["pages", "2024-04-03"] == [("home", 2)]

    for day in days[:3]:
        (project.raw / f"visits/{day}.csv").unlink()
    _write(project, {"2024-04-04": [*late["2024-04-04"], "2024-04-04T12:00:00Z,home"]})
    run = project.run()
    assert (run.code, [*run.committed]) == (0, [("pages", "2024-04-05")])
    assert run.json["skipped"]["orphaned"] == 5
    assert run.json["orphaned"] == {"pages": ["2024-03-31..2024-04-04"]}
    assert project.rows() == before
    healthy = command(project, "health", "--json").finish()
    assert healthy.code == 0, healthy.stderr
    assert healthy.json["orphaned"] == {"pages": ["2024-03-31..2024-04-04"]}
    deep = command(project, "repair", "--deep", "--json").finish()
    assert deep.code == 0, deep.stderr

    project.declare(VISITS.replace("@aggregation(visits)", "@aggregation(visits, version=2)"))
    raised = project.run()
    assert sorted(day for _, day in raised.committed) == ["2024-04-05", "2024-04-06"]
    assert project.rows() == before
