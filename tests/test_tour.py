"""A tour for newcomers: what Noonmark is, one idea a test, in the order in which one meets them.

No server runs here, neither Prefect's nor Redis: the output alone is the truth. Each stop is made with two kinds of
output, a folder and an object store in memory.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Selection
from state.result.classify import Commit, Damaged
from tasks.catalog.declare import Aggregation, aggregation, declared
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed, Failed
from tasks.survey import survey
from tests.tour_outputs import InMemory, OnDisk, Output

sales = Source("sales/{day}/*.csv")


@aggregation(sales, version=1)
def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold in each shop."""
    return sales.group_by("shop").agg(pl.col("items").sum()).sort("shop")


class Tour:
    """A small project: raw files of two days, and one aggregation."""

    def __init__(self, folder: Path, output: Output) -> None:
        self.raw = folder / "raw"
        self.output = output
        self.declare(items_by_shop)
        self.sell("2024-05-01", "north,3", "south,4", "north,5")
        self.sell("2024-05-02", "south,6")

    def declare(self, function: object) -> None:
        """Let this be the only aggregation."""
        one = declared(function)
        assert isinstance(one, Aggregation)
        self.catalog = {one.name: one}

    def file(self, day: str) -> Path:
        """The raw file of a day."""
        return self.raw / "sales" / day / "sales.csv"

    def sell(self, day: str, *lines: str) -> None:
        """Write the raw file of a day."""
        self.file(day).parent.mkdir(parents=True, exist_ok=True)
        self.file(day).write_text("\n".join(["shop,items", *lines, ""]))

    def plan(self) -> dict[str, str]:
        """Why which day would be computed now."""
        with self.output.open() as store:
            found = survey(self.catalog, InputRoot(self.raw), store, BestEffortIndex(None), Selection(), 1)
            return {item.day: item.reason for item in found.plan.items}

    def run(self) -> list[Committed | Failed]:
        """Compute and publish what is planned."""
        with self.output.open() as store, store.run_note() as note:
            found = survey(self.catalog, InputRoot(self.raw), store, BestEffortIndex(None), Selection(), 1)
            run = RunContext(self.catalog, InputRoot(self.raw), store, note=note)
            return [one for one in compute(run, found.plan.items) if isinstance(one, Committed | Failed)]


FIRST = ("items_by_shop", "2024-05-01")
SECOND = ("items_by_shop", "2024-05-02")


@pytest.fixture(params=[OnDisk, InMemory])
def tour(request: pytest.FixtureRequest, tmp_path: Path) -> Tour:
    """Two days of raw files, and no result yet."""
    return Tour(tmp_path, request.param(tmp_path / "aggregates"))


def test_an_aggregation_is_a_plain_function() -> None:
    """From one day's LazyFrame to a LazyFrame: call it, and test it, like any other."""
    frame = pl.LazyFrame({"shop": ["north", "south", "north"], "items": [3, 4, 5]})
    assert items_by_shop(frame).collect().rows() == [("north", 8), ("south", 4)]


def test_a_plan_says_which_day_and_why(tour: Tour) -> None:
    """Every planned day has one reason. A day that is done is in no plan, however often one asks."""
    assert tour.plan() == {"2024-05-01": "new", "2024-05-02": "new"}
    tour.run()
    assert tour.plan() == {}


def test_results_are_plain_parquet(tour: Tour) -> None:
    """One file for a day, that any reader of Parquet reads."""
    tour.run()
    assert pl.read_parquet(tour.output.content(FIRST)).rows() == [("north", 8), ("south", 4)]


def test_a_folder_of_results_is_a_dataset(tmp_path: Path) -> None:
    """Each day is a hive partition, so polars, DuckDB, pandas and Spark read all days at once."""
    tour = Tour(tmp_path, OnDisk(tmp_path / "aggregates"))
    tour.run()
    found = pl.read_parquet(tmp_path / "aggregates/items_by_shop").sort("day", "shop")
    assert found.select(pl.col("day").cast(str), "shop", "items").rows() == [
        ("2024-05-01", "north", 8),
        ("2024-05-01", "south", 4),
        ("2024-05-02", "south", 6),
    ]


def test_a_late_row_is_noticed_and_a_touch_is_not(tour: Tour) -> None:
    """What counts is what the files hold: one late row recomputes its day, and no other."""
    tour.run()
    tour.file("2024-05-01").touch()
    assert tour.plan() == {}
    tour.sell("2024-05-02", "south,6", "north,1")
    assert tour.plan() == {"2024-05-02": "changed"}


def test_a_result_carries_its_own_proof(tour: Tour) -> None:
    """The file says what it is, of which input, in which generation; no database has to be asked."""
    tour.run()
    with tour.output.open() as store:
        found = store.lookup(FIRST)
    assert isinstance(found, Commit)
    assert (found.record.day, found.record.generation, found.record.rows) == ("2024-05-01", 1, 2)
    assert found.record.inputs["sales"].rows == 3


def test_damage_is_found_and_kept_and_repaired(tour: Tour) -> None:
    """What is torn is not adopted, and not destroyed either."""
    tour.run()
    tour.output.overwrite(SECOND, b"torn")
    with tour.output.open() as store:
        assert isinstance(store.lookup(SECOND), Damaged)
    assert tour.plan() == {"2024-05-02": "corrupt"}
    tour.run()
    assert tour.output.set_aside() == [b"torn"]
    assert tour.output.read("items_by_shop").height == 3


def test_a_bad_day_harms_no_other_and_keeps_its_last_good_result(tour: Tour) -> None:
    """The others are committed; the bad one is named, and what was there before is still there."""
    tour.run()
    good = tour.output.content(SECOND)
    tour.sell("2024-05-02", "south,many")
    tour.sell("2024-05-03", "south,1")
    assert {one.day: type(one) for one in tour.run()} == {"2024-05-02": Failed, "2024-05-03": Committed}
    assert tour.output.content(SECOND) == good


def test_old_code_overwrites_nothing_that_newer_code_wrote(tour: Tour) -> None:
    """A version is raised to compute anew. A machine that still runs the old one leaves the new results alone."""

    @aggregation(sales, version=2)
    def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Items sold in each shop, the busiest first."""
        return sales.group_by("shop").agg(pl.col("items").sum()).sort("items", descending=True)

    tour.run()
    old = dict(tour.catalog)
    tour.declare(items_by_shop)
    assert tour.plan() == {"2024-05-01": "outdated", "2024-05-02": "outdated"}
    tour.run()
    tour.catalog = old
    assert tour.plan() == {}
