"""Runs the aggregations of days over their frames: together where all go well, one by one to find the one that fails.

Together, polars reads a day's common input once, and no core waits for Python between small days. Nothing is written
here, and a user's function that raises, panics or returns something else is an answer like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import polars as pl
from polars.exceptions import PolarsError

from state import turns
from state.errors import error_text, type_name
from state.result.inferred import Types
from state.result.readable import misnamed
from tasks.catalog.declare import Aggregation
from tasks.catalog.place import returned
from tasks.catalog.source import Source
from tasks.compute.columns import LackedColumns
from tasks.compute.outcomes import JobFailed
from tasks.compute.unreadable import read_through, unreadable
from tasks.reading.day_input import DayInput
from tasks.reading.event_days import Engine, Tally
from tasks.reading.inferring import infers, types_of
from tasks.user_code import Raised, exit_guard, guarded_call

log = logging.getLogger("noonmark")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A result, and of each source (by its name in the record) how many rows it gave and its inferred types, if any.

    ``outside`` are the rows that were dropped, since no day within reach takes them.
    """

    frame: pl.DataFrame
    rows: Mapping[str, int]
    types: Mapping[str, Types] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)


Results = Mapping[str, Evaluated | JobFailed]
"""The result of each aggregation, by its name, or why there is none: the ``input`` cannot be read as declared, or the
``aggregation`` does not work on it.
"""


def evaluate(days: Sequence[tuple[Sequence[Aggregation], Mapping[Source, DayInput]]]) -> list[Results]:
    """The results of days, in their order; each day comes with the files of every source that its aggregations have.

    Days that lie in memory are computed in one call; one that is read from disk is bounded in memory by itself.
    """
    with exit_guard():
        asked = [_Day(aggregations, inputs) for aggregations, inputs in days]
        _collect([one for one in asked if one.in_memory], "in-memory")
        for one in asked:
            if not one.in_memory:
                _collect([one], "streaming")
        return [one.results() for one in asked]


_Name = str | Source
"""A query: an aggregation by its name, or the number of a source's rows by the source."""


class _Day:
    """The queries of one day, and what came of each: a frame, or an error.

    Two sources may read the same files differently, so each has a frame of its own.
    """

    def __init__(self, aggregations: Sequence[Aggregation], inputs: Mapping[Source, DayInput]) -> None:
        self.queries: dict[_Name, pl.LazyFrame] = {}
        self.collected: dict[_Name, pl.DataFrame | BaseException] = {}
        self._aggregations = aggregations
        self._inputs = inputs
        self._frames: dict[Source, pl.LazyFrame] = {}
        self._faults: dict[Source, JobFailed | None] = {}
        self._misplaced: dict[Source, JobFailed | None] = {}
        self._types: dict[Source, Types] = {}
        for source, one in inputs.items():
            frame = guarded_call(one.frame)
            if isinstance(frame, Raised):
                self.collected[source] = unreadable(one, frame.error)
            else:
                self._frames[source] = frame
        for aggregation in aggregations:
            planned = self._planned(aggregation)
            if isinstance(planned, pl.LazyFrame):
                self.queries[aggregation.name] = planned
            else:
                self.collected[aggregation.name] = planned
        for source, frame in self._frames.items():
            if inputs[source].rows is None:
                self.queries[source] = inputs[source].tally(frame)

    @property
    def in_memory(self) -> bool:
        """Whether all its files are; then the in-memory engine takes half the streaming engine's time."""
        return all(self._inputs[source].in_memory for source in self._frames)

    def _planned(self, aggregation: Aggregation) -> pl.LazyFrame | BaseException:
        sources = aggregation.sources.values()
        for source in sources:
            if isinstance(error := self.collected.get(source), JobFailed):
                return error
        frames = [self._frames[source] for source in sources]
        day = self._inputs[next(iter(sources))].day
        planned: object = guarded_call(lambda: aggregation.query(frames, day))
        if isinstance(planned, Raised):
            return planned.error
        if isinstance(planned, pl.LazyFrame):
            return planned
        return JobFailed("aggregation", f"{returned(planned, 'a polars LazyFrame')} ({aggregation.place})")

    def results(self) -> Results:
        """What came of it."""
        for source in self._frames:
            self._tell_repeated(source)
        lacked = LackedColumns(self._inputs, self._frames)
        lacking = {one.name: lacked.note(one, self.collected[one.name]) for one in self._aggregations}
        return {one.name: self._result(one, lacked, lacking[one.name]) for one in self._aggregations}

    def _result(self, aggregation: Aggregation, lacked: LackedColumns, lacking: Source | None) -> Evaluated | JobFailed:
        frame = self.collected[aggregation.name]
        if isinstance(frame, JobFailed):
            return frame
        rows, outside = {}, {}
        is_no_day = False
        for name, source in aggregation.sources.items():
            tally = self._tally(source)
            failed = isinstance(frame, BaseException) or isinstance(tally, BaseException)
            if failed and (fault := self._fault(source)):
                return _both(fault, frame, aggregation)
            if isinstance(tally, BaseException):  # it could be read a moment later: a disk's whim
                return JobFailed("input", f"{source} cannot be read: {error_text(tally)}", cause=tally)
            if misplaced := self._misplaced_in(source, tally):
                return _both(misplaced, frame, aggregation)
            rows[name], outside[name] = tally.rows, tally.dropped
            is_no_day |= self._inputs[source].is_no_day(tally)
        if lacking and isinstance(frame, BaseException):
            return JobFailed("aggregation", lacked.told(lacking), cause=frame, summary=lacked.summary(lacking))
        if isinstance(frame, BaseException):
            return _raised(aggregation, frame, rows, self._inferred(aggregation))
        if wrong := misnamed(frame.schema):
            return JobFailed("aggregation", f"{wrong} ({aggregation.place})")
        if not frame.width:
            return JobFailed("aggregation", f"its result has no column ({aggregation.place})")
        # Where a source has neither a file nor an event of the day, no result is made up of nothing.
        return Evaluated(frame.clear() if is_no_day else frame, rows, self._inferred(aggregation), outside)

    def _tally(self, source: Source) -> Tally | BaseException:
        """The number of a source's rows, or why they could not be counted."""
        one = self._inputs[source]
        if one.rows is not None:
            return Tally(one.rows)
        counted = self.collected[source]
        return counted if isinstance(counted, BaseException) else one.tallied(counted)

    @property
    def _engine(self) -> Engine:
        return "in-memory" if self.in_memory else "streaming"

    def _misplaced_in(self, source: Source, tally: Tally) -> JobFailed | None:
        """Which rows of an input no day can take."""
        if source not in self._misplaced:
            one = self._inputs[source]
            told = guarded_call(lambda: one.events and one.events.misplaced(tally, self._engine))
            text = error_text(told.error) if isinstance(told, Raised) else told
            self._misplaced[source] = None
            if text:
                error, summary = f"{source.pattern(one.day)} has {text}", "rows of no day that their files can reach"
                self._misplaced[source] = JobFailed("input", error, summary=summary)
        return self._misplaced[source]

    def _tell_repeated(self, source: Source) -> None:
        """Warn of rows that neighbouring files share: the day counts each of them."""
        one = self._inputs[source]
        events = one.events
        if not events or isinstance(tally := self._tally(source), BaseException):
            return
        found = guarded_call(lambda: events.repeated(tally, self._engine))
        if isinstance(found, Raised):
            log.warning(
                "%s, day %s: rows of its files cannot be compared: %s", source, one.day, error_text(found.error)
            )
        elif found:
            log.warning("%s, day %s counts equal rows of two files: %s", source, one.day, "; ".join(found))

    def _inferred(self, aggregation: Aggregation) -> dict[str, Types]:
        """What polars took the columns for whose types are not declared, of each source that has any."""
        found = {}
        for name, source in aggregation.sources.items():
            if infers(source):
                if source not in self._types:
                    schema = guarded_call(self._frames[source].collect_schema)
                    self._types[source] = {} if isinstance(schema, Raised) else types_of(source, schema)
                found[name] = self._types[source]
        return found

    def _fault(self, source: Source) -> JobFailed | None:
        """What is wrong with an input itself. It is read once more for that: a query parses no column that it leaves
        out.
        """
        if source not in self._faults:
            read = guarded_call(partial(read_through, self._frames[source]))
            self._faults[source] = unreadable(self._inputs[source], read.error) if isinstance(read, Raised) else None
        return self._faults[source]


