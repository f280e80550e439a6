"""The deep check: every byte of every result against its seal, where the everyday scan reads the records alone.

What it finds broken is set aside, so that the next run sees a day without a result and rebuilds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from state import layout
from state.commits import LOCK_DEADLINE_SECONDS
from state.errors import StorageError
from state.files import flush_folder
from state.found import Commit, Damaged, Found, Newer, Unreadable, judge, look
from state.identity import identify
from state.locks import day_lock
from state.root import OutputRoot
from state.scan import Output
from state.seal import broken_seal
from state.set_aside import set_aside
from state.threads import map_in_threads


@dataclass(frozen=True, slots=True)
class Broken:
    """A result that is not what was committed, and where it is kept (below the output root)."""

    aggregation: str
    day: str
    why: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A result, or the input of one, that could not be read: neither good nor broken, and nothing is done to it."""

    aggregation: str
    day: str
    why: str


def broken_results(root: OutputRoot, output: Output, threads: int) -> Iterator[Broken | Unread]:
    """Every result of an output, scanned before, that is damaged or cannot be read; ``threads`` files at once."""
    places = [(aggregation, day) for aggregation, days in output.days.items() for day in days]
    judged = map_in_threads(lambda place: look(root.fd, place[0], place[1], judge_deep), places, threads)
    for (aggregation, day), found in zip(places, judged, strict=True):
        if isinstance(found, Damaged):
            yield Broken(aggregation, day, found.why)
        elif isinstance(found, Unreadable):
            yield Unread(aggregation, day, f"its result {found.why}")


def take_away(root: OutputRoot, broken: Broken) -> Broken | None:
    """Set a broken result aside and leave its place empty; None where it is broken no more.

    It is looked at again under the day's lock: a good commit that landed meanwhile stays. Raises StorageError, OSError
    where it cannot be read any more, or not be moved.
    """
    aggregation, day = broken.aggregation, broken.day
    with day_lock(root.fd, aggregation, day, LOCK_DEADLINE_SECONDS):
        _, identity = identify(root.fd, aggregation, day)
        found = look(root.fd, aggregation, day, judged_by=judge_deep)
        if isinstance(found, Unreadable):
            raise StorageError(found.why)
        if not isinstance(found, Damaged):
            return None
        kept = set_aside(root.fd, aggregation, day, identity)
        with suppress(FileNotFoundError):  # a folder was moved, not linked
            os.unlink(layout.data_file(aggregation, day), dir_fd=root.fd)
        flush_folder(root.fd, layout.day_folder(aggregation, day))
    return Broken(aggregation, day, found.why, kept)


def judge_deep(fd: int, aggregation: str, day: str) -> Found:
    """What an open file is once every byte of it was compared with its seal. Raises OSError."""
    found = judge(fd, aggregation, day)
    if isinstance(found, Newer) and found.altered:
        return Damaged(f"the format of its commit record was altered to {found.format}")
    if isinstance(found, Commit) and (wrong := broken_seal(fd, found.size)):
        return Damaged(wrong)
    return found
