"""Files that serve every day are digested once for a run, and no result is committed that they no longer explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pyarrow.parquet as pq
import pytest

from state.inputs.files import Contents, FileStat, read_contents
from state.inputs.root import InputRoot
from state.planner.decide import Item
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.catalog import Reference, Source, aggregation
from tasks.catalog.declare import declared
from tasks.compute.context import AdaptiveBatchSize, RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed, Failed, Outcome
from tasks.reading import day_input as reading
from tests.builders import place

DAYS = [f"2024-01-{number:02}" for number in range(1, 31)]
TABLE = "shop,name\nn,Nord\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    """An output, and raw files of DAYS with a table beside them."""
    (tmp_path / "raw/sales").mkdir(parents=True)
    (tmp_path / "raw/shops.csv").write_text(TABLE)
    for day in DAYS:
        (tmp_path / f"raw/sales/{day}.csv").write_text("shop,items\nn,2\n")
    with open_store(tmp_path / "out", create=True, remembered=False) as opened:
        yield opened


def computed(
    store: LocalStore, raw: Path, days: list[str], meddle: Callable[[], None] = lambda: None, files: int = 1
) -> list[Outcome]:
    """Compute days in groups of at most four."""

    def totals(sales: pl.LazyFrame, shops: pl.LazyFrame) -> pl.LazyFrame:
        """Items under each name."""
        meddle()
        return sales.join(shops, on="shop").select("name", "items")

    one = declared(aggregation(Source("sales/{day}.csv"), references={"shops": "shops.csv"})(totals))
    assert one is not None
    run = RunContext({"totals": one}, InputRoot(raw), store, AdaptiveBatchSize(16))
    return list(compute(run, [Item("totals", day, "new", files=(1, files)) for day in days]))


def names(store: LocalStore) -> set[str]:
    """The names in all results."""
    return {name for day in DAYS for name in pq.read_table(place(store, "totals", day)).column("name").to_pylist()}


def test_a_run_reads_and_digests_it_once(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many groups it computes; what it holds is compared with its listing for each of them."""
    monkeypatch.setattr(reading, "RECENT_NS", -(10**9))  # an input that rests since yesterday
    read: list[str] = []
    original = read_contents

    def counted(fd: int, files: Sequence[FileStat], **options: Any) -> Contents:
        read.extend(file.path for file in files)
        return original(fd, files, **options)

    with patch.object(reading, "read_contents", counted):
        outcomes = computed(store, tmp_path / "raw", DAYS)
    assert all(isinstance(one, Committed) for one in outcomes)
    assert len(outcomes) == len(DAYS)
    assert read.count("shops.csv") == 1
    assert len(read) == len(DAYS) + 1
    assert names(store) == {"Nord"}


@pytest.mark.parametrize("rests", [True, False])
def test_a_table_that_changes_while_days_are_computed_is_read_again(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rests: bool
) -> None:
    """The days that were computed from the old one, and not yet published, are computed again from the new one."""
    if rests:
        monkeypatch.setattr(reading, "RECENT_NS", -(10**9))
    path, calls = tmp_path / "raw/shops.csv", []

    def meddle() -> None:
        calls.append(1)
        if len(calls) == 1:
            path.write_text(TABLE.replace("Nord", "Sud"))

    outcomes = computed(store, tmp_path / "raw", DAYS, meddle)
    assert all(isinstance(one, Committed) for one in outcomes)
    assert names(store) == {"Sud"}
    assert len(calls) > len(DAYS)


def test_a_table_that_goes_in_mid_run_fails_the_days_that_are_left(store: LocalStore, tmp_path: Path) -> None:
    """Nothing is computed without it, and the message names it."""
    (tmp_path / "raw/shops.csv").unlink()
    outcomes = computed(store, tmp_path / "raw", DAYS[:2])
    assert {one.kind for one in outcomes if isinstance(one, Failed)} == {"input"}
    [error] = {one.error for one in outcomes if isinstance(one, Failed)}
    assert "its files are gone since the plan was made: none matches shops.csv below" in error


def test_a_table_that_cannot_be_parsed_fails_every_day_as_input(store: LocalStore, tmp_path: Path) -> None:
    """Also where the query would not look at the bad column."""
    (tmp_path / "raw/shops.csv").write_text("shop,name\nn,Nord,more\n")
    outcomes = computed(store, tmp_path / "raw", DAYS[:2])
    assert {one.kind for one in outcomes if isinstance(one, Failed)} == {"input"}
    [error] = {one.error for one in outcomes if isinstance(one, Failed)}
    assert error.startswith("shops.csv cannot be read as declared")


def test_a_table_without_a_column_is_named(store: LocalStore, tmp_path: Path) -> None:
    """Not the day's files, which have it."""
    (tmp_path / "raw/shops.csv").write_text("id,name\nn,Nord\n")
    outcomes = computed(store, tmp_path / "raw", DAYS[:2])
    errors = {one.error for one in outcomes if isinstance(one, Failed)}
    assert len(errors) == 1
    assert "shops.csv" in errors.pop()


def test_a_bad_value_of_a_table_is_told_by_its_line(store: LocalStore, tmp_path: Path) -> None:
    """As one of a day's own files is, though the table is parsed before the day is computed."""
    (tmp_path / "raw/shops.csv").write_text("shop,floor\nn,1\nm,first\n")

    def floors(sales: pl.LazyFrame, shops: pl.LazyFrame) -> pl.LazyFrame:
        """Items on each floor."""
        return sales.join(shops, on="shop").select("floor", "items")

    table = Reference("shops.csv", schema={"shop": pl.String, "floor": pl.Int64})
    one = declared(aggregation(Source("sales/{day}.csv"), references={"shops": table})(floors))
    assert one is not None
    run = RunContext({"floors": one}, InputRoot(tmp_path / "raw"), store)
    [outcome] = compute(run, [Item("floors", DAYS[0], "new", files=(1, 1))])
    assert isinstance(outcome, Failed)
    assert outcome.kind == "input"
    assert all(part in outcome.error for part in ("shops.csv", "line 3", "'floor'", "first")), outcome.error
