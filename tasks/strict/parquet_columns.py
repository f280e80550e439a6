"""Finds in what a Parquet file's columns differ from those that it must have: polars names no file, and would loosen
the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from state.words import enumerated
from tasks.strict.finding import Finding


def differing_columns(
    found: Mapping[str, pl.DataType],
    expected: Mapping[str, pl.DataType],
    where: str,
    *,
    may_miss: Collection[str] = (),
    ignores: bool = False,
) -> list[Finding]:
    """The columns that a file lacks, has beyond the expected or has as another type. ``where`` those are expected."""
    findings = []
    for name, dtype in expected.items():
        if name in found and found[name] != dtype:
            findings.append(Finding(None, name, f"the type {found[name]}", f"{dtype}, as in {where}"))
        elif name not in found and name not in may_miss:
            among = enumerated([repr(one) for one in found])
            findings.append(Finding(None, name, f"no such column among {among}", f"one of type {dtype}, as in {where}"))
    for name, dtype in found.items():
        if name not in expected and not ignores:
            findings.append(Finding(None, name, f"a column of type {dtype}", f"none of this name, as in {where}"))
    return findings
