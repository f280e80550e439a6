"""Running a day's aggregations: each answers for itself, and whatever a user's function does is an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from tasks.catalog.declare import Aggregation, Source, aggregation, declared
from tasks.compute.evaluate import Evaluated, evaluate
from tasks.compute.outcomes import JobFailed
from tasks.inputs.reading import read_day
from tasks.inputs.run_listing import RunListing
from tests.builders import DAY

SALES = Source("sales/{day}/*.csv")
STAFF = Source("staff/{day}/*.csv")


@aggregation(SALES)
def total(sales: pl.LazyFrame) -> pl.LazyFrame:
    """The sum of all amounts."""
    return sales.select(pl.col("amount").sum())


def _aggregation(function: Callable[..., Any], *sources: Source) -> Aggregation:
    function.__name__ = "bad"
    function.__doc__ = "Misbehaves."
    found = declared(aggregation(*(sources or (SALES,)))(function))
    assert found is not None
    return found


TOTAL = declared(total)


def _evaluated(
    root: Path, *others: Aggregation, content: bytes = b"amount\n1\n2\n", source: Source = SALES
) -> dict[str, Evaluated | JobFailed]:
    folder = root / "sales" / DAY
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"a{source.template.suffix}").write_bytes(content)
    assert TOTAL is not None
    aggregations = [TOTAL, *others]
    sources = {one for each in aggregations for one in each.sources.values()}
    taken = {one: took for one in sources if (took := read_day(one, DAY, RunListing(InputRoot(root))))}
    [results] = evaluate([(aggregations, taken)])
    return dict(results)


def _raise(error: BaseException) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        raise error

    return bad


def _later(error: BaseException) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        def fail(frame: pl.DataFrame) -> pl.DataFrame:
            raise error

        return sales.map_batches(fail)

    return bad


def _endless(sales: pl.LazyFrame) -> pl.LazyFrame:
    return _endless(sales)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (_raise(ZeroDivisionError("first\nsecond")), "ZeroDivisionError: first"),
        (_raise(MemoryError()), "MemoryError"),
        (_raise(pl.exceptions.PanicException("panicked")), "PanicException: panicked"),
        (_later(ValueError("later")), "later"),
        (_endless, "RecursionError"),
        (lambda _: None, "returned NoneType, expected a polars LazyFrame"),
        (lambda sales: sales.collect(), "returned DataFrame, expected a polars LazyFrame"),
        (lambda sales: sales.select("missing"), "has no column 'missing' (test_evaluate.py:"),
        (lambda sales: sales.select(day=pl.lit(1)), "has a column 'day'"),
        (lambda sales: sales.select(), "has no column"),
        (lambda sales: sales.select(pl.col("amount").str.to_date()), "InvalidOperationError|SchemaError|ComputeError"),
    ],
)
def test_one_that_fails_harms_no_other(tmp_path: Path, function: Callable[..., Any], told: str) -> None:
    """Promise 10, within a day: the bad one is told apart and says what and where; the good one has its result."""
    results = _evaluated(tmp_path, _aggregation(function))
    bad, good = results["bad"], results["total"]
    assert isinstance(good, Evaluated)
    assert good.frame.item() == 3
    assert isinstance(bad, JobFailed)
    assert bad.kind == "aggregation"
    assert any(word in bad.error for word in told.split("|"))


@pytest.mark.parametrize("function", [_raise(ValueError("at once")), _later(ValueError("later"))])
def test_a_failure_names_where_the_function_stands(tmp_path: Path, function: Callable[..., Any]) -> None:
    """Whether it fails as it is called or as polars runs its plan: the message leads to the file and line."""
    bad = _evaluated(tmp_path, _aggregation(function))["bad"]
    assert isinstance(bad, JobFailed)
    assert "test_evaluate.py" in bad.error


def test_rows_are_counted_for_each_source(tmp_path: Path) -> None:
    """The record says how many rows each source gave, by the source's name; quoted line breaks make no rows."""
    (tmp_path / "staff" / DAY).mkdir(parents=True)
    (tmp_path / "staff" / DAY / "a.csv").write_bytes(b'name,note\na,"x\ny"\nb,z\nc,\n')

    def bad(sales: pl.LazyFrame, staff: pl.LazyFrame) -> pl.LazyFrame:
        return staff.select(pl.len()).join(sales.select(pl.col("amount").max()), how="cross")

    result = _evaluated(tmp_path, _aggregation(bad, SALES, STAFF))["bad"]
    assert isinstance(result, Evaluated)
    assert result.rows == {"sales": 2, "staff": 3}
    assert result.frame.row(0) == (3, 2)


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (SALES, b""),
        (Source("sales/{day}/*.csv.gz"), b"\x1f\x8b no gzip at all"),
        (Source("sales/{day}/*.parquet"), b"PAR1 no parquet PAR1"),
        (Source("sales/{day}/*.json"), b"[{"),
        (Source("sales/{day}/*.ndjson"), b'{"amount": 1}\n{"amount"\n'),
        (Source("sales/{day}/*.csv", read=lambda files: pl.read_csv(files[0]).select("none").lazy()), b"amount\n1\n"),
        (Source("sales/{day}/*.csv", read=lambda _: None), b"amount\n1\n"),  # type: ignore[arg-type,return-value]
        (Source("sales/{day}/*.csv", schema={"amount": pl.Int64}), b"amount\n1\nnone\n"),
    ],
)
def test_an_input_that_cannot_be_read_names_its_file(tmp_path: Path, source: Source, content: bytes) -> None:
    """It is the file that is wrong, not the user's function: the message names it, or the files of the day."""

    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        return sales.select(pl.col("amount").sum())

    folder = tmp_path / "sales" / DAY
    folder.mkdir(parents=True)
    (folder / f"a{source.template.suffix}").write_bytes(content)
    taken = read_day(source, DAY, RunListing(InputRoot(tmp_path)))
    assert taken is not None
    result = evaluate([([_aggregation(bad, source)], {source: taken})])[0]["bad"]
    assert isinstance(result, JobFailed)
    assert result.kind == "input"
    named = (f"sales/{DAY}/{stem}{source.template.suffix} cannot be read as declared: " for stem in "a*")
    assert result.error.startswith(tuple(named)), result.error


def test_an_unreadable_source_harms_only_who_reads_it(tmp_path: Path) -> None:
    """A bad file of one source leaves the aggregations over the others alone."""
    (tmp_path / "staff" / DAY).mkdir(parents=True)
    (tmp_path / "staff" / DAY / "a.csv").write_bytes(b"")

    def bad(sales: pl.LazyFrame, staff: pl.LazyFrame) -> pl.LazyFrame:
        return sales.join(staff, how="cross")

    results = _evaluated(tmp_path, _aggregation(bad, SALES, STAFF))
    good, broken = results["total"], results["bad"]
    assert isinstance(good, Evaluated)
    assert isinstance(broken, JobFailed)
    assert (broken.kind, f"staff/{DAY}" in broken.error) == ("input", True)
