"""Inferred types as records hold them: counted by column, and the one line that settles a difference."""

from __future__ import annotations

import polars as pl
import pytest

from state.result.inferred import counted_types, declaration, differing, interned, settled, shown_types


def settle(**days: int) -> str:
    """The type to declare for a column with these types on so many days each."""
    read = [(f"{number}", 1, {"x": dtype}) for dtype, some in days.items() for number in range(some)]
    return settled(counted_types(read)["x"])


def test_days_are_counted_by_column_and_type() -> None:
    """With the first day of each, whatever their order, and whether any of them has rows."""
    float_, int_ = interned({"temp": "Float64", "at": "String"}), interned({"temp": "Int64", "at": "String"})
    found = counted_types([("10", 3, float_), ("9", 3, float_), ("11", 3, int_), ("12", 0, dict(int_))])
    assert set(differing(found)) == {"temp"}
    assert shown_types(found["temp"]) == "Float64 on 2 days (first 9), Int64 on 2 days (first 11)"
    assert found["temp"]["Int64"].with_rows == 1
    assert (
        shown_types(counted_types([("5", 0, {"temp": "String"})])["temp"]) == "String on 1 day without rows (first 5)"
    )
    assert set(counted_types([("5", 1, float_)], {"at"})) == {"at"}


def test_equal_types_share_one_mapping() -> None:
    """100,000 days of 15 columns have one, so that they are counted by its identity."""
    types = {"a": "Int64"}
    assert interned(types) is interned(types.copy())


@pytest.mark.parametrize(
    ("days", "dtype"),
    [
        ({"Int64": 178, "Float64": 1272}, "Float64"),
        ({"Int64": 1, "Float64": 1}, "Float64"),
        ({"Float64": 360, "String": 1}, "String"),
        ({"Int64": 2, "String": 1, "Float64": 1}, "String"),
        ({"String": 360, "Float64": 1}, "String"),
        ({"String": 1, "Float64": 1}, "String"),
        ({"Boolean": 3, "Int64": 2}, "String"),
        ({"Null": 3, "Int64": 2}, "Int64"),
        ({"Int64": 3, "Int128": 1}, "String"),
        ({"Int128": 3}, "String"),
        ({"UInt64": 3, "Int64": 1}, "String"),
        ({"UInt64": 3, "Float64": 1}, "String"),
        ({"UInt64": 3, "Null": 1}, "UInt64"),
        ({"List(Int64)": 3, "List(Float64)": 2}, "List(Int64)"),
    ],
)
def test_what_settles_a_column_holds_the_values_of_all_days(days: dict[str, int], dtype: str) -> None:
    """The common type of numbers. Numbers would fail a day of text; no float keeps the digits of an id."""
    assert settle(**days) == dtype


def test_days_without_rows_have_no_say() -> None:
    """A header alone makes every column text."""
    read = [(str(number), 0, {"x": "String"}) for number in range(9)] + [("10", 1, {"x": "Int64"})]
    assert settled(counted_types(read)["x"]) == "Int64"
    assert settled(counted_types(read[:9])["x"]) == "String"


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Float64(),
        pl.Datetime("us", "Europe/Berlin"),
        pl.List(pl.Struct({"Date": pl.Date, "it's": pl.List(pl.Int64)})),
        pl.Decimal(10, 2),
        pl.Null(),
    ],
)
def test_a_declaration_is_python(dtype: pl.DataType) -> None:
    """It can be pasted: names of fields that look like types are left alone."""
    text = declaration({"temp": str(dtype), "Country/Region": "String"})
    overrides = eval(f"dict({text})", {"pl": pl})["schema_overrides"]
    assert overrides == {"temp": dtype, "Country/Region": pl.String}
    assert declaration({"temp": "Float64"}) == 'schema_overrides={"temp": pl.Float64}'
