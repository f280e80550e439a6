"""Which keys of JSON objects a schema knows, nested ones too: polars drops the others without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa

Dtypes = Mapping[str, Any]
"""The dtype of each key, an instance or a class of polars."""


def declared_dtypes(options: Mapping[str, Any]) -> Dtypes | None:
    """The keys that the schema has; None where it is inferred, or others are declared to be ignored."""
    schema = options.get("schema")
    return None if schema is None or options.get("extra_columns") == "ignore" else dict(schema)


def unknown_keys(value: Mapping[str, Any], dtypes: Dtypes) -> Iterator[str]:
    """The keys of an object that are not declared, with those they are under: ``user.name``."""
    for key, inner in value.items():
        if key not in dtypes:
            yield key
        else:
            yield from (f"{key}.{name}" for name in _unknown_below(inner, dtypes[key]))


def _unknown_below(value: object, dtype: object) -> Iterator[str]:
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        yield from unknown_keys(value, _fields(dtype))
    elif isinstance(dtype, pl.List | pl.Array) and isinstance(value, list):
        for one in value:
            yield from _unknown_below(one, dtype.inner)


def knows_all(found: pa.Schema, dtypes: Dtypes) -> bool:
    """Whether every key that pyarrow found is declared."""
    return all(field.name in dtypes and _knows_below(field.type, dtypes[field.name]) for field in found)


def _knows_below(found: Any, dtype: object) -> bool:
    import pyarrow as pa

    if isinstance(dtype, pl.Struct) and pa.types.is_struct(found):
        return knows_all(found, _fields(dtype))
    if isinstance(dtype, pl.List | pl.Array) and pa.types.is_list(found):
        return _knows_below(found.value_type, dtype.inner)
    return True


def _fields(dtype: pl.Struct) -> Dtypes:
    return {field.name: field.dtype for field in dtype.fields}
