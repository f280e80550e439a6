"""Holds a day's files to ISO 8601 where columns are declared as dates or times; it costs nothing where none is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import groupby
from typing import Any

import polars as pl

from tasks.catalog.source import Source
from tasks.reading.declared import not_as_declared
from tasks.reading.frames import ReadableFile
from tasks.reading.sound_files import DaySound
from tasks.strict.finding import Finding
from tasks.strict.times import are_iso, misread_times, times_of

Declared = tuple[Mapping[str, pl.DataType], Mapping[int, pl.DataType]]
_NAMING = ("new_columns", "with_column_names")


def with_iso_times(source: Source, files: list[ReadableFile], sound: DaySound) -> list[ReadableFile]:
    """The files, whose dates and times are written as polars may read them. Raises NotAsDeclared, OSError."""
    declared = _declared(source)
    if any(declared):
        bad = []
        unknown = [one for one in files if not sound.known("times", one.stat.path)]
        for _, group in groupby(unknown, lambda one: one.reading):
            alike = list(group)
            contents = [file.content for file in alike]
            if not are_iso(source.format, contents, *_in_its_names(source, alike[0], *declared)):
                bad += [(file.stat.path, found) for file in alike if (found := _misread(source, file, declared))]
        if bad:
            raise not_as_declared(bad)
        for one in unknown:
            sound.learn("times", one.stat.path, proven=isinstance(one.content, bytes))
    return files


@lru_cache(1024)
def _declared(source: Source) -> Declared:
    """The declared dates and times by their columns' names, and by their places.

    Where values may become null instead, whatever is wrong with them, none is held to anything.
    """
    options = source.options
    if source.format.text is None or options.get("ignore_errors"):
        return {}, {}
    schema, overrides = (options.get(name) or {} for name in ("schema", "schema_overrides"))
    if isinstance(overrides, Mapping) or isinstance(overrides[0], tuple):
        return times_of({**dict(schema), **dict(overrides)}), {}
    places = times_of({str(at): dtype for at, dtype in enumerate(overrides)})
    return times_of(dict(schema)), {int(at): dtype for at, dtype in places.items()}


def _misread(source: Source, file: ReadableFile, declared: Declared) -> tuple[Finding, ...]:
    return misread_times(source.format, file.content, *_in_its_names(source, file, *declared), file.in_use)


def _in_its_names(
    source: Source, file: ReadableFile, by_name: Mapping[str, pl.DataType], by_place: Mapping[int, pl.DataType]
) -> tuple[Mapping[str, Any], Mapping[str, pl.DataType]]:
    """The options for a file, and the dtypes of its dates and times, by the names that its columns have."""
    options = file.options(source)
    if options.get("schema") is not None:
        options = {name: value for name, value in options.items() if name not in _NAMING}  # it has the file's own names
    dtypes = file.in_its_names(by_name)
    if by_place:
        names = file.header or source.scan([file.content], file.fit).collect_schema().names()
        dtypes |= {names[at]: dtype for at, dtype in by_place.items() if at < len(names)}
    return options, dtypes
