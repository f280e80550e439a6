"""Files that change while they are read, and a failing day: a result is of old files or of new ones, never of both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import polars as pl
from polars.exceptions import PanicException

from state.inputs import files as inputs
from state.inputs.files import FileStat
from state.store.local import layout
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.source import Source
from tasks.reading import day_input as intake
from tests.chaos.campaign import NotStruck
from tests.chaos.harness import scene as scenes
from tests.chaos.harness.file_calls import of_files
from tests.chaos.harness.invariants import whole
from tests.chaos.harness.runs import Told
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import DAY, NEXT_DAY, Base, Bases
from tests.chaos.harness.tracing import Point, list_calls, stop_and_wake
from tests.chaos.harness.worker import Worker, call, mend_in_child, run_in_child

_TICK_NS = 2_000_000_000
"""The coarsest tick of a file system in use (FAT)."""
_SAME_SIZE = (7, 6)
_OTHER_SIZE = (500, 600, 700)
_EVENT = b'{"shop":"north","items":1,"text":"some text to fill up the line"}\n'
_EVENTS, _LEFT = 250_000, 10
"""How many events a large file has, and how many once it is truncated: readers do not read so far ahead."""


def _replace(scene: Scene) -> None:
    """Another file under the same name."""
    path = scene.raw / "sales" / f"{DAY}.csv"
    path.rename(scene.raw / "former")
    scene.sell(DAY, *_OTHER_SIZE)


def _truncate(scene: Scene) -> None:
    """The same file, cut short behind a line."""
    path = scene.raw / "sales" / f"{DAY}.csv"
    os.truncate(path, len("".join(path.read_text().splitlines(keepends=True)[:2])))


def _delete(scene: Scene) -> None:
    (scene.raw / "sales" / f"{DAY}.csv").unlink()


def _edit_in_silence(scene: Scene) -> None:
    """The same file with the same size and the old mtime, as ``cp -p`` leaves it."""
    path = scene.raw / "sales" / f"{DAY}.csv"
    before = path.stat()
    scene.sell(DAY, *_SAME_SIZE)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


_CHANGES: tuple[Callable[[Scene], None], ...] = (_replace, _truncate, _delete, _edit_in_silence)


def changes(bases: Bases, mutants: tuple[str, ...]) -> list[tuple[str, Callable[[], list[str]]]]:
    """One job for each call on the raw files and each way to change them there."""
    base = bases.built["changed day"]
    with bases.copy(base, own_input=True) as scene:
        worker = Worker(run_in_child, scene, {}, mutants=mutants)
        points = list(of_files(list_calls(worker, bases.folder / "calls"), bases.folder, "/raw"))

    def job(point: Point, change: Callable[[Scene], None]) -> tuple[str, Callable[[], list[str]]]:
        name = f"{change.__name__.strip('_')} at {point} [{point.line[:120]}]"
        return name, lambda: _change_at(bases, base, mutants, point, change)

    return [job(point, change) for point in points for change in _CHANGES if point.call != "close"]


def _change_at(
    bases: Bases, base: Base, mutants: tuple[str, ...], point: Point, change: Callable[[Scene], None]
) -> list[str]:
    with bases.copy(base, own_input=True) as scene:
        before = scene.expected()
        worker = Worker(run_in_child, scene, {}, mutants=mutants)
        in_time = stop_and_wake(worker, point, bases.folder / "log", lambda: change(scene))
        if not in_time or worker.process.exitcode != 0:
            return [f"the worker ended with {worker.process.exitcode}"]
        wrong = [f"at once: {one}" for one in whole(scene, base.old, scene.expected(), {}, (), before)]
        if change is _delete:
            scene.sell(DAY, *_OTHER_SIZE)
        return wrong + [f"after one more run: {one}" for one in call(mend_in_child, scene, 1, mutants=mutants)]


@contextmanager
def _coarse() -> Iterator[None]:
    """A file system with times of two seconds and without inodes."""

    def rounded(path: str, now: os.stat_result) -> FileStat:
        mtime_ns, ctime_ns = (ns // _TICK_NS * _TICK_NS for ns in (now.st_mtime_ns, now.st_ctime_ns))
        return FileStat(path, now.st_size, mtime_ns, ctime_ns, 0)

    def compare(file: FileStat, now: os.stat_result) -> None:
        if file != rounded(file.path, now):
            raise inputs.InputChanged(file.path)

    with patch.object(FileStat, "of", staticmethod(rounded)), patch.object(inputs, "_compare", compare):
        yield


def run_on_coarse_clock(scene: Scene, options: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """One run over files with coarse times."""
    with _coarse():
        return run_in_child(scene, options, told)


def mend_on_coarse_clock(scene: Scene, version: int, told: Told) -> list[str]:
    """One more such run, and what is wrong then."""
    with _coarse():
        return mend_in_child(scene, version, told)


def coarse_clock(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """A file that is edited within the tick in which it was read, as long as it was: only its bytes tell."""
    base = bases.built["first run"]
    with bases.copy(base, own_input=True) as scene:
        while time.time_ns() % _TICK_NS > _TICK_NS // 10:
            time.sleep(0.005)
        scene.sell(DAY, 6, 7)
        worker = Worker(run_on_coarse_clock, scene, {}, mutants=mutants)
        seal = Point("pwrite64", 1)  # the input was read before it
        try:
            stop_and_wake(worker, seal, bases.folder / "log", lambda: scene.sell(DAY, *_SAME_SIZE))
        except NotStruck:
            return ["the run ended before its seal"]
        return list(call(mend_on_coarse_clock, scene, 1, mutants=mutants))


def run_into_panic(scene: Scene, _: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """One run with an aggregation that panics on the second day, as polars itself does now and then."""
    catalog = scenes.catalog(1)
    totals = catalog["totals"].function

    def panicking(sales: pl.LazyFrame) -> pl.LazyFrame:
        if sales.select(pl.col("items").min()).collect().item() >= 4:
            raise PanicException("index out of bounds")
        return totals(sales)

    with _function(catalog["totals"], panicking):
        return run_in_child(scene, {}, told)


@contextmanager
def _function(aggregation: Any, function: Callable[..., pl.LazyFrame]) -> Iterator[None]:
    kept = aggregation.function
    object.__setattr__(aggregation, "function", function)  # it is frozen
    try:
        yield
    finally:
        object.__setattr__(aggregation, "function", kept)


def panic(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """One bad result harms one result: the others of its day and all other days are committed, and it is named."""
    base = bases.built["new day"]
    with bases.copy(base) as scene:
        worker = Worker(run_into_panic, scene, {}, mutants=mutants)
        worker.let_go()
        worker.wait()
        if not worker.ended_well:
            return [f"the run broke: {worker.error}"]
        failed = [(one["aggregation"], one["day"]) for one in worker.result["failed"]]
        wrong = [] if failed == [("totals", NEXT_DAY)] else [f"{failed} failed instead of one day of totals"]
        if [one[:2] for one in worker.told] != [("items_by_shop", NEXT_DAY)]:
            wrong.append(f"{worker.told} was committed instead of the other result of that day")
        return wrong + list(call(mend_in_child, scene, 1, mutants=mutants))


def run_over_large(scene: Scene, _: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """One run over a day that stays on disk, and is cut short while polars reads it: its first rows are there."""
    path = scene.raw / "events" / f"{DAY}.ndjson"

    def cut_off(events: pl.DataFrame) -> pl.DataFrame:
        if path.stat().st_size > _LEFT * len(_EVENT):
            os.truncate(path, _LEFT * len(_EVENT))
        return events

    @aggregation(Source("events/{day}.ndjson"))
    def counted(events: pl.LazyFrame) -> pl.LazyFrame:
        """Events and their items."""
        return events.map_batches(cut_off, streamable=True).select(pl.len(), pl.col("items").sum())

    found = declared(counted)
    assert found
    with patch.object(intake, "KEEP_BYTES", 1 << 20):
        return run_in_child(scene, {"catalog": lambda _: {found.name: found}}, told)


def cut_short(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """A large file that is cut short under its reader: the run lives, and its result is of what was left."""
    with bases.copy(bases.built["first run"], own_input=True) as scene:
        (scene.raw / "events").mkdir()
        (scene.raw / "events" / f"{DAY}.ndjson").write_bytes(_EVENT * _EVENTS)
        worker = Worker(run_over_large, scene, {}, mutants=mutants)
        worker.let_go()
        worker.wait()
        if not worker.ended_well:
            return [f"the worker ended with {worker.process.exitcode}: {worker.error}"]
        if failed := worker.result["failed"]:
            return [f"it was not begun anew: {failed}"]
        rows = pl.read_parquet(scene.output / layout.data_file("counted", DAY), hive_partitioning=False).rows()
        return [] if rows == [(_LEFT, _LEFT)] else [f"the result is {rows}, of {_LEFT} events that were left"]
