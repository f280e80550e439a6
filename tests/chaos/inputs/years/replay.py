"""Replays two years of raw files: one thing happens, one run, and whatever was committed or refused is judged.

At the end every dirty file is mended, and each result is compared with one that an empty output was given from scratch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from tasks.catalog.load import Catalog, load
from tests.chaos.campaign import Report, replaced, run_trials
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene
from tests.chaos.inputs.years.actions import act
from tests.chaos.inputs.years.due import Due, Key, due
from tests.chaos.inputs.years.raw_files import DAYS
from tests.chaos.inputs.years.world import World
from tests.project import CHECKOUT

MODULE = "tests.chaos.inputs.years.declared"
_RECENT = (
    "state.store.footer_cache.RECENT_NS",
    "state.store.digest_cache.RECENT_NS",
    "tasks.inputs.run_listing.RECENT_NS",
    "tasks.reading.day_input.RECENT_NS",
)


def catalog(_: int = 1) -> Catalog:
    """What the module declares."""
    return load(MODULE)


class Replay:
    """A world, its output, and what its commits must have been computed from."""

    def __init__(self, workdir: Path, seed: int, days: int) -> None:
        self.scene = Scene(workdir / "raw", workdir / "output")
        self.world = World(self.scene.raw, seed, days)
        self.report = Report()
        self._committed: dict[Key, bytes] = {}
        self._told: dict[Key, bytes] = {}
        self.report.sizes["raw files read at the start"] = sum(len(one.files) for one in due(self.world))

    def first_run(self) -> Iterator[str]:
        """Everything is new."""
        yield from self._run("at first", aged=False)

    def step(self, number: int) -> Iterator[str]:
        """One thing happens, and one run. In every other one, times count as old at once, and so prove something."""
        yield from self._run(act(self.world), aged=number % 2 == 0)

    def command(self) -> Iterator[str]:
        """One thing happens, and the real command sees it, in a process of its own."""
        told = act(self.world)
        words = [sys.executable, "-m", "flows.daily", "--json"]
        done = subprocess.run(
            words, env=_environment(self.scene), cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            yield f"{told}: the command ended with {done.returncode}: {done.stderr[-500:]}"
            return
        yield from (f"{told}: the command: {wrong}" for wrong in self._judged(json.loads(done.stdout)))

    def end(self) -> Iterator[str]:
        """All files are sound: each result equals the judge's, and by its digest the one computed from scratch."""
        self.world.mend_all()
        yield from self._run("all are mended", aged=False)
        scratch = Scene(self.scene.raw, self.scene.output.parent / "scratch")
        run(scratch, catalog=catalog)
        first, second = _digests(self.scene), _digests(scratch)
        expected = {one.key: one for one in due(self.world)}
        for name, there in (("the output", first), ("one from scratch", second)):
            if there.keys() != expected.keys():
                yield f"{name} has {len(there):,} results, expected {len(expected):,}: {there.keys() ^ expected.keys()}"
        yield from (f"{key} differs from the one from scratch" for key in first if first[key] != second.get(key))
        for key, one in expected.items():
            if (rows := _rows(self.scene, key)) != one.rows:
                yield f"{key} is {rows}, expected {one.rows}"
        self.report.details["results equal to those from scratch"] += len(first)

    def _run(self, told: str, *, aged: bool) -> Iterator[str]:
        with ExitStack() as stack:
            for name in _RECENT if aged else ():
                stack.enter_context(replaced(name, -(10**12)))
            done = run(self.scene, catalog=catalog).to_json()
        yield from (f"{told}: {wrong}" for wrong in self._judged(done))

    def _judged(self, done: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with what a run committed and refused."""
        committed = {(one["aggregation"], one["day"]) for one in done["committed"]}
        failed = {(one["aggregation"], one["day"]): one["error"] for one in done["failed"]}
        expected = {one.key: one for one in due(self.world)}
        changed = {key for key, one in expected.items() if one.identity != self._committed.get(key)}
        sound = {key for key in changed if not expected[key].faults}
        yield from _unlike("committed", committed, sound)
        yield from self._unseen(done)
        yield from _unlike("refused", failed.keys(), changed - sound)
        for key in sorted(committed & sound):
            if (rows := _rows(self.scene, key)) != expected[key].rows:
                yield f"{key} was committed as {rows}, expected {expected[key].rows}"
        # A day that fails is told again in every run, until it is mended.
        refused = [key for key in failed.keys() & expected.keys() if self._told.get(key) != expected[key].identity]
        for key in refused:
            self._told[key] = expected[key].identity
            yield from _unnamed(expected[key], failed[key])
        self._committed.update({key: expected[key].identity for key in committed & expected.keys()})
        self.report.details["results committed"] += len(committed)
        self.report.details["results refused"] += len(refused)
        self.report.details["runs after which nothing differed"] += not (committed or refused)

    def _unseen(self, done: Mapping[str, Any]) -> Iterator[str]:
        """Strays that a run names neither by their path nor by a folder of it."""
        named = [one["path"] for one in done.get("strays", ())]
        if done.get("stray_count", 0) > len(named):
            return  # too many to name
        if unseen := [path for path in self.world.strays if not any(f"{path}/".startswith(f"{one}/") for one in named)]:
            yield f"not named as strays: {unseen[:5]}"


def attack(
    trials: int, seed: int, workdir: Path, days: int = DAYS, commands: int = 50, stop_at: int | None = 20
) -> Report:
    """So many things happen to one world, each with a run after it; ``commands``: the real one each so many times."""
    replay = Replay(workdir, seed, days)

    def trial(number: int) -> Iterator[str]:
        if number == 0:
            yield from replay.first_run()
        yield from replay.command() if commands and number % commands == commands - 1 else replay.step(number)
        if number == trials - 1:
            yield from (f"at the end: {wrong}" for wrong in replay.end())

    report = run_trials(range(trials), trial, stop_at=stop_at)
    report.details, report.sizes = replay.report.details, replay.report.sizes
    return report


def _unlike(what: str, found: set[Key] | Any, expected: set[Key]) -> Iterator[str]:
    if surplus := sorted(set(found) - expected):
        yield f"{what} without need: {surplus[:5]}"
    if lacking := sorted(expected - set(found)):
        yield f"not {what}: {lacking[:5]}"


def _unnamed(due: Due, error: str) -> Iterator[str]:
    """What a refusal does not name of the dirt. It need not name every bad file of a day: one is mended first."""
    lacking = [(fault.kind, [part for part in fault.named if part not in error]) for fault in due.faults]
    if all(parts for _, parts in lacking):
        yield f"{due.key}: the message does not name {lacking}: {error}"


def _rows(scene: Scene, key: Key) -> list[tuple[Any, ...]] | None:
    try:
        content = (scene.output / key[0] / f"day={key[1]}/data.parquet").read_bytes()
    except FileNotFoundError:
        return None
    return pl.read_parquet(content, hive_partitioning=False).rows()


def _digests(scene: Scene) -> dict[Key, str]:
    """The digest of the rows of every result, as its commit record has it."""
    return {
        (aggregation, day): json.loads(pq.read_metadata(path).metadata[b"noonmark"])["result"]
        for aggregation, day, path in scene.results()
    }


def _environment(scene: Scene) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOONMARK_", "PREFECT_"))}
    return {
        **kept,
        "HOME": str(scene.output.parent),
        "NOONMARK_INPUT": str(scene.raw),
        "NOONMARK_OUTPUT": str(scene.output),
        "NOONMARK_AGGREGATIONS": MODULE,
        "NOONMARK_REDIS_URL": "none",
        "NOONMARK_WORKERS": "1",
    }
