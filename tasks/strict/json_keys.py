"""Which keys of JSON objects a schema knows, nested ones too: polars drops the others without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa


class KnownKeys:
    """The keys of objects that have these dtypes."""

    def __init__(self, dtypes: Mapping[str, object]) -> None:
        self._dtypes = dtypes
        self._nested = {
            name: dtype for name, dtype in dtypes.items() if isinstance(dtype, pl.Struct | pl.List | pl.Array)
        }

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> KnownKeys | None:
        """Those of the schema; None where it is inferred, or others are declared to be ignored."""
        schema = options.get("schema")
        return None if schema is None or options.get("extra_columns") == "ignore" else cls(dict(schema))

    def unknown(self, value: Mapping[str, Any]) -> Iterator[str]:
        """The keys of an object that are not known, with those that they are under: ``user.name``."""
        if not value.keys() <= self._dtypes.keys():
            yield from (key for key in value if key not in self._dtypes)
        for key, dtype in self._nested.items():
            yield from (f"{key}.{name}" for name in _unknown_below(value.get(key), dtype))

    def include(self, found: pa.Schema) -> bool:
        """Whether every key that pyarrow found is known."""
        return all(field.name in self._dtypes and _includes(field.type, self._dtypes[field.name]) for field in found)


def _unknown_below(value: object, dtype: object) -> Iterator[str]:
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        yield from KnownKeys(_fields(dtype)).unknown(value)
    elif isinstance(dtype, pl.List | pl.Array) and isinstance(value, list):
        for one in value:
            yield from _unknown_below(one, dtype.inner)


def _includes(found: Any, dtype: object) -> bool:
    import pyarrow as pa

    if isinstance(dtype, pl.Struct) and pa.types.is_struct(found):
        return KnownKeys(_fields(dtype)).include(found)
    if isinstance(dtype, pl.List | pl.Array) and pa.types.is_list(found):
        return _includes(found.value_type, dtype.inner)
    return True


def _fields(dtype: pl.Struct) -> Mapping[str, object]:
    return {field.name: field.dtype for field in dtype.fields}
