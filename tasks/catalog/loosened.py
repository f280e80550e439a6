"""Says which options of a source let polars read what is not as declared, and what they can do to numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_LOOSENED: Mapping[str, tuple[object, str]] = {
    "ignore_errors": (True, "a value that is not of its type becomes null, and sums and counts leave it out"),
    "truncate_ragged_lines": (
        True,
        "rows with too many or too few fields are cut or filled with nulls, and their values may be in wrong columns",
    ),
    "try_parse_dates": (
        True,
        "dates and times are guessed from text, 01/02/2024 as February, and a time with an offset is shifted to UTC",
    ),
    "encoding": ("utf8-lossy", "bytes that are no text become \ufffd, and different names may become one"),
    "missing_columns": ("insert", "a column that a file lacks, or has under another name, is all null"),
}
"""The value with which each option loosens, and what it does."""


def loosened(options: Mapping[str, object]) -> Iterator[str]:
    """A sentence for each option that loosens how files are read."""
    for name, (value, harm) in _LOOSENED.items():
        if options.get(name) == value:
            yield f"{name}={value!r}: {harm}".replace("'", '"')
