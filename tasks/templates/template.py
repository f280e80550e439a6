"""A path template: from a path to its day, and from a day to the paths of its files.

A template in which two days could claim one path is refused at import, since it would count rows twice.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from state.days import is_date, is_day
from state.errors import ConfigurationError
from tasks.templates.matcher import Fields, Matcher
from tasks.templates.syntax import (
    DEEP,
    INTEGER,
    Field,
    Tokens,
    codes_of,
    filled,
    is_wild,
    missing,
    parse,
    refuse,
    shown,
)

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_COMPRESSED = (".gz", ".zst")
NO_DAY = ""
"""What ``day_of`` answers for fields that are no day: they disagree, or the calendar does not have it."""
NO_DATE = "no day of the calendar"
NO_NUMBER = "a number with leading zeros, or of too many digits"
DISAGREEING = "parts of different days"


@dataclass(frozen=True, slots=True)
class Template:
    """A template that reads every path in one way only; equal to another by its text.

    ``kind`` says what its days are; ``absolute`` that its paths are relative to ``/`` and not to the input root;
    ``suffix`` is the lower-cased ending of its files (``.csv``, ``.csv.gz``), "" where the template does not fix it.
    """

    text: str
    kind: Literal["date", "int", "every"] = field(compare=False)
    absolute: bool = field(compare=False)
    suffix: str = field(compare=False)
    matcher: Matcher = field(compare=False, repr=False)
    segments: tuple[Tokens, ...] = field(compare=False, repr=False)
    _codes: frozenset[str] = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str) -> Template:
        """Read a template. Raises DeclarationError that says what is wrong with it and what to write."""
        require_path(text)
        segments = parse(text)
        codes = frozenset(codes_of(segments))
        return Template(
            text=text,
            kind="int" if INTEGER in codes else "date",
            absolute=text.startswith("/"),
            suffix=suffix_of(segments[-1]),
            matcher=Matcher.of(segments),
            segments=segments,
            _codes=codes,
        )

    def covers(self, day: str) -> bool:
        """Whether the template can name this day: of its kind, and for ``%y`` from 1969 to 2068."""
        return _covers(self, day)

    def pattern(self, day: str) -> str:
        """The shell-like pattern of one day's files. Raises ConfigurationError where the template cannot name it."""
        self._must_cover(day)
        values = dict(self._fields(day))
        return "/" * self.absolute + "/".join(shown(filled(segment, values)) for segment in self.segments)

    def pinned(self, day: str) -> Matcher:
        """What matches one day's files and nothing else. Raises ConfigurationError where it cannot name the day."""
        self._must_cover(day)
        return _pinned(self, day)

    def day_of(self, fields: Fields) -> str | None:
        """The day that the fields make, NO_DAY where they make none, and None while they do not say it yet."""
        return _day_of(fields, "Y" in self._codes)

    def day_in(self, path: str) -> str | None:
        """The day of a file of this path; NO_DAY where it is none of the calendar, None where it does not match."""
        states = self.matcher.begin
        *folders, name = path.split("/")
        for folder in folders:
            states = self.matcher.split(self.matcher.step(states, folder))[1]
        ends = self.matcher.split(self.matcher.step(states, name))[0]
        return self.day_of(ends[0][1]) if ends else None

    def why_no_day(self, fields: Fields) -> str:
        """Why fields make NO_DAY."""
        values = dict(fields)
        if len(values) < len(fields):
            return DISAGREEING
        if INTEGER in values:
            return NO_NUMBER
        return DISAGREEING if _date_of(values) else NO_DATE

    def may_become(self, fields: Fields, day: str) -> bool:
        """Whether a path in which these fields were read can still come to be one of the day's."""
        return self.covers(day) and fields <= self._fields(day)

    @property
    def shares_folders(self) -> bool:
        """Whether a folder that must be listed to find one day's files may hold those of others."""
        first = next((at for at, segment in enumerate(self.segments) if is_wild(segment)), len(self.segments))
        return first < len(self.segments) and bool(missing(codes_of(self.segments[:first]), "Y" in self._codes))

    def placed_name(self, path: str) -> str:
        """A file's name with the folders that a wildcard chose; all others follow from the day.

        Where no folder has a wildcard it is the file's own name.
        """
        if self.segments[-1] != DEEP and not any(map(is_wild, self.segments[:-1])):
            return path.rpartition("/")[2]
        fixed = next(at for at, segment in enumerate(self.matcher.segments) if segment.literal is None)
        return path.split("/", fixed)[fixed]

    def values(self, day: str) -> Mapping[str, str]:
        """What stands in a day's paths for each code of the template."""
        return dict(self._fields(day))

    def _fields(self, day: str) -> Fields:
        return frozenset((code, text) for code, text in _written(day).items() if code in self._codes)

    def _must_cover(self, day: str) -> None:
        if not self.covers(day):
            kind = "a whole number" if self.kind == "int" else "a date" + " of 1969 to 2068" * ("Y" not in self._codes)
            raise ConfigurationError(f"template {self.text!r} has no day {day!r}: expected {kind}")


