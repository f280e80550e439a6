"""Many small tasks on few threads, where threads help: what never waits long is done in turn.

Threads that read small files from memory spend their time handing over Python's lock: two of them took 1.15 s for
10,000 results of 2 kB, one took 0.45 s. On a slow device, or with large files, every thread counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

IN_TURN = 5
"""After how many it is looked at whether threads are worth it."""
TOGETHER = 100
PART_SECONDS = 0.005
"""How many are handed over together: about so much work, for one at a time costs more than a small file does."""
WORTH_A_THREAD_SECONDS = 0.0002

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


def map_in_threads(function: Callable[[Thing], Answer], things: Sequence[Thing], threads: int) -> Iterator[Answer]:
    """What the function makes of each thing, in their order: in turn as long as they are quick, then in threads."""
    yield from map(function, things[:1])  # it may have something to import, and says nothing of the others
    done, each = 1, 0.0
    while done < len(things) and each < WORTH_A_THREAD_SECONDS:
        part = things[done : done + IN_TURN]
        began = time.perf_counter()
        answers = [function(thing) for thing in part]
        each = (time.perf_counter() - began) / len(part)
        yield from answers
        done += len(part)
    if done >= len(things):
        return
    together = max(1, min(TOGETHER, int(PART_SECONDS / each)))
    parts = [things[at : at + together] for at in range(done, len(things), together)]
    with ThreadPoolExecutor(threads) as pool:
        for answers in pool.map(lambda part: [function(thing) for thing in part], parts):
            yield from answers
