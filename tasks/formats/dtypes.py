"""Checks declared dtypes as a user's module is imported: a wrong one is not the files' fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

_MEANT = {
    "int": "pl.Int64",
    "integer": "pl.Int64",
    "str": "pl.String",
    "string": "pl.String",
    "text": "pl.String",
    "float": "pl.Float64",
    "number": "pl.Float64",
    "bool": "pl.Boolean",
    "date": "pl.Date",
    "datetime": "pl.Datetime",
}


def wrong_dtypes(options: Mapping[str, object]) -> str | None:
    """What is wrong with the first entry of ``schema`` or ``schema_overrides`` that is no polars dtype, or None."""
    for option in ("schema", "schema_overrides"):
        given = options.get(option)
        if given is None:
            continue
        if isinstance(given, Sequence) and not isinstance(given, str):
            given = _by_name(given, may_be_nameless=option == "schema_overrides")
        if not isinstance(given, Mapping):
            return f'{option}={given!r}: expected names with polars dtypes, such as {option}={{"items": pl.Int64}}'
        for name, dtype in given.items():
            if not isinstance(dtype, pl.DataType) and not _is_type(dtype):
                return f"{option} gives {name!r} the type {dtype!r}; expected a polars dtype, such as {_nearest(dtype)}"
    return None


def unread_in_json(options: Mapping[str, object]) -> str | None:
    """What is wrong with the first declared dtype that polars makes of no value of JSON, or panics over; or None."""
    for option in ("schema", "schema_overrides"):
        given = options.get(option) or {}
        named = given if isinstance(given, Mapping) else _by_name(given, may_be_nameless=True)  # type: ignore[arg-type]
        for name, dtype in named.items():  # type: ignore[attr-defined]
            if instead := _instead(dtype, is_nested=False):
                return f"{option} gives {name!r} the type {dtype!r}, which polars does not read from JSON; {instead}"
    return None


def _instead(dtype: object, *, is_nested: bool) -> str | None:
    """What to write for a dtype that cannot be, or for one in it."""
    if isinstance(dtype, pl.Struct):
        return next(filter(None, (_instead(field.dtype, is_nested=True) for field in dtype.fields)), None)
    if isinstance(dtype, pl.List):
        return _instead(dtype.inner, is_nested=True)
    if not is_nested and dtype in _NARROW:
        return "expected pl.Int64, and a cast in the aggregation"
    return next((text for one, text in _INSTEAD.items() if dtype == one), None)


_NARROW = (pl.Int8, pl.Int16, pl.UInt8, pl.UInt16)
"""Which polars reads in lists and structs alone."""
_INSTEAD = {
    pl.Decimal: "expected pl.Float64, and a cast in the aggregation",
    pl.Time: "expected pl.String, and str.to_time() in the aggregation",
    pl.Duration: "expected pl.Int64, and a cast in the aggregation",
    pl.Binary: "expected pl.String, and a cast in the aggregation",
    pl.Array: "expected pl.List, and list.to_array() in the aggregation",
    pl.Object: "expected pl.String or a pl.Struct",
}


def _by_name(given: Sequence[object], *, may_be_nameless: bool) -> object:
    """Pairs of a name and a dtype as a mapping; dtypes alone by their place, where that is allowed."""
    if all(isinstance(one, tuple) and len(one) == 2 for one in given):
        return dict(given)  # type: ignore[arg-type]
    return dict(enumerate(given)) if may_be_nameless else given


def _is_type(dtype: object) -> bool:
    return isinstance(dtype, type) and issubclass(dtype, pl.DataType)


def _nearest(dtype: object) -> str:
    return _MEANT.get(getattr(dtype, "__name__", str(dtype)).lower(), "pl.Int64")
