"""Writes a result as a Parquet file that carries its own proof: page checksums, commit record and seal.

pyarrow writes it, not polars: it alone can add page checksums, and metadata after the rows are known.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from state.files import flush, write_whole
from state.record import KEY, CommitRecord, dump
from state.seal import set_seal


def arrow_table(frame: pl.DataFrame) -> pa.Table:
    """A result as the Arrow table that is written, in types that every Parquet reader knows.

    Raises TypeError for Python objects: what polars would hand over are addresses in memory.
    """
    for name, dtype in frame.schema.items():
        if dtype.is_object():
            raise TypeError(f"column {name!r} holds Python objects; expected a type of polars' own")
    return frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())


def rows_digest(table: pa.Table) -> str:
    """SHA-256 over names, types and rows of a table, in order, whatever its chunks were."""
    digest = hashlib.sha256()
    digest.update(table.schema.serialize())
    for column in table.columns:
        whole = column.combine_chunks()
        # What lies in memory beneath a null is nobody's value.
        for part in (whole,) if not whole.null_count else (pc.is_valid(whole), whole.drop_null()):
            sink = pa.PythonFile(_Digesting(None, digest.update), mode="w")
            with pa.ipc.new_stream(sink, pa.schema([("", part.type)])) as stream:
                stream.write_batch(pa.record_batch([part], names=[""]))
    return digest.hexdigest()


def write_result(fd: int, table: pa.Table, record: CommitRecord) -> None:
    """Write rows and record to an empty file, seal it, and flush it to the device.

    Raises OSError where the disk is full or the flush fails: the file is worthless then, and is not flushed again.
    """
    digest = hashlib.sha256()
    sink = _Digesting(fd, digest.update)
    with pq.ParquetWriter(sink, table.schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY.decode(): dump(record).decode()})
    set_seal(fd, os.fstat(fd).st_size, digest.hexdigest())
    flush(fd)


class _Digesting(io.RawIOBase):
    """A file that digests what passes through it to its descriptor, or to nowhere."""

    def __init__(self, fd: int | None, update: Callable[[Any], object]) -> None:
        self._fd = fd
        self._update = update
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, content: Any) -> int:
        self._update(content)
        if self._fd is not None:
            write_whole(self._fd, content)
        self._written += len(content)
        return len(content)
