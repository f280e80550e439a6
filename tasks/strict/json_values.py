"""Finds the values in NDJSON and JSON that polars could not read as their dtype: halves are read until one is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from tasks.formats.formats import Format
from tasks.strict.finding import Finding, Findings, shown
from tasks.strict.lines import element_lines, object_lines
from tasks.user_code import Raised, guarded_call

_MOST = 100
"""After so many values that cannot be read nobody counts on."""
Part = TypeVar("Part")


def locate_line_values(form: Format, content: bytes | Path, dtypes: Mapping[str, pl.DataType]) -> tuple[Finding, ...]:
    """The values of an NDJSON file that polars does not read as these dtypes."""
    findings = Findings()

    def read(lines: Sequence[tuple[int, bytes]], names: Sequence[str]) -> None:
        _read(form, b"\n".join(line for _, line in lines), dtypes, names)

    for lines in object_lines(content):
        _locate(lines, read, dtypes, findings)
    return findings.all()


def locate_json_values(form: Format, content: bytes | Path, dtypes: Mapping[str, pl.DataType]) -> tuple[Finding, ...]:
    """The values of a JSON file that polars does not read as these dtypes."""
    findings = Findings()

    def read(parts: Sequence[tuple[int, bytes]], names: Sequence[str]) -> None:
        _read(form, b"[%b]" % b",".join(part for _, part in parts), dtypes, names)

    _locate(list(element_lines(content)), read, dtypes, findings)
    return findings.all()


def _read(form: Format, text: bytes, dtypes: Mapping[str, pl.DataType], names: Sequence[str]) -> None:
    form.read([text], {"schema": {name: dtypes[name] for name in names}}).collect()


def _locate(
    parts: Sequence[tuple[int, bytes]],
    read: Callable[[Sequence[tuple[int, bytes]], Sequence[str]], None],
    dtypes: Mapping[str, pl.DataType],
    findings: Findings,
) -> None:
    """Note the values of lines or elements, each with the line where it begins, that ``read`` does not read."""
    for line, part in _failing(parts, lambda some: read(some, list(dtypes)), _MOST):
        value = json.loads(part)
        for name, dtype in dtypes.items():
            if name in value and _fails(lambda name=name: read([(line, part)], [name])):  # type: ignore[misc]  # noqa: B023 called at once
                text = value[name] if isinstance(value[name], str) else json.dumps(value[name])
                findings.add(line, name, "a value of another type", str(dtype), shown(text))


def _failing(parts: Sequence[Part], read: Callable[[Sequence[Part]], None], most: int) -> list[Part]:
    """The first parts that cannot be read."""
    if not parts or not _fails(lambda: read(parts)):
        return []
    if len(parts) == 1:
        return list(parts)
    half = len(parts) // 2
    found = _failing(parts[:half], read, most)
    return found + (_failing(parts[half:], read, most - len(found)) if len(found) < most else [])


def _fails(call: Callable[[], None]) -> bool:
    return isinstance(guarded_call(call), Raised)  # polars panics where an NDJSON dtype is none of its own
