"""Fitting a header to what was declared: by name alone, and what does not fit is told."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tasks.catalog.columns import AS_DECLARED, Columns, polars_names

SCHEMA = {"a": pl.Int64, "b": pl.String}


def _told(header: str, **declared: Any) -> list[str]:
    found = Columns(**declared).fit(tuple(header.split(",")))
    return [f"{one.column}: {one.found}; expected {one.expected}" for one in found.misfits]


def test_a_header_as_declared_costs_nothing() -> None:
    """Polars gets the declared options as they stand, and nothing is selected; a header is judged once."""
    columns = Columns(schema=SCHEMA)
    assert columns.fit(("a", "b")) is AS_DECLARED
    plain = Columns()
    assert plain.fit(("a", "b")).select is None
    assert not plain.fit(("a", "b")).options
    assert plain.fit(("a", "b")) is plain.fit(("a", "b"))


@pytest.mark.parametrize(
    ("header", "declared", "told"),
    [
        ("a", {"schema": SCHEMA}, "b: no such column among 'a'; expected that column, or missing"),
        (
            "x,y",
            {"schema": SCHEMA, "ignores": True, "may_miss": frozenset("ab")},
            "None: none of the declared columns among 'x', 'y'; expected some of 'a', 'b'",
        ),
        ("a;b", {"schema": SCHEMA}, "among 'a;b'; expected some of 'a', 'b'; is separator=\";\" meant?"),
        ("a\tb", {"schema": SCHEMA}, "expected some of 'a', 'b'; is separator=\"\\t\" meant?"),
        ("A,B", {"schema": SCHEMA}, "expected some of 'a', 'b'; or rename={'A': 'a', 'B': 'b'}"),
        ("a,B", {"schema": SCHEMA, "ignores": True}, "where it may be missing; or rename={'B': 'b'}"),
        ("a,bb", {"schema": SCHEMA, "ignores": True}, "where it may be missing; or rename={'bb': 'b'}"),
        ("a,b,c", {"schema": SCHEMA}, "c: a column that schema= lacks; expected a type for it in schema=, or extra"),
        ("a,b,x_duplicated_0", {"schema": SCHEMA}, "x_duplicated_0: a column that schema= lacks"),
        ("a,,b", {}, "None: no name for column 2 of 3; expected a name: rename={'': …}"),
        ("a,,b", {"schema": SCHEMA}, "None: no name for column 2 of 3"),
        ("a,b,a_duplicated_0", {}, "a: the name twice in the header; expected a name of its own: rename={'a_dup"),
        ("a,b,a_duplicated_0", {"schema": SCHEMA, "ignores": True}, "a: the name twice in the header"),
        ("old,a,b", {"schema": SCHEMA, "rename": {"old": "a"}}, "a: 'old' and 'a', which are both 'a'"),
        ("n,n_duplicated_0,n_duplicated_0", {"rename": {"n_duplicated_0": "g"}}, "g: 'n_duplicated_0' twice, which is"),
        ("x,y", {"rename": {"x": "z", "y": "z"}}, "z: 'x' and 'y', which are both 'z'"),
    ],
)
def test_a_header_that_does_not_fit(header: str, declared: dict[str, Any], told: str) -> None:
    """Each misfit once: the column, what was found, and the argument that settles it."""
    found = _told(header, **declared)
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    ("header", "declared"),
    [
        ("b,a", {"schema": SCHEMA}),
        ("a", {"schema": SCHEMA, "may_miss": frozenset("b")}),
        ("c,b,a", {"schema": SCHEMA, "ignores": True}),
        (",b,a", {"schema": SCHEMA, "ignores": True}),
        ("a,b,c,c_duplicated_0", {"schema": SCHEMA, "ignores": True}),
        ("A,b", {"schema": SCHEMA, "rename": {"A": "a", "AA": "a"}}),
        ("b,a", {"rename": {"a": "b", "b": "a"}}),
        (",a", {"rename": {"": "x"}}),
        (",a", {"schema": {"": pl.String, "a": pl.Int64}}),
        ("a,a_duplicated_0", {"schema": {"a": pl.String, "a_duplicated_0": pl.Int64}}),
        ("a,a_duplicated_0", {"rename": {"a_duplicated_0": "x"}}),
        ("x_duplicated_0,a", {}),
    ],
)
def test_a_header_that_is_meant(header: str, declared: dict[str, Any]) -> None:
    """Order is no matter, an absent old name none either, and what is named explicitly is accepted."""
    assert _told(header, **declared) == []


def test_options_have_the_names_of_the_file() -> None:
    """Polars reads old names and hands on the new ones, in the schema's order, with nulls for what may be missing."""
    columns = Columns(rename={"A": "a"}, schema=SCHEMA | {"c": pl.Date}, may_miss=frozenset("c"))
    fit = columns.fit(("b", "A"))
    assert fit.options == {"schema": {"A": pl.Int64, "b": pl.String}}
    assert fit.select is not None
    frame = pl.LazyFrame({"b": ["x", "y"], "A": [1, 2]}).select(fit.select).collect()
    assert frame.schema == {"a": pl.Int64, "b": pl.String, "c": pl.Date}
    assert frame.rows() == [(1, "x", None), (2, "y", None)]
    some = Columns(rename={"A": "a"}, overrides={"a": pl.Float64}, null_values={"a": "NA", "b": "-"})
    options = {"schema_overrides": {"A": pl.Float64}, "null_values": {"A": "NA", "b": "-"}}
    assert some.fit(("A", "b")).options == options


def test_a_name_is_no_pattern() -> None:
    """``pl.col`` reads ``*`` as all columns and ``^…$`` as a pattern, which would be another column of the file."""
    columns = Columns(rename={"^a.*$": "first", "*": "star"})
    select = columns.fit(("^a.*$", "*", "ab")).select
    assert select is not None
    frame = pl.DataFrame({"^a.*$": [1], "*": [2], "ab": [3]}).select(select)
    assert frame.to_dict(as_series=False) == {"first": [1], "star": [2], "ab": [3]}


@pytest.mark.parametrize("header", ["a,b", "a,a,a", ",", ",,x", '"a","b,c"', '"a""b",c', "ä,ö", " a, b ,a", '"x","x"'])
def test_columns_are_called_as_polars_calls_them(header: str) -> None:
    """Double and empty names, and quotes in names, as polars 2.1 makes names of them."""
    import csv

    told = tuple(pl.scan_csv(f"{header}\n".encode(), infer_schema=False).collect_schema().names())
    assert polars_names(next(csv.reader([header]))) == told
