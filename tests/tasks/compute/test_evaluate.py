"""Running a day's aggregations: each answers for itself, and whatever a user's function does is an answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from tasks.catalog.declare import Aggregation, aggregation, declared
from tasks.catalog.source import Source
from tasks.compute.evaluate import Evaluated, evaluate
from tasks.compute.outcomes import JobFailed
from tasks.inputs.run_listing import RunListing
from tasks.reading.day_input import read_day
from tasks.reading.sound_files import SoundFiles
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
    taken = {one: took for one in sources if (took := read_day(one, DAY, RunListing(InputRoot(root)), SoundFiles()))}
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
        (lambda _: None, "returned None, expected a polars LazyFrame: a return statement is missing (test_eva"),
        (lambda sales: sales.collect(), "returned DataFrame, expected a polars LazyFrame: add .lazy() (test_eva"),
        (lambda sales: sales.select("missing"), "has no column 'missing' (test_evaluate.py:"),
        (lambda sales: sales.select(day=pl.lit(1)), "a column 'day': rename or drop it, the folder carries"),
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


@pytest.mark.parametrize(
    ("function", "summary"),
    [
        (_raise(ValueError(f"nothing on {DAY}")), "it failed: ValueError (test_evaluate.py:"),
        (lambda sales: sales.select("amuont"), "has no column 'amuont' (test_evaluate.py:"),
        (lambda sales: sales.select(pl.col("amount").str.to_date()), "it failed: "),
    ],
)
def test_what_failed_of_one_cause_has_one_summary(tmp_path: Path, function: Callable[..., Any], summary: str) -> None:
    """Whatever the day's own in the text is: fifty days are told in one line."""
    bad = _evaluated(tmp_path, _aggregation(function))["bad"]
    assert isinstance(bad, JobFailed)
    assert summary in bad.summary
    assert DAY not in bad.summary


def test_a_keyword_only_day_is_the_day(tmp_path: Path) -> None:
    """A date for dated sources and a number for numbered ones, also where the parameter has a default."""
    taken: list[object] = []

    def dated(sales: pl.LazyFrame, *, day: dt.date, other: int = 7) -> pl.LazyFrame:
        taken.append((day, other))
        return sales

    def numbered(orders: pl.LazyFrame, *, day: int = 0) -> pl.LazyFrame:
        taken.append(day)
        return orders

    _evaluated(tmp_path, _aggregation(dated))
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "12.csv").write_bytes(b"a\n1\n")
    read = read_day(orders := Source("orders/{day:int}.csv"), "12", RunListing(InputRoot(tmp_path)), SoundFiles())
    assert read is not None
    evaluate([([_aggregation(numbered, orders)], {orders: read})])
    assert taken == [(dt.date.fromisoformat(DAY), 7), 12]


def _reads(files: list[Path]) -> pl.DataFrame:
    raise KeyError("sheet")


def _prepares(content: bytes) -> bytes:
    raise SystemExit(7)


@pytest.mark.parametrize(
    ("options", "content", "told"),
    [
        ({"read": _reads}, b"", "KeyError: 'sheet' (test_evaluate.py:"),
        (
            {"prepare": bytes.hex},
            b"amount\n1\n",
            f"sales/{DAY}/a.csv cannot be read as declared: prepare=: it returned str, exp",
        ),
        (
            {"schema": {"amount": pl.Int64}},
            b"Amount\n1\n",
            "some of 'amount'; or rename={'Amount': 'amount'}",
        ),
        ({"encoding": "cp1252"}, b"amount\n\x81\n", "0x81 in line 2, byte 7 is no text in cp1252"),
    ],
)
def test_an_input_that_is_not_as_declared_says_file_and_place(
    tmp_path: Path, options: dict[str, Any], content: bytes, told: str
) -> None:
    """For every aggregation over the source alike, whatever it reads of it."""
    source = Source("sales/{day}/*.csv", **options)

    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        return sales.select(pl.len())

    result = _evaluated(tmp_path, _aggregation(bad, source), content=content, source=source)["bad"]
    assert isinstance(result, JobFailed)
    assert result.kind == "input"
    assert " cannot be read as declared: " in result.error
    assert told in result.error


def test_leaving_in_prepare_fails_its_day_alone(tmp_path: Path) -> None:
    """``sys.exit`` in a thread that computes, as those of a run do, is that file's failure."""
    source = Source("sales/{day}/*.csv", prepare=_prepares)

    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        return sales

    with ThreadPoolExecutor() as threads:
        results = threads.submit(_evaluated, tmp_path, _aggregation(bad, source), source=source).result()
    assert isinstance(results["total"], Evaluated)
    failed = results["bad"]
    assert isinstance(failed, JobFailed)
    assert "prepare= raised SystemExit: 7 (test_evaluate.py:" in failed.error


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
    taken = read_day(source, DAY, RunListing(InputRoot(tmp_path)), SoundFiles())
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
