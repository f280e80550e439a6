"""Raw files to a LazyFrame: which polars function reads a suffix, and which options it takes.

Options are polars' own words, checked against its signature when the user's module is imported, so that a typing error
is found before the first file is read.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import polars as pl

from tasks.catalog.local_files import scan_files
from tasks.catalog.unpacking import Unpack, unpack_parquet, unpack_text, whole_text

File = Path | bytes
"""One raw file: its path, or the bytes that were read and digested."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a suffix is read. ``options`` are the names a user may set, ``fixed`` those that only Noonmark may, and
    ``unpack`` tells how much a file in memory holds.
    """

    scan: Callable[..., pl.LazyFrame]
    options: frozenset[str]
    fixed: Mapping[str, object]
    unpack: Unpack

    def read(self, files: Sequence[File], options: Mapping[str, object]) -> pl.LazyFrame:
        """The rows of all files, in their order. What is wrong with them shows when it is collected."""
        return self.scan(list(files), **options, **self.fixed)


def _lazily(scan: Callable[..., pl.LazyFrame]) -> Callable[..., pl.LazyFrame]:
    @wraps(scan)
    def read(files: Sequence[File], **options: Any) -> pl.LazyFrame:
        paths = [file for file in files if isinstance(file, Path)]
        return scan_files(scan, paths, options) if paths else scan(list(files), **options)

    return read


def _read_json(files: Sequence[File], **options: Any) -> pl.LazyFrame:
    return pl.concat([pl.read_json(whole_text(_content(file)), **options) for file in files]).lazy()


def _content(file: File) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def _format(
    scan: Callable[..., Any],
    reader: Callable[..., pl.LazyFrame],
    fixed: Mapping[str, object],
    unpack: Unpack = unpack_text,
) -> Format:
    names = [name for name in inspect.signature(scan).parameters if not name.startswith("_")]
    return Format(reader, frozenset(names[1:]) - set(fixed), fixed, unpack)


# A name such as "[ab].parquet" is a name and no pattern, and a folder called "n=1" adds no column.
_CSV = _format(pl.scan_csv, _lazily(pl.scan_csv), {"glob": False})
_NDJSON = _format(pl.scan_ndjson, _lazily(pl.scan_ndjson), {})
_JSON = _format(pl.read_json, _read_json, {})
_PARQUET = _format(
    pl.scan_parquet, _lazily(pl.scan_parquet), {"glob": False, "hive_partitioning": False}, unpack_parquet
)
_TEXT = {".csv": _CSV, ".ndjson": _NDJSON, ".jsonl": _NDJSON, ".json": _JSON}

FORMATS: Mapping[str, Format] = {
    **{suffix + packed: form for suffix, form in _TEXT.items() for packed in ("", ".gz", ".zst")},
    ".parquet": _PARQUET,
}


def unknown_option(form: Format, options: Mapping[str, object]) -> str | None:
    """What is wrong with the first option that this format does not take; None where all are fine."""
    for name in options:
        if name in form.fixed:
            return f"option {name!r} is Noonmark's to set ({form.fixed[name]!r})"
        if name not in form.options:
            near = difflib.get_close_matches(name, sorted(form.options), 1)
            return f"polars.{form.scan.__name__.lstrip('_')} has no option {name!r}" + (
                f"; did you mean {near[0]!r}?" if near else ""
            )
    return None
