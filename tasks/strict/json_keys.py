"""What a declaration says of the keys of JSON objects, nested ones too: which there are, and which of them hold text.

Polars drops keys that a schema lacks, and writes numbers and objects anew where text is declared, without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa


class DeclaredKeys:
    """Objects whose keys have these dtypes; ``is_whole`` says that they may have no other key."""

    def __init__(self, dtypes: Mapping[str, object], *, is_whole: bool) -> None:
        self._dtypes = dtypes
        self._is_whole = is_whole
        self._checked = {name: dtype for name, dtype in dtypes.items() if _is_text(dtype) or _is_nested(dtype)}

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> DeclaredKeys | None:
        """Those of the options; None where they say nothing of any key."""
        schema, overrides = options.get("schema"), options.get("schema_overrides")
        if schema is not None:
            return cls(dict(schema), is_whole=options.get("extra_columns") != "ignore")
        return cls(overrides, is_whole=False) if isinstance(overrides, Mapping) else None

    def unknown(self, value: Mapping[str, Any]) -> Iterator[str]:
        """The keys of an object that are not known, with those that they are under: ``user.name``."""
        if self._is_whole:
            yield from (key for key in value if key not in self._dtypes)
            for key, dtype in self._checked.items():
                yield from (f"{key}.{name}" for name in _unknown_below(value.get(key), dtype))

    def no_text(self, value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
        """The values that are something else where text is declared, with their keys."""
        for key, dtype in self._checked.items():
            yield from ((f"{key}{below}", one) for below, one in _no_text(value.get(key), dtype))

    def include(self, found: pa.Schema) -> bool:
        """Whether every key that pyarrow found is known, and is text where that is declared."""
        return all(
            _includes(field.type, self._dtypes[field.name], is_whole=self._is_whole)
            if field.name in self._dtypes
            else not self._is_whole
            for field in found
        )


def _unknown_below(value: object, dtype: object) -> Iterator[str]:
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        yield from DeclaredKeys(_fields(dtype), is_whole=True).unknown(value)
    elif isinstance(dtype, pl.List | pl.Array) and isinstance(value, list):
        for one in value:
            yield from _unknown_below(one, dtype.inner)


def _no_text(value: object, dtype: object) -> Iterator[tuple[str, object]]:
    if _is_text(dtype) and not isinstance(value, str | None):
        yield "", value
    elif isinstance(dtype, pl.Struct) and isinstance(value, dict):
        for name, one in _fields(dtype).items():
            yield from ((f".{name}{below}", bad) for below, bad in _no_text(value.get(name), one))
    elif isinstance(dtype, pl.List | pl.Array) and isinstance(value, list):
        for one in value:
            yield from _no_text(one, dtype.inner)


def _includes(found: Any, dtype: object, *, is_whole: bool) -> bool:
    import pyarrow as pa

    if _is_text(dtype):  # pyarrow takes text that looks like a time for one
        return bool(pa.types.is_string(found) or pa.types.is_null(found) or pa.types.is_timestamp(found))
    if isinstance(dtype, pl.Struct) and pa.types.is_struct(found):
        return DeclaredKeys(_fields(dtype), is_whole=is_whole).include(found)
    if isinstance(dtype, pl.List | pl.Array) and pa.types.is_list(found):
        return _includes(found.value_type, dtype.inner, is_whole=is_whole)
    return True


def _is_text(dtype: object) -> bool:
    return dtype == pl.String


def _is_nested(dtype: object) -> bool:
    return isinstance(dtype, pl.Struct | pl.List | pl.Array)


def _fields(dtype: pl.Struct) -> Mapping[str, object]:
    return {field.name: field.dtype for field in dtype.fields}
