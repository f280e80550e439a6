"""Raw files that appear, vanish and are renamed around a run: folders that days share, renamed regions, broken links.

Every trial has its own small tree. It is committed, changed, and computed again while one more change is made: before
the plan, after the tokens were read (with or without another whole run), or while polars computes.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import polars as pl

from state.store.local.commit import read_token
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tasks.compute.evaluate import evaluate
from tasks.inputs import run_listing
from tasks.reading.day_input import DayInput
from tests.chaos.campaign import Campaign, Hunt, Mutant, Report, Short, run_trials, without
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
WHENS = ("before", "tokens", "computing")
_TICK_NS = 2_000_000_000
Results = dict[tuple[str, str], list[tuple[Any, ...]]]


@cache
def catalog(_: int = 1) -> Catalog:
    """A flat folder with a wildcard, folders that a wildcard matches and a reader sees, and the same ones unseen.

    And files whose events are of three days.
    """

    def with_region(files: list[Path]) -> pl.LazyFrame:
        return pl.concat(pl.scan_csv(file).with_columns(region=pl.lit(file.parent.name)) for file in files)

    @aggregation(Source("flat/{day}_*.csv"))
    def flat(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Items of the day."""
        return sales.select(pl.col("items").sum())

    @aggregation(Source("regions/*/{day}.csv", read=with_region))
    def by_region(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Items of each region."""
        return sales.group_by("region").agg(pl.col("items").sum()).sort("region")

    @aggregation(Source("regions/**/{day}.csv"))
    def deep(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Items of all regions."""
        return sales.select(pl.col("items").sum())

    schema = {"day": pl.Date, "items": pl.Int64}

    @aggregation(Source("events/{day}.csv", schema=schema, event_time="day", reach=(1, 1)))
    def events(events: pl.LazyFrame) -> pl.LazyFrame:
        """Items of the day's events."""
        return events.select(pl.col("items").sum())

    return {one.name: one for one in map(declared, (by_region, deep, events, flat)) if one}


class _Tree:
    """The raw files of a trial: what is done to them, and what must come of them."""

    def __init__(self, raw: Path, chance: random.Random) -> None:
        self.raw = raw
        self._chance = chance
        self._names = iter(range(10**6))
        for day in DAYS:
            for name in ("a", "b"):
                self._write(f"flat/{day}_{name}.csv")
            for region in ("asia", "us"):
                self._write(f"regions/{region}/{day}.csv")
            self._write_events(day)

    def _write_events(self, day: str) -> None:
        """Some of the day before, of the day, and of the day after."""
        file = self.raw / f"events/{day}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = (f"{_day(day, by)},{self._chance.randrange(100, 1000)}\n" for by in (-1, 0, 1))
        file.write_text("day,items\n" + "".join(rows))

    def _write(self, path: str) -> None:
        file = self.raw / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"items\n{self._chance.randrange(10**9)}\n")  # no two are equal: those would be one file twice

    def edit(self, day: str) -> None:
        """Other bytes in a file of each source."""
        self._write(f"flat/{day}_b.csv")
        self._write(f"regions/asia/{day}.csv")
        self._write_events(day)

    def add_next(self, day: str) -> None:
        """The file that the newest day of events waits for."""
        self._write_events(_day(DAYS[-1], 1))

    def add(self, day: str) -> None:
        """One more file in the flat folder."""
        self._write(f"flat/{day}_c{next(self._names)}.csv")

    def add_region(self, day: str) -> None:
        """A folder that came."""
        self._write(f"regions/eu{next(self._names)}/{day}.csv")

    def rename(self, day: str) -> None:
        """The same files in a folder of another name."""
        (self.raw / "regions/us").rename(self.raw / f"regions/uz{next(self._names)}")

    def move(self, day: str) -> None:
        """A file takes the place of another's name."""
        (self.raw / f"flat/{day}_b.csv").rename(self.raw / f"flat/{day}_d.csv")

    def expected(self) -> Results:
        """The rows of every result, counted without polars."""
        found: Results = {}
        for day in DAYS:
            found["flat", day] = [(sum(map(_items, (self.raw / "flat").glob(f"{day}_*.csv"))),)]
            regions = {path.parent.name: _items(path) for path in (self.raw / "regions").glob(f"*/{day}.csv")}
            found["by_region", day] = sorted(regions.items())
            found["deep", day] = [(sum(regions.values()),)]
        there = sorted(path.stem for path in (self.raw / "events").iterdir())
        for day in (_day(there[0], -1), *there[:-1]):  # the newest waits
            near = (self.raw / f"events/{_day(day, by)}.csv" for by in (-1, 0, 1))
            rows = [line.split(",") for file in near if file.exists() for line in file.read_text().split()[1:]]
            found["events", day] = [(sum(int(items) for of, items in rows if of == day),)]
        return found


_CHANGES: tuple[Callable[[_Tree, str], None], ...] = (
    *(_Tree.edit, _Tree.add, _Tree.add_next, _Tree.add_region, _Tree.rename, _Tree.move),
)


def _day(day: str, by: int) -> str:
    return (dt.date.fromisoformat(day) + dt.timedelta(by)).isoformat()


def _items(path: Path) -> int:
    return int(path.read_text().split()[1])


def _rows(scene: Scene) -> Results:
    return {
        (aggregation, day): pl.read_parquet(path.read_bytes(), hive_partitioning=False).rows()
        for aggregation, day, path in scene.results()
    }


