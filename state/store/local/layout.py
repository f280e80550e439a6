"""Every path of a local output. All are relative to the output root.

Only here is a path built, and only here is one read back into what it names.
"""

from __future__ import annotations

import datetime as dt

from state.days import is_date, is_day

OWN = "_noonmark"
MARKER = f"{OWN}/root.json"
STAGING = f"{OWN}/tmp"  # noqa: S108 a folder of the output, not the system's
LOCKS = f"{OWN}/locks"
SET_ASIDE = f"{OWN}/set_aside"
DATA = "data.parquet"
NOTE = ".note"
TEMPORARY = ".tmp"
SLOT = 64
"""The bytes of a day's slot in a file of locks."""
LONGEST_LOCKS = 512 * SLOT
"""The bytes of the longest file of locks: a year, or so many numbered days."""
_KEY = "day="
_LOCK = ".lock"


def aggregation_folder(aggregation: str) -> str:
    """The folder of all days of an aggregation."""
    return aggregation


def day_folder(aggregation: str, day: str) -> str:
    """The hive partition of one day: ``{aggregation}/day={day}``."""
    return f"{aggregation}/{_KEY}{day}"


def data_file(aggregation: str, day: str) -> str:
    """The one file in a day's folder: its commit."""
    return f"{aggregation}/{_KEY}{day}/{DATA}"


def lock_slot(aggregation: str, day: str) -> tuple[str, int]:
    """The file that holds the day's lock and high-water mark, and where in it: see ``day_lock``.

    A file for each year, or for 512 numbered days, with a slot for each of its days. No two days share one.
    """
    if is_date(day):
        name, slot = day[:4], dt.date.fromisoformat(day).timetuple().tm_yday - 1
    else:
        number, slot = divmod(int(day), LONGEST_LOCKS // SLOT)
        name = f"number-{number}"
    return f"{LOCKS}/{aggregation}/{name}.locks", slot * SLOT


def lock_file(aggregation: str, day: str) -> str:
    """The day's own lock file, where ranges are not locked. It also holds its high-water mark: see ``day_lock``."""
    return f"{LOCKS}/{aggregation}/{day}{_LOCK}"


def locks_folder(aggregation: str) -> str:
    """The folder of an aggregation's locks."""
    return f"{LOCKS}/{aggregation}"


def locked_day(name: str) -> str | None:
    """The day whose own lock file has this name, or None."""
    day = name.removesuffix(_LOCK)
    return day if name.endswith(_LOCK) and is_day(day) else None


def temporary_file(nonce: str) -> str:
    """A file before it is published."""
    return f"{STAGING}/{nonce}{TEMPORARY}"


def run_note(nonce: str) -> str:
    """What a run is computing, so that a later run can tell where it died."""
    return f"{STAGING}/{nonce}{NOTE}"


def note_file(name: str) -> str:
    """A note of the output's own, such as ``accepted.json`` or ``cache/footers``."""
    return f"{OWN}/{name}"


def set_aside_file(aggregation: str, day: str, tag: str) -> str:
    """Where a damaged result is kept. It does not end in ``.parquet``, so no glob over results reads it."""
    return f"{SET_ASIDE}/{aggregation}.{day}.{tag}.damaged"


def day_of(folder: str) -> str | None:
    """The day that a folder's name ``day=…`` stands for, or None: no other name is ever made a path."""
    day = folder.removeprefix(_KEY)
    return day if folder.startswith(_KEY) and is_day(day) else None
