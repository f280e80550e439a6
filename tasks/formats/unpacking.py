"""What the bytes of a raw file hold once they are unpacked, and never more of it than there is room for.

A packed file of some kilobytes may hold gigabytes, so its own size says nothing of the memory that its rows take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

_PIECE = 1 << 20
_VALUE_BYTES = 16
"""What a value takes in memory: polars' longest of fixed width, and its view of a text."""
_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# polars unpacks these too; no suffix of ours promises them, so nobody counts what is in them.
_UNCOUNTED = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class Unpacked(NamedTuple):
    """A file as polars is given it, and about how many bytes its rows take in memory.

    ``rows`` is how many it has, where it says so itself.
    """

    content: bytes
    size: int
    rows: int | None = None


Unpack = Callable[[bytes, int], Unpacked | None]
"""Unpacks a file; None where it holds more than so many bytes, or where that is unknown."""


def unpack_text(content: bytes, most: int) -> Unpacked | None:
    """Text, plain or packed by gzip or zstd, whatever its name says. None for a broken stream: polars says why."""
    codec = _codec(content)
    if codec is None:
        return None if content.startswith(_UNCOUNTED) or len(content) > most else Unpacked(content, len(content))
    pieces: list[bytes] = []
    size = 0
    try:
        with _stream(content, codec) as stream:
            while size <= most and (piece := stream.read(_PIECE)):
                pieces.append(piece)
                size += len(piece)
    except OSError:
        return None
    return Unpacked(b"".join(pieces), size) if size <= most else None


def unpack_parquet(content: bytes, most: int) -> Unpacked | None:
    """Parquet unpacks itself. What its footer says of the number of values tells their size, and it knows its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(pa.BufferReader(content))
        groups = [footer.row_group(at) for at in range(footer.num_row_groups)]
        values = sum(group.column(at).num_values for group in groups for at in range(group.num_columns))
    except (pa.ArrowException, OSError):
        return None
    size = max(len(content), values * _VALUE_BYTES)
    # Of a file whose row groups say otherwise, polars reads as many rows as the footer says, or all, as the query is.
    rows = footer.num_rows if footer.num_rows == sum(group.num_rows for group in groups) else None
    return Unpacked(content, size, rows) if size <= most else None


def whole_text(content: bytes) -> bytes:
    """Text, plain or packed, however long it is. Raises OSError for a broken stream."""
    codec = _codec(content)
    if codec is None:
        return content
    with _stream(content, codec) as stream:
        return bytes(stream.read())


@contextmanager
def open_unpacked(content: bytes | Path) -> Iterator[bytes | IO[bytes] | pa.NativeFile]:
    """A text file, unpacked: its bytes where they are at hand, or else a stream, which never maps the file.

    Raises OSError where it cannot be read; the stream does where it is broken.
    """
    if isinstance(content, bytes):
        codec = _codec(content)
        if codec is None:
            yield content
            return
        with _stream(content, codec) as stream:
            yield stream
        return
    with content.open("rb") as file:
        codec = _codec(file.read(4))
        file.seek(0)
        if codec is None:
            yield file
            return
        import pyarrow as pa

        with pa.input_stream(file, compression=codec) as stream:
            yield stream


def text_pieces(content: bytes | Path) -> Iterator[bytes]:
    """Text, plain or packed, in pieces, one of them in memory. Raises OSError for a broken stream."""
    with open_unpacked(content) as opened:
        if isinstance(opened, bytes):
            yield opened
            return
        while piece := opened.read(_PIECE):
            yield piece


def _codec(content: bytes) -> str | None:
    return next((codec for magic, codec in _CODECS.items() if content.startswith(magic)), None)


def _stream(content: bytes, codec: str) -> pa.NativeFile:
    import pyarrow as pa  # it takes a tenth of a second, and few need it

    return pa.input_stream(pa.py_buffer(content), compression=codec)
