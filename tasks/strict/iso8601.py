"""How ISO 8601 writes dates and times, as far as polars reads it, and what is said of text that is otherwise."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_OFFSET = "(?:Z|[+-](?:0[0-9]|1[0-9])(?::?[0-5][0-9])?)"
_DIGITS = {"ms": 3, "us": 6, "ns": 9}


class Fault(NamedTuple):
    """A kind of text that does not fit a dtype: the pattern of all such text, what it is called, what was expected."""

    pattern: str
    found: str
    expected: str


def pattern_of(dtype: pl.DataType, *, bare_dates: bool) -> str:
    """What all text of a date or a time matches; ``bare_dates``: polars reads a date alone as its first moment."""
    if dtype == pl.Date:
        return f"^{_DATE}$"
    clock = _clock(f"{{1,{_digits(dtype)}}}")
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is not None:
            return f"^{_DATE}[T ]{clock}{_OFFSET}$"
        return f"^{_DATE}(?:[T ]{clock}){'?' if bare_dates else ''}$"
    return f"^{clock}$"


def faults_of(dtype: pl.DataType, name: str) -> list[Fault]:
    """What can be wrong with text of a column, the first that matches counts, and the last matches all of it."""
    column = f'pl.col("{name}").str'
    other = _other_format(dtype, column)
    if dtype == pl.Date:
        return [other]
    digits = _digits(dtype)
    day, offset = (f"{_DATE}[T ]", f"{_OFFSET}?") if isinstance(dtype, pl.Datetime) else ("", "")
    unit = "a finer unit, or pl.String" if digits < _DIGITS["ns"] else "pl.String"
    finer = Fault(f"^{day}{_clock('+')}{offset}$", "more digits of a second", f"at most {digits}; declare {unit}")
    leap = Fault(f"^{day}{_MINUTE}:60", "second 60", "seconds up to 59; declare pl.String")
    zone = _zone_fault(dtype, column) if isinstance(dtype, pl.Datetime) else ()
    return [*zone, leap, finer, other]


def _zone_fault(dtype: pl.Datetime, column: str) -> tuple[Fault]:
    naive = f'pl.Datetime("{dtype.time_unit}")'
    if dtype.time_zone is None:
        zoned = f'pl.Datetime("{dtype.time_unit}", "UTC")'
        expected = (
            f'no offset; declare {zoned}, or pl.String and {column}.to_datetime(time_zone="UTC") in the aggregation'
        )
        return (Fault(f"^{_DATE}[T ]{_clock('+')}{_OFFSET}$", "a time with an offset", expected),)
    expected = (
        f"Z or an offset in every value; declare {naive} (with naive_time_zone= where it is the event time), or "
        f'pl.String and {column}.to_datetime().dt.replace_time_zone("{dtype.time_zone}") in the aggregation'
    )
    return (Fault(f"^{_DATE}(?:[T ]{_clock('+')})?$", "a time without an offset", expected),)


def _other_format(dtype: pl.DataType, column: str) -> Fault:
    if dtype == pl.Date:
        what, form, read = "date", "YYYY-MM-DD", f'{column}.to_date("%d/%m/%Y")'
    elif dtype == pl.Time:
        what, form, read = "time", "HH:MM:SS", f'{column}.to_time("%H.%M")'
    else:
        zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
        what, form = "date and time", "YYYY-MM-DD HH:MM:SS" + "+HH:MM" * zoned
        read = f'{column}.to_datetime("%d/%m/%Y %H:%M{"%z" * zoned}")'
    expected = f"{form}; or declare pl.String, and write {read} in the aggregation, with the files' format"
    return Fault("", f"no {what} in ISO 8601", expected)


def _clock(digits: str) -> str:
    return rf"{_MINUTE}(?::[0-5][0-9](?:\.[0-9]{digits})?)?"


def _digits(dtype: pl.DataType) -> int:
    return _DIGITS[dtype.time_unit] if isinstance(dtype, pl.Datetime) else _DIGITS["ns"]
