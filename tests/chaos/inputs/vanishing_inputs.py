"""Inputs that vanish during a run: the root renamed, replaced or unmounted, a region or the whole source removed.

Every trial commits a small tree, changes it, and runs again; at one of the run's calls, drawn by seed, the input
vanishes. Each planned result must then be committed from the tree that the run began with, or be named as failed. One
trial in five restores an older result from a backup instead, or kills a writer where that looks the same.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from state.errors import NoonmarkError
from state.inputs.root import InputRoot
from state.store.local import layout
from state.store.local.day_lock import HighWater
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tasks.compute.job import Job
from tasks.compute.outcomes import JobSkipped
from tests.chaos.campaign import Campaign, Hunt, Mutant, NotStruck, Report, Short, run_trials, without
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene
from tests.chaos.storage.mounts import forbidden

OLD = tuple(f"2024-01-{day:02}" for day in range(1, 13))
NEW = ("2024-01-13", "2024-01-14", "2024-01-15")
REGIONS = ("asia", "us")
Results = dict[tuple[str, str], list[tuple[Any, ...]]]


@cache
def catalog(_: int = 1) -> Catalog:
    """One source that is read into memory, and the same files by their paths."""

    def by_path(files: list[Path]) -> pl.LazyFrame:
        return pl.concat(pl.scan_csv(file) for file in files)

    @aggregation(Source("regions/*/{day}.csv"))
    def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Items of all regions."""
        return sales.select(pl.col("items").sum())

    @aggregation(Source("regions/*/{day}.csv", read=by_path))
    def totals_by_path(sales: pl.LazyFrame) -> pl.LazyFrame:
        """The same, by a reader that is given paths."""
        return sales.select(pl.col("items").sum())

    return {one.name: one for one in map(declared, (totals, totals_by_path)) if one}


@dataclass
class _Tree:
    """The raw files of a trial, and how they go."""

    raw: Path
    chance: random.Random
    undo: ExitStack = field(default_factory=ExitStack)
    mounted: bool = False

    @property
    def elsewhere(self) -> Path:
        """Where the tree is when it is gone."""
        return self.raw.with_name("elsewhere")

    def sell(self, days: tuple[str, ...]) -> None:
        """Other numbers in all files of these days."""
        for region in REGIONS:
            for day in days:
                file = self.raw / "regions" / region / f"{day}.csv"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"items\n{self.chance.randrange(100, 10**6)}\n")

    def expected(self, *, regions: tuple[str, ...] = REGIONS) -> Results:
        """The rows of every result, counted without polars."""
        found: Results = {}
        for day in (*OLD, *NEW):
            files = [self.raw / "regions" / region / f"{day}.csv" for region in regions]
            if all(file.exists() for file in files):
                rows: list[tuple[Any, ...]] = [(sum(int(file.read_text().split()[1]) for file in files),)]
                found |= {("totals", day): rows, ("totals_by_path", day): rows}
        return found

    def _moved(self, source: Path, target: Path) -> None:
        def back() -> None:
            shutil.rmtree(source, ignore_errors=True)
            target.rename(source)

        source.rename(target)
        self.undo.callback(back)

    def rename(self) -> None:
        """The root has another name."""
        self._moved(self.raw, self.elsewhere)

    def empty(self) -> None:
        """An empty folder is in its place."""
        self.rename()
        self.raw.mkdir()

    def half_copy(self) -> None:
        """A copy with half of the days and other numbers is in its place."""
        self.rename()
        self.sell((*OLD, *NEW)[::2])

    def one_region(self) -> None:
        """The mount of a region is gone."""
        self._moved(self.raw / "regions" / REGIONS[1], self.elsewhere)

    def source(self) -> None:
        """The whole source is gone."""
        self._moved(self.raw / "regions", self.elsewhere)

    def mount_over(self) -> None:
        """Another file system is mounted over it."""
        subprocess.run(["mount", "-t", "tmpfs", "none", str(self.raw)], check=True, capture_output=True)
        self.undo.callback(subprocess.run, ["umount", "-l", str(self.raw)], check=False, capture_output=True)

    def unmount(self) -> None:
        """Its mount is taken away, and nothing lies beneath."""
        subprocess.run(["umount", "-l", str(self.raw)], check=True, capture_output=True)
        self.mounted = False

    def mount(self) -> None:
        """Have the root on a mount of its own."""
        if not self.elsewhere.exists():
            self.raw.rename(self.elsewhere)
            self.raw.mkdir()
        subprocess.run(["mount", "--bind", str(self.elsewhere), str(self.raw)], check=True, capture_output=True)
        self.mounted = True


