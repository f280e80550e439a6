"""Runs the aggregations of days over their frames: together where all go well, one by one to tell which one does not.

Together, polars reads a day's common input once, and no core waits for Python between small days. Nothing is written
here, and a user's function that raises, panics or returns something else is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import polars as pl
from polars.exceptions import PolarsError

from state.errors import error_text
from state.result.readable import misnamed
from tasks.catalog.declare import Aggregation, Source
from tasks.catalog.formats import File
from tasks.inputs.reading import DayInput
from tasks.user_code import Raised, exit_guard, guarded_call

Kind = Literal["input", "aggregation"]
_ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A result, and the number of rows that each source (by its name in the record) gave."""

    frame: pl.DataFrame
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why there is no result: the ``input`` cannot be read as declared, or the ``aggregation`` does not work on it."""

    kind: Kind
    error: str


def evaluate(days: Sequence[tuple[Sequence[Aggregation], Mapping[Source, DayInput]]]) -> list[Results]:
    """The results of days, in their order; each day comes with the files of every source that its aggregations have.

    Days that lie in memory are computed in one call; one that is read from disk is bounded in memory by itself.
    """
    with exit_guard():
        asked = [_Day(aggregations, taken) for aggregations, taken in days]
        _collect([one for one in asked if one.in_memory], "in-memory")
        for one in asked:
            if not one.in_memory:
                _collect([one], "streaming")
        return [one.results() for one in asked]


Results = Mapping[str, Evaluated | Misfit]
"""The result of each aggregation, by its name."""
_Name = str | Source
"""A query: an aggregation by its name, or the number of a source's rows by the source."""
_Collected = dict[_Name, pl.DataFrame | BaseException]


class _Day:
    """The queries of one day, and what came of each. Two sources may read the same files differently, so each has a
    frame of its own.
    """

    def __init__(self, aggregations: Sequence[Aggregation], taken: Mapping[Source, DayInput]) -> None:
        self.queries: dict[_Name, pl.LazyFrame] = {}
        self.collected: _Collected = {}
        self._aggregations = aggregations
        self._taken = taken
        self._frames: dict[Source, pl.LazyFrame] = {}
        self._misfits: dict[_Name, Misfit] = {}
        for source, one in taken.items():
            frame = guarded_call(one.frame)
            if isinstance(frame, Raised):
                self._misfits[source] = _unreadable(one, frame.error)
            else:
                self._frames[source] = frame
        for aggregation in aggregations:
            self._plan(aggregation)
        for source, frame in self._frames.items():
            self.queries[source] = frame.select(pl.len().alias(_ROWS))

    @property
    def in_memory(self) -> bool:
        """Whether all its files are; then the in-memory engine takes half the streaming engine's time."""
        return all(self._taken[source].in_memory for source in self._frames)

    def _plan(self, aggregation: Aggregation) -> None:
        sources = aggregation.sources.values()
        if bad := next((self._misfits[source] for source in sources if source in self._misfits), None):
            self._misfits[aggregation.name] = bad
            return
        frames = [self._frames[source] for source in sources]
        planned: object = guarded_call(lambda: aggregation.function(*frames))
        if isinstance(planned, Raised):
            self.collected[aggregation.name] = planned.error
        elif isinstance(planned, pl.LazyFrame):
            self.queries[aggregation.name] = planned
        else:
            told = f"it returned {type(planned).__name__}, expected a polars LazyFrame ({aggregation.place})"
            self._misfits[aggregation.name] = Misfit("aggregation", told)

    def results(self) -> Results:
        """What came of it."""
        fault = cache(lambda source: _fault(self._taken[source], self._frames[source]))
        return {
            one.name: self._misfits.get(one.name) or _result(one, self.collected, fault) for one in self._aggregations
        }


