"""Takes CSV apart row by row, to say what is wrong with which line. Only a file that is not sound is read so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tasks.strict.dialect import Dialect

Fault = tuple[str, str]
"""What was found, and what was expected."""
NUL: Fault = ("a NUL character", "text without any")
NO_UTF8: Fault = ("bytes that are not UTF-8", 'UTF-8, or the encoding declared, as encoding="cp1252"')
STRAY_QUOTE: Fault = ("a quote inside an unquoted field", "the whole field in quotes, or quote_char=None")
AFTER_QUOTE: Fault = ("text after a closing quote", "a separator or the line's end, and quotes in a field doubled")
UNCLOSED: Fault = ("a quote that is never closed", "a closing quote")
LONE_CR: Fault = ("a carriage return alone", r'lines that end in LF or CRLF, or eol_char="\r"')
LONE_LF: Fault = ("a line feed", "lines that end in CR alone, as eol_char= declares")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in the file: the line where it begins, its text, and its fields unless there is a fault.

    ``end`` is where the next row begins. A comment has no fields. After a row that ``ends`` nothing is known.
    """

    line: int
    text: bytes
    fields: tuple[bytes, ...] | None
    end: int
    fault: Fault | None = None
    is_comment: bool = False
    ends: bool = False


def rows(text: bytes, line: int, dialect: Dialect) -> Iterator[Row]:
    """The rows of a text that begins with a row, in a file's line of that number.

    After a fault in its quotes a row is taken to end with its first line.
    """
    at = 0
    while at < len(text):
        row = _row(text, at, line, dialect)
        yield row
        if row.ends:
            return
        line += text.count(dialect.newline, at, row.end)
        at = row.end


def _row(text: bytes, at: int, line: int, dialect: Dialect) -> Row:
    stop = text.find(dialect.newline, at)
    stop = len(text) if stop < 0 else stop
    plain = text[at:stop]
    if dialect.comment and plain.startswith(dialect.comment):
        return Row(line, plain, None, stop + 1, is_comment=True)
    if dialect.quote is None or dialect.quote not in plain:
        if dialect.has_crlf and stop < len(text) and plain.endswith(b"\r"):
            plain = plain[:-1]
        fault = unsound(plain, lossy=dialect.lossy) or _foreign_end(plain, dialect)
        return Row(line, plain, None if fault else tuple(plain.split(dialect.separator)), stop + 1, fault)
    return _quoted_row(text, at, stop, line, dialect)


def _quoted_row(text: bytes, at: int, stop: int, line: int, dialect: Dialect) -> Row:
    assert dialect.quote
    quote = dialect.quote
    field = _field(dialect.separator, quote, dialect.newline)
    fields = []
    here = at
    while True:
        found = field.match(text, here)
        if found is None:
            return _misplaced(text, here, Row(line, text[at:stop], None, stop + 1), dialect)
        quoted, bare = found.groups()
        fields.append(bare if quoted is None else quoted.replace(quote * 2, quote))
        here = found.end()
        last = text[here : here + 1] != dialect.separator
        if bare is not None:
            if last and dialect.has_crlf and here < len(text) and bare.endswith(b"\r"):
                fields[-1] = bare = bare[:-1]
            if fault := _foreign_end(bare, dialect):
                return Row(line, text[at:stop], None, _end_of_line(text, here, dialect), fault)
        if last:
            break
        here += 1
    fault = unsound(text[at:here], lossy=dialect.lossy)
    return Row(line, text[at:here], None if fault else tuple(fields), _end_of_line(text, here, dialect), fault)


def _end_of_line(text: bytes, at: int, dialect: Dialect) -> int:
    end = text.find(dialect.newline, at)
    return len(text) if end < 0 else end + 1


def _misplaced(text: bytes, at: int, row: Row, dialect: Dialect) -> Row:
    """Where no field can be made out at a place, because of the quotes there."""
    assert dialect.quote
    closed = _quoted(dialect.quote).match(text, at)
    if text[at : at + 1] != dialect.quote:
        return Row(row.line, row.text, None, row.end, STRAY_QUOTE)
    if closed is None:
        return Row(row.line, row.text, None, row.end, UNCLOSED, ends=True)
    return Row(row.line, row.text, None, row.end, AFTER_QUOTE)


def unsound(text: bytes, *, lossy: bool = False) -> Fault | None:
    """What is wrong with the characters of a text: a NUL, or unless it may be ``lossy`` bytes that are not UTF-8."""
    if b"\0" in text:
        return NUL
    if not lossy and not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return NO_UTF8
    return None


def _foreign_end(text: bytes, dialect: Dialect) -> Fault | None:
    if dialect.foreign_end and dialect.foreign_end in text:
        return LONE_CR if dialect.has_crlf else LONE_LF
    return None


@lru_cache(maxsize=16)
def _field(separator: bytes, quote: bytes, newline: bytes) -> re.Pattern[bytes]:
    s, q, n = map(re.escape, (separator, quote, newline))
    end = rb"(?=%s|%s%s|\Z)" % (s, rb"\r?" if newline == b"\n" else b"", n)
    inside = b"[^" + q + b"]"
    bare = b"[^" + q + s + n + b"]"
    return re.compile(rb"%s((?:%s|%s%s)*+)%s%s|(%s*+)(?!%s)" % (q, inside, q, q, q, end, bare, q))


@lru_cache(maxsize=16)
def _quoted(quote: bytes) -> re.Pattern[bytes]:
    q = re.escape(quote)
    return re.compile(rb"%s(?:[^%s]|%s%s)*+%s" % (q, q, q, q, q))
