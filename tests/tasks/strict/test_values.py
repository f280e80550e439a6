"""Values that are of another type: named with line, column, what was found, and the argument that reads it."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.formats.formats import FORMATS
from tasks.strict.telling import told
from tasks.strict.values import locate_values

CASES: list[tuple[str, bytes, Mapping[str, Any], str]] = [
    (
        ".csv",
        b"a,b\n1,x\nNA,y\n",
        {"schema": {"a": pl.Int64, "b": pl.String}},
        (
            "line 3, column 'a': found a value of another type ('NA'), expected Int64: "
            'null_values=["NA"] or schema={"a": pl.String} reads it'
        ),
    ),
    (
        ".csv",
        b"a\n" + b"1\n" * 150 + b"1.5\n2.5\n",
        {},
        (
            "line 152 and 1 more (153), column 'a': found a value of another type ('1.5'), expected Int64: "
            'schema_overrides={"a": pl.Float64} reads it'
        ),
    ),
    (
        ".csv",
        b'a,b\n"x\ny",1\nz,-1\n' + b"z,-2\n" * 83,
        {"schema_overrides": {"b": pl.UInt8}},
        (
            "line 4 and 83 more (5, 6, 7, 8, 9, 10, 11, 12, 13, …), column 'b': found a value of another type ('-1'), "
            'expected UInt8: schema_overrides={"b": pl.Int64} reads it'
        ),
    ),
    (
        ".csv",
        b"1;2\n-;\nNA;x\n",
        {"has_header": False, "separator": ";", "null_values": ["NA"], "schema": {"a": pl.Int8, "b": pl.Int8}},
        (
            "line 2, column 'a': found a value of another type ('-'), expected Int8: null_values=[\"NA\", \"-\"] or "
            "schema={\"a\": pl.String} reads it; line 3, column 'b': found a value of another type ('x'), "
            'expected Int8: null_values=["NA", "x"] or schema={"b": pl.String} reads it'
        ),
    ),
    (
        ".csv",
        b"a\n1\n9223372036854775808\n",
        {"schema": {"a": pl.Int64}},
        (
            "line 3, column 'a': found a value of another type ('9223372036854775808'), expected Int64: "
            'schema={"a": pl.String} reads it'
        ),
    ),
    (".csv", b"a\n2020-01-01\n2020-13-01\n", {"schema": {"a": pl.Date}}, "line 3, column 'a'"),
    (".csv", b"a\nx\nz\n", {"schema": {"a": pl.Enum(["x", "y"])}}, "line 3, column 'a': found a value of another type"),
    (".csv", b"a\n10:00:00\nten\n", {"schema": {"a": pl.Time}}, "line 3, column 'a': found a value of another type"),
    (
        ".csv",
        b"a\n1\n99999\n",
        {"schema": {"a": pl.Decimal(5, 2)}},
        "line 3, column 'a': found a value of another type",
    ),
    (
        ".ndjson",
        b'{"a":1}\n\n{"a":"x"}\n{"a":2}\n{"a":[1]}\n',
        {"schema": {"a": pl.Int64}},
        "line 3 and 1 more (5), column 'a': found a value of another type ('x'), expected Int64",
    ),
    (".ndjson", b'{"a":1}\n{"a":1.5}\n', {"schema": {"a": pl.Int8}}, "line 1 and 1 more (2), column 'a'"),
    (".json", b'[{"a":1},\n{"b":1},{"a":"x"}\n]', {"schema": {"a": pl.Int64}}, "line 2, column 'a': found a value"),
]


@pytest.mark.parametrize(("suffix", "content", "options", "message"), CASES)
@pytest.mark.parametrize("packed", [False, True])
def test_a_value_of_another_type_is_located(
    tmp_path: Path, suffix: str, content: bytes, options: Mapping[str, Any], message: str, packed: bool
) -> None:
    """In memory and on disk: polars fails on just these files, and says neither file nor line."""
    form = FORMATS[suffix]
    with pytest.raises((pl.exceptions.PolarsError, pl.exceptions.PanicException)):
        form.read([content], options).collect()
    dtypes = options.get("schema") or form.read([content], options).collect_schema()
    file = tmp_path / f"a{suffix}"
    file.write_bytes(gzip.compress(content) if packed else content)
    for given in (file.read_bytes(), file):
        said = told("f", locate_values(form, given, options, dtypes))
        assert said.startswith(f"f cannot be read as declared: {message}"), said


def test_values_that_fit_are_not_blamed() -> None:
    """Nulls by any word, empty fields, blanks before numbers and booleans in capitals are no findings."""
    content = b"a,b,c\n1,NA,true\n, 2,TRUE\n+3,-,\n"
    options = {"schema": {"a": pl.Int64, "b": pl.Int64, "c": pl.Boolean}, "null_values": ["NA", "-"]}
    assert locate_values(FORMATS[".csv"], content, options, options["schema"]) == ()  # type: ignore[arg-type]
