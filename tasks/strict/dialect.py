"""How a source's CSV files are written: what of polars' options decides where fields and rows begin and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

BOM = b"\xef\xbb\xbf"
_WIDE = (
    ("UTF-32", (b"\xff\xfe\0\0", b"\0\0\xfe\xff")),  # the first begins as UTF-16 does
    ("UTF-16", (b"\xff\xfe", b"\xfe\xff")),
)
"""What text begins with: UTF-8 may, UTF-16 and UTF-32 must."""


def other_unicode(text: bytes) -> tuple[str, str] | None:
    """What was found and what was expected, where text begins as UTF-16 or UTF-32 does."""
    name = next((name for name, marks in _WIDE if text.startswith(marks)), None)
    return (f"{name} text", f'UTF-8, or encoding="{name.lower()}"') if name else None


@dataclass(frozen=True, slots=True)
class Dialect:
    """The options of ``polars.scan_csv`` that change what a row is, as bytes where they are characters.

    ``width`` is the number of fields that a schema gives to a file without header. ``lossy`` lets bytes through that
    are not UTF-8, ``ragged`` rows of another number of fields, and ``may_be_empty`` files of 0 bytes: each by the word
    of the user.
    """

    separator: bytes
    quote: bytes | None
    newline: bytes
    comment: bytes | None
    has_header: bool
    skip_lines: int
    skip_rows: int
    skip_after_header: int
    n_rows: int | None
    width: int | None
    lossy: bool
    ragged: bool
    may_be_empty: bool

    @staticmethod
    def of(options: Mapping[str, Any]) -> Dialect:
        """The dialect that a source's options declare."""
        quote = options.get("quote_char", '"')
        comment = options.get("comment_prefix")
        has_header = options.get("has_header", True)
        schema = options.get("schema")
        loosened = options.get("extra_columns") or options.get("missing_columns")
        return Dialect(
            separator=options.get("separator", ",").encode(),
            quote=quote.encode() if quote else None,
            newline=options.get("eol_char", "\n").encode(),
            comment=comment.encode() if comment else None,
            has_header=has_header,
            skip_lines=options.get("skip_lines", 0),
            skip_rows=options.get("skip_rows", 0),
            skip_after_header=options.get("skip_rows_after_header", 0),
            n_rows=options.get("n_rows"),
            width=len(schema) if isinstance(schema, Sized) and not has_header and not loosened else None,
            lossy=options.get("encoding") == "utf8-lossy",
            ragged=bool(options.get("truncate_ragged_lines")),
            may_be_empty=options.get("raise_if_empty") is False,
        )

    def spellings(self, line: bytes, fields: Sequence[bytes]) -> tuple[bytes, ...]:
        """The lines that a row may also be written as: with quotes around no field, or around each."""
        quote = self.quote or b""
        doubled = [field.replace(quote, quote * 2) if quote else field for field in fields]
        bare, quoted = (self.separator.join(sign + field + sign for field in doubled) for sign in (b"", quote))
        return tuple(dict.fromkeys((line, bare, quoted)))

    def has_dubious_end(self, text: bytes) -> bool:
        """Whether the last line has no end and holds the comment prefix, of which polars 2.1 then miscounts some."""
        if self.comment is None or text.endswith(self.newline):
            return False
        return self.comment in text[text.rfind(self.newline) + 1 :]

    @property
    def foreign_end(self) -> bytes | None:
        """The half of CRLF that is not this dialect's line end, and outside of quotes stands nowhere but in CRLF."""
        return {b"\n": b"\r", b"\r": b"\n"}.get(self.newline)

    @property
    def has_crlf(self) -> bool:
        """Whether a carriage return before the line end belongs to it."""
        return self.newline == b"\n"
