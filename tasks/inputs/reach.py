"""The files of a day of events: those of all days within its source's reach, and what the newest days wait for.

Planner and computation see one day with the files of several; whatever changes in one of them changes each such day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from state.days import DATES, day_at, ordinal
from state.inputs.files import DayFiles, FileStat
from tasks.catalog.source import Source
from tasks.inputs.listing import Listing

_A_DATE = "0001-01-01"


def joined(parts: Iterable[tuple[str, DayFiles]]) -> DayFiles:
    """The files of several days, day by day; the digest covers which day each is of."""
    files: list[FileStat] = []
    digest = hashlib.sha256()
    for day, part in parts:
        if part.files:
            files += part.files
            digest.update(f"{day} {part.stat}\n".encode())
    return DayFiles(tuple(files), digest.hexdigest())


def reached(listing: Listing, source: Source) -> Listing:
    """The listing of a source's own days as that of the days whose events its files may hold.

    A day within reach of any file is a day. It is unreadable where one of its files is. It waits while no file lies as
    far behind it as its events may: the file that is to come may hold some. Where a later one is there, the missing
    file is a gap, for which nothing waits.
    """
    if not any(source.reach):
        return listing
    there = {ordinal(day): day for day in (*listing.days, *listing.unreadable)}
    newest, (before, after) = max(there, default=0), source.reach
    days: dict[str, DayFiles] = {}
    unreadable: dict[str, str] = {}
    waiting: dict[str, str] = {}
    absent: dict[str, int] = {}
    # By numbers, which are ten times as quick as dates: there may be 100,000 days.
    for number in sorted({one for at in there for one in range(at - after, at + before + 1) if one in DATES}):
        day = there.get(number) or day_at(number, _A_DATE)
        near = [there[one] for one in range(number - before, number + after + 1) if one in there]
        if why := next((listing.unreadable[one] for one in near if one in listing.unreadable), None):
            unreadable[day] = why
            continue
        days[day] = joined((one, listing.days[one]) for one in near)
        if len(near) <= before + after and (gone := _dates(number, before, after) - len(near)):
            absent[day] = gone
        if why := next((listing.waiting[one] for one in near if one in listing.waiting), None):
            waiting[day] = why
        elif number + after > newest:
            awaited = day_at(number + after, _A_DATE)
            waiting[day] = f"a file of {awaited}, which may hold its events, or of a later day"
    return replace(listing, days=days, unreadable=unreadable, waiting=waiting, absent=absent)


def _dates(number: int, before: int, after: int) -> int:
    """How many days lie within reach: the calendar has a first and a last one."""
    return len(range(max(number - before, DATES.start), min(number + after + 1, DATES.stop)))
