"""A text file in pieces that end where its rows do, unpacked, so that a large one is checked in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from tasks.formats.unpacking import open_unpacked

PIECE = 2 << 20
"""How much of a file that is not in memory as it stands is looked at in one step."""
BLOCK = 16 << 10
"""How much of a piece in which something is wrong is looked at in one step."""
MAX_ROW = 64 << 20
"""How long a row may be in a file that is read in pieces."""

LONG_ROW = (f"a row of more than {MAX_ROW >> 20} MiB", "line ends, and quotes that close")
"""What is found there, and what was expected."""


class RowTooLong(Exception):
    """A row is so long that the rest of its file is not looked at."""


Begin = Callable[[bytes], int | None]
"""Says of a file's beginning where its rows start; None where there is nothing to go on with."""


def pieces(content: bytes | Path, newline: bytes, quote: bytes | None, begin: Begin) -> Iterator[bytes]:
    """The rows of a file in pieces, each from the beginning of a row to the end of one, but for the last.

    A file in memory that is not packed is one piece. Quotes are counted to tell which line ends are in fields: that is
    right as long as they are well placed, and the first piece in which they are not is cut too late or not at all.
    Raises OSError where the file cannot be read or unpacked, RowTooLong after a piece that is one row without end.
    """
    with ExitStack() as scope:
        stream = scope.enter_context(open_unpacked(content))
        if isinstance(stream, bytes):
            start = begin(stream)
            if start is not None and start < len(stream):
                yield stream[start:] if start else stream
            return
        yield from _cut(stream, newline, quote, begin)


def _cut(stream: IO[bytes] | Any, newline: bytes, quote: bytes | None, begin: Begin) -> Iterator[bytes]:
    rest = _read(stream, PIECE)
    start = begin(rest)
    if start is None:
        return
    rest = rest[start:]
    while piece := _read(stream, PIECE):
        rest += piece
        end = _last_row_end(rest, newline, quote)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > MAX_ROW:
            yield rest
            raise RowTooLong
    if rest:
        yield rest


def _read(stream: IO[bytes] | Any, size: int) -> bytes:
    """As many bytes as were asked for, unless the file ends: a compressed stream may give fewer at a time."""
    sink = io.BytesIO()
    while sink.tell() < size and (piece := stream.read(size - sink.tell())):
        sink.write(piece)
    return sink.getvalue()


def blocks(text: bytes, newline: bytes, quote: bytes | None) -> Iterator[bytes]:
    """Rows in memory in smaller blocks, cut as the pieces of a file are."""
    at = 0
    while at < len(text):
        size = BLOCK
        while not (end := _last_row_end(text[at : at + size], newline, quote)) and at + size < len(text):
            size *= 4
        end = at + size if not end or at + size >= len(text) else at + end
        yield text[at:end]
        at = end


def _last_row_end(text: bytes, newline: bytes, quote: bytes | None) -> int:
    """Where the last whole row ends; 0 where there is none."""
    end = text.rfind(newline)
    while quote and end >= 0 and text.count(quote, 0, end) % 2:
        end = text.rfind(newline, 0, text.rfind(quote, 0, end))
    return end + 1