_PLAIN = (_Tree.rename, _Tree.empty, _Tree.half_copy, _Tree.one_region, _Tree.source)
_MOUNTED = (_Tree.mount_over, _Tree.unmount)
_PARTS = (_Tree.one_region, _Tree.source)
"""These leave the root in its place, so a day that no commit speaks of may be computed from what is left."""
_CALLS = ("open", "stat", "lstat", "fstat", "scandir", "pread", "rename", "mkdir")


@contextmanager
def _struck(strike: Callable[[], None] | None, nth: int = 0) -> Iterator[Counter[str]]:
    """Counts the calls of a run once its input root is open, and strikes before one of them."""
    seen: Counter[str] = Counter()
    begin = InputRoot.__init__

    def begun(self: InputRoot, path: Path) -> None:
        begin(self, path)
        seen["begun"] = 1

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if seen["begun"]:
                seen["calls"] += 1
                if seen["calls"] == nth and strike:
                    seen["begun"] = 0
                    strike()
                    seen["struck"] = 1
            return real(*arguments, **options)

        return call

    with ExitStack() as stack:
        stack.enter_context(patch.object(InputRoot, "__init__", begun))
        for name in _CALLS:
            stack.enter_context(patch.object(os, name, counted(name)))
        yield seen


def _rows(scene: Scene) -> Results:
    return {
        (name, day): pl.read_parquet(path.read_bytes(), hive_partitioning=False).rows()
        for name, day, path in scene.results()
    }


