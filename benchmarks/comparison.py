"""Runs commands with their empty runs in turns, and computes what each costs: a whole run less an empty one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Bench, Findings
from benchmarks.timing import CHECKOUT, Command, Ran, Spread, nothing, rounds

Costs = Mapping[str, list[float]]
"""What each command costs in each round, in seconds."""


class Differs(Exception):
    """Results that are to be equal are not: their times say nothing."""


def require_equal(expected: Path, found: Path, names: Sequence[str]) -> None:
    """Raises Differs. A process of its own looks, for that takes memory."""
    compare: list[str | Path] = [sys.executable, "-m", "benchmarks.equality", expected, found, *names]
    ended = subprocess.run(compare, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise Differs(ended.stdout.strip() or f"the comparison ended with {ended.returncode}")


@dataclass(frozen=True)
class Pair:
    """A command, and the same with nothing to do."""

    name: str
    whole: Command
    empty: Command


def compare(
    bench: Bench,
    found: Findings,
    title: str,
    pairs: Sequence[Pair],
    check: Callable[[], None] = nothing,
    parts: int = 1,
    unit: str = "ms",
) -> tuple[Costs, Mapping[str, Sequence[Ran]]]:
    """Note what all commands take and what each of ``parts`` costs; the costs, and what the whole commands took.

    ``check`` comes after the round that does not count, and raises Differs.
    """
    commands = {pair.name: pair.whole for pair in pairs} | {f"{pair.name}, empty run": pair.empty for pair in pairs}
    rounds(commands, 1)
    check()
    timed = rounds(commands, bench.runs)
    costs: dict[str, list[float]] = {}
    for pair in pairs:
        both = zip(timed[pair.name], timed[f"{pair.name}, empty run"], strict=True)
        costs[pair.name] = [(whole.wall - empty.wall) / parts for whole, empty in both]
        found.note(f"{title}: {pair.name}, cost", unit, Spread.of([1000 * one for one in costs[pair.name]]))
    found.walls(title, timed, commands, bench)
    return costs, timed
