"""Writes a result as a Parquet file that carries its own proof: page checksums, commit record and seal.

pyarrow writes it, not polars: it alone can add page checksums, and metadata after the rows are known.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from state.filesystem.durable import status_of, write_whole
from state.result.record import KEY, CommitRecord, dump
from state.result.seal import sealed, set_seal

_SMALL_BYTES = 64 << 10
"""Up to this size in memory a result is compressed by snappy, since zstd takes three times as long to begin with a
column, and is written to memory first: then digest and seal need no further call of the system.
"""
_PIECE_BYTES = 256 << 10


class Digest(Protocol):
    """What ``hashlib`` makes."""

    def update(self, content: Any, /) -> object:
        """Take bytes in."""


def arrow_table(frame: pl.DataFrame) -> pa.Table:
    """A result as the Arrow table that is written, in types that every Parquet reader knows.

    Raises TypeError for Python objects: what polars would hand over are addresses in memory.
    """
    dtypes = frame.dtypes
    for name, dtype in zip(frame.columns, dtypes, strict=True):
        if dtype.is_object():
            raise TypeError(f"column {name!r} holds Python objects; expected a type of polars' own")
    oldest = pl.CompatLevel.oldest()
    if not all(map(_is_plain, dtypes)):
        return frame.rechunk().to_arrow(compat_level=oldest)  # it alone keeps polars' notes on other types
    # Column by column: a whole frame wakes polars' threads, which took a tenth of a millisecond of two cores.
    return pa.table([one.to_arrow(compat_level=oldest) for one in frame.get_columns()], names=frame.columns)


def _is_plain(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.String | pl.Boolean | pl.Binary | pl.Null)


def rows_digest(table: pa.Table) -> str:
    """SHA-256 over names, types and rows of a table, in order, whatever its chunks were."""
    digest = hashlib.sha256()
    digest.update(table.schema.serialize())
    whole = table.combine_chunks()
    _digest_rows(whole.select([at for at, column in enumerate(whole.columns) if not column.null_count]), digest)
    for column in whole.columns:
        if column.null_count:  # what lies in memory beneath a null is nobody's value
            _digest_rows(pa.table({"valid": column.is_valid()}), digest)
            _digest_rows(pa.table({"values": column.drop_null()}).combine_chunks(), digest)
    return digest.hexdigest()


def _digest_rows(table: pa.Table, digest: Digest) -> None:
    with _buffered(_Digesting(None, digest)) as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


def write_result(fd: int, table: pa.Table, record: CommitRecord) -> None:
    """Write rows and record to an empty file and seal it. It is not flushed yet.

    Raises OSError where the disk is full: the file is worthless then.
    """
    if table.get_total_buffer_size() <= _SMALL_BYTES:
        memory = pa.BufferOutputStream()
        _write_parquet(memory, table, record, "snappy")
        write_whole(fd, sealed(memory.getvalue().to_pybytes()))
        return
    digest = hashlib.sha256()
    with _buffered(_Digesting(fd, digest)) as sink:
        _write_parquet(sink, table, record, "zstd")
    set_seal(fd, status_of(fd).st_size, digest.hexdigest())


def _write_parquet(sink: pa.NativeFile, table: pa.Table, record: CommitRecord, compression: str) -> None:
    with pq.ParquetWriter(
        sink, table.schema, compression=compression, use_dictionary=_texts(table.schema), write_page_checksum=True
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY.decode(): dump(record).decode()})


def _texts(schema: pa.Schema) -> list[str]:
    """The columns that are worth a dictionary. An aggregate's numbers are nearly all different: of 2,142 rows of sums a
    dictionary doubled the time to write, and added a quarter to the file.
    """
    return [one.name for one in schema if one.type.id in _TEXTS]


_TEXTS = {kind.id for kind in (pa.large_string(), pa.large_binary(), pa.dictionary(pa.uint32(), pa.large_string()))}


def _buffered(raw: _Digesting) -> pa.NativeFile:
    """Gathers the dozens of small pieces of a file into one call, without Python's lock for each."""
    return pa.BufferedOutputStream(pa.PythonFile(raw, mode="w"), _PIECE_BYTES)


class _Digesting:
    """A file, as pyarrow takes it, that digests what passes through it to its descriptor, or to nowhere."""

    closed = False

    def __init__(self, fd: int | None, digest: Digest) -> None:
        self._fd = fd
        self._digest = digest

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        if self._fd is not None:
            write_whole(self._fd, content)
        return len(content)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self.closed = True
