"""Checks what a source says of its CSV files' characters and lines as a user's module is imported."""

from __future__ import annotations

from collections.abc import Mapping

_CHARACTERS = {"separator": ",", "quote_char": '"', "eol_char": "\n"}
"""Each option that is one character of one byte, and what it is by default."""
_NUMBERS = ("skip_rows", "skip_lines", "skip_rows_after_header", "n_rows")


def wrong_dialect(options: Mapping[str, object]) -> str | None:
    """What is wrong with the first option that cannot be meant, or None."""
    used: dict[object, str] = {}
    for name, default in _CHARACTERS.items():
        value = options.get(name, default)
        if name == "quote_char" and not value:
            continue  # no character quotes
        if not isinstance(value, str) or len(value.encode()) != 1:
            return f"{name}={value!r}: expected one character of one byte, such as {default!r}"
        if value in used:
            return f"{used[value]} and {name} are both {value!r}; expected different characters"
        used[value] = name
    for name in _NUMBERS:
        value = options.get(name, 0)
        if value is None and name == "n_rows":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            return f"{name}={value!r}: expected a whole number from 0"
    comment = options.get("comment_prefix")
    if comment is not None and (not isinstance(comment, str) or not comment):
        return f"comment_prefix={comment!r}: expected text, such as '#'"
    return None