@dataclass
class _Campaign:
    """``calls`` is how many a run of a trial makes; it is counted once."""

    seed: int
    workdir: Path
    calls: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)

    def trial(self, number: int) -> Iterator[str]:
        """One of them, in a tree of its own."""
        chance = random.Random(f"{self.seed} {number}")
        folder = self.workdir / str(number)
        scene = Scene(folder / "raw", folder / "output")
        tree = _Tree(scene.raw, chance)
        try:
            if number % 5 == 4:
                yield from (
                    f"seed {self.seed}, {wrong}" for wrong in _restored(scene, tree, killed=chance.random() < 0.5)
                )
            else:
                yield from self._gone(scene, tree, number)
        finally:
            tree.undo.close()
            if tree.mounted:
                tree.unmount()
            shutil.rmtree(folder, ignore_errors=True)

    def _gone(self, scene: Scene, tree: _Tree, number: int) -> Iterator[str]:
        goes = (*_PLAIN, *_MOUNTED)[(number - number // 5) % (len(_PLAIN) + len(_MOUNTED))]
        if goes in _MOUNTED and (why := forbidden(self.workdir)):
            self.skipped[why] += 1
            raise NotStruck
        tree.sell(OLD)
        if goes is _Tree.unmount:
            tree.mount()
        run(scene, catalog=catalog)
        before = _rows(scene)
        tree.sell((*(OLD if tree.chance.random() < 0.7 else OLD[:5]), *NEW))
        wanted = {place for place, rows in tree.expected().items() if rows != before.get(place)}
        whole, parts = tree.expected(), tree.expected(regions=REGIONS[:1])
        if not self.calls:
            self.calls = _count(scene)
        # Half of them while the run looks at everything, which takes few of its calls.
        nth = tree.chance.randrange(1, self.calls // tree.chance.choice((1, 6)))
        what = f"seed {self.seed}, {goes.__name__} at call {nth}"
        with _struck(lambda: goes(tree), nth) as seen:
            named, told = _outcome(scene)
        if not seen["struck"]:
            raise NotStruck
        self.details[told] += 1
        after = _rows(scene)
        for place, rows in after.items():
            allowed = [whole[place], *([before[place]] if place in before else [])]
            if goes is _Tree.one_region and place not in before:
                allowed.append(parts[place])
            if rows not in allowed:
                yield f"{what}: {place} is {rows}, expected one of {allowed}"
        settled = {place for place in wanted if after.get(place) != before.get(place)}
        if named is not None and (lost := wanted - settled - named) and not (goes in _PARTS and told == "success"):
            yield f"{what}: {sorted(lost)} are neither committed nor named ({told})"
        if told == "success" and (lost := {place for place in wanted - settled if place in before}):
            yield f"{what}: success, and {sorted(lost)} were not computed"
        tree.undo.close()
        if goes is _Tree.unmount:
            tree.mount()
        yield from (f"{what}: then {wrong}" for wrong in _converges(scene, tree))


def _count(scene: Scene) -> int:
    """How many calls an undisturbed run makes, in a copy."""
    copy = Scene(scene.raw, scene.output.with_name("copy"))
    shutil.copytree(scene.output, copy.output)
    with _struck(None) as seen:
        run(copy, catalog=catalog)
    return seen["calls"]


def _outcome(scene: Scene) -> tuple[set[tuple[str, str]] | None, str]:
    """The results that a run names as failed, or None where it was refused or broke; and in a word how it ended."""
    try:
        failed = run(scene, catalog=catalog).to_json()["failed"]
    except NoonmarkError as error:
        return None, error.kind
    return {(one["aggregation"], one["day"]) for one in failed}, "failed days" if failed else "success"


def _converges(scene: Scene, tree: _Tree) -> Iterator[str]:
    named, told = _outcome(scene)
    if told != "success":
        yield f"the next run ended with {told}: {named}"
    expected = tree.expected()
    if wrong := {place: rows for place, rows in _rows(scene).items() if rows != expected[place]}:
        yield f"an undisturbed run leaves {wrong}"
    if missing := expected.keys() - _rows(scene).keys():
        yield f"an undisturbed run leaves out {sorted(missing)}"
    if again := run(scene, catalog=catalog).to_json()["committed"]:
        yield f"one more run computes {again}"


def _restored(scene: Scene, tree: _Tree, *, killed: bool) -> Iterator[str]:
    """An older result from a backup is named; one that stands under a killed writer's mark is not."""
    place = ("totals", OLD[3])
    tree.sell(OLD)
    run(scene, catalog=catalog)
    file = scene.output / layout.data_file(*place)
    older = file.read_bytes()
    tree.sell(OLD[3:4])
    real = os.rename

    def rename(source: Any, target: Any, **options: Any) -> None:
        folder = os.readlink(f"/proc/self/fd/{options['dst_dir_fd']}") if "dst_dir_fd" in options else ""
        if f"{folder}/{target}".endswith(layout.data_file(*place)):
            raise OSError("killed")
        real(source, target, **options)

    with patch.object(os, "rename", rename if killed else real):
        run(scene, catalog=catalog)
    if not killed:
        file.write_bytes(older)
    for region in REGIONS:
        (scene.raw / "regions" / region / f"{place[1]}.csv").unlink()
    for _ in range(2):
        named, _told = _outcome(scene)
        if named != (set() if killed else {place}):
            yield f"{'a writer killed' if killed else 'an older result restored'}: {named} is named"
    with suppress(OSError):
        tree.sell(OLD[3:4])
    yield from _converges(scene, tree)


def attack(trials: int, seed: int, workdir: Path, stop_at: int | None = 20) -> Report:
    """So many trials."""
    one = _Campaign(seed, workdir)
    report = run_trials(range(trials), one.trial, stop_at)
    report.skipped += one.skipped
    report.details += one.details
    return report


def _by_path(self: InputRoot) -> int:
    fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
    _opened.append(fd)
    if len(_opened) > 100:
        os.close(_opened.pop(0))
    return fd


def _orphaned(_: object, __: object, found: int, ___: int) -> None:
    if not found:
        raise JobSkipped("orphaned")


def _computed(self: Any, source: Any, found: int, planned: int) -> None:
    if not found:
        _require_files(self, source, found, planned)


def _nothing(*_: object) -> None: ...


_opened: list[int] = []
_require_files = Job.require_files

MUTANTS: dict[str, Mutant] = {
    # Removes the failure of a planned day whose files are gone.
    "orphaned without a commit": without({"tasks.compute.job.Job.require_files": _orphaned}),
    # Removes the comparison with how many files the plan saw.
    "fewer files than planned": without({"tasks.compute.job.Job.require_files": _computed}),
    # Removes the descriptor, and with it the look whether the path leads to what it holds.
    "input root by path": without(
        {"state.inputs.root.InputRoot.fd": property(_by_path), "state.inputs.root.InputRoot.check": _nothing}
    ),
    # Removes that look alone: a reader that is given paths reads what took the root's place.
    "input root not looked at again": without({"state.inputs.root.InputRoot.check": _nothing}),
    # Removes the refusal of plans that would compute many days from fewer files.
    "fewer files accepted": without({"state.planner.fewer_files.refusal": _nothing}),
    # Removes the look at what once stood where no run can compute it anew.
    "older result believed": without({"tasks.older_results._read": lambda *_: {}}),
    # Removes the difference between what was to be published and what was.
    "mark taken for published": without({"state.store.local.day_lock.HighWater.published": HighWater.generation}),
}

CAMPAIGN = Campaign(
    "vanishing-inputs",
    "The input root renamed, replaced by an empty folder or half a copy, mounted over and unmounted, a region or "
    "the source gone, at any call of a run; older results restored from a backup",
    "3, 5, 7, 10",
    attack,
    trials=300,
    seed=8,
    shorts={"": Short(21, at_least=15, met={"failed days": 1})},
    mutants={name: Hunt(150, 150, slow=name == "fewer files accepted") for name in MUTANTS},
    protections=MUTANTS,
)
