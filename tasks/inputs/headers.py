"""The names in a raw file's header, as polars calls them. JSON has the keys of its objects in place of a header."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from tasks.catalog.columns import Names, polars_names
from tasks.catalog.declare import Source
from tasks.catalog.formats import File
from tasks.catalog.unpacking import is_packed, text_pieces

_MOST_HEADER_BYTES = 1 << 16
_MOVES_HEADER = {"skip_rows", "skip_lines", "comment_prefix", "eol_char"}
_OF_ROWS = {
    *("schema", "schema_overrides", "infer_schema_length", "infer_schema_files"),
    *("include_file_paths", "row_index_name", "row_index_offset", "n_rows"),
}


def header(source: Source, file: File) -> Names | None:
    """The names; None for a file that has none, such as JSON without any object.

    Raises whatever polars raises for a file that it cannot read.
    """
    return _READERS.get(source.format.scan.__name__, _told_by_polars)(source, file)


def _of_csv(source: Source, file: File) -> Names | None:
    if isinstance(file, bytes) and _MOVES_HEADER.isdisjoint(source.options) and not is_packed(file):
        # A plain first line needs no parser, and polars would take twenty times as long as this.
        end = file.find(b"\n", 0, _MOST_HEADER_BYTES)
        line = file[: max(0, end)].removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r")
        quote = str(source.options.get("quote_char", '"') or "")
        if line and line.isascii() and b"\r" not in line and not (quote and quote.encode() in line):
            return polars_names(line.decode().split(str(source.options.get("separator", ","))), None)
    return _told_by_polars(source, file)


def _told_by_polars(source: Source, file: File) -> Names | None:
    return tuple(source.format.read([file], _where_headers_are(source)).collect_schema().names()) or None


@lru_cache(maxsize=256)
def _where_headers_are(source: Source) -> Mapping[str, object]:
    """The options that say where the header is and how it is read."""
    names = source.format.options - _OF_ROWS - {"extra_columns", "missing_columns"}
    told = {name: value for name, value in source.options.items() if name in names}
    return {**told, "infer_schema": False} if "infer_schema" in names else told


def _of_lines(_: Source, file: File) -> Names | None:
    keys: dict[str, None] = {}
    for line in _lines(file):
        keys.update(_keys(line))
    return tuple(keys) or None


def _of_json(_: Source, file: File) -> Names | None:
    return tuple(_keys(b"".join(text_pieces(file)))) or None


def _keys(text: bytes) -> Mapping[str, None]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}  # polars says what is wrong
    keys: dict[str, None] = {}
    for one in found if isinstance(found, list) else [found]:
        if isinstance(one, dict):
            keys.update(dict.fromkeys(one))
    return keys


def _lines(file: File) -> Iterator[bytes]:
    rest = b""
    for piece in text_pieces(file) if isinstance(file, Path) or is_packed(file) else [file]:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    yield rest


_READERS: Mapping[str, Callable[[Source, File], Names | None]] = {
    "scan_csv": _of_csv,
    "scan_ndjson": _of_lines,
    "read_json": _of_json,
}
