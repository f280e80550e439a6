"""The time as Noonmark reads it, and how it waits. Tests replace ``time`` here and nowhere else.

No clock decides what is correct: these serve deadlines, lease lifetimes, rules for recent file times, and reports.
"""

from __future__ import annotations

import datetime as dt
import time

_started = time.monotonic()


def monotonic() -> float:
    """Seconds since some fixed moment. It never goes back."""
    return time.monotonic()


def time_ns() -> int:
    """Nanoseconds since 1970, by the machine's own clock."""
    return time.time_ns()


def utc_now() -> dt.datetime:
    """The moment, in UTC."""
    return dt.datetime.fromtimestamp(time.time_ns() / 1e9, dt.UTC)


def waited() -> float:
    """Seconds since this process began, but for the start of Python itself: a command imports this first."""
    return monotonic() - _started


def sleep(seconds: float) -> None:
    """Do nothing for a while."""
    time.sleep(seconds)
