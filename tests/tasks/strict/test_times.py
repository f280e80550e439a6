"""Declared dates and times: what polars would guess, shift or cut is a finding, with the text and what reads it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.formats.formats import FORMATS
from tasks.strict.finding import Finding
from tasks.strict.times import misread_times, times_of

NAIVE, ZONED = pl.Datetime("us"), pl.Datetime("us", "Europe/Berlin")
SUFFIXES = [".csv", ".ndjson", ".json"]


def written(suffix: str, values: list[str]) -> bytes:
    """One column of text, a value on each line from the second on; an empty one is null."""
    if suffix == ".csv":
        return "\n".join(["a", *(value or '""' for value in values), ""]).encode()
    lines = [json.dumps({"a": value or None}) for value in values]
    return ("\n" + "\n".join(lines) if suffix == ".ndjson" else "[\n" + ",\n".join(lines) + "]").encode()


def misread(suffix: str, content: bytes | Path, dtypes: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings in a file that has this schema."""
    return misread_times(FORMATS[suffix], content, {"schema": dtypes}, times_of(dtypes), {})


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("dtype", "value", "as_one"),
    [
        (pl.Date, "2024-12-31", "2024-12-31"),
        (NAIVE, "2024-01-02T10:00", "2024-01-02 10:00:00.000000"),
        (NAIVE, "2024-01-02 23:59:59", "2024-01-02 23:59:59.000000"),
        (NAIVE, "2024-01-02T10:00:00.5", "2024-01-02 10:00:00.500000"),
        (NAIVE, "2024-01-02 10:00:00.123456", "2024-01-02 10:00:00.123456"),
        (pl.Datetime, "2024-01-02 10:00:00.123456", "2024-01-02 10:00:00.123456"),
        (pl.Datetime("ms"), "2024-01-02 10:00:00.123", "2024-01-02 10:00:00.123"),
        (pl.Datetime("ns"), "2024-01-02T10:00:00.123456789", "2024-01-02 10:00:00.123456789"),
        (ZONED, "2024-01-02T10:00Z", "2024-01-02 11:00:00.000000+01:00"),
        (ZONED, "2024-01-02 10:00:00.5+02:00", "2024-01-02 09:00:00.500000+01:00"),
        (ZONED, "2024-07-02T10:00:00-0530", "2024-07-02 17:30:00.000000+02:00"),
        (ZONED, "2024-01-02T10:00:00+02", "2024-01-02 09:00:00.000000+01:00"),
    ],
)
def test_iso_8601_that_fits_is_read(suffix: str, dtype: Any, value: str, as_one: str) -> None:
    """What is let through is what polars reads, in every format; nulls and what a struct or a list holds too."""
    content = written(suffix, [value])
    assert misread(suffix, content, {"a": dtype}) == ()
    read = FORMATS[suffix].read([content], {"schema": {"a": dtype}}).collect()["a"]
    assert read.cast(pl.String).to_list() == [as_one]


def test_times_of_day_nulls_and_bare_dates_are_read() -> None:
    """An empty field, a word for null and a date alone are as good as polars takes them."""
    content = b"a,b,c\n10:00:00,2024-01-02,NA\n23:59:59.123456789,,2024-01-02\n"
    options = {"schema": {"a": pl.Time, "b": NAIVE, "c": pl.Date}, "null_values": "NA"}
    assert misread_times(FORMATS[".csv"], content, options, times_of(options["schema"]), {}) == ()  # type: ignore[arg-type]
    assert FORMATS[".csv"].read([content], options).collect().null_count().row(0) == (0, 1, 1)


