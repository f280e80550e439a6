"""Checks the structure of a CSV file: each row has the header's number of fields, and can be read in one way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.strict.csv_quick import is_sound
from tasks.strict.csv_rows import Row, rows
from tasks.strict.dialect import BOM, Dialect, other_unicode
from tasks.strict.finding import Checked, Findings, shown
from tasks.strict.pieces import LONG_ROW, RowTooLong, blocks, pieces


def check_csv(content: bytes | Path, options: Mapping[str, Any]) -> Checked:
    """Check a CSV file by the options of ``polars.scan_csv``. Raises OSError where it cannot be read or unpacked."""
    dialect = Dialect.of(options)
    check = _CsvCheck(dialect)
    try:
        for piece in pieces(content, dialect.newline, dialect.quote, check.begin):
            if not check.goes_on(piece):
                break
    except RowTooLong:
        check.findings.add(None, None, *LONG_ROW)
    return Checked(check.columns, check.findings.all())


class _CsvCheck:
    """What is known of a file while its pieces come.

    ``_line`` is the number of the line that is looked at next, ``_width`` the number of fields that rows must have.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.columns: tuple[str, ...] | None = None
        self.findings = Findings()
        self._dialect = dialect
        self._line = 1
        self._behind = b""
        self._width = dialect.width
        self._by = "as in schema="
        self._header: Row | None = None
        self._headers: tuple[bytes, ...] = ()
        self._is_behind_header = False
        self._left = dialect.n_rows

    def begin(self, text: bytes) -> int | None:
        """Where the header begins, or the first row: behind a byte order mark and what the options skip.

        None where there is nothing to go on with.
        """
        if wide := other_unicode(text):
            self.findings.add(None, None, *wide)
            return None
        at = len(BOM) if text.startswith(BOM) else 0
        if at == len(text):
            if not self._dialect.may_be_empty:
                self.findings.add(None, None, "no text", self._first)
            return None
        at = self._skip_lines(text, at, self._dialect.skip_lines)
        at = self._skip_rows(text, at)
        while self._dialect.comment and text.startswith(self._dialect.comment, at):
            at = self._skip_lines(text, at, 1)
        if at == len(text) and not self.findings:
            self.findings.add(self._line, None, "the end of the file", self._first)
        return None if self.findings else at

    def goes_on(self, piece: bytes) -> bool:
        """Check a piece; False where nothing can be said of what comes after it."""
        body = self._body(piece)
        if body is None:
            return False
        if self._is_sound(body):
            return True
        # A file of a million rows may have one that is bad: a closer look is taken at the blocks that need one.
        for block in blocks(body, self._dialect.newline, self._dialect.quote):
            if not self._is_sound(block) and not self._look_closely(block):
                return False
        return True

    def data_rows(self, piece: bytes) -> Iterator[Row]:
        """The rows of a piece behind the header, without comments."""
        body = self._body(piece) or b""
        yield from (row for row in rows(body, self._here(), self._dialect) if not row.is_comment)
        self._leave(body)

    def _body(self, piece: bytes) -> bytes | None:
        """What of a piece is behind the header; None where there is no sound header."""
        if self._is_behind_header:
            return piece
        start = self._read_header(piece)
        if start is None:
            return None
        self._line += piece.count(self._dialect.newline, 0, start)
        self._is_behind_header = True
        return piece[start:]

    @property
    def _first(self) -> str:
        return "a header" if self._dialect.has_header else "rows"

    def _skip_lines(self, text: bytes, at: int, lines: int) -> int:
        for _ in range(lines):
            end = text.find(self._dialect.newline, at)
            if end < 0:
                return len(text)
            at = end + 1
            self._line += 1
        return at

    def _skip_rows(self, text: bytes, at: int) -> int:
        """Behind the rows of ``skip_rows``. Where polars might count them in another way, that is a finding."""
        dialect = self._dialect
        for _ in range(dialect.skip_rows):
            start, line = at, self._line
            at = self._skip_lines(text, at, 1)
            row = text[start:at].rstrip(b"\r" + dialect.newline)
            is_comment = dialect.comment is not None and row.startswith(dialect.comment)
            if not row or is_comment or (dialect.quote and dialect.quote in row):
                found = "a comment" if is_comment else "a quote" if row else "an empty line"
                expected = "plain lines, or skip_lines="
                self.findings.add(line, None, f"{found} among the rows to skip", expected, shown(row) if row else "")
                break
        return at

    def _read_header(self, piece: bytes) -> int | None:
        """Take names and number of fields from the first row, and say where the rows begin that are to be checked."""
        wants_header, skip, start = self._dialect.has_header, self._dialect.skip_after_header, 0
        for row in rows(piece, self._line, self._dialect):
            if row.is_comment:
                continue
            if not (wants_header or skip or self._width is None):
                break
            is_first = wants_header or not skip
            if row.fields is None or (is_first and not row.text):
                self._add_fault(row, "an empty line", self._first)
                return None
            if is_first:
                self._take(row)
            if not (wants_header or skip):
                break  # a first row without header is checked like any other
            start = row.end
            skip -= not wants_header
            wants_header = False
        if self._width is None:
            line = self._line + piece.count(self._dialect.newline)
            self.findings.add(line, None, "the end of the file", self._first)
            return None
        return min(start, len(piece))

    def _take(self, row: Row) -> None:
        assert row.fields is not None
        if self._dialect.has_header:
            self._header = row
            self._headers = self._dialect.spellings(row.text, row.fields)
            self.columns = tuple(name.decode(errors="replace") for name in row.fields)
            self._width, self._by = len(row.fields), "as in the header"
        elif self._width is None:
            self._width, self._by = len(row.fields), "as in the first row"

    def _here(self) -> int:
        self._line += self._behind.count(self._dialect.newline)
        self._behind = b""
        return self._line

    def _leave(self, text: bytes) -> None:
        """Go on behind a text. Its lines are counted where that is asked for: of most files there is no more."""
        self._here()
        self._behind = text

    def _is_sound(self, text: bytes) -> bool:
        """Whether text is surely sound, which is then behind us."""
        if self._left is not None or not self._width or not is_sound(text, self._width, self._dialect, self._headers):
            return False
        self._leave(text)
        return True

    def _look_closely(self, piece: bytes) -> bool:
        for row in rows(piece, self._here(), self._dialect):
            if row.is_comment:
                continue
            if self._left is not None:
                if not self._left:
                    return False
                self._left -= 1
            self._judge(row)
            if row.ends:
                return False
        if self._dialect.has_dubious_end(piece):
            line = self._here() + piece.count(self._dialect.newline)
            expected = "a line end there: polars may take it for a comment"
            self.findings.add(line, None, "a last line that holds comment_prefix and does not end", expected)
        self._leave(piece)
        return True

    def _judge(self, row: Row) -> None:
        fields, width = row.fields, self._width
        if fields is None:
            self._add_fault(row)
        elif row.text.startswith(BOM):
            expected = "one at the beginning of the file at most; prepare= can drop it"
            self.findings.add(row.line, None, "a byte order mark", expected, shown(row.text))
        elif self._header and fields == self._header.fields:
            self.findings.add(
                row.line, None, "the header again", "a row of values; prepare= can drop it", shown(row.text)
            )
        elif not row.text and width != 1:
            expected = f"{width} fields, {self._by}; prepare= can drop it"
            self.findings.add(row.line, None, "an empty line", expected)
        elif len(fields) != width and not self._dialect.ragged:
            number = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            self.findings.add(row.line, None, number, f"{width}, {self._by}{self._hint()}", shown(row.text))

    def _add_fault(self, row: Row, otherwise: str = "", expected: str = "") -> None:
        found = row.fault or (otherwise, expected)
        self.findings.add(row.line, None, *found, shown(row.text) if row.text else "")

    def _hint(self) -> str:
        return other_separator(self.columns or (), self._dialect.separator.decode())


def other_separator(columns: Sequence[str], separator: str) -> str:
    """What to add to a message where a header seems to have another separator than the declared one."""
    if len(columns) == 1:
        for other in (";", "\t", "|", ","):
            if other != separator and other in columns[0]:
                return f" (separator={other!r}?)".replace("'", '"')
    return ""


def lines_of(content: bytes | Path, options: Mapping[str, Any], wanted: Sequence[int]) -> dict[int, int]:
    """The line where each wanted row of a sound CSV file begins. Rows are counted from 0, lines from 1."""
    dialect = Dialect.of(options)
    check = _CsvCheck(dialect)
    missing, number, lines = set(wanted), 0, {}
    for piece in pieces(content, dialect.newline, dialect.quote, check.begin):
        for row in check.data_rows(piece):
            if number in missing:
                lines[number] = row.line
                missing.remove(number)
            if not missing:
                return lines
            number += 1
    return lines
