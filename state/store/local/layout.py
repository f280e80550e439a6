"""Every path under the output root is built here, and here alone a path is read back into what it names.

All paths are relative to the root, so that they can be resolved from the descriptor that a run holds of it.
"""

from __future__ import annotations

from state.days import is_day

OWN = "_noonmark"
MARKER = f"{OWN}/root.json"
ACCEPTED = f"{OWN}/accepted.json"
DRAFTS = f"{OWN}/tmp"  # noqa: S108 a folder of the output, not the system's
LOCKS = f"{OWN}/locks"
SET_ASIDE = f"{OWN}/set_aside"
FAILED = f"{OWN}/failed"
CACHE = f"{OWN}/cache"
FOOTERS = f"{CACHE}/footers"
DIGESTS = f"{CACHE}/digests"
DATA = "data.parquet"
NOTE = ".note"
TEMPORARY = ".tmp"
_KEY = "day="


def aggregation_folder(aggregation: str) -> str:
    """Where all days of an aggregation lie."""
    return aggregation


def day_folder(aggregation: str, day: str) -> str:
    """The hive partition of one day: ``{aggregation}/day={day}``."""
    return f"{aggregation}/{_KEY}{day}"


def data_file(aggregation: str, day: str) -> str:
    """The one file of a day's folder: its commit."""
    return f"{aggregation}/{_KEY}{day}/{DATA}"


def lock_file(aggregation: str, day: str) -> str:
    """The day's own lock file, which also holds the highest generation that was ever published there."""
    return f"{LOCKS}/{aggregation}/{day}.lock"


def temporary_file(nonce: str) -> str:
    """Where a result is written before it is published."""
    return f"{DRAFTS}/{nonce}{TEMPORARY}"


def run_note(nonce: str) -> str:
    """Where a run says what it is computing, so that a later run can tell where it died."""
    return f"{DRAFTS}/{nonce}{NOTE}"


def failure_file(aggregation: str, day: str) -> str:
    """The record of a result that could not be computed."""
    return f"{FAILED}/{aggregation}.{day}.json"


def set_aside_file(aggregation: str, day: str, tag: str) -> str:
    """Where a damaged result is kept. It does not end in ``.parquet``, so no glob over results can read it."""
    return f"{SET_ASIDE}/{aggregation}.{day}.{tag}.damaged"


def day_of(folder: str) -> str | None:
    """The day that a folder's name ``day=…`` stands for, or None: no other name is ever turned into a path."""
    day = folder.removeprefix(_KEY)
    return day if folder.startswith(_KEY) and is_day(day) else None
