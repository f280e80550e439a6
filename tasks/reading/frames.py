"""A day's files of one source as one frame: each as its own header says, and those of one header in one scan."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from state.inputs.files import FileStat
from tasks.catalog.columns import Fit, Names
from tasks.catalog.source import Source
from tasks.formats.formats import File
from tasks.formats.local_files import kept_with
from tasks.reading.declared import Files, fits, not_as_declared
from tasks.reading.sound_files import DaySound
from tasks.strict.decimal_commas import find_dots, may_have_dots
from tasks.strict.finding import Finding
from tasks.user_code import Raised, guarded_call


@dataclass(frozen=True, slots=True)
class ReadableFile:
    """A file that is as its source declares it. ``content`` is what polars is given, ``header`` what it has of columns.

    ``fit`` says how it is read.
    """

    stat: FileStat
    content: File
    header: Names
    fit: Fit

    def in_its_names(self, dtypes: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
        """The dtypes of the frame's columns by the names that they have in this file."""
        if not self.fit.made:
            return dict(dtypes)
        return {old: dtypes[new] for old, new in self.in_use.items() if new in dtypes}

    @property
    def in_use(self) -> dict[str, str]:
        """The names of its columns to those that a declaration has in their place; empty where they do not differ."""
        return dict(zip(self.header, self.fit.made, strict=True)) if self.fit.made else {}

    def options(self, source: Source) -> dict[str, Any]:
        """The options of its source with the names that its columns have."""
        options = {**source.options, **self.fit.options}
        options.pop("missing_columns", None)  # what this file lacks is no column of its schema here
        return options

    @property
    def reading(self) -> object:
        """What files that one scan can read have in common."""
        return self.fit.select and id(self.fit)


def readable(source: Source, files: Files, sound: DaySound) -> list[ReadableFile]:
    """The files of a day, held to their declaration. Raises NotAsDeclared."""
    fitting = zip(files, fits(source, files, sound), strict=True)
    found = [ReadableFile(file, content, *fit) for (file, content), fit in fitting]
    if source.format.text == "csv" and source.options.get("decimal_comma"):
        _require_no_dots(source, found)
    return found


def _require_no_dots(source: Source, files: Sequence[ReadableFile]) -> None:
    """Raise NotAsDeclared where a number has a dot, and commas are declared."""
    bad = []
    for file in files:
        if may_have_dots(file.content):
            dots = guarded_call(partial(_dots, source, file, [one.content for one in files if one.fit is file.fit]))
            if not isinstance(dots, Raised) and dots:  # what polars cannot read, it says as the day is computed
                bad.append((file.stat.path, dots))
    if bad:
        raise not_as_declared(bad)


def _dots(source: Source, file: ReadableFile, alike: list[File]) -> Sequence[Finding]:
    dtypes = file.in_its_names(source.scan(alike, file.fit).collect_schema())
    return find_dots(source.format, file.content, file.options(source), dtypes)


def frame_of(source: Source, files: Sequence[ReadableFile], root: Path) -> pl.LazyFrame:
    """The rows of the files below ``root``, in their order. What is wrong with values shows when it is collected."""
    column = source.options.get("include_file_paths") if source.rewrites else None
    frames = []
    for _, group in groupby(files, lambda one: (one.reading, one.stat.path if column else None)):
        alike = list(group)
        frame = source.scan([one.content for one in alike], alike[0].fit)
        if column:
            path = os.fsencode(root / alike[0].stat.path).decode(errors="backslashreplace")
            shown = pl.lit(path, dtype=pl.String)
            frame = kept_with(frame.with_columns(shown.alias(column)), frame)
        frames.append(frame)
    return frames[0] if len(frames) == 1 else kept_with(pl.concat(frames), *frames)
