"""Work on other threads: one thing in the background, and many small tasks where threads help.

What never waits long is done in turn. Threads that read small files from memory spend their time handing over Python's
lock: two of them took 1.15 s for 10,000 results of 2 kB, one took 0.45 s. On a slow device, or with large files, every
thread counts. A few tasks in turn show which it is, again and again: a pause or a cold start says nothing of all that
is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

IN_TURN = 5
"""How many show whether threads are worth it."""
STRETCH = 1000
"""After how many that is measured again."""
TOGETHER = 100
PART_SECONDS = 0.005
"""How many are handed over together: about so much work, for one at a time costs more than a small file does."""
WORTH_A_THREAD_SECONDS = 0.0002

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


def map_in_threads(function: Callable[[Thing], Answer], things: Sequence[Thing], threads: int) -> Iterator[Answer]:
    """What the function makes of each thing, in their order: in turn as long as they are quick, or else in threads."""
    yield from map(function, things[:1])  # it may have something to import, and says nothing of the others
    done = 1
    with ThreadPoolExecutor(threads) as pool:  # it starts no thread before it is given something
        while done < len(things):
            answers, each = _timed(function, things[done : done + IN_TURN])
            yield from answers
            done += IN_TURN
            if each < WORTH_A_THREAD_SECONDS:
                continue
            stretch = things[done : done + STRETCH]
            together = max(1, min(TOGETHER, int(PART_SECONDS / each)))
            parts = [stretch[at : at + together] for at in range(0, len(stretch), together)]
            for answers in pool.map(lambda part: [function(thing) for thing in part], parts):
                yield from answers
            done += len(stretch)


def in_background(function: Callable[[], Answer]) -> Future[Answer]:
    """What the function returns or raises, on a thread of its own."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 whoever asks for the answer gets it
            future.set_exception(error)

    threading.Thread(target=run, name="background").start()
    return future


def done(answer: Answer) -> Future[Answer]:
    """An answer that is there already."""
    future: Future[Answer] = Future()
    future.set_result(answer)
    return future


def _timed(function: Callable[[Thing], Answer], things: Sequence[Thing]) -> tuple[list[Answer], float]:
    """The answers, and what one takes, in seconds: the mean without the longest, so that one pause says nothing."""
    answers, took = [], []
    for thing in things:
        began = time.perf_counter()
        answers.append(function(thing))
        took.append(time.perf_counter() - began)
    return answers, (sum(took) - max(took)) / max(1, len(took) - 1)
