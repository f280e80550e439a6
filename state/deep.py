"""The deep check: every byte of every result against its seal, where the everyday scan reads the records alone.

What it finds broken is set aside, so that the next run sees a day without a result and rebuilds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from state import layout
from state.commits import LOCK_DEADLINE_SECONDS
from state.errors import StorageError
from state.files import exists_not, flush_folder
from state.found import Commit, Damaged, open_result
from state.identity import identify
from state.locks import day_lock
from state.root import OutputRoot
from state.scan import Output
from state.seal import broken_seal
from state.set_aside import set_aside


@dataclass(frozen=True, slots=True)
class Broken:
    """A result that is not what was committed, and where it is kept (below the output root)."""

    aggregation: str
    day: str
    why: str
    kept: str = ""


def broken_results(root: OutputRoot, output: Output, threads: int) -> Iterator[Broken]:
    """Every damaged result of an output that was scanned before. Raises StorageError where one cannot be read."""
    places = [(aggregation, day) for aggregation, days in output.days.items() for day in days]
    with ThreadPoolExecutor(threads) as pool:
        for (aggregation, day), why in zip(
            places, pool.map(lambda place: _why_broken(root, *place), places), strict=True
        ):
            if why:
                yield Broken(aggregation, day, why)


def take_away(root: OutputRoot, broken: Broken) -> Broken | None:
    """Set a broken result aside and leave its place empty; None where it is broken no more.

    It is looked at again under the day's lock: a good commit that landed meanwhile stays. Raises StorageError, OSError.
    """
    aggregation, day = broken.aggregation, broken.day
    with day_lock(root.fd, aggregation, day, LOCK_DEADLINE_SECONDS):
        why, identity = _judged(root, aggregation, day)
        if why is None:
            return None
        kept = set_aside(root.fd, aggregation, day, identity)
        with suppress(FileNotFoundError):  # a folder was moved, not linked
            os.unlink(layout.data_file(aggregation, day), dir_fd=root.fd)
        flush_folder(root.fd, layout.day_folder(aggregation, day))
    return Broken(aggregation, day, why, kept)


def _why_broken(root: OutputRoot, aggregation: str, day: str) -> str | None:
    return _judged(root, aggregation, day)[0]


def _judged(root: OutputRoot, aggregation: str, day: str) -> tuple[str | None, str]:
    """Why a result is broken, or None; and its identity."""
    found, identity = identify(root.fd, aggregation, day)
    if isinstance(found, Damaged):
        return found.why, identity
    if not isinstance(found, Commit):
        return None, identity
    try:
        fd = open_result(root.fd, aggregation, day)
        try:
            return broken_seal(fd, os.fstat(fd).st_size), identity
        finally:
            os.close(fd)
    except OSError as error:
        if exists_not(error):
            return None, ""
        raise StorageError(f"{layout.data_file(aggregation, day)} cannot be read: {error.strerror}") from error
