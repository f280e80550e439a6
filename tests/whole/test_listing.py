"""What is left out, what waits, and what is there twice, as people and programs see it: by the real commands."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.flows.test_health import command
from tests.project import SHOPS, Project, dates

DAYS = dates(3)
ONE, TWO, THREE = DAYS


def shop(tmp_path: Path, arguments: str = "", template: str = "sales/{day}/*.csv") -> Project:
    """A project whose source has these arguments. Without Redis, for what is tried here has no use for it."""
    project = Project.create(tmp_path / "p", None, DAYS, redis_url="none")
    project.declare(SHOPS.replace('Source("sales/{day}/*.csv")', f'Source("{template}"{arguments})'))
    return project


def test_strays_are_named_by_all_commands_and_harm_nothing(tmp_path: Path) -> None:
    """Each with its reason: in warnings, in JSON, and in health, which stays healthy; the run ends with 0."""
    project = shop(tmp_path)
    odd = {"NaN-NaN-NaN": "a word such as NaN in place of the day", "2024-1-4": "a day of other digits"}
    odd |= {"2024-01-32": "no day of the calendar", "2024-01-01 copy": "the name of a copy"}
    for name in odd:
        (project.raw / "sales" / name).mkdir()
        (project.raw / "sales" / name / "sales.csv").write_text("shop,items\nnorth,1\n")
    (project.raw / "sales" / ONE / "SALES.CSV").write_text("shop,items\nnorth,1\n")
    (project.raw / "sales" / TWO / "folder.csv").mkdir()
    odd |= {f"{ONE}/SALES.CSV": "other capitals", f"{TWO}/folder.csv": "a folder in place of a file"}

    planned = project.run("--dry-run")
    assert planned.code == 0
    done = project.run()
    assert len(done.committed) == 2 * len(DAYS)
    health = command(project, "health", "--json").finish()
    assert (health.code, health.json["healthy"]) == (0, True)
    for report in (planned.json, done.json, health.json):
        assert report["stray_count"] == len(odd)
        found = {one["path"].removeprefix("sales/"): one["why"] for one in report["strays"]}
        for name, why in odd.items():
            assert found[name if "/" in name or name != "2024-01-32" else f"{name}/sales.csv"].startswith(why)
        assert {one["source"] for one in report["strays"]} == {"sales/{day}/*.csv"}
    warnings = " ".join(one["detail"] + one["hint"] for one in health.json["warnings"])
    for name, why in odd.items():
        assert f"sales/{name}" in warnings
        assert f"sales/{name}" in done.stderr
        assert why in done.stderr


def test_a_day_that_waits_is_named_with_what_it_waits_for(tmp_path: Path) -> None:
    """By a run, which ends with 0, by its dry run and by health; then its marker comes, and it is computed."""
    project = shop(tmp_path, ', marker="_SUCCESS"')
    for day in (ONE, THREE):
        (project.raw / "sales" / day / "_SUCCESS").touch()
    marker = f"sales/{TWO}/_SUCCESS"
    planned, done, health = (
        project.run("--dry-run"),
        project.run(),
        command(project, "health", "--json").finish(),
    )
    assert {day for _, day in done.committed} == {ONE, THREE}
    assert (planned.code, health.code) == (0, 0)
    for report in (planned.json, done.json, health.json):
        assert report["waiting"] == {"items_by_shop": [TWO], "totals": [TWO]}
        assert report["waiting_for"]["totals"] == {TWO: f"its marker {marker!r}"}
    assert done.json["skipped"]["waiting"] == 2
    assert health.json["counts"]["totals"] == {"done": 2, "waiting": 1}
    for shown in (project.start().finish(), project.start("--dry-run").finish(), command(project, "health").finish()):
        assert shown.code == 0
        assert f"Waiting: {TWO} for its marker {marker!r}" in shown.stdout
    forced = project.run("--force", "--days", TWO)
    assert (forced.code, forced.json["committed"]) == (0, [])
    (project.raw / marker).touch()
    assert {day for _, day in project.run().committed} == {TWO}


def test_a_changed_day_keeps_its_result_until_its_files_have_rested(tmp_path: Path) -> None:
    """With ``settle=`` the old rows stay readable meanwhile; a bad value is an error that names its source."""
    project = shop(tmp_path, ', settle="1d"')
    found = project.run()
    assert (found.code, found.json["committed"], found.json["skipped"]) == (0, [], {"waiting": 6})
    project.declare(SHOPS)
    project.run()
    rows = project.rows()
    project.declare(SHOPS.replace('/*.csv")', '/*.csv", settle="1d")'))
    project.sell(ONE, [("west", 1)])
    later = project.run()
    assert (later.code, later.json["committed"]) == (0, [])
    assert later.json["waiting"] == {"items_by_shop": [ONE], "totals": [ONE]}
    assert project.rows() == rows
    future = time.time() + 3 * 86400
    os.utime(project.sales_file(ONE), (future, future))
    assert "in the future" in project.run().json["waiting_for"]["totals"][ONE]
    project.declare(SHOPS.replace('/*.csv")', '/*.csv", settle="soon")'))
    refused = project.run()
    assert (refused.code, refused.json["error"]["kind"]) == (2, "declaration")
    assert "settle='soon'" in refused.json["error"]["message"]


def twice(tmp_path: Path, arguments: str = "") -> tuple[Project, Path]:
    """A project whose second day lies in two folders, and the copy of its file."""
    project = shop(tmp_path, arguments, template="sales/**/{day}/*.csv")
    copy = project.raw / "sales" / "restored" / TWO / "sales.csv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(project.sales_file(TWO).read_bytes())
    return project, copy


def test_a_day_that_is_there_twice_fails_alone(tmp_path: Path) -> None:
    """It names both paths and ends with 1, and health shows why."""
    project, _ = twice(tmp_path)
    found = project.run()
    assert found.code == 1
    assert {(one["day"], one["kind"]) for one in found.json["failed"]} == {(TWO, "input")}
    for error in (one["error"] for one in found.json["failed"]):
        assert f"sales/{TWO}/sales.csv" in error
        assert f"sales/restored/{TWO}/sales.csv" in error
    assert len(found.json["committed"]) == 4
    health = command(project, "health", "--json").finish()
    assert health.code == 1
    assert all("duplicates='first'" in one["detail"] for one in health.json["problems"])


def test_a_day_that_is_there_twice_is_read_once_where_that_is_declared(tmp_path: Path) -> None:
    """Then it is done; without the copy one run settles it again, with the same rows."""
    project, copy = twice(tmp_path, ', duplicates="first"')
    assert {day for _, day in project.run().committed} == {*DAYS}
    assert project.rows()["totals", TWO] == [(3, 14)]
    assert project.run().committed == {}
    copy.unlink()
    assert {day for _, day in project.run().committed} == {TWO}
    assert project.rows()["totals", TWO] == [(3, 14)]
    assert project.run().committed == {}
