"""Broken links below the input root: litter is passed over, and a disk that is gone is not taken for missing files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from state.days import around
from state.inputs.files import DayFiles, FileStat
from state.planner.current import Declared
from state.planner.decide import Facts
from state.result.classify import Commit, Damaged, Found
from state.result.record import SourceRecord
from tasks.inputs.broken_links import hidden_days
from tasks.inputs.walk import Unseen
from tasks.templates.template import Template
from tests.builders import RECORD
from tests.flows.test_health import command
from tests.project import Project

REGIONS = '''"""Sales by region: a folder each, and in it a file each day."""

import polars as pl

from tasks.catalog import Source, aggregation


@aggregation(Source("sales/*/{day}.csv"))
def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items of all regions."""
    return sales.select(pl.col("items").sum())
'''


def _sell(project: Project, region: str, items: Mapping[str, int]) -> None:
    for day, number in items.items():
        file = project.raw / "sales" / region / f"{day}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"items\n{number}\n")


def test_a_broken_link_beside_the_folders_of_a_wildcard_is_named_and_the_others_go_on(
    tmp_path: Path, api_url: str
) -> None:
    """A link that never held anything is a warning. One whose files the commits had is a disk that is gone: the days
    that may lie there in part are unreadable, new ones too, and all are computed once it is back.
    """
    project = Project.create(tmp_path / "project", api_url)
    project.declare(REGIONS)
    disk = project.folder / "disk"
    _sell(project, "north", {"2024-01-01": 1, "2024-01-02": 2, "2024-01-03": 3})
    _sell(project, "../../disk/south", {"2024-01-01": 10, "2024-01-02": 20, "2024-01-04": 40})
    (project.raw / "sales/south").symlink_to(disk / "south")
    (project.raw / "sales/latest").symlink_to("nowhere")
    first = project.run()
    assert len(first.committed) == 4
    assert "source 'sales/*/{day}.csv': sales/latest is a broken link" in first.stderr
    healthy = command(project, "health", "--json").finish()
    assert (healthy.code, healthy.json["problems"]) == (0, [])
    assert [one["detail"] for one in healthy.json["warnings"]] == [
        "source 'sales/*/{day}.csv': sales/latest is a broken link, and the files behind it are not seen"
    ]
    (project.raw / "sales/latest").unlink()
    before = project.rows()
    disk.rename(project.folder / "unmounted")
    _sell(project, "north", {"2024-01-05": 5})
    gone = project.run()
    assert gone.code == 1
    assert {(one["day"], one["kind"]) for one in gone.json["failed"]} == {
        (day, "unreadable") for day in ("2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05")
    }
    assert all("the broken link sales/south" in one["error"] for one in gone.json["failed"])
    assert (gone.json["committed"], gone.json["skipped"], project.rows()) == ([], {"done": 1}, before)
    assert command(project, "health", "--json").finish().code == 1
    (project.folder / "unmounted").rename(disk)
    _sell(project, "south", {"2024-01-05": 50})
    assert project.run().committed == {("totals", "2024-01-05"): "new"}
    assert project.rows() == {**before, ("totals", "2024-01-05"): [(55,)]}


def test_a_lost_result_whose_input_may_lie_behind_a_broken_link_is_not_given_up(tmp_path: Path, api_url: str) -> None:
    """Only the index remembers the day. It is unreadable, for its files may come back, and not unrecoverable."""
    project = Project.create(tmp_path / "project", api_url)
    project.declare(REGIONS)
    _sell(project, "north", {"2024-01-01": 1})
    _sell(project, "../../disk/south", {"2024-01-02": 20})
    (project.raw / "sales/south").symlink_to(project.folder / "disk/south")
    assert len(project.run().committed) == 2
    (project.folder / "disk").rename(project.folder / "unmounted")
    shutil.rmtree(project.output / "totals/day=2024-01-02")
    gone = project.run()
    assert [(one["day"], one["kind"]) for one in gone.json["failed"]] == [("2024-01-02", "unreadable")]
    (project.folder / "unmounted").rename(project.folder / "disk")
    assert set(project.run().committed) == {("totals", "2024-01-02")}


ONE = Declared("totals", 1, "", {"sales": "raw"})
OTHER = Declared("counts", 1, "", {"sales": "raw", "more": "raw2"})


def _files(number: int) -> DayFiles:
    return DayFiles(tuple(FileStat(f"{at}/x", 5, 1, 1, at) for at in range(number)), "now")


def _commit(files: int, size: int | None = None) -> Commit:
    record = SourceRecord(files, 5 * files if size is None else size, 1, "", None)
    return Commit(RECORD._replace(inputs={"sales": record}), (1, 1))


def _hidden(listed: Mapping[str, int], output: Mapping[str, Mapping[str, Found]]) -> set[str]:
    facts = Facts(
        inputs={"raw": {day: _files(number) for day, number in listed.items()}},
        output=output,
        index={"totals": {"9"}},
    )
    links = [Unseen("lost", (frozenset(),))]
    return set(hidden_days(links, Template.parse("*/{day:int}"), "raw", [ONE, OTHER], facts))


@pytest.mark.parametrize(
    ("listed", "output", "hidden"),
    [
        ({"1": 2, "2": 1}, {}, {"9"}),
        ({"1": 2, "2": 3}, {"totals": {"1": _commit(2), "2": _commit(2)}}, {"9"}),
        ({"1": 2}, {"totals": {"1": _commit(2), "2": _commit(1), "3": Damaged("torn")}}, {"2", "3", "9"}),
        ({"1": 2, "2": 1, "3": 1}, {"totals": {"1": _commit(2), "2": _commit(2)}}, {"2", "3", "9"}),
        ({"1": 2, "2": 1}, {"totals": {"1": _commit(2, 7), "2": _commit(2)}}, {"1", "2", "9"}),
        ({"1": 2, "2": 1}, {"totals": {"1": _commit(2)}, "counts": {"1": _commit(3)}}, {"1", "2", "9"}),
        ({"1": 1}, {"counts": {"1": _commit(1)}, "undeclared": {"1": _commit(2)}}, {"9"}),
    ],
    ids=["new", "grown", "gone", "a part gone", "a part gone and one changed", "another's part gone", "not declared"],
)
def test_commits_tell_which_days_may_be_seen_in_part(
    listed: Mapping[str, int], output: Mapping[str, Mapping[str, Found]], hidden: set[str]
) -> None:
    """Fewer files than a commit had, or none where there is a result or was one; and once a day lacks a part, each
    day that no commit shows to be whole.
    """
    assert _hidden(listed, output) == hidden


def test_days_that_cannot_lie_behind_the_link_are_left_alone() -> None:
    """A link in the place of a year hides that year's days at most."""
    facts = Facts(
        inputs={"raw": {"2013-01-01": _files(1), "2014-01-01": _files(1)}},
        output={"totals": {"2013-01-01": _commit(2), "2014-01-01": _commit(2)}},
    )
    links = [Unseen("2013", (frozenset({("Y", "2013")}),))]
    found = hidden_days(links, Template.parse("{day:%Y}/*/{day:%m-%d}"), "raw", [ONE], facts)
    assert set(found) == {"2013-01-01"}
    assert found["2013-01-01"].startswith("1 of the 2 files of its commit are listed, and the broken link 2013 may")


def test_a_day_of_events_may_miss_files_of_its_neighbours() -> None:
    """The first day of a year reads a file of the year before: a link in that year's place may hide it."""
    days = ("2014-01-01", "2014-01-02")
    facts = Facts(
        inputs={"raw": {day: _files(1) for day in days}},
        output={"totals": {day: _commit(2) for day in days}},
    )
    links = [Unseen("2013", (frozenset({("Y", "2013")}),))]
    template = Template.parse("{day:%Y}/*/{day:%m-%d}")
    assert not hidden_days(links, template, "raw", [ONE], facts)
    assert set(hidden_days(links, template, "raw", [ONE], facts, lambda day: around(day, 1, 1))) == {"2014-01-01"}
