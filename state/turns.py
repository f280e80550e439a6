"""One thread at a time does what needs Python's lock, as long as nobody waits long for it.

Threads that run Python at once hand its lock over at every call of the system, and each time wake another core for it:
two workers took as long as one, and a quarter more of both cores. So a worker has its turn for a whole step of its
group, and leaves it while polars computes or a device is waited for. Where a step takes longer, because a disk or a
person's function is slow, others go on without a turn, as threads do: nothing is correct only because of turns.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.1
"""How long a thread waits for its turn before it goes on without one."""
PAUSE = 20
"""How often it then does not even ask, for what took long once may do so again."""


class _Turns:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.to_skip = 0

    def take(self) -> bool:
        """Whether the turn was free in time."""
        if self.to_skip > 0:
            self.to_skip -= 1
            return False
        if self.lock.acquire(timeout=PATIENCE_SECONDS):
            return True
        self.to_skip = PAUSE
        return False


class _Mine(threading.local):
    """Whether this thread has the turn."""

    has_turn = False


_turns = _Turns()
_mine = _Mine()
os.register_at_fork(after_in_child=_turns.__init__)  # type: ignore[misc] # the thread that has it is not in the child


@contextmanager
def taken() -> Iterator[None]:
    """Do something in this thread's turn, once it has it; within a turn it goes on with that."""
    if _mine.has_turn:
        yield
        return
    _mine.has_turn = _turns.take()
    try:
        yield
    finally:
        _end()


@contextmanager
def left() -> Iterator[None]:
    """Let others have the turn meanwhile, if this thread has it: it waits, or computes without Python's lock."""
    if not _mine.has_turn:
        yield
        return
    _end()
    try:
        yield
    finally:
        _mine.has_turn = _turns.take()


def _end() -> None:
    if _mine.has_turn:
        _mine.has_turn = False
        _turns.lock.release()
