"""Draws a schedule from its number, plays it on the stage, and asks whether the promises held."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from state.result.record import CommitRecord, SourceRecord
from tests.chaos.simulation.events import FAULTS, SECOND, Event, Happenings
from tests.chaos.simulation.stage import Stage
from tests.chaos.simulation.world.results import pack, rows_of
from tests.chaos.simulation.world.scheduler import Endless, Process, Scheduler
from tests.chaos.simulation.world.stubs import ROOT_ID, SETTINGS, WITHOUT_REDIS, declare

_MOODS = (
    "change arrive start repair",
    "change touch vanish come_back pause",
    "change pause kill start",
    "power kill kill start change",
    "delete damage damage change pause start power repair",
    "redis_error redis_down redis_flush redis_save redis_restore redis_hostile redis_foreign change start repair",
    "disk_error disk_full change start damage",
    "disk_error change start damage delete kill pause power redis_error redis_hostile",
)
"""What can happen together; each schedule has one of them."""
_CALM = {"change", "arrive", "touch", "vanish", "come_back", "start", "repair", "pause"}
AT_THE_END = 1 << 30
"""The step of an event that waits until every worker has ended."""


@dataclass(frozen=True)
class Shape:
    """A schedule: everything that is not drawn while it plays."""

    number: int
    versions: tuple[int, ...]
    """Of each worker that is there from the beginning."""
    aggregations: tuple[str, ...]
    standing: tuple[str, ...]
    """What stands in each day's place in the beginning; as many days as there are words."""
    events: tuple[Event, ...]
    quantum: float
    tick_ns: int
    redis: bool
    grouped: bool
    """Whether days are computed together."""

    @property
    def faulty(self) -> bool:
        """Whether storage or Redis fails in it."""
        return any(event.kind in FAULTS for event in self.events)

    @property
    def calm(self) -> bool:
        """Whether every worker comes to its end, in its own time, and only the input changes."""
        return all(event.kind in _CALM for event in self.events)


def draw(number: int) -> Shape:
    """The schedule of this number."""
    rng = random.Random(number)
    mood = _MOODS[int(rng.random() * len(_MOODS))].split()
    workers = 2 if rng.random() < 0.7 else 3 if rng.random() < 0.7 else 4
    newest = 2 if rng.random() < 0.25 else 1
    versions = tuple(newest if rng.random() < 0.6 else 1 for _ in range(workers))
    words = ("nothing", "nothing", "current", "older", "damaged")
    standing = tuple(words[int(rng.random() * 5)] for _ in range(1 if rng.random() < 0.75 else 2))
    steps = sorted(1 + int(rng.random() * 75 * workers) for _ in range(int(rng.random() * 5.5)))
    if "power" in mood and rng.random() < 0.5:
        steps.append(AT_THE_END)
    events = [Event(step, mood[int(rng.random() * len(mood))], rng.getrandbits(30)) for step in steps]
    if steps and steps[-1] == AT_THE_END:
        events[-1] = replace(events[-1], kind="power")
    return Shape(
        number,
        versions,
        ("alpha",) if rng.random() < 0.9 else ("alpha", "beta"),
        standing,
        tuple(events),
        (1.5, 4.0, 12.0, 40.0)[int(rng.random() * 4)],
        (1_000_000, 10_000_000, 2 * SECOND)[int(rng.random() * 3)],
        rng.random() < 0.8,
        rng.random() < 0.5,
    )


