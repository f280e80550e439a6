"""Which columns of a source have types that nobody declared, and what polars took them for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import polars as pl

from state.result.inferred import Types, interned
from tasks.catalog.source import Reference, Source

_ADDED = ("include_file_paths", "row_index_name")
"""Options that name a column which no file has."""


def infers(source: Source) -> bool:
    """Whether polars infers types of its columns: in text without ``schema=``, which daily files have by the thousand.

    What ``read=`` makes is nobody's to declare, and a reference has no days that could differ.
    """
    options = source.options
    if source.read is not None or isinstance(source, Reference) or source.format.is_binary:
        return False
    return not isinstance(options.get("schema"), Mapping) and options.get("infer_schema") is not False


def types_of(source: Source, schema: pl.Schema) -> Types:
    """The columns of the frame whose types were inferred, and those types; the same mapping for the same types."""
    columns = tuple(schema.items())
    overrides = source.options.get("schema_overrides")
    if isinstance(overrides, Sequence):
        columns = columns[len(overrides) :]
    return _texts(columns, declared_columns(source))


def declared_columns(source: Source) -> frozenset[str]:
    """The columns whose types are declared by their names, and those that no file has."""
    overrides = source.options.get("schema_overrides")
    return added_columns(source).union(overrides if isinstance(overrides, Mapping) else ())


def added_columns(source: Source) -> frozenset[str]:
    """The columns that no file has: what reads the files adds them."""
    return frozenset(filter(None, (_text(source.options.get(name)) for name in _ADDED)))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


@lru_cache(4096)
def _texts(columns: tuple[tuple[str, pl.DataType], ...], declared: frozenset[str]) -> Types:
    return interned({name: str(dtype) for name, dtype in columns if name not in declared})
