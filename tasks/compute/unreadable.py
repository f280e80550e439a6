"""Says why a day's files could not be read: the first bad file, with lines and columns where they can be told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import polars as pl

from state.errors import error_text, type_name
from tasks.catalog.options import missing_names
from tasks.catalog.place import place_of_error
from tasks.compute.outcomes import JobFailed
from tasks.reading.alike import require_alike
from tasks.reading.day_input import DayInput
from tasks.reading.declared import NotAsDeclared, not_as_declared
from tasks.reading.frames import ReadableFile
from tasks.strict.finding import Finding
from tasks.strict.parquet_columns import differing_columns
from tasks.strict.values import locate_values
from tasks.user_code import Raised, guarded_call


def unreadable(read: DayInput, error: BaseException) -> JobFailed:
    """Why a check, polars, or a function of the source's own could not read a day's files."""
    if isinstance(error, NotAsDeclared):
        return _failed(error, error.__cause__)
    files = list(read.each())
    if read.source.format.is_binary and read.source.options.get("cast_options") is None:
        differing = guarded_call(partial(_differing, read, files))
        if not isinstance(differing, Raised) and differing:
            return _failed(not_as_declared(differing, beside=files[0].stat.path), error)
    for file in files:
        alone = guarded_call(partial(_read_alone, read, file))
        if isinstance(alone, Raised):
            return _located(read, file, alone.error) or _told(read, alone.error, f" (in {file.stat.path!r})")
    for file in files:  # each is readable by itself, but not as what the first ones say
        if found := _located(read, file, error):
            return found
    if len(files) > 1 and not read.source.events:
        unlike = guarded_call(partial(_compare_files, read))
        if isinstance(unlike, Raised) and isinstance(unlike.error, NotAsDeclared):
            return _failed(unlike.error, error)
    number = len(read.files.files)
    together = f" (in its {number:,} files together)" if number > 1 else ""
    if read.source.read:
        place = f" ({place_of_error(read.source.read, error)})"
        return _told(read, error, together + place, summary=f"{type_name(error)}{place}")  # its text may name the day
    return _told(read, error, together)


def _failed(told: NotAsDeclared, cause: BaseException | None) -> JobFailed:
    return JobFailed("input", told.message, cause=cause, summary=told.summary)


def _differing(read: DayInput, files: Sequence[ReadableFile]) -> list[tuple[str, list[Finding]]]:
    """The files whose columns are others than those of ``schema=``, or of the first file."""
    source, options = read.source, read.source.options
    schemas = []
    for file in files:
        found = source.format.read([file.content], {}).collect_schema()
        schemas.append({file.in_use.get(name, name): dtype for name, dtype in found.items()})
    declared = options.get("schema")
    expected = dict(pl.Schema(declared)) if declared is not None else schemas[0]
    where = "schema=" if declared is not None else files[0].stat.path
    may_miss = missing_names(options.get("missing_columns"), expected)
    ignores = options.get("extra_columns") == "ignore"
    each = (differing_columns(one, expected, where, may_miss=may_miss, ignores=ignores) for one in schemas)
    return [(file.stat.path, found) for file, found in zip(files, each, strict=True) if found]


def read_through(frame: pl.LazyFrame) -> None:
    """Parse every column. Raises what polars raises, or the functions that the frame runs."""
    frame.select(pl.all().count()).collect(engine="streaming")


def _read_alone(read: DayInput, file: ReadableFile) -> None:
    read_through(read.frame_of(file))


def _compare_files(read: DayInput) -> None:
    """Raise NotAsDeclared where each file is a frame and they have other columns or types."""
    schemas = [(file.stat.path, read.rows_of([file]).collect_schema()) for file in read.each()]
    require_alike(read.source, schemas)


def _located(read: DayInput, file: ReadableFile, error: BaseException) -> JobFailed | None:
    values = guarded_call(partial(_values, read, file))
    if isinstance(values, Raised) or not values:
        return None
    return _failed(not_as_declared([(file.stat.path, values)]), error)


def _values(read: DayInput, file: ReadableFile) -> tuple[Finding, ...]:
    source, dtypes = read.source, file.in_its_names(read.rows_of(read.each()).collect_schema())
    return locate_values(source.format, file.content, file.options(source), dtypes, file.in_use)


def _told(read: DayInput, error: BaseException, where: str, summary: str = "") -> JobFailed:
    text = error_text(error)
    message = f"{read.source.pattern(read.day)} cannot be read as declared: {text}{where}"
    return JobFailed("input", message, cause=error, summary=f"cannot be read as declared: {summary or text}")
