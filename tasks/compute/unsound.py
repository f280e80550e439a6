"""Says why a day's files cannot be read as declared: by their structure before anything is computed, by values after.

A message names the first bad file, with lines and columns where they can be told.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from state.errors import error_text
from state.words import counted
from tasks.catalog.declare import Source
from tasks.catalog.formats import File
from tasks.compute.outcomes import JobFailed
from tasks.inputs.reading import DayInput
from tasks.strict.check import Finding, check_file
from tasks.strict.finding import printable
from tasks.strict.telling import told
from tasks.strict.values import locate_values
from tasks.user_code import Raised, guarded_call


def unsound(read: DayInput) -> JobFailed | None:
    """What is wrong with the structure of a day's files, whichever columns an aggregation asks for."""
    bad: list[tuple[str, tuple[Finding, ...]]] = []
    for file, content in read.each():
        try:
            findings = check_file(read.source.format, content, read.source.options).findings
        except OSError as error:
            why = error.strerror or f"what is packed in it cannot be unpacked ({error})"
            return JobFailed("input", f"{printable(file.path)} cannot be read as declared: {why}", cause=error)
        if findings:
            bad.append((file.path, findings))
    if not bad:
        return None
    more = f" (and so {counted(len(bad) - 1, 'more file')} of the day)" if len(bad) > 1 else ""
    return JobFailed("input", told(*bad[0]) + more)


def unreadable(read: DayInput, error: BaseException) -> JobFailed:
    """Why polars, or a ``read=`` function, could not read a day's files."""
    for file, content in read.each():
        alone = guarded_call(partial(_read_file, read.source, content))
        if isinstance(alone, Raised):
            values = guarded_call(partial(_values, read, content))
            if not isinstance(values, Raised) and values:
                return JobFailed("input", told(file.path, values), cause=alone.error)
            where = f"(in {file.path!r}, {file.size:,} bytes)"
            return JobFailed("input", f"{_pattern(read)}: {error_text(alone.error)} {where}", cause=alone.error)
    for file, content in read.each():  # each is readable by itself, but not as what the first ones say
        values = guarded_call(partial(_values, read, content))
        if not isinstance(values, Raised) and values:
            return JobFailed("input", told(file.path, values), cause=error)
    number = len(read.files.files)
    together = f", its {number:,} files together" if number > 1 else ""
    return JobFailed("input", f"{_pattern(read)}{together}: {error_text(error)}", cause=error)


def read_through(frame: pl.LazyFrame) -> None:
    """Parse every column. Raises what polars raises, or the functions that the frame runs."""
    frame.select(pl.all().count()).collect(engine="streaming")


def _pattern(read: DayInput) -> str:
    return f"{read.source.template.pattern(read.day)} cannot be read as declared"


def _read_file(source: Source, file: File) -> None:
    read_through(source.scan([file]))


def _values(read: DayInput, content: File) -> tuple[Finding, ...]:
    dtypes = read.frame().collect_schema()
    return locate_values(read.source.format, content, read.source.options, dtypes)
