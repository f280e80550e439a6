"""Every path of a local output. All are relative to the output root.

Only here is a path built, and only here is one read back into what it names.
"""

from __future__ import annotations

from state.days import is_day

OWN = "_noonmark"
MARKER = f"{OWN}/root.json"
STAGING = f"{OWN}/tmp"  # noqa: S108 a folder of the output, not the system's
LOCKS = f"{OWN}/locks"
SET_ASIDE = f"{OWN}/set_aside"
DATA = "data.parquet"
NOTE = ".note"
TEMPORARY = ".tmp"
_KEY = "day="


def aggregation_folder(aggregation: str) -> str:
    """The folder of all days of an aggregation."""
    return aggregation


def day_folder(aggregation: str, day: str) -> str:
    """The hive partition of one day: ``{aggregation}/day={day}``."""
    return f"{aggregation}/{_KEY}{day}"


def data_file(aggregation: str, day: str) -> str:
    """The one file in a day's folder: its commit."""
    return f"{aggregation}/{_KEY}{day}/{DATA}"


def lock_file(aggregation: str, day: str) -> str:
    """The day's own lock file, which also holds its high-water marks: see ``day_lock``."""
    return f"{LOCKS}/{aggregation}/{day}.lock"


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
