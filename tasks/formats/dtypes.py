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


def _by_name(given: Sequence[object], *, may_be_nameless: bool) -> object:
    """Pairs of a name and a dtype as a mapping; dtypes alone by their place, where that is allowed."""
    if all(isinstance(one, tuple) and len(one) == 2 for one in given):
        return dict(given)  # type: ignore[arg-type]
    return dict(enumerate(given)) if may_be_nameless else given


def _is_type(dtype: object) -> bool:
    return isinstance(dtype, type) and issubclass(dtype, pl.DataType)


def _nearest(dtype: object) -> str:
    return _MEANT.get(getattr(dtype, "__name__", str(dtype)).lower(), "pl.Int64")
