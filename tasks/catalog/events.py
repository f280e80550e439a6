"""What a source says of its events: when each happened, and which days' files may hold the events of a day.

An event's day need not be its file's: logs are rotated late, queues deliver after midnight, and days have a time zone.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from state.errors import nearest

_MOST_DAYS = 366
_PAST_A_GAP = pl.duration(hours=3)
"""Longer than what any clock is put forward by, but where a country skipped a whole day."""


class Contradiction(Exception):
    """Arguments that contradict each other or that nobody knows; the message says which, and what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """``time`` of each row; the zones of the days and of times that carry none; which rows are no events.

    The events of a day lie in the files of ``before`` days before it to ``after`` days after it.
    """

    time: pl.Expr
    time_zone: str | None
    naive_time_zone: str | None
    before: int
    after: int
    drops_outside: bool
    no_event: pl.Expr | None

    @staticmethod
    def declared(
        *,
        event_time: object,
        time_zone: object,
        naive_time_zone: object,
        reach: object,
        outside: object,
        no_event: object,
    ) -> Events | None:
        """What the arguments of a Source say; None where they say nothing of events. Raises Contradiction."""
        if event_time is None:
            others = {"time_zone": time_zone, "naive_time_zone": naive_time_zone, "reach": reach, "no_event": no_event}
            given = [name for name, value in others.items() if value is not None] + ["outside"] * (outside != "fail")
            if given:
                raise Contradiction(f"{given[0]}= needs event_time=, which says when each row's event happened")
            return None
        if outside not in ("fail", "drop"):
            raise Contradiction(f"outside={outside!r}, expected 'fail' or 'drop'")
        if naive_time_zone is not None and time_zone is None:
            raise Contradiction(
                "naive_time_zone= needs time_zone=, the zone of the days; without it the day of a time that carries no "
                "zone is the one that is written"
            )
        before, after = _reach(reach)
        return Events(
            time=_expression("event_time", event_time),
            time_zone=_zone("time_zone", time_zone),
            naive_time_zone=_zone("naive_time_zone", naive_time_zone),
            before=before,
            after=after,
            drops_outside=outside == "drop",
            no_event=None if no_event is None else _expression("no_event", no_event),
        )

    @property
    def is_event(self) -> pl.Expr:
        """Whether a row is an event. Where the condition is null, it is."""
        return pl.lit(value=True) if self.no_event is None else ~self.no_event.fill_null(value=False)

    def day(self, dtype: pl.DataType) -> pl.Expr:
        """The day of each row's event, where its time is of this type; null where there is no time, or two days.

        Raises TypeError for a type that is no time, or whose zone nobody said.
        """
        if dtype == pl.Date:
            if self.time_zone:
                raise TypeError(f"event_time= gives dates, and time_zone={self.time_zone!r} has no use for them")
            return self.time
        if not isinstance(dtype, pl.Datetime):
            raise TypeError(f"event_time= gives {dtype}, expected dates or times{_how_to_convert(dtype)}")
        if dtype.time_zone:
            return (self.time.dt.convert_time_zone(self.time_zone) if self.time_zone else self.time).dt.date()
        if self.time_zone is None or self.time_zone == self.naive_time_zone:
            return self.time.dt.date()
        if self.naive_time_zone is None:
            local = "" if self.time_zone == "UTC" else f", or {self.time_zone!r} where they are local"
            raise TypeError(
                f"event_time= gives times that carry no zone, and time_zone={self.time_zone!r} is that of the days "
                f"alone; expected naive_time_zone='UTC' too{local}"
            )
        return _day_of_local(self.time, self.naive_time_zone, self.time_zone)


def _day_of_local(time: pl.Expr, written: str, zone: str) -> pl.Expr:
    """The day in ``zone`` of a time written in another zone; null where its two readings fall on two days.

    An hour that comes twice in autumn has two readings. So has one that spring leaves out: by the clock that was put
    forward, and by the one that was not.
    """

    def read(naive: pl.Expr, ambiguous: Any) -> pl.Expr:
        return naive.dt.replace_time_zone(written, ambiguous=ambiguous, non_existent="null")

    first = pl.coalesce(read(time, "earliest"), read(time - _PAST_A_GAP, "earliest") + _PAST_A_GAP)
    last = pl.coalesce(read(time, "latest"), read(time + _PAST_A_GAP, "latest") - _PAST_A_GAP)
    day, other = (one.dt.convert_time_zone(zone).dt.date() for one in (first, last))
    return pl.when(day == other).then(day)


def _how_to_convert(dtype: pl.DataType) -> str:
    if dtype == pl.String:
        return ", such as pl.col(…).str.to_datetime(strict=False)"
    return ", such as pl.from_epoch(pl.col(…), time_unit='s')" if dtype.is_numeric() else ""


def _expression(name: str, value: object) -> pl.Expr:
    expression = pl.col(value) if isinstance(value, str) and value else value
    if not isinstance(expression, pl.Expr):
        raise Contradiction(f"{name}={value!r}, expected a polars expression or a column's name")
    if expression.meta.has_multiple_outputs():
        raise Contradiction(f"{name}= gives several columns, expected one: {value}")
    if expression.meta.is_scalar() or not expression.meta.is_length_preserving():
        raise Contradiction(
            f"{name}= gives one value for all rows, or not one for each, expected one for each: {value}"
        )
    return expression


def _reach(value: object) -> tuple[int, int]:
    if value is None:
        return 1, 1
    days = value if isinstance(value, tuple | list) else ()
    if len(days) != 2 or not all(type(one) is int and 0 <= one <= _MOST_DAYS for one in days):
        raise Contradiction(
            f"reach={value!r}, expected two whole numbers from 0 to {_MOST_DAYS}, such as (1, 1): how many days' files "
            "before and after a day's own may hold its events"
        )
    return days[0], days[1]


def _zone(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value:
        try:
            pl.Series([0]).cast(pl.Datetime).dt.replace_time_zone(value)
        except PolarsError:
            pass
        else:
            return value
    near = nearest(value, _zones()) if isinstance(value, str) else None
    meant = f"did you mean {near!r}?" if near else "such as 'Europe/Berlin' or 'UTC'"
    raise Contradiction(f"{name}={value!r} is no time zone; expected an IANA name, {meant}")


def _zones() -> Collection[str]:
    """The names that this machine's database has; it may have none, as polars brings its own."""
    return zoneinfo.available_timezones()