def _collect(days: Sequence[_Day], engine: Literal["in-memory", "streaming"]) -> None:
    """Run all queries in one call. Where that fails, halves show which day does not work, and of that which query."""
    asked = [(day, name) for day in days for name in day.queries]
    frames = guarded_call(lambda: pl.collect_all([day.queries[name] for day, name in asked], engine=engine))
    if not isinstance(frames, Raised):
        for (day, name), frame in zip(asked, frames, strict=True):
            day.collected[name] = frame
    elif len(days) == 1:
        _collect_singly(days[0], engine)
    else:
        half = len(days) // 2
        _collect(days[:half], engine)
        _collect(days[half:], engine)


def _collect_singly(day: _Day, engine: Literal["in-memory", "streaming"]) -> None:
    for name, query in day.queries.items():
        frame = guarded_call(partial(_collect_one, query, engine))
        day.collected[name] = frame.error if isinstance(frame, Raised) else frame


def _collect_one(query: pl.LazyFrame, engine: Literal["in-memory", "streaming"]) -> pl.DataFrame:
    return query.collect(engine=engine)


def _result(
    aggregation: Aggregation,
    collected: Mapping[_Name, pl.DataFrame | BaseException],
    fault: Callable[[Source], Misfit | None],
) -> Evaluated | Misfit:
    frame = collected[aggregation.name]
    rows = {}
    for name, source in aggregation.sources.items():
        counted = collected[source]
        bad = fault(source) if isinstance(frame, BaseException) or isinstance(counted, BaseException) else None
        if bad:
            return _both(bad, frame, aggregation)
        if isinstance(counted, BaseException):  # it could be read a moment later: a disk's whim
            return Misfit("input", f"{source} cannot be read: {error_text(counted)}")
        rows[name] = int(counted.item())
    if isinstance(frame, BaseException):
        return _raised(aggregation, frame, rows)
    if wrong := misnamed(frame.schema):
        return Misfit("aggregation", f"{wrong} ({aggregation.place})")
    if not frame.width:
        return Misfit("aggregation", f"its result has no column ({aggregation.place})")
    return Evaluated(frame, rows)


def _fault(taken: DayInput, frame: pl.LazyFrame) -> Misfit | None:
    """What is wrong with the input itself, told after the fact: polars parses no column that a query leaves out."""
    read = guarded_call(lambda: _read_through(frame))
    return _unreadable(taken, read.error) if isinstance(read, Raised) else None


def _unreadable(taken: DayInput, error: BaseException) -> Misfit:
    unreadable = f"{taken.source.template.pattern(taken.day)} cannot be read as declared"
    for file, content in taken.each():
        read = guarded_call(partial(_read_file, taken.source, content))
        if isinstance(read, Raised):
            return Misfit("input", f"{unreadable}: {error_text(read.error)} (in {file.path!r}, {file.size:,} bytes)")
    number = len(taken.files.files)
    together = f", its {number:,} files together" if number > 1 else ""
    return Misfit("input", f"{unreadable}{together}: {error_text(error)}")


def _read_file(source: Source, file: File) -> None:
    _read_through(source.scan([file]))


def _read_through(frame: pl.LazyFrame) -> None:
    frame.select(pl.all().count()).collect(engine="streaming")


def _both(bad: Misfit, met: pl.DataFrame | BaseException, aggregation: Aggregation) -> Misfit:
    if isinstance(met, BaseException) and (text := error_text(met)) not in bad.error:
        return Misfit(bad.kind, f"{bad.error}; the aggregation met {text} ({aggregation.place_of(met)})")
    return bad


def _raised(aggregation: Aggregation, error: BaseException, rows: Mapping[str, int]) -> Misfit:
    empty = [name for name, number in rows.items() if not number and isinstance(error, PolarsError)]
    hint = f"; {empty[0]} has no row, and a column without values is text unless its type is declared" if empty else ""
    return Misfit("aggregation", f"it failed: {error_text(error)} ({aggregation.place_of(error)}){hint}")
