"""Tells in a fraction of polars' time that CSV is sound: a few passes in C over the text, and none row by row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tasks.strict.dialect import BOM, Dialect
from tasks.strict.whole_text import is_utf8, matches


def is_sound(text: bytes, width: int, dialect: Dialect, headers: Sequence[bytes]) -> bool:
    """Whether rows are surely sound: text without header, that begins with a row; each row has ``width`` fields.

    False means that a closer look has to be taken, row by row. ``headers`` are its spellings, which may not come again.
    """
    if (
        b"\0" in text
        or not (dialect.lossy or is_utf8(text))
        or (not text.isascii() and _begins_line(text, BOM, dialect))
        or (dialect.comment and _begins_line(text, dialect.comment, dialect))
        or dialect.has_dubious_end(text)
        or any(_is_line(text, header, dialect) for header in headers)
    ):
        return False
    has_quotes = dialect.quote is not None and dialect.quote in text
    # As a rule no separator and no line end is in quotes; then the quotes need not be taken out to count them.
    is_plain = not has_quotes or matches(text, _plain(dialect))
    if not (is_plain or matches(text, _well_quoted(dialect))):
        return False
    if not has_quotes and not _has_known_ends(text, dialect):
        return False
    return (
        _has_no_empty_line(text, dialect) if dialect.ragged else _has_width(text, width, dialect, quoted=not is_plain)
    )


def _begins_line(text: bytes, beginning: bytes, dialect: Dialect) -> bool:
    return text.startswith(beginning) or dialect.newline + beginning in text


def _is_line(text: bytes, line: bytes, dialect: Dialect) -> bool:
    if line not in text:
        return False
    whole = dialect.newline + line
    ends = (dialect.newline, b"\r" + dialect.newline)
    return any(text.startswith(line + end) or whole + end in text for end in ends) or (
        text == line or text.endswith(whole)
    )


def _has_known_ends(text: bytes, dialect: Dialect) -> bool:
    foreign = dialect.foreign_end
    if foreign is None or foreign not in text:
        return True
    return dialect.has_crlf and text.count(b"\r") == text.count(b"\r\n")


def _has_no_empty_line(text: bytes, dialect: Dialect) -> bool:
    ends = (dialect.newline, b"\r" + dialect.newline)
    return not text.startswith(ends) and not any(dialect.newline + end in text for end in ends)


def _has_width(text: bytes, width: int, dialect: Dialect, *, quoted: bool) -> bool:
    """Whether every row has this number of fields, where quotes are sound.

    What is left of the text once all but separators and line ends are deleted has one form. Where some are ``quoted``,
    they are taken out first; two quotes with nothing between them can go anywhere without changing what is inside.
    """
    quote = dialect.quote if quoted else None
    marks = text.translate(None, _others(dialect.separator, quote, dialect.newline))
    if quote:
        q = re.escape(quote)
        marks = re.sub(rb"%s[^%s]*+%s" % (q, q, q), b"", marks.replace(quote * 2, b""))
    if text and not text.endswith(dialect.newline):
        marks += dialect.newline
    row = dialect.separator * (width - 1) + dialect.newline
    return marks == row * (len(marks) // len(row))


@lru_cache(maxsize=16)
def _others(separator: bytes, quote: bytes | None, newline: bytes) -> bytes:
    return bytes(set(range(256)) - set(separator + newline + (quote or b"")))


@lru_cache(maxsize=16)
def _plain(dialect: Dialect) -> str:
    """What text matches whose quotes are well placed, and hold no separator, no line end and no quote."""
    quote, separator, newline, _, _ = _classes(dialect)
    return _rows(dialect, f"[^{quote}{separator}{newline}]*")


@lru_cache(maxsize=16)
def _well_quoted(dialect: Dialect) -> str:
    """What text matches whose quotes are well placed."""
    quote = _classes(dialect)[0]
    return _rows(dialect, f"(?:[^{quote}]|{quote}{quote})*")


def _rows(dialect: Dialect, inside: str) -> str:
    """Rows of fields with this inside of their quotes, in the words of RE2, which sees bytes here, and no CR alone."""
    quote, separator, newline, crlf, foreign = _classes(dialect)
    end = f"(?:{separator}|{crlf}{newline}|\\z)"
    return f"\\A(?:{quote}{inside}{quote}{end}|[^{quote}{separator}{newline}{foreign}]*{end})*\\z"


def _classes(dialect: Dialect) -> tuple[str, str, str, str, str]:
    assert dialect.quote
    quote, separator, newline = (f"\\x{one[0]:02x}" for one in (dialect.quote, dialect.separator, dialect.newline))
    foreign = f"\\x{dialect.foreign_end[0]:02x}" if dialect.foreign_end else ""
    return quote, separator, newline, "\\r?" if dialect.has_crlf else "", foreign
