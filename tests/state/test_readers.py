"""Readers of every kind beside a run that replaces what they read: whatever they get is whole."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from polars.exceptions import PanicException

from state import outputs
from tests.project import Project, dates

pytestmark = pytest.mark.timeout(300)  # whole runs, on machines that may be busy

DAYS = dates(25)

STAMPED = '''"""Results of which every row tells the generation, and how many rows that generation has."""

import random
import uuid

import polars as pl

from tasks.catalog import Source, aggregation

sales = Source("sales/{day}/*.csv")


@aggregation(sales)
def stamped(sales: pl.LazyFrame) -> pl.LazyFrame:
    """As many rows as chance has it, all with one stamp."""
    rows = random.randint(1, 3000)
    return pl.LazyFrame({"stamp": [uuid.uuid4().hex] * rows, "rows": [rows] * rows})
'''

Whole = list[tuple[str, int, int, int, int]]
"""For each day: the day, the number of its stamps, its rows, and the least and greatest number that rows state."""


def _judge(frame: pl.DataFrame) -> Whole:
    return (
        frame.group_by(pl.col("day").cast(pl.String))
        .agg(pl.col("stamp").n_unique(), pl.len(), pl.col("rows").min().alias("least"), pl.col("rows").max())
        .rows()
    )


def _polars_folder(folder: Path) -> Whole:
    return _judge(pl.scan_parquet(folder).collect())


def _polars_glob(folder: Path) -> Whole:
    return _judge(pl.read_parquet(f"{folder}/**/*.parquet", hive_partitioning=True))


def _duckdb(folder: Path) -> Whole:
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT day::VARCHAR, count(DISTINCT stamp), count(*), min(rows), max(rows)"
            f" FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true) GROUP BY day"
        ).fetchall()


def _pandas(folder: Path) -> Whole:
    return _judge(pl.from_pandas(pd.read_parquet(folder).astype({"day": str})))


def _pyarrow(folder: Path) -> Whole:
    table = ds.dataset(folder, partitioning="hive").to_table()
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return _judge(found)


def _scan(folder: Path) -> Whole:
    return _judge(outputs.scan(folder.name, output=folder.parent).collect())


TWICE = {"polars folder": _polars_folder, "polars glob": _polars_glob, "DuckDB": _duckdb}
"""They open a path twice: while that very day is replaced they may fail, and try again."""
ONCE = {"pandas": _pandas, "pyarrow.dataset": _pyarrow, "state.outputs.scan": _scan}


@pytest.mark.filterwarnings("default")  # a reader's own deprecations are no part of this
def test_every_reader_gets_whole_days_while_runs_replace_them(api_url: str, tmp_path: Path) -> None:
    """Promise 2: one open of a result yields one whole generation, of every day, at any instant."""
    project = Project.create(tmp_path / "project", api_url, DAYS, redis_url="none")
    project.declare(STAMPED)
    assert len(project.run().committed) == len(DAYS)
    folder = project.output / "stamped"
    stop = threading.Event()
    successes: Counter[str] = Counter()
    failures: defaultdict[str, list[BaseException]] = defaultdict(list)
    torn: list[tuple[str, object]] = []

    def read_on(readers: Mapping[str, Callable[[Path], Whole]]) -> None:
        while not stop.is_set():
            for name, read in readers.items():
                try:
                    found = read(folder)
                except (Exception, PanicException) as error:  # noqa: BLE001 polars panics over a file that it opens twice
                    failures[name].append(error)
                    continue
                successes[name] += 1
                torn.extend((name, one) for one in found if one[1] != 1 or not one[2] == one[3] == one[4])
                if sorted(day for day, *_ in found) != DAYS:
                    torn.append((name, found))

    threads = [threading.Thread(target=read_on, args=(readers,)) for readers in (TWICE, ONCE)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            assert len(project.run("--force", "--only", "stamped").committed) == len(DAYS)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    # Who opens a path twice can meet two generations of a day in one answer: DuckDB did. Promise 2 is about one open.
    assert [one for one in torn if one[0] in ONCE] == []
    assert set(successes) == {*TWICE, *ONCE}
    assert {name: errors for name, errors in failures.items() if name in ONCE} == {}
    for read in (*TWICE.values(), *ONCE.values()):
        assert sorted(day for day, *_ in read(folder)) == DAYS
