"""The partition key: an ISO date, or a non-negative integer for sources that number their days.

A day is a plain string everywhere (paths, JSON, Redis), so its order and its arithmetic live here alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import AnyStr

from state.errors import ConfigurationError

EVERY_DAY = "every day"
"""In place of a day: what a file has that serves all days. It is no day, so no result has it as its key."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")


def order(day: AnyStr) -> tuple[int, AnyStr]:
    """The sort key of a day, a string or as Redis holds it: 10 after 9, ISO dates (ten characters) by the calendar."""
    return len(day), day


def is_date(day: str) -> bool:
    """Whether ``day`` is a date of the calendar, written ``YYYY-MM-DD``."""
    if not _DATE.fullmatch(day):
        return False
    try:
        dt.date.fromisoformat(day)
    except ValueError:
        return False
    return True


def is_day(day: str) -> bool:
    """Whether ``day`` is a day key at all. What comes from a folder's name, a footer or Redis is asked this first."""
    return bool(_INTEGER.fullmatch(day)) or is_date(day)


def typed(day: str) -> dt.date | int:
    """The day as a user's function gets it: a date, or a whole number."""
    return dt.date.fromisoformat(day) if is_date(day) else int(day)


def ordinal(day: str) -> int:
    """The day as a whole number whose neighbours are the neighbouring days."""
    return dt.date.fromisoformat(day).toordinal() if is_date(day) else int(day)


def day_at(number: int, like: str) -> str:
    """The day of an ``ordinal``, of the kind of another day."""
    return dt.date.fromordinal(number).isoformat() if is_date(like) else str(number)


@dataclass(frozen=True, slots=True)
class DayRange:
    """An inclusive range of days, open at either end: what ``--days A..B`` says."""

    first: str | None
    last: str | None

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first or ''}..{self.last or ''}"

    @property
    def length(self) -> int:
        """How many days lie in a range that is closed at both ends."""
        assert self.first is not None
        assert self.last is not None
        return ordinal(self.last) - ordinal(self.first) + 1

    def __contains__(self, day: str) -> bool:
        if any(is_date(bound) != is_date(day) for bound in (self.first, self.last) if bound is not None):
            return False
        return (self.first is None or order(self.first) <= order(day)) and (
            self.last is None or order(day) <= order(self.last)
        )


def ranges_of(days: Iterable[str]) -> list[DayRange]:
    """Days as ranges, in their order. They are all dates or all numbers."""
    found: list[list[str]] = []
    for day in sorted(days, key=order):
        if found and ordinal(day) == ordinal(found[-1][-1]) + 1:
            found[-1].append(day)
        else:
            found.append([day])
    return [DayRange(some[0], some[-1]) for some in found]


def parse_range(text: str) -> DayRange:
    """Read ``A``, ``A..B``, ``A..`` or ``..B``. Raises ConfigurationError where that is no range of days."""
    first, dots, last = text.partition("..")
    bounds = (first, last) if dots else (first, first)
    if not any(bounds):
        raise ConfigurationError(f"--days {text!r} names no day; expected A, A..B, A.. or ..B")
    for bound in bounds:
        if bound and not is_day(bound):
            raise ConfigurationError(
                f"--days {text!r}: {bound!r} is not a day; expected a date such as 2013-01-31, or a number such as 12, "
                "or a range such as 2013-01-01..2013-01-31"
            )
    start, end = (bound or None for bound in bounds)
    if start and end and (is_date(start) != is_date(end) or order(start) > order(end)):
        raise ConfigurationError(f"--days {text!r} is empty: {start} is after {end}")
    return DayRange(start, end)
