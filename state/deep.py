"""The deep check: every byte of every result against its seal, where the everyday scan reads the records alone.

What it finds broken is set aside, so that the next run sees a day without a result and rebuilds it.
"""

from __future__ import annotations

import os
import stat
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
from state.record import bears_nonce
from state.root import OutputRoot
from state.scan import Output
from state.seal import Torn, broken_seal, read_footer
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
    places = [(aggregation, day, known) for aggregation, days in output.days.items() for day, known in days.items()]
    judged = map_in_threads(lambda place: _look_deep(root.fd, *place), places, threads)
    for (aggregation, day, _), found in zip(places, judged, strict=True):
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


def _look_deep(root_fd: int, aggregation: str, day: str, known: Found) -> Found | None:
    def judged(fd: int, aggregation: str, day: str) -> Found:
        return known if isinstance(known, Commit) and is_still(fd, known) else judge_deep(fd, aggregation, day)

    return look(root_fd, aggregation, day, judged)


def is_still(fd: int, known: Commit) -> bool:
    """Whether an open file is, byte for byte, the commit that a scan met. Raises OSError where it cannot be read.

    Its seal covers every byte, and no other commit has its nonce. So its record need not be read again, which took
    three quarters of the time of a small result.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size != known.size:
        return False
    try:
        footer = read_footer(fd, known.size)
    except Torn:
        return False
    return bears_nonce(footer, known.record.nonce) and broken_seal(fd, known.size) is None


def judge_deep(fd: int, aggregation: str, day: str) -> Found:
    """What an open file is once every byte of it was compared with its seal. Raises OSError."""
    found = judge(fd, aggregation, day)
    if isinstance(found, Newer) and found.altered:
        return Damaged(f"the format of its commit record was altered to {found.format}")
    if isinstance(found, Commit) and (wrong := broken_seal(fd, found.size)):
        return Damaged(wrong)
    return found
