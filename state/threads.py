"""Many small tasks on few threads: handed over by the hundred, for one at a time costs more than a small file does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_A_TIME = 100

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


def map_in_threads(function: Callable[[Thing], Answer], things: Sequence[Thing], threads: int) -> Iterator[Answer]:
    """What the function makes of each thing, in their order."""
    parts = [things[at : at + AT_A_TIME] for at in range(0, len(things), AT_A_TIME)]
    with ThreadPoolExecutor(threads) as pool:
        for answers in pool.map(lambda part: [function(thing) for thing in part], parts):
            yield from answers