def _collect(days: Sequence[_Day], engine: Engine) -> None:
    """Run all queries in one call. Where that fails, halves show which day does not work, and of that which query."""
    asked = [(day, name) for day in days for name in day.queries]
    with turns.left():
        frames = guarded_call(lambda: pl.collect_all([day.queries[name] for day, name in asked], engine=engine))
    if not isinstance(frames, Raised):
        for (day, name), frame in zip(asked, frames, strict=True):
            day.collected[name] = frame
    elif len(days) == 1:
        for name, query in days[0].queries.items():
            one = guarded_call(partial(_collect_one, query, engine))
            days[0].collected[name] = one.error if isinstance(one, Raised) else one
    else:
        half = len(days) // 2
        _collect(days[:half], engine)
        _collect(days[half:], engine)


def _collect_one(query: pl.LazyFrame, engine: Engine) -> pl.DataFrame:
    return query.collect(engine=engine)


def _both(fault: JobFailed, answer: pl.DataFrame | BaseException, aggregation: Aggregation) -> JobFailed:
    """The input's fault, and what the aggregation raised where that need not come of it."""
    if isinstance(answer, BaseException) and not isinstance(answer, PolarsError):
        text = error_text(answer)
        also = f"the aggregation raised {text} ({aggregation.place_of(answer)})"
        return JobFailed(fault.kind, f"{fault.error}; {also}", cause=answer)
    return fault


def _raised(
    aggregation: Aggregation, error: BaseException, rows: Mapping[str, int], types: Mapping[str, Types]
) -> JobFailed:
    empty = [name for name, number in rows.items() if not number and isinstance(error, PolarsError)]
    hint = f"; {empty[0]} has no row, and a column without values is text unless its type is declared" if empty else ""
    place = aggregation.place_of(error)
    text = f"it failed: {error_text(error)} ({place}){hint}"
    summary = f"it failed: {type_name(error)} ({place})"  # its text may name the day
    types = types if isinstance(error, PolarsError) else {}
    return JobFailed("aggregation", text, cause=error, types=types, rows=rows, summary=summary)