# A run asks several times for each day, and for one day after the other.
@lru_cache(maxsize=1024)
def _covers(template: Template, day: str) -> bool:
    if not is_day(day) or is_date(day) != (template.kind == "date"):
        return False
    return template.day_of(template._fields(day)) == day


@lru_cache(maxsize=1024)
def _pinned(template: Template, day: str) -> Matcher:
    fields = template._fields(day)
    return Matcher.of((filled(segment, dict(fields)) for segment in template.segments), fields)


def require_path(text: str) -> None:
    """Raise DeclarationError for a text that is no path of ours: a URL, or one with a newline or a NUL in it."""
    if url := _URL.match(text):
        refuse(text, f"{url[0]} is an object store, and those come later", "a path below the input root, or /a/path")
    if "\0" in text or "\n" in text:
        refuse(text, "a newline or a NUL in it", "'?' in place of that character")


def _written(day: str) -> dict[str, str]:
    if not is_date(day):
        return {INTEGER: day}
    date = dt.date.fromisoformat(day)
    year, month, dom = day.split("-")
    return {"Y": year, "y": year[2:], "m": month, "d": dom, "j": f"{date.timetuple().tm_yday:03}"}


@lru_cache(maxsize=4096)
def _day_of(fields: Fields, century: bool) -> str | None:
    values = dict(fields)
    if len(values) < len(fields):
        return NO_DAY
    if INTEGER in values:
        return values[INTEGER] if is_day(values[INTEGER]) else NO_DAY
    date = _date_of(values)
    if date is None:
        return NO_DAY
    if missing(values, century):
        return None
    day = date.isoformat()
    return day if values.items() <= _written(day).items() else NO_DAY


def _date_of(values: Mapping[str, str]) -> dt.date | None:
    """The day, if the calendar has it; of what is not known yet, one that does not matter."""
    year = 2000  # a leap year: while the year is unknown, 29 February and day 366 are possible
    if "Y" in values:
        year = int(values["Y"])
    elif "y" in values:
        year = int(values["y"]) + (2000 if int(values["y"]) < 69 else 1900)
    try:
        if "j" in values:
            date = dt.date(year, 1, 1) + dt.timedelta(days=int(values["j"]) - 1)
            return date if date.year == year else None  # day 0, or 366 of a year that has 365
        return dt.date(year, int(values.get("m", "1")), int(values.get("d", "1")))
    except (ValueError, OverflowError):
        return None


def suffix_of(segment: Tokens) -> str:
    """The lower-cased ending of the names that a last segment matches, or "" where it does not fix it."""
    last = segment[-1]
    if isinstance(last, Field) or is_wild((last,)):
        return ""
    stem, dot, ending = last.lower().rpartition(".")
    suffix = dot + ending if dot else ""
    if suffix in _COMPRESSED and "." in stem:
        suffix = "." + stem.rpartition(".")[2] + suffix
    return suffix
