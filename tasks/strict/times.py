"""Holds text that is declared as dates and times to ISO 8601: polars guesses other formats, and drops what has no room.

It reads ``01/02/2024`` as February, shifts a time with an offset to UTC where no zone was declared, takes a time
without one for UTC where a zone was, and cuts digits of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from state.words import SHOWN
from tasks.formats.formats import File, Format
from tasks.strict.finding import Finding, printable, shown
from tasks.strict.iso8601 import Fault, faults_of, pattern_of
from tasks.strict.lines import lines_of_rows
from tasks.strict.values import csv_as

_ROW = "\0row"
_ADDED = ("include_file_paths", "row_index_name", "row_index_offset")
"""Options that add a column, which no file has."""
Make = Callable[[pl.Expr], pl.Expr]


@dataclass(frozen=True, slots=True)
class _Times:
    """Dates or times in a column, and the way to them where it is nested: names of fields, None for a list's values."""

    column: str
    dtype: pl.DataType
    steps: tuple[str | None, ...] = ()

    def each(self, make: Make, over: Make) -> pl.Expr:
        """What ``make`` says of the text, in each row; ``over`` makes one answer of those for the values of a list."""
        return _walk(pl.col(self.column), self.steps, make, over)


def times_of(dtypes: Mapping[str, Any]) -> dict[str, pl.DataType]:
    """The columns among declared ones that hold dates or times, with their dtypes."""
    whole = {name: dtype() if isinstance(dtype, type) else dtype for name, dtype in dtypes.items()}
    return {name: dtype for name, dtype in whole.items() if any(_times(name, dtype))}


def are_iso(
    form: Format, contents: Sequence[File], options: Mapping[str, Any], dtypes: Mapping[str, pl.DataType]
) -> bool:
    """Whether files that are read alike surely hold no misread time: a look at all of a day's costs one scan."""
    try:
        return not _bad(form, contents, options, dtypes)
    except PolarsError:
        return False


def misread_times(
    form: Format,
    content: File,
    options: Mapping[str, Any],
    dtypes: Mapping[str, pl.DataType],
    in_use: Mapping[str, str],
) -> tuple[Finding, ...]:
    """The dates and times of a sound file that are not in ISO 8601, or say more or less than their dtype holds.

    ``dtypes`` are those of columns with times, ``options`` and they have the file's own names, ``in_use`` those that a
    declaration has in their place. What polars cannot read even as text is left to it. Raises OSError.
    """
    try:
        bad = _bad(form, [content], options, dtypes)
        if not bad:
            return ()
        faults = {one: faults_of(one.dtype, printable(in_use.get(one.column, one.column))) for one in bad}
        said = (one for times, some in faults.items() for one in _summary(times, bad[times], some))
        frame = _as_text(form, [content], options, dtypes).with_row_index(_ROW)
        told = frame.select(said).collect(engine=_engine([content]))
    except PolarsError:
        return ()
    return _findings(lambda rows: lines_of_rows(form, content, options, rows), faults, told.row(0))


def _bad(
    form: Format, contents: Sequence[File], options: Mapping[str, Any], dtypes: Mapping[str, pl.DataType]
) -> dict[_Times, str]:
    """The dates and times of which some text does not match their pattern. Raises PolarsError, OSError."""
    frame = _as_text(form, contents, options, dtypes)
    names = frame.collect_schema().names()
    times = [one for name in names if name in dtypes for one in _times(name, dtypes[name])]
    good = {one: pattern_of(one.dtype, bare_dates=form.text != "json") for one in times}
    any_bad = [one.each(_fails(good[one]), _any).any().alias(str(at)) for at, one in enumerate(times)]
    if not any_bad:
        return {}
    found = frame.select(any_bad).collect(engine=_engine(contents)).row(0)
    return {one: pattern for (one, pattern), is_bad in zip(good.items(), found, strict=True) if is_bad}


def _engine(contents: Sequence[File]) -> Any:
    return "streaming" if any(isinstance(content, Path) for content in contents) else "in-memory"


def _as_text(
    form: Format, contents: Sequence[File], options: Mapping[str, Any], dtypes: Mapping[str, pl.DataType]
) -> pl.LazyFrame:
    text = {name: _textual(dtype) for name, dtype in dtypes.items()}
    if form.text == "csv":
        return csv_as(form, contents, {key: one for key, one in options.items() if key not in _ADDED}, text)
    return form.read(contents, {"schema": text})


def _textual(dtype: Any) -> Any:
    """A dtype with text in place of dates and times."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _textual(field.dtype) for field in dtype.fields})
    if isinstance(dtype, pl.List):
        return pl.List(_textual(dtype.inner))
    return pl.String() if dtype.is_temporal() else dtype


def _times(column: str, dtype: Any, steps: tuple[str | None, ...] = ()) -> Iterator[_Times]:
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _times(column, field.dtype, (*steps, field.name))
    elif isinstance(dtype, pl.List):
        yield from _times(column, dtype.inner, (*steps, None))
    elif dtype in (pl.Date, pl.Datetime, pl.Time):
        yield _Times(column, dtype() if isinstance(dtype, type) else dtype, steps)


def _walk(each: pl.Expr, steps: Sequence[str | None], make: Make, over: Make) -> pl.Expr:
    if not steps:
        return make(each)
    step, *rest = steps
    if step is not None:
        return _walk(each.struct.field(step), rest, make, over)
    return over(each.list.eval(_walk(pl.element(), rest, make, over)))


def _fails(pattern: str) -> Make:
    """Whether text is neither null nor empty, which is null to polars, and does not match."""
    return lambda text: ~text.str.contains(pattern) & (text != "")


def _any(answers: pl.Expr) -> pl.Expr:
    return answers.list.any()


def _first(answers: pl.Expr) -> pl.Expr:
    return answers.list.drop_nulls().list.first()


def _summary(times: _Times, good: str, faults: Sequence[Fault]) -> Iterator[pl.Expr]:
    """For each fault how many rows have it, the first of them, and the first text."""
    bad = _fails(good)

    def number(text: pl.Expr) -> pl.Expr:
        which = pl.lit(len(faults) - 1)
        for at in reversed(range(len(faults) - 1)):
            which = pl.when(text.str.contains(faults[at].pattern)).then(at).otherwise(which)
        return pl.when(bad(text)).then(which)

    which = times.each(number, _first)
    text = times.each(lambda text: pl.when(bad(text)).then(text), _first)
    for at in range(len(faults)):
        key = f"{times.column} {times.steps} {at}"
        yield (which == at).sum().alias(f"count {key}")
        yield pl.col(_ROW).filter(which == at).head(SHOWN).implode().alias(f"rows {key}")
        yield text.filter(which == at).first().alias(f"text {key}")


def _findings(
    lines_of: Callable[[Sequence[int]], Mapping[int, int]],
    faults: Mapping[_Times, Sequence[Fault]],
    told: Iterable[Any],
) -> tuple[Finding, ...]:
    each = iter(told)
    found = [(times, fault, next(each), next(each), next(each)) for times, some in faults.items() for fault in some]
    lines = lines_of([row for *_, rows, _ in found for row in rows])
    findings = []
    for times, fault, count, rows, text in found:
        if count:
            first, *others = (lines[row] for row in rows)
            column = ".".join((times.column, *filter(None, times.steps)))
            expected = f"{times.dtype}: {fault.expected}"
            findings.append(Finding(first, column, fault.found, expected, shown(text), tuple(others), count))
    return tuple(findings)
