"""Finds the values that polars could not read as their dtype, once it failed: polars names no file and no line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from state.words import SHOWN
from tasks.formats.formats import File, Format
from tasks.strict.csv_check import lines_of
from tasks.strict.finding import Finding, shown
from tasks.strict.json_values import locate_json_values, locate_line_values

OF_TYPES = (
    "schema",
    "schema_overrides",
    "infer_schema_length",
    "infer_schema_files",
    "try_parse_dates",
    "ignore_errors",
)
"""Options that choose dtypes, or what becomes of a value that is of none."""
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_FEW_WORDS = 3
"""So many different values may be words for null; more are another type."""


def locate_values(
    form: Format,
    content: bytes | Path,
    options: Mapping[str, Any],
    dtypes: Mapping[str, pl.DataType],
    in_use: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """The values of a sound file that cannot be read as the dtypes that polars used; none where they are not found.

    ``options`` and ``dtypes`` have the file's own names, ``in_use`` those that a declaration has in their place. Raises
    whatever polars raises for anything else.
    """
    match form.text:
        case "csv":
            return _locate_csv(form, content, options, dtypes, in_use or {})
        case "ndjson":
            return locate_line_values(form, content, dtypes)
        case "json":
            return locate_json_values(form, content, dtypes)
        case None:
            return ()


def _locate_csv(
    form: Format,
    content: bytes | Path,
    options: Mapping[str, Any],
    dtypes: Mapping[str, pl.DataType],
    in_use: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Two readings are compared: as text, and with null for what is of another type. It is null in one alone."""
    as_text = csv_as(form, [content], options, dict.fromkeys(dtypes, pl.String()))
    lenient = {name: pl.String() if isinstance(dtype, pl.Enum) else dtype for name, dtype in dtypes.items()}
    as_typed = csv_as(form, [content], options, lenient, ignore_errors=True)
    names = [name for name in as_text.collect_schema().names() if name in dtypes and dtypes[name] != pl.String]
    both = [as_text.select(names), as_typed.select(pl.col(names).name.prefix(_TYPED))]
    heights = {frame.select(pl.len()).collect(engine="streaming").item() for frame in both}
    if not names or len(heights) > 1:
        return ()
    bad = {name: _is_bad(name, dtypes[name]) for name in names}
    read = pl.concat(both, how="horizontal").with_row_index(_ROW)
    told = read.select(one for name in names for one in _summary(name, bad[name])).collect(engine="streaming")
    rows = {name: told[name + _ROW][0].to_list() for name in names if told[name + _COUNT][0]}
    lines = lines_of(content, options, [row for some in rows.values() for row in some])
    findings = []
    for name, some in rows.items():
        expected = f"{dtypes[name]}: {_remedy(in_use.get(name, name), dtypes[name], options, told[name][0].to_list())}"
        first, *others = (lines[row] for row in some)
        text, count = shown(told[name][0][0]), told[name + _COUNT][0]
        findings.append(Finding(first, name, "a value of another type", expected, text, tuple(others), count))
    return tuple(findings)


_TYPED, _ROW, _COUNT = "\0typed ", "\0row", "\0count"
"""Names that no file has, since text with a NUL is refused."""


def _is_bad(name: str, dtype: pl.DataType) -> pl.Expr:
    text = pl.col(name)
    bad = ~text.is_in(dtype.categories) if isinstance(dtype, pl.Enum) else pl.col(_TYPED + name).is_null()
    return text.is_not_null() & (text != "") & bad


def _summary(name: str, bad: pl.Expr) -> list[pl.Expr]:
    """How many values of a column are bad, the first of them, and the first rows with one."""
    return [
        bad.sum().alias(name + _COUNT),
        pl.col(_ROW).filter(bad).head(SHOWN).implode().alias(name + _ROW),
        pl.col(name).filter(bad).unique(maintain_order=True).head(_FEW_WORDS + 1).implode(),
    ]


def csv_as(
    form: Format,
    contents: Sequence[File],
    options: Mapping[str, Any],
    dtypes: Mapping[str, pl.DataType],
    **more: bool,
) -> pl.LazyFrame:
    """The rows of a CSV file with columns read as these dtypes; others of the file stay text, and it may lack some."""
    plain = {key: value for key, value in options.items() if key not in OF_TYPES} | more
    if options.get("schema") is not None:
        schema = {name: dtypes.get(name, pl.String()) for name in dict(options["schema"])}
        return form.read(contents, plain | {"schema": schema})
    return form.read(contents, plain | {"schema_overrides": dict(dtypes), "infer_schema": False})


def _wider(dtype: pl.DataType, values: Sequence[str]) -> str:
    """The type that holds numbers which an integer type does not; for long ids text, as no float keeps their digits."""
    beyond = [one for one in values if pl.Series([one]).cast(pl.Int64, strict=False)[0] is None]
    if not beyond and dtype != pl.Int64:
        return "pl.Int64"
    return "pl.String" if any(_WHOLE.fullmatch(one) for one in beyond) else "pl.Float64"


def _remedy(name: str, dtype: pl.DataType, options: Mapping[str, Any], values: Sequence[str]) -> str:
    word = "schema" if options.get("schema") is not None else "schema_overrides"
    are_numbers = pl.Series(values).cast(pl.Float64, strict=False).is_not_null()
    wider = "pl.String"
    if dtype.is_integer() and are_numbers.all():
        wider = _wider(dtype, values)
    types = f'{word}={{"{shown(name)[1:-1]}": {wider}}}'
    given = options.get("null_values") or ()
    if len(values) > _FEW_WORDS or any(map(str.isdigit, "".join(values))) or isinstance(given, Mapping):
        return f"{types} reads it"
    values = [*((given,) if isinstance(given, str) else given), *values]
    words = ", ".join(f'"{shown(value)[1:-1]}"' for value in values)
    return f"null_values=[{words}] or {types} reads it"
