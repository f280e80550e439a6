"""Finds the line where a row of a sound file begins: polars counts rows, and an editor lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tasks.formats.formats import Format
from tasks.formats.json_elements import elements
from tasks.formats.unpacking import whole_text
from tasks.strict.csv_check import lines_of
from tasks.strict.dialect import BOM
from tasks.strict.pieces import pieces


def lines_of_rows(
    form: Format, content: bytes | Path, options: Mapping[str, Any], wanted: Sequence[int]
) -> dict[int, int]:
    """The line of each wanted row of a text file. Rows are counted from 0, lines from 1. Raises OSError."""
    if form.text == "csv":
        return lines_of(content, options, wanted)
    numbered = chain.from_iterable(object_lines(content)) if form.text == "ndjson" else element_lines(content)
    lines, rows = (line for line, _ in numbered), set(wanted)
    return {row: line for row, line in enumerate(islice(lines, max(rows) + 1)) if row in rows}


def object_lines(content: bytes | Path) -> Iterator[list[tuple[int, bytes]]]:
    """The lines of an NDJSON file that are not empty, piece by piece, each with its number. Raises OSError."""
    line = 1
    for piece in pieces(content, b"\n", None, lambda _: 0):
        yield [(number, text) for number, text in enumerate(piece.split(b"\n"), line) if text.strip()]
        line += piece.count(b"\n")


def element_lines(content: bytes | Path) -> Iterator[tuple[int, bytes]]:
    """The elements of a JSON file, each with the line where it begins. Raises OSError."""
    text = whole_text(content if isinstance(content, bytes) else content.read_bytes()).removeprefix(BOM)
    yield from ((line, element.encode()) for line, element in elements(text.decode()))
