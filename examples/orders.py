"""The second example: days that are numbered, and a wide table with a column for each category of goods.

Its raw files are made up from a seed, so that any number of days can be had and items can be counted in and out.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import os
import random
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation

_KINDS = ("Fresh", "Frozen", "Dried", "Canned", "Organic", "Smoked", "Pickled", "Roasted", "Sliced", "Spiced", "Local")
_GOODS = (
    *("Fruit", "Vegetables", "Fish", "Poultry", "Beef", "Cheese", "Herbs"),
    *("Mushrooms", "Nuts", "Beans", "Bread", "Pasta", "Baby Food"),
)
CATEGORIES = tuple(f"{kind} {goods}" for kind, goods in itertools.product(_KINDS, _GOODS))[:134]

ORDERS_A_DAY = 60

_COLUMNS = ("order_id", "order_day", "hour", *CATEGORIES)

orders = Source("{day:int}/orders_{day:int}.csv", schema=dict.fromkeys(_COLUMNS, pl.Int64))


@aggregation(orders, version=1)
def items_by_hour(orders: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold by day of the week (0 is Monday, and so is day 0), hour of the day and category."""
    return (
        orders.with_columns(day_of_week=pl.col("order_day") % 7)
        .drop("order_id", "order_day")
        .group_by("day_of_week", "hour")
        .sum()
        .unpivot(index=["day_of_week", "hour"], variable_name="category", value_name="items")
        .filter(pl.col("items") > 0)
        .sort("day_of_week", "hour", "category")
    )


def generate(root: Path, days: Iterable[int], seed: int) -> dict[int, int]:
    """Write a file of orders for each of ``days`` under ``root``, and return how many items each holds.

    A file is a function of the seed and its day alone: days may be written in any order, at any time, again. Each
    appears whole, by a rename.
    """
    items = {}
    for day in days:
        text, items[day] = _orders(day, random.Random(f"{seed}/{day}"))
        path = root / str(day) / f"orders_{day}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    return items


def _orders(day: int, chance: random.Random) -> tuple[str, int]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    items = 0
    for number in range(ORDERS_A_DAY):
        counts = [0] * len(CATEGORIES)
        for category in chance.sample(range(len(CATEGORIES)), k=chance.randint(1, 12)):
            counts[category] = chance.randint(1, 5)
        writer.writerow([day * ORDERS_A_DAY + number, day, chance.randint(0, 23), *counts])
        items += sum(counts)
    return text.getvalue(), items


def main(arguments: list[str] | None = None) -> None:
    """Write made-up orders and say how many items they hold."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders", description=main.__doc__)
    parser.add_argument("root", metavar="DIR", type=Path, help="where the files go: {day}/orders_{day}.csv")
    parser.add_argument("--days", type=int, default=28, help="how many days, from 0 (default: 28)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    items = generate(options.root, range(options.days), options.seed)
    print(f"Orders: {len(items)} days with {sum(items.values()):,} items in {options.root}")


if __name__ == "__main__":
    main()
