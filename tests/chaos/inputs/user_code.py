"""User code that ends in every way that code can end: it fails its own day, and delays no other.

Code that raises or calls ``os._exit`` fails its day in the same run. Code that kills the process is noticed by the next
run, which computes that day last, in another process.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import polars as pl
from pydantic import SecretStr

from flows import planned_run
from state.planner.plan import Selection
from state.settings import Settings
from state.store.local import layout
from tasks.catalog.load import load
from tests.chaos.campaign import Campaign, Hunt, Report, Short, run_trials, shuffled
from tests.chaos.harness.runs import without_prefect
from tests.chaos.harness.worker import Worker

RAISING = {
    "SystemExit(0)": "sys.exit(0)",
    "SystemExit(3)": "sys.exit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "CancelledError": "raise asyncio.CancelledError",
    "StopIteration": "raise StopIteration",
    "a panic": "raise PanicException('Option::unwrap()')",
    "an exception of its own": "raise type('Odd', (BaseException,), {})('odd')",
    "an exception without a text": "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})",
    "endless recursion": "(lambda f: f(f))(lambda f: f(f))",
    "os._exit(0)": "os._exit(0)",
    "os._exit(7)": "os._exit(7)",
}
KILLING = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", signal.SIGKILL),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", signal.SIGTERM),
    "SIGSEGV": ("ctypes.string_at(0)", signal.SIGSEGV),
    "SIGABRT": ("os.abort()", signal.SIGABRT),
    "SIGBUS": ("os.kill(os.getpid(), signal.SIGBUS); signal.pause()", signal.SIGBUS),
}
HARMLESS = {
    "a child that comes back": "os.fork()",
    "a process that writes to standard output": "subprocess.run(['echo', 'noise'], check=True)",
    "nothing": "pass",
}
WAYS = {**RAISING, **{name: code for name, (code, _) in KILLING.items()}, **HARMLESS}
PLACES = ("function", "query", "reader")

_MODULE = '''"""One aggregation over numbered days, which does something odd on some of them."""

import asyncio, ctypes, os, signal, subprocess, sys

import polars as pl
from polars.exceptions import PanicException

from tasks.catalog import Source, aggregation

BAD = {bad!r}
PLACE = {place!r}


def act(day):
    if day in BAD:
{code}


def watched(frame):
    act(frame.item(0, "n"))
    return frame


def reader(files):
    frame = pl.read_csv(files[0])
    if PLACE == "reader":
        watched(frame)
    return frame.lazy()


@aggregation(Source("{{day:int}}.csv", read=reader))
def totals(numbers: pl.LazyFrame) -> pl.LazyFrame:
    """The number of the day."""
    if PLACE == "function":
        watched(numbers.collect())
    if PLACE == "query":
        numbers = numbers.map_batches(watched)
    return numbers.select(pl.col("n").sum())
'''


@dataclass(frozen=True)
class Yard:
    """Some numbered days in a folder, and the module that computes them."""

    folder: Path
    days: int
    bad: tuple[int, ...]

    @classmethod
    def create(cls, folder: Path, days: int, bad: Sequence[int]) -> Yard:
        """Write the raw files: each holds its own number."""
        (folder / "raw").mkdir(parents=True)
        for day in range(days):
            (folder / "raw" / f"{day}.csv").write_text(f"n\n{day}\n")
        return cls(folder, days, tuple(bad))

    def declare(self, way: str, place: str) -> None:
        """Write the module."""
        text = _MODULE.format(bad=self.bad, place=place, code=indent(WAYS[way], " " * 8))
        (self.folder / "odd_module.py").write_text(text)

    def run(self, mutants: tuple[str, ...] = (), limit: int | None = None) -> Worker:
        """One whole run in a process of its own, to its end."""
        worker = Worker(_run, self.folder, limit, mutants=mutants)
        worker.let_go()
        worker.wait()
        return worker

    def committed(self) -> dict[int, int]:
        """What each committed day holds."""
        return {
            int(path.parent.name.removeprefix("day=")): pl.read_parquet(path.read_bytes()).item()
            for path in (self.folder / "out").glob("totals/day=*/data.parquet")
        }

    def others(self) -> dict[int, int]:
        """What the days that are not bad must hold."""
        return {day: day for day in range(self.days) if day not in self.bad}

    def remembered(self) -> list[str]:
        """The failures that are recorded."""
        return sorted(path.name for path in (self.folder / "out" / layout.note_file("failed")).glob("*"))


def _run(folder: Path, limit: int | None, _: object) -> dict[str, Any]:
    """What a worker process runs: as a command does, the days are computed in another thread than the main one."""
    sys.path.insert(0, str(folder))
    settings = Settings(
        input=folder / "raw",
        output=folder / "out",
        create_output=True,
        aggregations="odd_module",
        redis_url=SecretStr("none"),
        workers=1,
    )
    ended: list[Any] = []

    def run() -> None:
        with without_prefect():
            ended.append(planned_run.run(settings, load("odd_module"), Selection(limit=limit), 1).to_json())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return dict(ended[0]) if ended else {}


def attack(trials: int, seed: int, workdir: Path, mutants: tuple[str, ...] = (), stop_at: int | None = 20) -> Report:
    """Each trial is a way to end, a place in the user's code and some days, drawn from ``seed``: all ways in turn."""

    def trial(number: int) -> Iterator[str]:
        rng = random.Random(f"{seed} {number}")
        turn, at = divmod(number, len(WAYS))
        way = list(WAYS)[shuffled(len(WAYS), seed, turn)[at]]
        # A child that comes back into polars has none of its threads, and hangs: nobody can help that.
        place = "function" if way in HARMLESS else rng.choice(PLACES)
        days = rng.randint(4, 12)
        oldest = rng.random() < 0.5
        bad = range(rng.randint(1, 3)) if oldest else [rng.randrange(days)]
        yard = Yard.create(workdir / f"{seed}-{number}", days, bad)
        yard.declare(way, place)
        for wrong in _judge(yard, way, mutants, limited=oldest and rng.random() < 0.5):
            yield f"seed {seed}, {way} in the {place}, bad {list(bad)} of {days}: {wrong}"

    return run_trials(range(trials), trial, stop_at)


