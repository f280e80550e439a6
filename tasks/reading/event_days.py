"""The events of one day, out of the files of all days within reach: which rows it takes, and which no day can take.

Every day that reads a file judges all of its rows: one whose day nobody knows might be its own.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from state.words import SHOWN, counted, enumerated
from tasks.catalog.source import Source
from tasks.reading.alike import require_alike
from tasks.reading.inferring import added_columns, infers
from tasks.strict.finding import shown

if TYPE_CHECKING:
    from tasks.reading.day_input import DayInput

Engine = Literal["in-memory", "streaming"]
_ROWS = "rows"
_UNPLACED = "unplaced"
_OUTSIDE = "outside"
_OFFSET = re.compile(r":\d\d([.,]\d+)? ?(Z|[+-]\d\d(:?\d\d)?)\s*$")
"""The end of a time that says its zone; a date ends in a hyphen and digits too."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows a day took; how many have no event's day, and how many are of days that their file cannot reach.

    ``dropped`` are those of the latter that lie in the day's own files, where they are dropped: each counts in one day.
    ``parts`` has the rows that were taken from the files of each day.
    """

    rows: int
    unplaced: int = 0
    outside: int = 0
    dropped: int = 0
    parts: Sequence[int] = ()


class _Events:
    """The rows of one day's files that are events, and the day of each. Raises TypeError where there is no time."""

    def __init__(self, source: Source, file_day: str, rows: pl.LazyFrame) -> None:
        assert source.events
        self.event_day = source.events.day(rows.select(source.events.time.alias("")).collect_schema().dtypes()[0])
        self.rows = rows if source.events.no_event is None else rows.filter(source.events.is_event)
        readers = [dt.date.fromisoformat(one) for one in source.event_days(file_day)]
        self.reachable = readers[0], readers[-1]
        self.is_outside = ~self.event_day.is_between(*self.reachable)

    def taken(self, day: str) -> pl.LazyFrame:
        """The rows whose event is of a day."""
        return self.rows.filter(self.event_day == dt.date.fromisoformat(day))

    def tally(self, day: str) -> pl.LazyFrame:
        """One row of numbers."""
        return self.rows.select(
            (self.event_day == dt.date.fromisoformat(day)).sum().alias(_ROWS),
            self.event_day.is_null().sum().alias(_UNPLACED),
            self.is_outside.sum().alias(_OUTSIDE),
        )


def events_of(source: Source, day: str, file_day: str, rows: Callable[[], pl.LazyFrame]) -> pl.LazyFrame:
    """The events of a day among the rows of one file of another."""
    return _Events(source, file_day, rows()).taken(day)


