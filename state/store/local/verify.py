"""The deep check: every byte of every result against its seal, where the everyday scan reads the records alone.

What it finds broken is set aside, so that the next run sees a day without a result and rebuilds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from state.errors import StorageError
from state.filesystem.durable import flush_folder
from state.filesystem.folder import unlink
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found, Judge, Newer, Unreadable, judge, look
from state.result.record import bears_nonce
from state.result.seal import Torn, broken_seal, read_footer
from state.store.footer_cache import Footers
from state.store.local import layout
from state.store.local.commit import LOCK_DEADLINE_SECONDS
from state.store.local.day_lock import day_lock
from state.store.local.identity import identify
from state.store.local.scan import Output, scan
from state.store.local.set_aside import set_aside
from state.store.local.store import LocalStore
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


def scan_deep(root: LocalStore, threads: int, tell: Callable[[Broken | Unread], None]) -> Output:
    """As ``scan``, with every byte of every result compared with its seal; ``threads`` files at once.

    What is damaged or cannot be read is told as soon as it was met: a look at everything may take hours.
    """

    def looks(root: LocalStore, footers: Footers, places: Sequence[Partition]) -> Iterator[Found | None]:
        judge = partial(_judge_deep, footers)
        looked_at = map_in_threads(lambda place: look(root.fd, *place, judge), places, threads)
        for place, found in zip(places, looked_at, strict=True):
            if isinstance(found, Damaged):
                tell(Broken(*place, found.why))
            elif isinstance(found, Unreadable):
                tell(Unread(*place, f"its result {found.why}"))
            yield found

    return scan(root, looks)


def set_aside_damaged(root: LocalStore, broken: Broken) -> Broken | None:
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
        with suppress(FileNotFoundError):  # it was moved, not linked
            unlink(root.fd, layout.data_file(aggregation, day))
        for folder in (layout.day_folder(aggregation, day), layout.aggregation_folder(aggregation)):
            with suppress(FileNotFoundError):
                flush_folder(root.fd, folder)
    return Broken(aggregation, day, found.why, kept)


def _judge_deep(footers: Footers, fd: int, aggregation: str, day: str) -> Found:
    known = footers.known((aggregation, day), fd)
    return known if known and is_still(fd, known) else judge_deep(fd, aggregation, day, footers.judge)


def is_still(fd: int, known: Commit) -> bool:
    """Whether an open file of a commit's size is, byte for byte, that commit. Raises OSError where it cannot be read.

    Its seal covers every byte, and no other commit has its nonce. So its record need not be read again, which took
    three quarters of the time of a small result.
    """
    try:
        footer = read_footer(fd, known.stat[0])
    except Torn:
        return False
    return bears_nonce(footer, known.record.nonce) and broken_seal(fd, known.stat[0], footer) is None


def judge_deep(fd: int, aggregation: str, day: str, judged_by: Judge | None = None) -> Found:
    """What an open file is once every byte of it was compared with its seal. Raises OSError."""
    found = (judged_by or judge)(fd, aggregation, day)
    if isinstance(found, Newer) and found.altered:
        return Damaged(f"the format of its commit record was altered to {found.format}")
    if isinstance(found, Commit) and (wrong := broken_seal(fd, found.stat[0])):
        return Damaged(wrong)
    return found
