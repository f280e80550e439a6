"""Gives polars the files on disk in a way that it reads them, and never maps them into memory.

A file that is cut short while it is mapped kills the process with SIGBUS, which nobody can catch. Of what a path names,
polars 2.1 maps NDJSON for as long as it computes, CSV and Parquet while it makes out their columns. What a URL names it
reads piece by piece, as from an object store: the same rows, in memory that does not grow with the file.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

# To count the rows of CSV behind a URL, polars copies the file to its cache, keeps the copy for an hour, and counts it
# again for a file that was edited since, if size and time are as they were. Without that way it reads the file itself.
os.environ["POLARS_NO_FAST_FILE_COUNT"] = "1"

_LITERAL = re.compile(r"(?:/[\w .,=+@:(){}~-]+)+")
"""Paths that polars takes as they are in a URL. Of others it unescapes ``%``, and maps the file; expands ``*``; refuses
``..`` and control characters.
"""


def scan_files(scan: Callable[..., pl.LazyFrame], files: Sequence[Path], options: Mapping[str, object]) -> pl.LazyFrame:
    """The rows of files on disk, as ``scan``, a function of polars, gives them; ``include_file_paths`` shows ``files``.

    Raises OSError where a private copy of a file is needed and cannot be made.
    """
    with ExitStack() as private:
        names = _names(files, private, copies=_maps_urls(options))
        frame = scan(list(names), **options)
        shown: Any = options.get("include_file_paths")
        if shown is not None:
            frame = frame.with_columns(pl.col(shown).replace(names))
        weakref.finalize(frame, private.pop_all().close)
    return frame


def kept_with(frame: pl.LazyFrame, *others: pl.LazyFrame) -> pl.LazyFrame:
    """The frame, made of others: what these need on disk is there for as long as it lives."""
    weakref.finalize(frame, lambda *_: None, *others)
    return frame


def _maps_urls(options: Mapping[str, object]) -> bool:
    """Whether polars reads by path whatever the name is: it makes columns out from whole files, or by a function."""
    whole = options.get("infer_schema_length", 0) is None and options.get("schema") is None
    return whole or options.get("with_column_names") is not None


def _names(files: Sequence[Path], private: ExitStack, *, copies: bool) -> dict[str, str]:
    """The name that polars gets for each file, and the file's path as text."""
    names = {}
    folder = None
    for number, file in enumerate(files):
        place = file.absolute()
        literal = _LITERAL.fullmatch(str(place)) and ".." not in place.parts
        if copies or not literal:
            folder = folder or Path(private.enter_context(tempfile.TemporaryDirectory(prefix="noonmark-input-")))
            place = folder / str(number)
            if copies:
                shutil.copyfile(file, place)
            else:
                place.symlink_to(file.absolute())
        names[str(place) if copies else f"file://{place}"] = os.fsencode(file).decode(errors="backslashreplace")
    return names