WRONG: list[tuple[Any, str, str, str]] = [
    (pl.Date, "01/02/2024", "no date in ISO 8601", 'pl.col("a").str.to_date("%d/%m/%Y")'),
    (pl.Date, "01-02-24", "no date in ISO 8601", "declare pl.String"),
    (pl.Date, "2024/01/02", "no date in ISO 8601", "YYYY-MM-DD"),
    (pl.Date, "2024-1-2", "no date in ISO 8601", "YYYY-MM-DD"),
    (pl.Date, "٢٠٢٤-01-02", "no date in ISO 8601", "YYYY-MM-DD"),
    (NAIVE, "01/02/2024 10:00", "no date and time in ISO 8601", 'pl.col("a").str.to_datetime("%d/%m/%Y %H:%M")'),
    (NAIVE, "2024-01-02T10:00:00Z", "a time with an offset", 'declare pl.Datetime("us", "UTC")'),
    (NAIVE, "2024-01-02T00:30:00+02:00", "a time with an offset", 'pl.col("a").str.to_datetime(time_zone="UTC")'),
    (NAIVE, "2024-01-02T10:00:00.1234567", "more digits of a second", "at most 6; declare a finer unit"),
    (pl.Datetime("ms"), "2024-01-02T10:00:00.1239", "more digits of a second", "at most 3; declare a finer unit"),
    (NAIVE, "2024-01-02T10:00:60", "second 60", "seconds up to 59"),
    (ZONED, "2024-01-02T23:30:00", "a time without an offset", 'replace_time_zone("Europe/Berlin")'),
    (ZONED, "2024-01-02", "a time without an offset", 'declare pl.Datetime("us") (with naive_time_zone='),
    (ZONED, "2024-01-02T10:00:60Z", "second 60", "seconds up to 59"),
    (ZONED, "2024-01-02T10:00:00.1234567+01:00", "more digits of a second", "at most 6"),
    (pl.Time, "10:00:60", "second 60", "seconds up to 59"),
    (pl.Time, "1:00:00", "no time in ISO 8601", "HH:MM:SS"),
    (pl.Time, "10:00:00.1234567891", "more digits of a second", "at most 9; declare pl.String"),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("dtype", "value", "found", "remedy"), WRONG)
def test_what_polars_would_guess_shift_or_cut_is_a_finding(
    tmp_path: Path, suffix: str, dtype: Any, value: str, found: str, remedy: str
) -> None:
    """With its lines, its text and a remedy; in memory, packed and on disk."""
    content = written(suffix, ["", value, value])
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    for given in (content, gzip.compress(content), file):
        [one] = misread(suffix, given, {"a": dtype})
        assert (one.line, one.others, one.count, one.column) == (3, (4,), 2, "a")
        assert (one.found, one.text) == (found, f"'{value}'")
        assert remedy in one.expected


@pytest.mark.parametrize("suffix", [".ndjson", ".json"])
@pytest.mark.parametrize("number", ["1", "-1", "1.5", "true"])
def test_numbers_are_no_times(suffix: str, number: str) -> None:
    """Polars takes them for days or microseconds since 1970."""
    content = f'[{{"a":{number}}}]'.encode().strip(b"[]" if suffix == ".ndjson" else b"")
    for dtype in (pl.Date, NAIVE, ZONED, pl.Time):
        [one] = misread(suffix, content, {"a": dtype})
        assert (one.line, one.text) == (1, f"'{number}'")


@pytest.mark.parametrize("suffix", [".ndjson", ".json"])
def test_nested_times_are_held_to_it_too(suffix: str) -> None:
    """In lists, and in structs in lists: the row is named by its line, and the value shown."""
    lines = [
        b'{"a":[{"t":"2024-01-02","n":1}]}',
        b'{"a":[{"t":null,"n":1},{"t":"2024-01-03","n":2},{"t":"01/02/2024","n":3}]}',
        b'{"a":null}',
        b'{"a":[]}',
    ]
    content = b"\n".join(lines) if suffix == ".ndjson" else b"[" + b",\n".join(lines) + b"]"
    dtypes = {"a": pl.List(pl.Struct({"t": pl.Date, "n": pl.Int64}))}
    [one] = misread(suffix, content, dtypes)
    assert (one.line, one.count, one.column, one.text) == (2, 1, "a.t", "'01/02/2024'")
    assert misread(suffix, content.replace(b"01/02/2024", b"2024-02-01"), dtypes) == ()
