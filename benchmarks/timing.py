"""Times whole processes, one after the other and in turns: what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 3600.0
_TOLD = 4000


def nothing() -> None:
    """What has to be done before most runs."""


@dataclass(frozen=True)
class Command:
    """A process to be timed. ``before`` prepares the ground for each run of it, and is not timed."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path = CHECKOUT
    before: Callable[[], object] = nothing

    def shown(self, work: Path) -> str:
        """As a person would type it, with the work folder as ``$WORK``."""
        variables = [f"{name}={value}" for name, value in self.environment.items() if name.startswith("NOONMARK_")]
        words = ["python" if Path(word).name.startswith("python") else word for word in self.arguments]
        return " ".join([*variables, *words]).replace(str(work), "$WORK").replace(f"{CHECKOUT}/", "")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process took with the children that it waited for; ``peak`` is the largest one's memory in bytes."""

    wall: float
    user: float
    system: float
    peak: int


class ItFailed(Exception):
    """A process to be timed ended otherwise than with 0."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of several runs."""
        if any(math.isnan(one) for one in values):
            return cls(math.nan, math.nan, math.nan)
        return cls(statistics.median(values), min(values), max(values))


Rounds = Mapping[str, Sequence[Ran]]
"""What each command took in each round."""


def run(command: Command) -> Ran:
    """Run a command to its end. Raises ItFailed with the last of what it said."""
    command.before()
    os.sync()  # nobody pays for what another has left to be written
    with tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
        overdue = threading.Timer(LIMIT_SECONDS, process.kill)
        overdue.daemon = True
        overdue.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        except BaseException:
            process.kill()
            raise
        finally:
            overdue.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(max(0, told.seek(0, os.SEEK_END) - _TOLD))
            said = told.read().decode(errors="replace")
            raise ItFailed(f"exit {process.returncode}: {' '.join(command.arguments)}\n{said}")
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return Ran(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * kilobytes)


def rounds(commands: Mapping[str, Command], number: int) -> Rounds:
    """Run all commands in turns: A B C, A B C, …"""
    found: dict[str, list[Ran]] = {name: [] for name in commands}
    for at in range(number):
        for name, command in commands.items():
            found[name].append(run(command))
            print(f"  {at + 1}/{number} {name}: {found[name][-1].wall:.2f} s", flush=True)
    return found


def walls(found: Rounds, name: str) -> list[float]:
    """The seconds of each round."""
    return [one.wall for one in found[name]]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Round by round: both met the same machine. No number where one of the two is lost in the noise."""
    pairs = list(zip(ours, theirs, strict=True))
    return Spread.of([one / other if min(one, other) > 0 else math.nan for one, other in pairs])


def less(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """What ours took beyond theirs in each round."""
    return [one - other for one, other in zip(ours, theirs, strict=True)]


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Round by round."""
    return Spread.of(less(ours, theirs))
