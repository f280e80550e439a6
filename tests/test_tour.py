"""A tour for newcomers: what Noonmark is, one idea a test, in the order in which one meets them.

No server runs here, neither Prefect's nor Redis: the output directory alone is the truth.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from state import outputs
from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Selection
from state.result.classify import Commit, Damaged
from state.store.local.root import open_store
from tasks.catalog.declare import Aggregation, Source, aggregation, declared
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed, Failed
from tasks.survey import survey

sales = Source("sales/{day}/*.csv")


@aggregation(sales, version=1)
def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold in each shop."""
    return sales.group_by("shop").agg(pl.col("items").sum()).sort("shop")


class Tour:
    """A small project: raw files of two days, and one aggregation."""

    def __init__(self, folder: Path) -> None:
        self.raw = folder / "raw"
        self.output = folder / "aggregates"
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
        with open_store(self.output, create=True, remembered=False) as root:
            found = survey(self.catalog, InputRoot(self.raw), root, BestEffortIndex(None), Selection(), 1)
            return {item.day: item.reason for item in found.plan.items}

    def run(self) -> list[Committed | Failed]:
        """Compute and publish what is planned."""
        with open_store(self.output, create=True, remembered=False) as root:
            found = survey(self.catalog, InputRoot(self.raw), root, BestEffortIndex(None), Selection(), 1)
            run = RunContext(self.catalog, InputRoot(self.raw), root)
            return [one for one in compute(run, found.plan.items) if isinstance(one, Committed | Failed)]

    def result(self, day: str) -> Path:
        """The file of a day's result."""
        return self.output / "items_by_shop" / f"day={day}" / "data.parquet"


@pytest.fixture
def tour(tmp_path: Path) -> Tour:
    """Two days of raw files, and no result yet."""
    return Tour(tmp_path)


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
    """One file for a day, in a hive-partitioned folder that polars, DuckDB, pandas and Spark read."""
    tour.run()
    found = pl.read_parquet(tour.output / "items_by_shop").sort("day", "shop")
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
    with open_store(tour.output, create=True, remembered=False) as root:
        found = root.lookup(("items_by_shop", "2024-05-01"))
    assert isinstance(found, Commit)
    assert (found.record.day, found.record.generation, found.record.rows) == ("2024-05-01", 1, 2)
    assert found.record.inputs["sales"].rows == 3


def test_damage_is_found_and_kept_and_mended(tour: Tour) -> None:
    """What is torn is not adopted, and not destroyed either."""
    tour.run()
    tour.result("2024-05-02").write_bytes(b"torn")
    with open_store(tour.output, create=True, remembered=False) as root:
        assert isinstance(root.lookup(("items_by_shop", "2024-05-02")), Damaged)
    assert tour.plan() == {"2024-05-02": "corrupt"}
    tour.run()
    assert [path.read_bytes() for path in (tour.output / "_noonmark/set_aside").iterdir()] == [b"torn"]
    assert outputs.scan("items_by_shop", output=tour.output).collect().height == 3


def test_a_bad_day_harms_no_other_and_keeps_its_last_good_result(tour: Tour) -> None:
    """The others are committed; the bad one is named, and what was there before is still there."""
    tour.run()
    good = tour.result("2024-05-02").read_bytes()
    tour.sell("2024-05-02", "south,many")
    tour.sell("2024-05-03", "south,1")
    assert {one.day: type(one) for one in tour.run()} == {"2024-05-02": Failed, "2024-05-03": Committed}
    assert tour.result("2024-05-02").read_bytes() == good


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
