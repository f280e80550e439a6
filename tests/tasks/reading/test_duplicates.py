"""A day that has a file twice: found by what is digested anyway, and never counted twice in silence."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.errors import DeclarationError
from state.inputs.files import FileStat
from state.inputs.root import InputRoot
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed, Failed
from tasks.reading.duplicates import Duplicate, duplicates_of
from tasks.templates.near_names import without_copy_mark
from tests.tasks.inputs import test_waiting
from tests.tasks.inputs.test_waiting import DAY, Yard

yard = test_waiting.yard
ROWS = "x\n1\n2\n"


def files(*names: str, **facts: Any) -> list[FileStat]:
    """Files of a listing, each with an inode of its own unless it is given."""
    return [
        FileStat(name, **({"size": 1, "mtime_ns": 1, "ctime_ns": 1, "inode": at} | facts))
        for at, name in enumerate(names)
    ]


def rows(made: Yard) -> int:
    """What the aggregation counted in the day's only result."""
    [path] = (made.root.path / "rows").glob("day=*/data.parquet")
    return int(pl.read_parquet(path, hive_partitioning=False).item())


@pytest.mark.parametrize(
    ("names", "digests", "found"),
    [
        (["a/x.csv", "b/x.csv"], "11", [(0, 1)]),
        (["a/x.csv", "b/x.csv", "c/x.csv"], "111", [(0, 1), (0, 2)]),
        (["a/x.csv", "b/x.csv"], "12", []),
        (["a/x.csv", "b/y.csv"], "11", []),
        (["x (1).csv", "x.csv"], "11", [(0, 1)]),
        (["x.csv", "y copy.csv"], "11", []),
        (["a/x.csv", "a/y.csv", "b/y.csv"], "111", [(1, 2)]),
    ],
)
def test_equal_bytes_under_one_name_are_a_duplicate(
    names: list[str], digests: str, found: list[tuple[int, int]]
) -> None:
    """The name of a copy is its original's. Equal bytes under another name may be honest."""
    each = [digit.encode() for digit in digests]
    assert duplicates_of(files(*names), each) == [Duplicate(*one) for one in found]


def test_a_link_is_a_duplicate_whatever_its_name() -> None:
    """One file by two ways; two files that only share an inode's number on two devices differ in their times."""
    assert duplicates_of(files("a.csv", "b.csv", inode=7), [b"1", b"1"]) == [Duplicate(0, 1)]
    other = [*files("a.csv", inode=7), *files("b.csv", inode=7, ctime_ns=2)]
    assert duplicates_of(other, [b"1", b"1"]) == []


def test_an_empty_file_has_nothing_that_counts_twice() -> None:
    """Flags and placeholders are often equal."""
    assert duplicates_of(files("a/x.csv", "b/x.csv", size=0), [b"1", b"1"]) == []


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("x (1).csv", "x.csv"),
        ("x(12).csv.gz", "x.csv.gz"),
        ("x copy.csv", "x.csv"),
        ("x copy 2.csv", "x.csv"),
        ("x - Copy (2).csv", "x.csv"),
        ("Copy of x.csv", "x.csv"),
        ("x.csv", "x.csv"),
        ("photocopy.csv", "photocopy.csv"),
        ("x (2024).d/y", "x (2024).d/y"),
    ],
)
def test_the_name_of_a_copy(copy: str, original: str) -> None:
    """As browsers and file managers make it."""
    assert without_copy_mark(copy) == original


def test_a_day_in_two_folders_fails_and_names_both(yard: Yard) -> None:
    """Under ``**`` it was counted twice. The message says how to declare that it is meant."""
    yard.declare("**/{day}.csv")
    yard.put(f"a/{DAY}.csv", f"b/{DAY}.csv", text=ROWS)
    [failed] = yard.run()
    assert isinstance(failed, Failed)
    assert failed.kind == "input"
    for part in (f"'b/{DAY}.csv' as in 'a/{DAY}.csv'", "duplicates='first'", "duplicates='allow'"):
        assert part in failed.error
    (yard.input / f"b/{DAY}.csv").unlink()
    assert isinstance(yard.run()[0], Committed)
    assert rows(yard) == 2


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_link_to_a_file_of_the_day_fails_it(yard: Yard, link: Callable[[Path, Path], None]) -> None:
    """Under another name too."""
    yard.declare("{day}/*.csv")
    yard.put(f"{DAY}/a.csv", text=ROWS)
    link(yard.input / f"{DAY}/a.csv", yard.input / f"{DAY}/b.csv")
    [failed] = yard.run()
    assert isinstance(failed, Failed)
    assert f"'{DAY}/b.csv' as in '{DAY}/a.csv'" in failed.error


