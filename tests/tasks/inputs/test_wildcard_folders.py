"""The folder that a wildcard matched: a part of the input where the aggregation can see it, and nothing elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.inputs.run_listing import RunListing
from tasks.reading.day_input import contents_digest, read_day
from tasks.reading.sound_files import SoundFiles
from tasks.templates.template import Template
from tests.builders import path_day
from tests.flows.test_health import command
from tests.project import Project

REGIONS = '''"""Sales by region: three readers of the same files, of which one takes the region from the path."""

import polars as pl

from tasks.catalog import Source, aggregation


def read(files):
    return pl.concat(pl.scan_csv(file).with_columns(region=pl.lit(file.parent.name)) for file in files)


@aggregation(Source("sales/*/{day}.csv", read=read))
def by_region(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items of each region."""
    return sales.group_by("region").agg(pl.col("items").sum()).sort("region")


@aggregation(Source("sales/*/{day}.csv"))
def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items of all regions."""
    return sales.select(pl.col("items").sum())


@aggregation(Source("sales/**/{day}.csv"))
def counts(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Sales of all regions."""
    return sales.select(pl.len())
'''


def test_a_renamed_folder_is_a_change_for_who_sees_it_and_for_nobody_else(tmp_path: Path, api_url: str) -> None:
    """``us/`` becomes ``eu/``: the result that has the region from the path is computed again, those that cannot see
    it are done. Once done, all are, and the deep check finds every input as it was read.
    """
    project = Project.create(tmp_path / "project", api_url)
    project.declare(REGIONS)
    for region, items in (("asia", 1), ("us", 10)):
        (project.raw / "sales" / region).mkdir(parents=True)
        for day in ("2024-01-01", "2024-01-02"):
            (project.raw / "sales" / region / f"{day}.csv").write_text(f"items\n{items}\n")
    assert len(project.run().committed) == 6
    before = project.rows()
    (project.raw / "sales/us").rename(project.raw / "sales/eu")
    assert project.run().committed == {
        ("by_region", "2024-01-01"): "changed",
        ("by_region", "2024-01-02"): "changed",
    }
    assert project.rows() == {
        **before,
        **{("by_region", day): [("asia", 1), ("eu", 10)] for day in ("2024-01-01", "2024-01-02")},
    }
    assert project.run().committed == {}
    deep = command(project, "repair", "--deep", "--json").finish()
    assert (deep.code, deep.json["edited"]) == (0, [])


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("a/{day}.csv", "a/2013-01-01.csv", "2013-01-01.csv"),
        ("{day:%Y}/{day}/*.csv", "2013/2013-01-01/x.csv", "x.csv"),
        ("a/*/{day}.csv", "a/us/2013-01-01.csv", "us/2013-01-01.csv"),
        ("a/b/r?/{day}/x", "a/b/r1/2013-01-01/x", "r1/2013-01-01/x"),
        ("/a/us*{day}/b/x", "a/us_2013-01-01/b/x", "us_2013-01-01/b/x"),
        ("a/**/{day}", "a/b/c/2013-01-01", "b/c/2013-01-01"),
        ("a/{day}/**", "a/2013-01-01/b/x", "2013-01-01/b/x"),
    ],
)
def test_a_placed_name_has_what_wildcards_chose(template: str, path: str, name: str) -> None:
    """Folders that follow from the day, or stand in the template, tell nothing."""
    assert path_day(Template.parse(template), path) == "2013-01-01"
    assert Template.parse(template).placed_name(path) == name


def test_digests_of_who_sees_no_path_are_those_of_earlier_versions(tmp_path: Path) -> None:
    """Only what can be seen counts, so no commit changes by it; and who sees paths has the same digest where no folder
    is a wildcard's.
    """
    (tmp_path / "a/us").mkdir(parents=True)
    (tmp_path / "a/us/2013-01-01.csv").write_text("x\n1\n")

    def digest(template: str, **options: Any) -> str | None:
        source = Source(template, **options)
        with InputRoot(tmp_path) as root:
            taken = read_day(source, "2013-01-01", RunListing(root), SoundFiles())
            assert taken
            assert contents_digest(source, root, taken.files) == taken.contents.digest
            return taken.contents.digest

    before = "ea6c50f8aab1da79fd509cd74e61dd11582705dd301528671e1120327984a4a8"
    assert digest("a/*/{day}.csv") == digest("a/us/{day}.csv", read=lambda files: files) == before
    assert digest("a/*/{day}.csv", include_file_paths="path") not in (None, before)
    assert digest("a/*/{day}.csv", read=lambda files: files) == digest("a/*/{day}.csv", include_file_paths="path")