def _struck(strike: Callable[[], None], when: str) -> Mapping[str, object]:
    """What is to be patched so that something happens once, when all tokens are read or while polars computes."""
    todo = [strike]

    def before(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if todo:
                todo.pop()()
            return real(*arguments)

        return call

    if when == "tokens":
        return {"state.store.local.commit.read_token": before(read_token)}
    return {"tasks.compute.group.evaluate": before(evaluate)} if when == "computing" else {}


def _clock(*, coarse: bool) -> Mapping[str, object]:
    """Folders whose times tick every two seconds, or folders that count as old when they are listed."""
    if not coarse:
        return {"tasks.inputs.run_listing.clock": SimpleNamespace(time_ns=lambda: time.time_ns() + 10**10)}
    real = run_listing._identity

    def identity(status: Any) -> tuple[int, ...]:
        device, inode, mtime, ctime = real(status)
        return device, inode, mtime // _TICK_NS, ctime // _TICK_NS

    return {"tasks.inputs.run_listing._identity": identity}


def _trial(number: int, seed: int, workdir: Path) -> Iterator[str]:
    chance = random.Random(f"{seed} {number}")
    scene = Scene(workdir / "raw", workdir / "output")
    tree = _Tree(scene.raw, chance)
    run(scene, catalog=catalog)
    day, when, change = chance.choice(DAYS), WHENS[number % 3], chance.choice(_CHANGES)
    another = when == "tokens" and chance.random() < 0.5
    what = f"seed {seed}, {change.__name__} {when}{' with another run' * another}"
    tree.edit(day)

    def strike() -> None:
        change(tree, day)
        if another:
            run(scene, catalog=catalog)

    with ExitStack() as stack:
        for target, new in {**_struck(strike, when), **_clock(coarse=chance.random() < 0.5)}.items():
            stack.enter_context(patch(target, new))
        if when == "before":
            strike()
        report = run(scene, catalog=catalog).to_json()
        expected, rows = tree.expected(), _rows(scene)
        for one in report["committed"]:
            place = one["aggregation"], one["day"]
            if rows[place] != expected[place]:
                yield f"{what}: {place} was committed as {rows[place]}, of an input that was {expected[place]} by then"
    yield from (f"{what}: then {wrong}" for wrong in _unmount(scene, tree, chance))
    run(scene, catalog=catalog)
    rows, expected = _rows(scene), tree.expected()
    if wrong := {place: rows.get(place) for place in rows | expected if rows.get(place) != expected.get(place)}:
        yield f"{what}: an undisturbed run leaves {wrong}, expected {expected}"
    if again := run(scene, catalog=catalog).to_json()["committed"]:
        yield f"{what}: one more run computes {again}"


def _unmount(scene: Scene, tree: _Tree, chance: random.Random) -> Iterator[str]:
    """A region's link leads nowhere for one run: what may lie there is not computed without it.

    ``**`` follows no links: for ``deep`` it is one folder less.
    """
    run(scene, catalog=catalog)
    before = _rows(scene)
    region = chance.choice(sorted((scene.raw / "regions").iterdir()))
    disk = scene.raw / "disk"
    region.rename(disk)
    region.symlink_to("nowhere")
    run(scene, catalog=catalog)
    seen = {place: rows for place, rows in _rows(scene).items() if place[0] == "by_region" and rows != before[place]}
    if seen:
        yield f"with {region.name} gone, {seen} was computed"
    region.unlink()
    disk.rename(region)


def attack(trials: int, seed: int, workdir: Path, stop_at: int | None = 20) -> Report:
    """So many trials, each in a tree of its own."""

    def trial(number: int) -> Iterator[str]:
        folder = workdir / str(number)
        try:
            yield from _trial(number, seed, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return run_trials(range(trials), trial, stop_at=stop_at)


def _checked_once(self: Any, walk: Any) -> None:
    if not self._folders:
        _refresh(self, walk)


def _own_name(_: object, path: str) -> str:
    return path.rpartition("/")[2]


def _checked_unless_events(self: DayInput, as_of: int | None = None) -> None:
    if not self.source.events:
        _check(self, as_of)


_refresh = run_listing.SharedFolders._refresh
_check = DayInput.check

MUTANTS: dict[str, Mutant] = {
    # Removes the folders that wildcards chose from the fingerprint of who sees them.
    "wildcard part not digested": without({"tasks.templates.template.Template.placed_name": _own_name}),
    # Removes the doubt about folders whose times are younger than a tick.
    "recent folders trusted": without({"tasks.inputs.run_listing.RECENT_NS": -(1 << 62)}),
    # Removes every look at shared folders but the first.
    "folders not checked again": without({"tasks.inputs.run_listing.SharedFolders._refresh": _checked_once}),
    # Removes the second look at the files of a day of events, its own and its neighbours'.
    "files of events are looked at once": without({"tasks.reading.day_input.DayInput.check": _checked_unless_events}),
    # Removes the difference between a link to nowhere and nothing.
    "broken link as absent": without({"tasks.survey.hidden_days": lambda *_: {}}),
}

CAMPAIGN = Campaign(
    "moving-inputs",
    "Files and folders that come, go and change names before the plan, after the tokens were read and while polars "
    "computes, on clocks that tick every two seconds; days whose events lie in three days' files; links to a disk that "
    "is gone",
    "3, 5, 7, 8",
    attack,
    trials=1_000,
    seed=5,
    shorts={"": Short(18)},
    mutants=dict.fromkeys(MUTANTS, Hunt(1_000, 60)),
    protections=MUTANTS,
)
