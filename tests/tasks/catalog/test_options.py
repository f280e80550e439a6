"""The arguments of a source together: what contradicts itself is said as the module is imported."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from state.errors import DeclarationError
from tasks.catalog import Source

SCHEMA = {"a": pl.Int64, "b": pl.String}


def _prepare(content: bytes) -> bytes:
    return content


def _two(content: bytes, name: str) -> bytes:
    return content


def _mistyped(content: bytes, *, nam: str) -> bytes:
    return content


async def _later(content: bytes) -> bytes:
    return content


def _pieces(content: bytes) -> Any:
    yield content


def _reads(files: Any, *, sheet: int = 0) -> pl.LazyFrame:
    return pl.LazyFrame()


def _dated(files: Any, *, day: object) -> pl.LazyFrame:
    return pl.LazyFrame()


def _reads_day(files: Any, day: object) -> pl.LazyFrame:
    return pl.LazyFrame()


def _needs(files: Any, *, sheet: int) -> pl.LazyFrame:
    return pl.LazyFrame()


@pytest.mark.parametrize(
    ("suffix", "options", "told"),
    [
        ("csv", {"prepare": 7}, "prepare= (int): found 7, expected a function of the bytes of a file"),
        (
            "csv",
            {"prepare": _two},
            "it takes 2 values (content, name); expected one, the bytes of a file, and '*' before",
        ),
        ("csv", {"prepare": lambda: b""}, "it takes 0 values (); expected one, the bytes of a file"),
        ("csv", {"prepare": _mistyped}, "its keyword-only parameter 'nam' has no default, and nothing passes it; did"),
        ("csv", {"prepare": _later}, "it is asynchronous; expected a plain function"),
        ("csv", {"prepare": _pieces}, "it is a generator; expected a plain function"),
        ("csv", {"prepare": _prepare, "read": _reads}, "it has read= and prepare=; read= gets paths"),
        ("csv", {"read": _reads, "shet": 1}, "takes no option 'shet'; did you mean 'sheet'?"),
        ("csv", {"read": _dated, "day": 3}, "it has the option 'day', which Noonmark passes itself"),
        (
            "csv",
            {"read": _reads_day},
            "it takes 2 values (files, day); expected one, a list of paths, and '*' before day",
        ),
        ("csv", {"read": _needs}, "its keyword-only parameter 'sheet' has no default, and nothing passes it"),
        ("csv", {"read": "x"}, "read= (str): found 'x', expected a function of a list of paths"),
        ("csv", {"encoding": "cp125"}, "there is no encoding 'cp125'; did you mean 'cp125"),
        ("parquet", {"encoding": "cp1252"}, "encoding='cp1252' says how text is written, and .parquet is no text"),
        ("ndjson", {"encoding": "utf8-lossy"}, "encoding='utf8-lossy' is an option for CSV"),
        ("csv", {"rename": ["a"]}, "rename=['a']; expected a mapping of names in the file to names in use"),
        ("csv", {"rename": {"a": 1}}, "expected a mapping of names in the file to names in use"),
        ("csv", {"rename": {"a": ""}}, "has an empty name"),
        ("csv", {"rename": {"A": "x"}, "schema": SCHEMA}, "rename= makes 'x', which schema= lacks; it has a, b"),
        ("csv", {"rename": {"A": "bb"}, "schema": SCHEMA}, "which schema= lacks; did you mean 'b'?"),
        (
            "csv",
            {"rename": {"a": "b"}, "schema": SCHEMA},
            "schema= names 'a', which rename= calls 'b'",
        ),
        (
            "csv",
            {"rename": {"a": "b"}, "schema_overrides": {"a": pl.Date}},
            "schema_overrides= names 'a', which",
        ),
        ("csv", {"rename": {"a": "b"}, "has_header": False}, "rename= needs the names of a header"),
        ("csv", {"rename": {"a": "b"}, "new_columns": ["x"]}, "rename= needs the names of a header"),
        ("csv", {"rename": {"a": "b"}, "n_rows": 5}, "n_rows= counts in files of one header only; leave it to the agg"),
        ("csv", {"rename": {"a": "b"}, "row_index_name": "i"}, "row_index_name= counts in files of one header only"),
        ("csv", {"missing_columns": ["a"], "has_header": False, "schema": SCHEMA}, "none to go by; schema= says all"),
        ("csv", {"missing_columns": ["x"], "schema": SCHEMA}, "missing_columns= has 'x', which schema= lacks"),
        ("csv", {"missing_columns": ["a"]}, "missing_columns= needs schema=, which says what columns there are"),
        ("csv", {"missing_columns": "inser", "schema": SCHEMA}, "missing_columns='inser'; did you mean 'insert'?"),
        ("csv", {"missing_columns": "a", "schema": SCHEMA}, "expected 'insert' or 'raise', or a list of names"),
        ("csv", {"missing_columns": 7, "schema": SCHEMA}, "missing_columns=7; expected a list of names of the schema"),
        ("ndjson", {"extra_columns": "ignore"}, "extra_columns= needs schema="),
        ("csv", {"extra_columns": "ignor", "schema": SCHEMA}, "extra_columns='ignor'; did you mean 'ignore'?"),
        ("csv", {"extra_columns": True, "schema": SCHEMA}, "extra_columns=True; expected 'ignore' or 'raise'"),
        ("csv", {"schema": ["a", "b"]}, "schema=['a', 'b']: expected names with polars dtypes, such as"),
    ],
)
def test_arguments_that_cannot_be_meant(suffix: str, options: dict[str, Any], told: str) -> None:
    """What was found, what was expected, and the nearest name."""
    with pytest.raises(DeclarationError) as caught:
        Source(f"f/{{day}}.{suffix}", **options)
    assert told in str(caught.value)
    assert f"source 'f/{{day}}.{suffix}'" in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("csv", {"missing_columns": "raise", "extra_columns": "raise"}),
        ("csv", {"missing_columns": "insert", "extra_columns": "ignore", "schema": SCHEMA}),
        ("csv", {"missing_columns": ("a",), "schema": pl.Schema(SCHEMA)}),
        ("csv", {"missing_columns": "insert", "schema": SCHEMA, "has_header": False}),
        ("csv", {"rename": {"A": "x"}, "schema": SCHEMA, "extra_columns": "ignore"}),
        ("csv", {"rename": {"a": "b", "b": "a"}, "schema": SCHEMA}),
        ("ndjson", {"missing_columns": ["a"], "extra_columns": "ignore", "schema": list(SCHEMA.items())}),
        ("parquet", {"missing_columns": "insert", "extra_columns": "ignore"}),
        ("parquet", {"missing_columns": ["a"], "schema": SCHEMA}),
        ("json", {"encoding": "utf8"}),
        ("csv", {"prepare": bytes.upper, "encoding": "utf8-lossy"}),
        ("csv", {"read": pl.scan_csv, "separator": ";", "schema": SCHEMA}),
        ("xls", {"read": _reads, "sheet": 3}),
    ],
)
def test_arguments_that_are_meant(suffix: str, options: dict[str, Any]) -> None:
    """The words of polars keep their meaning, for every format."""
    Source(f"f/{{day}}.{suffix}", **options)
