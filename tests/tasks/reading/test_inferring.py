"""Which columns of a source have inferred types: those that nobody declared, of text, in files by day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.catalog import Reference, Source
from tasks.reading.inferring import infers, types_of

CSV = b"place,temp,rain\nA,1.5,2\n"


def inferred(**options: Any) -> dict[str, str] | None:
    """The inferred types of a CSV file that is read with these options; None where nothing is inferred."""
    source = Source("w/{day}.csv", **options)
    return dict(types_of(source, source.scan([CSV]).collect_schema())) if infers(source) else None


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({}, {"place": "String", "temp": "Float64", "rain": "Int64"}),
        ({"schema_overrides": {"temp": pl.Float32}}, {"place": "String", "rain": "Int64"}),
        ({"schema_overrides": [pl.String, pl.Float32, pl.Int8]}, {}),
        (
            {"include_file_paths": "path", "row_index_name": "n"},
            {"place": "String", "temp": "Float64", "rain": "Int64"},
        ),
        ({"infer_schema": False}, None),
        ({"schema": {"place": pl.String, "temp": pl.Float64, "rain": pl.Int64}}, None),
        ({"read": pl.scan_csv}, None),
    ],
)
def test_what_is_declared_is_not_inferred(options: dict[str, Any], columns: dict[str, str] | None) -> None:
    """Where ``schema=`` says all, nothing is recorded and nothing is asked."""
    assert inferred(**options) == columns


def test_parquet_and_references_infer_nothing() -> None:
    """A Parquet file has its types; a reference is one for all days."""
    assert not infers(Source("w/{day}.parquet"))
    assert not infers(Reference("places.csv"))
    assert infers(Source("w/{day}.ndjson.gz"))
    assert infers(Source("w/{day}.json"))


def test_equal_types_are_one_mapping(tmp_path: Path) -> None:
    """Also of two sources."""
    first, second = (Source(f"{name}/{{day}}.csv") for name in "ab")
    file = tmp_path / "a.csv"
    file.write_bytes(CSV)
    found = [types_of(one, one.scan([file]).collect_schema()) for one in (first, second)]
    assert found[0] is found[1]
