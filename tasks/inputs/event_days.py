"""The events of one day, out of the files of all days within reach: which rows it takes, and which no day can take.

Every day that reads a file judges all of its rows: one whose day nobody knows might be its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import polars as pl

from state.inputs.files import FileStat
from state.words import SHOWN, counted, enumerated
from tasks.catalog.declare import Source
from tasks.catalog.events import Events
from tasks.catalog.formats import File

Engine = Literal["in-memory", "streaming"]
Readable = tuple[FileStat, File]
_ROWS = "rows"
_UNPLACED = "unplaced"
_OUTSIDE = "outside"


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
    parts: Mapping[str, int] | None = None


class _Part:
    """The files of one day: their rows that are events, and the day of each event. Raises TypeError for no time."""

    def __init__(self, source: Source, events: Events, day: str, readable: Sequence[Readable]) -> None:
        self.day = day
        self.readable = readable
        self.rows = source.scan([file for _, file in readable])
        self.dtype = self.rows.select(events.time.alias("")).collect_schema().dtypes()[0]
        self.event_day = events.day(self.dtype)
        if events.no_event is not None:
            self.rows = self.rows.filter(events.is_event)
        readers = [dt.date.fromisoformat(one) for one in source.event_days(day)]
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


class EventDay:
    """A day of events and the files that are read for it. Raises what reading raises, TypeError where there is no time.

    ``has_own_file`` says whether any of them is the day's own, ``absent`` how many of the days within reach have none.
    """

    def __init__(self, source: Source, day: str, readable: Iterable[Readable]) -> None:
        assert source.events
        self._source = source
        self._events = source.events
        self._day = day
        self._parts = [
            _Part(source, self._events, file_day, list(files)) for file_day, files in _by_day(source, readable)
        ]
        there = {part.day for part in self._parts}
        self.has_own_file = day in there
        self.absent = len(source.file_days(day)) - len(there)

    def frame(self) -> pl.LazyFrame:
        """The rows whose event is of the day."""
        frames = [part.taken(self._day) for part in self._parts]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def tally(self) -> pl.LazyFrame:
        """What ``tallied`` reads: numbers for the files of each day."""
        return pl.concat([part.tally(self._day) for part in self._parts])

    def tallied(self, numbers: pl.DataFrame) -> Tally:
        """The numbers of the whole day."""
        rows, unplaced, outside = (numbers[name].to_list() for name in (_ROWS, _UNPLACED, _OUTSIDE))
        drops = self._events.drops_outside
        own = (number for part, number in zip(self._parts, outside, strict=True) if part.day == self._day)
        parts = {part.day: number for part, number in zip(self._parts, rows, strict=True)}
        return Tally(sum(rows), sum(unplaced), 0 if drops else sum(outside), sum(own) if drops else 0, parts)

    def misplaced(self, tally: Tally, engine: Engine) -> str | None:
        """What is wrong with the rows that no day can take, with the first of them; None where there is none."""
        number = tally.unplaced + tally.outside
        if not number:
            return None
        found: list[str] = []
        for part in self._parts:
            for name, files in self._one_by_one(part):
                found += self._found(part, name, files, SHOWN - len(found), engine)
        more = [""] * (number - len(found))  # they are only counted
        fix = [
            *(["widen reach=, or leave such rows out with outside='drop'"] if tally.outside else []),
            *(["say with no_event= which rows are no events"] if tally.unplaced else []),
        ]
        return f"{counted(number, 'row')} of no day: {enumerated(found + more, '; ', len(found))}; {', or '.join(fix)}"

    def repeated(self, tally: Tally, engine: Engine) -> list[str]:
        """Which files share rows that the day took: each text counts those of two."""
        parts = [part for part in self._parts if tally.parts and tally.parts[part.day]]
        # The day's own files hold most of its rows: those of the others are what is kept in memory.
        parts.sort(key=lambda part: part.day != self._day)
        shown = self._source.options.get("include_file_paths")
        columns = [name for name in (parts[0].rows.collect_schema().names() if parts else ()) if name != shown]
        pairs = [(part, parts[at + 1 :]) for at, part in enumerate(parts[:-1])]
        queries = [self._shared(one, others, columns) for one, others in pairs]
        found = pl.collect_all(queries, engine=engine) if queries else []
        return [
            f"{counted(number, 'row')} of {self._files(one)} also in {self._files(others[at])}"
            for (one, others), frame in zip(pairs, found, strict=True)
            for at, number in sorted(frame.iter_rows())
        ]

    def _shared(self, one: _Part, others: Sequence[_Part], columns: Sequence[str]) -> pl.LazyFrame:
        """How many of the rows of one day's files are in those of each other: the other's place, and the number."""
        place = "".join(columns) + "_"  # no column has this name
        labelled = [
            other.taken(self._day).select(*columns, pl.lit(at).alias(place)).unique() for at, other in enumerate(others)
        ]
        same = one.taken(self._day).select(columns).join(pl.concat(labelled), on=columns, nulls_equal=True)
        return same.group_by(place).len()

    def _one_by_one(self, part: _Part) -> Iterator[tuple[str, list[Readable]]]:
        """Every file by itself, with its path; all together for ``read=``, which may need them all."""
        if self._source.read:
            yield self._files(part), list(part.readable)
        else:
            yield from ((file.path, [(file, content)]) for file, content in part.readable)

    def _found(self, part: _Part, name: str, files: list[Readable], most: int, engine: Engine) -> list[str]:
        """The first rows of some files that no day can take."""
        if most <= 0:
            return []
        judged = self._source.scan([file for _, file in files]).select(
            row=pl.int_range(1, pl.len() + 1), time=self._events.time, day=part.event_day, kept=self._events.is_event
        )
        lost = pl.col("day").is_null()
        if not self._events.drops_outside:
            lost |= ~pl.col("day").is_between(*part.reachable)
        # As text: an epoch that is read in a wrong unit is of a year that Python does not know.
        text = pl.col("time").cast(pl.String).str.replace(r"\.0+\b", ""), pl.col("day").cast(pl.String)
        frame = judged.filter(pl.col("kept") & lost).head(most).select("row", *text).collect(engine=engine)
        return [f"{name}, row {row['row']:,}: {self._why(part, row)}" for row in frame.iter_rows(named=True)]

    def _why(self, part: _Part, row: Mapping[str, Any]) -> str:
        if row["time"] is None:
            return "no event time (null)"
        if row["day"] is None:
            zone = self._events.naive_time_zone
            return f"{row['time']} comes twice or not at all in {zone}, and its two readings are of two days"
        first, last = part.reachable
        expected = f"{first}" if first == last else f"{first} to {last}"
        return f"{row['time']} is of {row['day']}, expected {expected}"

    def _files(self, part: _Part) -> str:
        return enumerated([file.path for file, _ in part.readable], shown=2)


def _by_day(source: Source, readable: Iterable[Readable]) -> Iterator[tuple[str, Iterator[Readable]]]:
    """The files by their own day, in the order of the days, which is that of the files."""
    for day, files in groupby(readable, key=lambda one: source.template.day_in(one[0].path)):
        assert day
        yield day, files