class EventDay:
    """A day of events and the files that are read for it, by their day. Raises what reading them raises.

    ``has_own_file`` says whether any of them is the day's own, ``absent`` how many of the days within reach have none.
    """

    def __init__(self, source: Source, day: str, files: Sequence[DayInput]) -> None:
        assert source.events
        self._source = source
        self._declared = source.events
        self._day = day
        self._parts = [(one, _Events(source, one.day, one.rows_of_files())) for one in files]
        self.has_own_file = any(one.day == day for one in files)
        self.absent = len(source.file_days(day)) - len(files)
        self._columns: list[str] | None = None
        self._unread: list[str] = []
        if len(files) > 1 and (source.read or infers(source) or source.format.text is None):
            schemas = [(_paths(one), events.rows.collect_schema()) for one, events in self._parts]
            require_alike(source, schemas)
            self._columns = schemas[0][1].names()

    def frame(self) -> pl.LazyFrame:
        """The rows whose event is of the day."""
        frames = [events.taken(self._day) for _, events in self._parts]
        if self._columns:  # the keys of JSON have no order
            frames = [frame.select(self._columns) for frame in frames]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def tally(self) -> pl.LazyFrame:
        """What ``tallied`` reads: numbers for the files of each day."""
        return pl.concat([events.tally(self._day) for _, events in self._parts])

    def tallied(self, numbers: pl.DataFrame) -> Tally:
        """The numbers of the whole day."""
        rows, unplaced, outside = (numbers[name].to_list() for name in (_ROWS, _UNPLACED, _OUTSIDE))
        if not self._declared.drops_outside:
            return Tally(sum(rows), sum(unplaced), sum(outside), parts=tuple(rows))
        own = (number for (files, _), number in zip(self._parts, outside, strict=True) if files.day == self._day)
        return Tally(sum(rows), sum(unplaced), dropped=sum(own), parts=tuple(rows))

    def misplaced(self, tally: Tally, engine: Engine) -> str | None:
        """What is wrong with the rows that no day can take, with the first of them; None where there is none."""
        number = tally.unplaced + tally.outside
        if not number:
            return None
        found: list[str] = []
        for files, events in self._parts:
            for name, rows in _one_by_one(files):
                found += self._found(events, name, rows, SHOWN - len(found), engine)
        more = f" and {number - len(found):,} more" if number > len(found) else ""
        fix = ["widen reach=, or leave such rows out with outside='drop'"] if tally.outside else []
        if self._unread and all(map(_ends_in_offset, self._unread)):
            fix += ["let event_time= read the offsets: to_datetime(strict=False, time_zone='UTC')"]
        elif tally.unplaced:
            fix += ["let event_time= read what it shows"] if self._unread else []
            fix += ["say with no_event= which rows are no events"]
        return f"{counted(number, 'row')} of no day: {'; '.join(found)}{more}; {', or '.join(fix)}"

    def repeated(self, tally: Tally, engine: Engine) -> list[str]:
        """Which files share rows that the day took: each text counts those of two."""
        parts = [part for part, rows in zip(self._parts, tally.parts, strict=True) if rows]
        # The day's own files hold most of its rows: those of the others are what is kept in memory.
        parts.sort(key=lambda part: part[0].day != self._day)
        added = added_columns(self._source)
        columns = [name for name in (parts[0][1].rows.collect_schema().names() if parts else ()) if name not in added]
        pairs = [(part, parts[at + 1 :]) for at, part in enumerate(parts[:-1])]
        queries = [self._shared(one, [other for _, other in others], columns) for (_, one), others in pairs]
        found = pl.collect_all(queries, engine=engine) if queries else []
        return [
            f"{counted(number, 'row')} of {_paths(files)} also in {_paths(others[at][0])}"
            for ((files, _), others), frame in zip(pairs, found, strict=True)
            for at, number in sorted(frame.iter_rows())
        ]

    def _shared(self, one: _Events, others: Sequence[_Events], columns: Sequence[str]) -> pl.LazyFrame:
        """How many rows each other day's files share with those of one: the other's place, and the number.

        A row that is ten times in the one and once in the other is one that they share.
        """
        # No column has a name that is so long.
        place, times, number = ("".join(columns) + mark for mark in ("_at", "_times", "_number"))
        labelled = [
            other.taken(self._day).group_by(columns).agg(pl.len().alias(times)).with_columns(pl.lit(at).alias(place))
            for at, other in enumerate(others)
        ]
        same = one.taken(self._day).select(columns).join(pl.concat(labelled), on=columns, nulls_equal=True)
        each = same.group_by(*columns, place).agg(pl.min_horizontal(pl.len(), pl.col(times).first()).alias(number))
        return each.group_by(place).agg(pl.col(number).sum())

    def _found(
        self, events: _Events, name: str, rows: Callable[[], pl.LazyFrame], most: int, engine: Engine
    ) -> list[str]:
        """The first rows of some files that no day can take."""
        if most <= 0:
            return []
        frame = rows()
        judged = frame.select(
            row=pl.int_range(1, pl.len() + 1),
            time=self._declared.time,
            day=events.event_day,
            kept=self._declared.is_event,
            written=self._written(frame),
        )
        lost = pl.col("day").is_null()
        if not self._declared.drops_outside:
            lost |= ~pl.col("day").is_between(*events.reachable)
        # As text: an epoch that is read in a wrong unit is of a year that Python does not know.
        text = pl.col("time").cast(pl.String).str.replace(r"\.0+\b", ""), pl.col("day").cast(pl.String)
        first = judged.filter(pl.col("kept") & lost).head(most).select("row", *text, "written").collect(engine=engine)
        return [f"{name}, row {row['row']:,}: {self._why(events, row)}" for row in first.iter_rows(named=True)]

    def _written(self, rows: pl.LazyFrame) -> pl.Expr:
        """What the event time is made of, where it is the text of one column."""
        names = list(dict.fromkeys(self._declared.time.meta.root_names()))
        is_text = len(names) == 1 and rows.collect_schema().get(names[0]) == pl.String
        return pl.col(names[0]) if is_text else pl.lit(None, dtype=pl.String)

    def _why(self, events: _Events, row: Mapping[str, Any]) -> str:
        if row["time"] is None and row["written"] is not None:
            self._unread.append(row["written"])
            return f"no event time (null) from {shown(row['written'])}"
        if row["time"] is None:
            return "no event time (null)"
        if row["day"] is None:
            zone = self._declared.naive_time_zone
            return f"{row['time']} comes twice or not at all in {zone}, and its two readings are of two days"
        first, last = events.reachable
        expected = f"{first}" if first == last else f"{first} to {last}"
        return f"{row['time']} is of {row['day']}, expected {expected}"


def _one_by_one(files: DayInput) -> Iterator[tuple[str, Callable[[], pl.LazyFrame]]]:
    """The rows of every file by itself, with its path; of all together for ``read=``, which may need them all."""
    if files.source.read:
        yield _paths(files), files.rows_of_files
    else:
        yield from ((file.stat.path, partial(files.rows_of, [file])) for file in files.readable_files)


def _ends_in_offset(text: str) -> bool:
    return _OFFSET.search(text) is not None


def _paths(files: DayInput) -> str:
    return enumerated([file.path for file in files.files.files], shown=2)
