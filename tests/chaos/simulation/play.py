"""Plays a schedule on the stage, and asks whether the promises held."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from state.result.record import CommitRecord, SourceRecord
from tests.chaos.simulation.events import Event, Happenings
from tests.chaos.simulation.schedule import Schedule, Worker
from tests.chaos.simulation.stage import Stage
from tests.chaos.simulation.world.results import pack, rows_of
from tests.chaos.simulation.world.scheduler import Endless, Process, Scheduler
from tests.chaos.simulation.world.stubs import ROOT_ID, SETTINGS, WITHOUT_REDIS, declare

Trace = Callable[[str], None]
"""Takes what happens, line by line."""


class Play:
    """One schedule on the stage. ``trace`` is told of its events."""

    def __init__(self, stage: Stage, schedule: Schedule, trace: Trace | None = None) -> None:
        self.stage, self.schedule, self.trace = stage, schedule, trace
        self.happenings = Happenings(stage, schedule.aggregations, self._start)
        self.happenings.trace = trace
        events = [(event.step, partial(self.happenings.happen, event)) for event in schedule.events]
        self.scheduler = Scheduler(schedule.number ^ 0x5EED, schedule.quantum, events, schedule.turns)
        stage.reset(self.scheduler, schedule.tick_ns, grouped=schedule.grouped, lock_ranges=schedule.lock_ranges)
        stage.watch.faulty = schedule.faulty
        stage.watch.leasing = schedule.redis
        stage.settings = SETTINGS if schedule.redis else WITHOUT_REDIS
        versions = {1, *(one.version for one in schedule.workers)}
        stage.catalogs = {version: declare(list(schedule.aggregations), version) for version in versions}
        for at, word in enumerate(schedule.standing, 1):
            self._lay_out(str(at), word, random.Random(f"{schedule.number} {at}"))

    def run(self) -> list[str]:
        """Play it; what it broke."""
        watch = self.stage.watch
        try:
            for worker in self.schedule.workers:
                self._process(worker)
            self.scheduler.run()
            if watch.broken:
                return watch.broken
            versions = dict.fromkeys(self.schedule.aggregations, self.schedule.newest)
            if self.schedule.calm and self.schedule.redis:
                watch.index_is_right(self.stage.server.data, versions, "after all runs")
            self._last_run(versions)
        except Endless:
            watch.say(12, "it does not come to its end")
        except Exception as error:  # noqa: BLE001 whatever breaks a run is a finding
            watch.say(10, f"{self.scheduler.current.name} breaks: {type(error).__name__}: {error}")
        return watch.broken

    def _process(self, worker: Worker) -> Process:
        work = partial(self.stage.work, runs=worker.runs)
        return self.scheduler.process(worker.name, worker.version, work, worker.delay_ns)

    def _start(self, event: Event) -> None:
        rng = random.Random(event.draw)
        self._process(Worker.drawn(f"late{event.step}", rng.choice(self.schedule.workers).version, rng))

    def _lay_out(self, day: str, word: str, rng: random.Random) -> None:
        """What there is of a day in the beginning."""
        stage = self.stage
        stage.inputs.write(day, 1 + (rng.random() < 0.25), old=True)
        if word == "nothing":
            return
        for aggregation in self.schedule.aggregations:
            content = self._result(aggregation, day)
            if word == "damaged":
                content = content[: len(content) // 2]
            node = stage.storage.disk.put(f"{aggregation}/day={day}/data.parquet", content, self.scheduler.now)
            if word == "damaged":
                stage.watch.damaged_before(node)
        if word == "older":
            stage.inputs.write(day, 1, old=rng.random() < 0.5)

    def _result(self, aggregation: str, day: str) -> bytes:
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
        if self.trace:
            self.trace("faults have stopped: the last run, alone")
        self.scheduler.quantum = 1000.0
        process = self._process(Worker("last", self.schedule.newest, 1, 0))
        self.scheduler.run()
        if "error" not in process.seen:
            stage.watch.converged(versions)
            if self.schedule.redis and bound == ROOT_ID.encode():
                stage.watch.index_is_right(stage.server.data, versions, "after the last run")
