"""Days whose results have the type that polars infers: one version never has two schemas, and no day is lost.

Values arrive and change, runs are forced, versions raised. After each run the files are read by polars and pyarrow
directly.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from flows.report.models import DailyReport
from state.result.schemas import Schemas, VersionSchemas
from state.store.footer_cache import FooterCache
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tests.chaos.campaign import Campaign, Hunt, Mutant, Report, Short, replaced, run_trials, without
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene

NAME = "latest"
DAYS = ("1", "2", "3", "4")
VALUES: Mapping[str, tuple[object, ...]] = {"Int64": (1, 2), "Float64": (1.5, 2.5), "String": ("x",), "Null": (None,)}
_WEIGHTS = (5, 3, 1, 1)
RUNS = 5


@cache
def catalog(version: int) -> Catalog:
    """One aggregation whose result has the type that polars infers."""

    @aggregation(Source("values/{day:int}.ndjson"), version=version)
    def latest(values: pl.LazyFrame) -> pl.LazyFrame:
        """The value."""
        return values

    one = declared(latest)
    assert one
    return {NAME: one}


@dataclass(frozen=True)
class Result:
    """What a reader finds in a day's place."""

    version: int
    dtype: str
    value: object
    content: bytes


def _results(scene: Scene) -> dict[str, Result]:
    found = {}
    for _, day, path in scene.results():
        content = path.read_bytes()
        frame = pl.read_parquet(content, hive_partitioning=False)
        version = json.loads(pq.read_metadata(path).metadata[b"noonmark"])["version"]
        found[day] = Result(version, str(frame.dtypes[0]), frame.item(), content)
    return found


def _judged(
    scene: Scene, version: int, drawn: Mapping[str, tuple[str, object]], before: Mapping[str, Result], done: DailyReport
) -> Iterator[str]:
    """What is wrong with an output after a run of ``version``; ``drawn`` are the days' types and values."""
    after = _results(scene)
    types: dict[int, set[str]] = {}
    for one in after.values():
        types.setdefault(one.version, set()).add(one.dtype)
    yield from (f"version {one} has {sorted(some)}" for one, some in types.items() if len(some) > 1 or "Null" in some)
    if len(types) == 1:
        try:
            if pl.read_parquet(scene.output / NAME).height != len(after):
                yield "a reader of the folder does not find all days"
        except PolarsError as error:
            yield f"a reader of the folder fails: {error}"
    failed = {one.day: one for one in done.failed}
    for day, (dtype, value) in drawn.items():
        if day not in failed:
            if (found := after.get(day)) is None or (found.version, found.dtype, found.value) != (
                version,
                dtype,
                value,
            ):
                yield f"day {day} is {found}, not {value!r} of version {version}, and did not fail"
            continue
        others = [one for some in (before, after) for other, one in some.items() if other != day]
        if failed[day].kind != "schema":
            yield f"day {day} failed: {failed[day]}"
        if dtype != "Null" and not any(one.version == version and one.dtype != dtype for one in others):
            yield f"day {day} failed though no other day of version {version} differs: {failed[day].error}"
        if after.get(day) != before.get(day):
            yield f"day {day} failed, and what stood there does not stand"


def trial(workdir: Path, seed: int, number: int, report: Report | None = None) -> Iterator[str]:
    """Some runs over days that change; at last all are whole numbers of a raised version, and nothing fails."""
    chance = random.Random(f"{seed} {number}")
    scene = Scene(workdir / f"raw{number}", workdir / f"output{number}")
    (scene.raw / "values").mkdir(parents=True)
    version, drawn = 1, dict[str, tuple[str, object]]()
    for turn in range(RUNS):
        last = turn == RUNS - 1
        version += last or (turn > 0 and chance.random() < 0.2)
        for day in DAYS if last else chance.sample(DAYS, chance.randint(1, len(DAYS))):
            (dtype,) = ("Int64",) if last else chance.choices(list(VALUES), _WEIGHTS)
            drawn[day] = dtype, chance.choice(VALUES[dtype])
            (scene.raw / f"values/{day}.ndjson").write_text(json.dumps({"value": drawn[day][1]}) + "\n")
        before = _results(scene)
        done = run(scene, version=version, force=chance.random() < 0.2, catalog=catalog)
        yield from (f"seed {seed}, run {turn + 1}: {wrong}" for wrong in _judged(scene, version, drawn, before, done))
        if last:
            yield from (f"seed {seed}, at last: {one}" for one in done.failed)
        if report:
            report.details["results committed"] += len(done.committed)
            report.details["results refused"] += len(done.failed)


def attack(trials: int, seed: int, workdir: Path, first: int = 0, stop_at: int | None = 20) -> Report:
    """Every trial has an output of its own; footers are known from the second run on."""
    met = Report()
    with replaced("state.store.footer_cache.RECENT_NS", -(10**10)):
        numbers = range(first, first + trials)
        report = run_trials(numbers, lambda number: trial(workdir, seed, number, met), stop_at=stop_at)
    report.details = met.details
    return report


_settled, _known = VersionSchemas.settled, FooterCache.known


def _settled_by_all(self: VersionSchemas, but: str = "") -> Any:
    return _settled(self)


def _known_without_schema(self: FooterCache, *place: Any) -> Any:
    found = _known(self, *place)
    return replace(found, schema="") if found else None


def _nothing(*_: object) -> None: ...


MUTANTS: dict[str, Mutant] = {
    # Removes the comparison.
    "schema not compared": without({"state.result.schemas.VersionSchemas.refusal": _nothing}),
    # Removes the refusal of columns that are all null: a first one settles no type for all others.
    "a column without a type allowed": without({"state.result.schemas.untyped": _nothing}),
    # Removes the commits of earlier runs from the comparison.
    "earlier commits not compared": without({"flows.planned_run.Schemas": lambda _: Schemas()}),
    # Removes the schema from what is known of a footer.
    "schema not kept with the footer": without({"state.store.footer_cache.FooterCache.known": _known_without_schema}),
    # Removes the exception of the day itself: the only day of a version can never change its type.
    "a day held against itself": without({"state.result.schemas.VersionSchemas.settled": _settled_by_all}),
}

CAMPAIGN = Campaign(
    "schema-changes",
    "Days whose values change their type or are all null, forced runs, raised versions: judged by other readers of "
    "the same files",
    "9, 10",
    attack,
    trials=1_000,
    seed=20261126,
    shorts={"": Short(10, met={"results committed": 11, "results refused": 11})},
    mutants=dict.fromkeys(MUTANTS, Hunt(200, 60)),
    protections=MUTANTS,
)