@pytest.mark.parametrize("options", [{}, {"include_file_paths": "path"}])
def test_the_first_alone_is_read_where_that_is_declared(
    yard: Yard,
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next run finds nothing to do, and once the unused copy is gone one run settles it again."""
    yard.declare("**/{day}.csv", duplicates="first", **options)
    yard.put(f"a/{DAY}.csv", f"b/{DAY}.csv", text=ROWS)
    with caplog.at_level(logging.DEBUG, "noonmark"):
        [done] = yard.run()
    assert isinstance(done, Committed)
    assert f"'b/{DAY}.csv' as in 'a/{DAY}.csv'" in caplog.text
    recorded = done.update.commit.record.inputs["sales"]
    assert (recorded.files, recorded.rows, rows(yard)) == (2, 2, 2)
    assert yard.planned() == {}
    (yard.input / f"b/{DAY}.csv").unlink()
    assert yard.planned() == {DAY: "changed"}
    assert isinstance(yard.run()[0], Committed)
    assert (yard.planned(), rows(yard)) == ({}, 2)


def test_a_read_function_gets_the_first_alone(yard: Yard) -> None:
    """As polars does."""
    yard.declare("**/{day}.csv", duplicates="first", read=pl.scan_csv)
    yard.put(f"a/{DAY}.csv", f"b/{DAY}.csv", text=ROWS)
    assert isinstance(yard.run()[0], Committed)
    assert rows(yard) == 2


def test_equal_files_count_where_that_is_declared(yard: Yard) -> None:
    """A sensor in each folder may well write the same."""
    yard.declare("*/{day}.csv", duplicates="allow")
    yard.put(f"a/{DAY}.csv", f"b/{DAY}.csv", text=ROWS)
    assert isinstance(yard.run()[0], Committed)
    assert rows(yard) == 4


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_headers_alone_count_nothing_twice(yard: Yard, suffix: str) -> None:
    """On a quiet day the files of all sensors are equal, and none has a row."""
    yard.declare("*/{day}" + suffix, schema={"x": pl.Int64})
    for folder in "abc":
        yard.put(f"{folder}/{DAY}{suffix}")
        content = (ROWS if folder == "c" else "x\n").encode()
        (yard.input / folder / f"{DAY}{suffix}").write_bytes(
            gzip.compress(content, mtime=0) if suffix == ".csv.gz" else content
        )
    assert isinstance(yard.run()[0], Committed)
    assert rows(yard) == 2


def test_a_day_with_duplicates_is_read_once_for_all_its_aggregations(
    yard: Yard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is hashed or read twice to find them, and none of the aggregations is computed."""
    source = Source("**/{day}.csv")
    catalog = {}
    for name in ("one", "two", "three"):

        def count(sales: pl.LazyFrame) -> pl.LazyFrame:
            """How many rows."""
            return sales.select(pl.len())

        count.__name__ = name
        made = declared(aggregation(source)(count))
        assert made is not None
        catalog[name] = made
    yard.catalog = catalog
    yard.put(f"a/{DAY}.csv", f"b/{DAY}.csv", text=ROWS)
    items = yard.plan().items
    opened: list[str] = []
    real = os.open

    def noted(path: Any, *given: Any, **options: Any) -> int:
        if str(path).endswith(f"{DAY}.csv"):
            opened.append(str(path))
        return real(path, *given, **options)

    monkeypatch.setattr(os, "open", noted)
    outcomes = list(compute(RunContext(catalog, InputRoot(yard.input), yard.root), items))
    assert [(one.aggregation, isinstance(one, Failed)) for one in outcomes] == [
        (name, True) for name in sorted(catalog)
    ]
    assert sorted(opened) == [f"a/{DAY}.csv", f"b/{DAY}.csv"]


def test_another_word_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(DeclarationError, match="'error', 'first', 'allow'"):
        Source("{day}.csv", duplicates="last")  # type: ignore[arg-type]
