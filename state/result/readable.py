"""Rejects results that can be written but not read back: names that engines confuse, types that come back as others.

Parquet holds more than its readers agree on. So the first result of each new schema is read back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PanicException

from state.errors import error_text

KEY = "day"
"""The column that readers of hive partitions add."""


class Misread(Exception):
    """A result does not read back as it was written; the message names the column."""


def misnamed(schema: pl.Schema) -> str | None:
    """What is wrong with the names or types of a result, as a sentence; None where nothing is.

    DuckDB and Spark fold case: DuckDB gives the day in place of a column ``DAY``, and ``a`` where ``A`` is asked for.
    """
    for name in schema:
        if name.lower() == KEY:
            fold = "" if name == KEY else ", and DuckDB and Spark take names that differ in case for one"
            return f"its result has a column {name!r}: rename or drop it, the folder carries the day{fold}"
    if same := _equal_but_for_case(schema):
        return f"its result has columns {same}, which DuckDB and Spark take for one: rename one"
    for name, dtype in schema.items():
        if wrong := _unreadable(dtype):
            return f"column {name!r} of its result is of type {dtype}, with {wrong}"
    return None


def _unreadable(dtype: pl.DataType) -> str | None:
    """What in a type Parquet does not have or no reader returns, or None."""
    if isinstance(dtype, pl.Int128 | pl.UInt128):
        return (
            "whole numbers of 128 bits, which Parquet does not have: where the source's type was inferred, declare it, "
            "as pl.String for ids, or pl.UInt64 up to 18,446,744,073,709,551,615; or cast it in the aggregation"
        )
    if isinstance(dtype, pl.Array):
        return "lists of no element, which polars and pyarrow cannot read back" if 0 in dtype.shape else _inside(dtype)
    if isinstance(dtype, pl.List):
        return _inside(dtype)
    if isinstance(dtype, pl.Struct):
        if same := _equal_but_for_case(one.name for one in dtype.fields):
            return f"fields {same}, which DuckDB and Spark take for one"
        return next((wrong for one in dtype.fields if (wrong := _unreadable(_of(one.dtype)))), None)
    return None


def _inside(dtype: pl.Array | pl.List) -> str | None:
    return _unreadable(_of(dtype.inner))


def _of(dtype: object) -> pl.DataType:
    return dtype() if isinstance(dtype, type) and issubclass(dtype, pl.DataType) else dtype  # type: ignore[return-value]


def _equal_but_for_case(names: Iterable[str]) -> str:
    names = list(names)
    counts = Counter(name.lower() for name in names)
    return " and ".join(repr(name) for name in names if counts[name.lower()] > 1)


_known: set[tuple[str, bool]] = set()


def require_readable(content_of: Callable[[], bytes], frame: pl.DataFrame, schema: str) -> None:
    """Read a written result back with polars and pyarrow, if it is the first of its schema in this process.

    Results without rows and with rows count apart. Raises Misread where a reader fails or returns other values.
    """
    kind = (schema, bool(frame.height))
    if kind in _known:
        return
    content = content_of()
    try:
        back = pl.read_parquet(content, hive_partitioning=False)
    except (Exception, PanicException) as error:
        raise Misread(f"polars cannot read it back: {error_text(error)}") from error
    try:
        # Not by read_table: it imports pyarrow's datasets with all their file systems, for half a second and 50 MB.
        table = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read()
    except Exception as error:
        raise Misread(f"pyarrow cannot read it back: {error_text(error)}") from error
    _compare("polars", frame, back)
    for name, column, read in zip(frame.columns, frame.get_columns(), table.columns, strict=False):
        if (len(read), read.null_count) != (len(column), column.null_count()):
            raise Misread(
                f"column {name!r} of type {column.dtype} came back from pyarrow with {len(read)} rows and "
                f"{read.null_count} nulls, not {len(column)} and {column.null_count()}"
            )
    if table.column_names != frame.columns:
        raise Misread(f"pyarrow reads columns {table.column_names}, not {frame.columns}")
    _known.add(kind)


def _compare(reader: str, frame: pl.DataFrame, back: pl.DataFrame) -> None:
    if back.columns != frame.columns:
        raise Misread(f"{reader} reads columns {back.columns}, not {frame.columns}")
    for name, dtype in frame.schema.items():
        if back.schema[name] != dtype:
            raise Misread(f"column {name!r} of type {dtype} came back from {reader} as {back.schema[name]}")
        if not back[name].equals(frame[name], null_equal=True):
            raise Misread(f"column {name!r} of type {dtype} came back from {reader} with other values")