def _judge(yard: Yard, way: str, mutants: tuple[str, ...], *, limited: bool) -> Iterator[str]:
    if way in HARMLESS:
        yield from _must_end(yard, yard.run(mutants), failed=())
        return
    worker = yard.run(mutants, limit=len(yard.bad) if limited else None)
    if way in KILLING:
        if worker.process.exitcode != -KILLING[way][1]:
            yield f"the first run ended with {worker.process.exitcode}: {worker.error}"
    elif not worker.ended_well or not worker.result:
        yield f"the first run ended with {worker.process.exitcode}: {worker.error}"
    if limited:
        # As many days as failed: where they came first again, no other would ever be computed.
        yard.run(mutants, limit=len(yard.bad))
        if not yard.committed():
            yield "with --limit, the days that failed keep the others waiting"
    for _ in yard.bad[1:] if way in KILLING else ():
        yard.run(mutants)  # each of them may kill a run of its own
    yield from _must_end(yard, yard.run(mutants), failed=yard.bad, kind="died" if way in KILLING else None)
    yard.declare("nothing", "function")
    yield from _must_end(yard, yard.run(mutants), failed=())
    if yard.remembered():
        yield f"failures are remembered that are over: {yard.remembered()}"


def _must_end(yard: Yard, worker: Worker, *, failed: Sequence[int], kind: str | None = None) -> Iterator[str]:
    """What is wrong with a run that must name these days, and have committed all others."""
    if not worker.ended_well or not worker.result:
        yield f"a run ended with {worker.process.exitcode}: {worker.error}"
        return
    named = sorted(int(one["day"]) for one in worker.result["failed"])
    if named != sorted(failed):
        yield f"days {named} failed, expected {sorted(failed)}: {worker.result['failed']}"
    if kind and {one["kind"] for one in worker.result["failed"]} != {kind}:
        yield f"they failed as {worker.result['failed']}, expected {kind}"
    wanted = yard.others() if failed else {day: day for day in range(yard.days)}
    if yard.committed() != wanted:
        yield f"committed is {yard.committed()}, expected {wanted}"


CAMPAIGN = Campaign(
    "user-code",
    "Aggregations and readers that raise, exit, crash and kill their process in every way, on the oldest days and "
    "others, with and without --limit: the other days are committed, and the bad ones named",
    "10, 7",
    attack,
    trials=160,
    seed=1,
    shorts={"": Short(7)},
    mutants={
        name: Hunt(60, 60)
        for name in (
            "only Exception caught",
            "os._exit let through",
            "note of a dead run not read",
            "failed days first",
        )
    },
    waits=True,
    timeout=300,
)
