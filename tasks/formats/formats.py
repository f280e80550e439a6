"""Raw files to a LazyFrame: which polars function reads a suffix, and which options it takes.

Options are polars' own words, checked against its signature when the user's module is imported, so that a typing error
is found before the first file is read.
"""

from __future__ import annotations

import codecs
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import polars as pl

from state.errors import nearest
from tasks.formats.json_elements import as_lines
from tasks.formats.local_files import scan_files
from tasks.formats.unpacking import Unpack, unpack_parquet, unpack_text, whole_text

File = Path | bytes
"""One raw file: its path, or the bytes that were read and digested."""
Scan = Callable[..., pl.LazyFrame]
"""Takes a list of files and options by name."""
_ADDED = ("row_index_name", "row_index_offset", "include_file_paths")
"""Options that add a column, which no file has."""
_DTYPES = ("schema", "schema_overrides")


@dataclass(frozen=True, slots=True)
class Format:
    """How files are read.

    ``scan`` has the name and the signature of the polars function that it stands for, ``fixed`` are the options that
    only Noonmark sets. ``unpack`` says how much a file in memory holds; None: it is always read by its path. ``text``
    is the kind of text whose structure is checked; None: polars checks it, or nobody knows it.
    """

    scan: Scan
    fixed: Mapping[str, object]
    unpack: Unpack | None
    text: Literal["csv", "ndjson", "json"] | None = None

    @property
    def is_binary(self) -> bool:
        """Whether its files are no text, and say themselves what columns they have."""
        return self.unpack is unpack_parquet

    @property
    def options(self) -> frozenset[str]:
        """The options that a user may set."""
        names = [name for name in inspect.signature(self.scan).parameters if not name.startswith("_")]
        return frozenset(names[1:]) - set(self.fixed)

    def read(self, files: Sequence[File], options: Mapping[str, object]) -> pl.LazyFrame:
        """The rows of all files, in their order. What is wrong with them shows when it is collected."""
        return self.scan(list(files), **options, **self.fixed)

    def unknown_option(self, options: Mapping[str, object]) -> str | None:
        """What is wrong with the first option that this format does not take; None where all are fine."""
        for name in options:
            if name in self.fixed:
                return f"option {name!r} is Noonmark's to set ({self.fixed[name]!r})"
            if name not in self.options:
                near = nearest(name, sorted(self.options))
                hint = f"; did you mean {near!r}?" if near else ""
                return f"polars.{self.scan.__name__} has no option {name!r}{hint}"
        return None


def _from_disk(scan: Scan) -> Scan:
    """The polars function, with files on disk read in pieces."""

    @wraps(scan)
    def read(files: Sequence[File], **options: Any) -> pl.LazyFrame:
        paths = [file for file in files if isinstance(file, Path)]
        return scan_files(scan, paths, options) if paths else scan(list(files), **options)

    return read


@wraps(pl.scan_ndjson)
def _scan_ndjson(files: Sequence[File], **options: Any) -> pl.LazyFrame:
    """Keys and types come from all lines of all files, where polars takes them from the first 100 of the first."""
    scan = _from_disk(pl.scan_ndjson)
    for name in _DTYPES:  # pairs of name and dtype are fine elsewhere in polars
        if options.get(name) is not None:
            options[name] = dict(options[name])
    if options.get("schema") is not None:
        return scan(files, **options)
    options = {"infer_schema_length": None, **options}
    if len(files) > 1:
        inferring = {key: value for key, value in options.items() if key not in _ADDED}
        each = [scan([file], **inferring) for file in files]
        options["schema"] = pl.concat(each, how="diagonal_relaxed").collect_schema()
    return scan(files, **options)


@wraps(pl.read_json)
def _scan_json(files: Sequence[File], **options: Any) -> pl.LazyFrame:
    """As NDJSON: polars refuses there what its reader of JSON cuts, rounds or makes null to fit a dtype."""
    contents = [file if isinstance(file, bytes) else file.read_bytes() for file in files]
    try:
        lines = [as_lines(whole_text(content).removeprefix(codecs.BOM_UTF8)) for content in contents]
    except (ValueError, RecursionError) as error:
        raise pl.exceptions.ComputeError(f"no valid JSON: {error}") from error
    return _scan_ndjson(lines, **options)


# A name such as "[ab].parquet" is a name and no pattern, and a folder called "n=1" adds no column.
_CSV = Format(_from_disk(pl.scan_csv), {"glob": False}, unpack_text, "csv")
_NDJSON = Format(_scan_ndjson, {}, unpack_text, "ndjson")
_JSON = Format(_scan_json, {}, unpack_text, "json")
_PARQUET = Format(_from_disk(pl.scan_parquet), {"glob": False, "hive_partitioning": False}, unpack_parquet)
_TEXT = {".csv": _CSV, ".ndjson": _NDJSON, ".jsonl": _NDJSON, ".json": _JSON}

FORMATS: Mapping[str, Format] = {
    **{suffix + packed: form for suffix, form in _TEXT.items() for packed in ("", ".gz", ".zst")},
    ".parquet": _PARQUET,
}
