"""Finds dots in numbers of files that are declared to have decimal commas: polars takes either for the decimal point.

Whoever writes 1,5 writes 1.234 for a thousand and more, so that a dot would make a number a thousand times smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from state.words import SHOWN
from tasks.formats.formats import Format
from tasks.formats.unpacking import text_pieces
from tasks.strict.csv_check import lines_of
from tasks.strict.finding import Finding, shown
from tasks.strict.values import csv_as

_DOTTED = r"^\s*[+-]?[0-9,]*\.[0-9.,]*([eE][+-]?[0-9]+)?\s*$"
"""A number with a dot. Any other text with one, such as n.a., polars does not take for a number."""
_ROW = "\0row"
"""A name that no file has, since text with a NUL is refused."""


def may_have_dots(content: bytes | Path) -> bool:
    """Whether there is any dot in a file: as a rule there is none, and no closer look is taken."""
    return any(b"." in piece for piece in text_pieces(content))


def find_dots(
    form: Format, content: bytes | Path, options: Mapping[str, Any], dtypes: Mapping[str, pl.DataType]
) -> tuple[Finding, ...]:
    """The values of a sound CSV file's float columns that have a dot. ``options`` and ``dtypes`` have its own names."""
    floats = [name for name, dtype in dtypes.items() if dtype.is_float()]
    if not floats:
        return ()
    as_text = csv_as(form, [content], options, dict.fromkeys(dtypes, pl.String()))
    names = [name for name in floats if name in as_text.collect_schema()]
    bad = {name: pl.col(name).str.contains(_DOTTED) for name in names}
    told = (
        as_text.select(pl.col(names))
        .with_row_index(_ROW)
        .filter(pl.any_horizontal(bad.values()))
        .collect(engine="streaming")
    )
    rows = {name: told.filter(bad[name]) for name in names}
    lines = lines_of(content, options, [row for some in rows.values() for row in some[_ROW].head(SHOWN)])
    findings = []
    for name, some in rows.items():
        if some.height:
            first, *others = (lines[row] for row in some[_ROW].head(SHOWN))
            findings.append(Finding(first, name, *_DOT, shown(some[name][0]), tuple(others), some.height))
    return tuple(findings)


_DOT = (
    "a dot in a number with decimal_comma=True",
    "digits and a comma, as 1234,5; prepare= can drop dots between thousands",
)