class Play:
    """One schedule on the stage."""

    def __init__(self, stage: Stage, shape: Shape, trace: Callable[[str], None] | None = None) -> None:
        self.stage, self.shape = stage, shape
        self.happenings = Happenings(stage, list(shape.aggregations), self._start)
        self.happenings.trace = trace
        self.rng = random.Random(shape.number ^ 0x5EED)
        events = [(event.step, partial(self.happenings.happen, event)) for event in shape.events]
        self.scheduler = Scheduler(self.rng, shape.quantum, events)
        stage.reset(self.scheduler, shape.tick_ns, grouped=shape.grouped)
        stage.watch.faulty = shape.faulty
        stage.watch.leasing = shape.redis
        stage.settings = SETTINGS if shape.redis else WITHOUT_REDIS
        stage.catalogs = {version: declare(list(shape.aggregations), version) for version in {1, *shape.versions}}
        self._set()

    def run(self) -> list[str]:
        """Play it; what it broke."""
        watch = self.stage.watch
        try:
            for version in self.shape.versions:
                self._process(version)
            self.scheduler.run()
            if watch.broken:
                return watch.broken
            versions = dict.fromkeys(self.shape.aggregations, max(self.shape.versions))
            if self.shape.calm and self.shape.redis:
                watch.index_is_right(self.stage.server.data, versions, "after all runs")
            self._last_run(versions)
        except Endless:
            watch.say(12, "it does not come to its end")
        except Exception as error:  # noqa: BLE001 whatever breaks a run is a finding
            watch.say(10, f"{self.scheduler.current.name} breaks: {type(error).__name__}: {error}")
        return watch.broken

    def _process(self, version: int) -> Process:
        runs = 1 if self.rng.random() < 0.8 else 2
        delay = 0 if self.rng.random() < 0.6 else int(self.rng.random() * 60_000_000)
        return self.scheduler.process(version, lambda process: self.stage.work(process, runs), delay)

    def _start(self, draw: int) -> Process:
        return self._process(self.shape.versions[draw % len(self.shape.versions)])

    def _set(self) -> None:
        """What there is in the beginning."""
        stage = self.stage
        rng = self.rng
        for at, word in enumerate(self.shape.standing):
            day = str(at + 1)
            stage.inputs.write(day, 1 + (rng.random() < 0.25), old=True)
            if word == "nothing":
                continue
            for aggregation in self.shape.aggregations:
                content = self._result(aggregation, day, word)
                if word == "damaged":
                    content = content[: len(content) // 2]
                node = stage.storage.disk.put(f"{aggregation}/day={day}/data.parquet", content, self.scheduler.now)
                if word == "damaged":
                    stage.watch.damaged_before(node)
            if word == "older":
                stage.inputs.write(day, 1, old=rng.random() < 0.5)

    def _result(self, aggregation: str, day: str, word: str) -> bytes:
        stage = self.stage
        digest = stage.inputs.digest(day)
        rows = rows_of(aggregation, 1, digest)
        source = SourceRecord(1, 8, 1, digest, None)
        nonce = stage.nonces.uuid4().hex
        return pack(CommitRecord(aggregation, 1, "code", day, 1, 1, {"raw": source}, rows, {}, nonce, "before"), rows)

    def _last_run(self, versions: dict[str, int]) -> None:
        """Faults have stopped: one run, alone."""
        stage = self.stage
        stage.server.fault = stage.watch.fault = None
        stage.server.down_until = 0
        stage.watch.faulty = False
        bound = stage.server.data.get(b"noonmark:root", ROOT_ID.encode())
        stage.watch.computations.clear()
        if self.happenings.trace:
            self.happenings.trace("--- faults have stopped: the last run")
        self.scheduler.quantum = 1000.0
        process = self.scheduler.process(max(self.shape.versions), lambda one: stage.work(one, 1))
        self.scheduler.run()
        if "error" not in process.seen:
            stage.watch.converged(versions)
            if self.shape.redis and bound == ROOT_ID.encode():
                stage.watch.index_is_right(stage.server.data, versions, "after the last run")


def shrunk(stage: Stage, shape: Shape) -> Shape:
    """The schedule without what its violation does not need: events first, then workers."""
    found = True
    while found:
        found = False
        smaller = [replace(shape, events=shape.events[:at] + shape.events[at + 1 :]) for at in range(len(shape.events))]
        if len(shape.versions) > 1:
            several = range(len(shape.versions))
            smaller += [replace(shape, versions=shape.versions[:at] + shape.versions[at + 1 :]) for at in several]
        for one in smaller:
            if Play(stage, one).run():
                shape, found = one, True
                break
    return shape
