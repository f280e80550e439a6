"""The small project that real workers run on: sales by day, two aggregations, and their expected results."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
from pydantic import SecretStr

from state.inputs.files import RECENT_NS
from state.planner.plan import Selection
from state.settings import Settings
from state.store.local import layout
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source

DAYS = ("2024-01-01", "2024-01-02")
Row = tuple[object, ...]


@cache
def catalog(version: int = 1) -> Catalog:
    """The aggregations of the scene, as code of this version declares them."""
    sales = Source("sales/{day}.csv")

    @aggregation(sales, version=version)
    def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Items sold in each shop, and the version of the code that counted them."""
        return sales.group_by("shop").agg(pl.col("items").sum(), code=pl.lit(version)).sort("shop")

    @aggregation(sales, version=version)
    def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Sales and items of the whole day."""
        return sales.select(sales=pl.len(), items=pl.col("items").sum(), code=pl.lit(version))

    found = [one for one in (declared(items_by_shop), declared(totals)) if one]
    return {one.name: one for one in found}


@dataclass(frozen=True)
class Scene:
    """One project: its input, its output, and its index."""

    raw: Path
    output: Path
    redis_url: str = "none"
    namespace: str = "noonmark"
    lease_seconds: int = 60
    create: bool = True

    def settings(self) -> Settings:
        """The settings of a run; the environment is ignored."""
        return Settings(
            input=self.raw,
            output=self.output,
            create_output=self.create,
            aggregations="tests.chaos.harness.scene",
            redis_url=SecretStr(self.redis_url),
            redis_dir=self.output.parent / "redis",
            namespace=self.namespace,
            workers=1,
            lease_seconds=self.lease_seconds,
        )

    def sell(self, day: str, *items: int) -> None:
        """Write a day's raw file: one sale of so many items in each shop, in order."""
        path = self.raw / "sales" / f"{day}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("shop,items\n" + "".join(f"shop{at},{number}\n" for at, number in enumerate(items)))

    def sold(self, day: str) -> list[tuple[str, int]]:
        """The sales of a day, read without polars."""
        lines = (self.raw / "sales" / f"{day}.csv").read_text().splitlines()[1:]
        return [(shop, int(items)) for shop, _, items in (line.partition(",") for line in lines)]

    def expected(self, version: int = 1) -> dict[tuple[str, str], list[Row]]:
        """The rows of every result, counted from the raw files without polars."""
        expected: dict[tuple[str, str], list[Row]] = {}
        for day in sorted(path.stem for path in (self.raw / "sales").iterdir()):
            sold = self.sold(day)
            shops = sorted({shop for shop, _ in sold})
            expected["items_by_shop", day] = [
                (shop, sum(items for other, items in sold if other == shop), version) for shop in shops
            ]
            expected["totals", day] = [(len(sold), sum(items for _, items in sold), version)]
        return expected

    def results(self) -> Iterator[tuple[str, str, Path]]:
        """Aggregation, day and file of everything that a reader would take for a result."""
        for path in sorted(self.output.glob("*/day=*/*")):
            yield path.parent.parent.name, path.parent.name.removeprefix("day="), path

    def drafts(self) -> list[str]:
        """The names of temporary files."""
        try:
            return os.listdir(self.output / layout.STAGING)
        except FileNotFoundError:
            return []

    def clear(self) -> None:
        """Remove the output."""
        shutil.rmtree(self.output, ignore_errors=True)


def selection(*, force: bool = False) -> Selection:
    """The selection of everything."""
    return Selection(force=force)


def settle(scene: Scene) -> None:
    """Wait until the raw files are old enough for their times to be trusted."""
    newest = max(max(path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in (scene.raw / "sales").iterdir())
    while time.time_ns() <= newest + RECENT_NS:
        time.sleep(0.05)
