"""Puts the simulated storage, Redis, input and clock under the real modules, for the time of a campaign.

What runs is ``flows.planned_run.run`` with all that it calls: planner, commit protocol, index and leases. Only polars,
Parquet, Prefect's tasks and the way to the root are replaced.
"""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import flows.planned_run
import flows.repair
from state.errors import IndexUnavailable, StorageError
from state.filesystem.folder import Folder
from state.partition import Partition
from state.planner.plan import Selection
from state.result.classify import Commit
from state.store.base import Staged, Token
from state.store.local import layout
from state.store.local.store import LocalStore
from tasks import survey
from tasks.compute import runner as batches
from tasks.compute.outcomes import Failed, Outcome, Skipped
from tests.chaos.simulation.invariants import Watch
from tests.chaos.simulation.world import results as light
from tests.chaos.simulation.world.disk import Node
from tests.chaos.simulation.world.inputs import Inputs
from tests.chaos.simulation.world.locks import Locks
from tests.chaos.simulation.world.redis import Server
from tests.chaos.simulation.world.scheduler import Process, Scheduler
from tests.chaos.simulation.world.storage import ROOT_FD, Storage
from tests.chaos.simulation.world.stubs import (
    ROOT_ID,
    SETTINGS,
    Nonces,
    Runner,
    none_of,
    nothing,
    standing_in,
)
from tests.chaos.simulation.world.threads import Clock, Threading

_EXPECTED = (StorageError, OSError, IndexUnavailable)


@dataclass(frozen=True, slots=True)
class WatchedStore(LocalStore):
    """The real store. The stage is told of every token that a run reads, and of what it commits."""

    watched_by: Stage

    def token(self, partition: Partition) -> Token:
        """As ``LocalStore.token``."""
        token = LocalStore.token(self, partition)
        self.watched_by.note(f"has read the token of {' '.join(partition)}: {token.identity or 'nothing'}")
        self.watched_by.scheduler.current.seen["tokens"][partition] = token
        return token

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        """As ``LocalStore.commit``."""
        answers = LocalStore.commit(self, group, verify)
        for staged, answer in zip(group, answers, strict=True):
            if isinstance(answer, Commit):
                self.watched_by.watch.report(staged.partition, answer.record.generation)
        return answers


class Stage:
    """The simulated parts, and what stands in for the rest. One schedule after the other is played on it."""

    scheduler: Scheduler
    watch: Watch

    def __init__(self) -> None:
        self.storage = Storage()
        self.locks = Locks(self.storage)
        self.inputs = Inputs(self._look)
        self.server = Server()
        self.clock, self.threading, self.nonces = Clock(), Threading(), Nonces()
        self.catalogs: Mapping[int, Any] = {}
        self.settings = SETTINGS

    def reset(self, scheduler: Scheduler, tick_ns: int, *, grouped: bool, lock_ranges: bool) -> None:
        """An empty world. ``grouped``: the days of a run are computed together. ``lock_ranges``: as in a marker."""
        batches.SINGLE_DAYS, batches.TASKS, batches.TURNS = (0, 1, 1) if grouped else (1, 100, 4)
        self.lock_ranges = lock_ranges
        self.scheduler = self.clock.scheduler = self.threading.scheduler = scheduler
        self.nonces.count = 0
        self.storage.reset(scheduler, self.inputs_watch(scheduler, tick_ns), tick_ns)
        self.watch.disk = self.storage.disk
        self.watch.bound = self._foreign
        self.server.reset(scheduler, self.watch)
        for folder in ("tmp", "locks", "set_aside"):
            self.storage.disk.folder(f"_noonmark/{folder}")

    def inputs_watch(self, scheduler: Scheduler, tick_ns: int) -> Watch:
        """New inputs, and who watches."""
        self.inputs.reset(scheduler, tick_ns)
        self.watch = Watch(scheduler, self.inputs)
        return self.watch

    def _look(self, call: str, path: str) -> None:
        self.scheduler.step()
        if self.watch.fault is not None:
            self.watch.failing(call, path)

    def note(self, text: str) -> None:
        """Something that a story should tell of the worker that runs now."""

    # A worker

    def work(self, process: Process, runs: int) -> None:
        """Run ``daily`` so many times."""
        for _ in range(runs):
            seen = process.seen = {"foreign": self._foreign(), "tokens": {}, "outcomes": []}
            self.note("its run begins")
            try:
                flows.planned_run.run(self.settings, self.catalogs[process.version], Selection(), 1)
            except _EXPECTED as error:
                seen["error"] = error
                self.note(f"its run ends with {type(error).__name__}: {error}")
                if not self.watch.faulty:
                    self.watch.say(10, f"{process.name} ends with {type(error).__name__}: {error}")
            else:
                self.note("its run ends well")
                self._reported(process)
            if process.descriptors:
                self.watch.say(12, f"{process.name} leaves files open after its run")
        self.storage.close_all(process)

    def mend(self, process: Process) -> None:
        """Run ``repair --deep`` once, beside the others."""
        process.seen = {"foreign": self._foreign(), "tokens": {}}
        with suppress(*_EXPECTED):
            flows.repair.repair_output(
                self.settings, self.catalogs[process.version], deep=True, accept=False, dry_run=False
            )
        self.storage.close_all(process)

    def _foreign(self) -> bytes:
        bound = self.server.data.get(b"noonmark:root")
        return bound if isinstance(bound, bytes) and bound != ROOT_ID.encode() else b""

    def _reported(self, process: Process) -> None:
        """Remember what a run that ended well told of: all that it saw done."""
        seen, plan = process.seen, process.seen["survey"].plan
        planned = {(item.aggregation, item.day) for item in plan.items}
        for aggregation, days in seen["survey"].output.days.items():
            for day, found in days.items():
                if isinstance(found, Commit) and (aggregation, day) not in planned:
                    self.watch.report((aggregation, day), found.record.generation)
        for one in seen["outcomes"]:
            place = (one.aggregation, one.day)
            if isinstance(one, Skipped) and one.status == "done":
                self.watch.report(place, seen["tokens"][place].found.record.generation)
            elif isinstance(one, Failed) and not self.watch.faulty and not self._excused(one, seen):
                self.watch.say(10, f"{process.name} fails {place} without a fault: {one.kind}: {one.error}")
            elif isinstance(one, Failed) and one.kind == "broken" and not process.seen.get("met"):
                self.watch.say(10, f"{process.name} breaks on {place}: {one.error}")

    @staticmethod
    def _excused(failed: Failed, seen: dict[str, Any]) -> bool:
        """An input that never rests or lost files, or a lock whose holder stood still."""
        lost = failed.kind == "input" and "gone since the plan was made" in failed.error
        return lost or failed.kind == "unsettled" or (failed.kind == "storage" and "waited" in seen)

    # What stands in for the rest

    def survey(self, *arguments: Any) -> Any:
        """The real survey; what it finds is kept for the properties."""
        process = self.scheduler.current
        found = process.seen["survey"] = survey.survey(*arguments)
        unread = process.seen.get("unread")
        if unread is not None:
            self.watch.planned_unread(unread, found)
        return found

    def compute_all(self, *arguments: Any) -> list[Outcome]:
        """The real loop; what becomes of the results is kept for the properties."""
        outcomes = self.scheduler.current.seen["outcomes"] = batches.compute_all(*arguments)
        return outcomes

    def is_dead(self, token: bytes) -> bool:
        """Whether the holder of a lease is known to be dead: one that ran on this machine."""
        name = token.partition(b"|")[0].decode("ascii", "replace")
        return any(one.name == name and not one.alive and one.is_local for one in self.scheduler.processes)

    def new_token(self) -> bytes:
        """A token that names its process."""
        return f"{self.scheduler.current.name}|{self.nonces.uuid4().hex}".encode()

    def opened_store(self, *_: object, **options: object) -> WatchedStore:
        """The output, which is there and marked."""
        folder = Folder(ROOT_FD, SETTINGS.output, lock_ranges=self.lock_ranges)
        return WatchedStore(folder, ROOT_ID, self)

    def is_locked(self, partition: Partition) -> bool:
        """Whether a worker holds the lock of a day."""
        if not self.lock_ranges:
            own = self.storage.disk.find(layout.lock_file(*partition))
            return own is not None and own.holder is not None
        path, start = layout.lock_slot(*partition)
        shared = self.storage.disk.find(path)
        return shared is not None and shared.holder_of(start, start + layout.SLOT) is not None

    def _node(self, fd: int) -> Node:
        return self.storage.table[fd].node

    def replacements(self) -> dict[str, object]:
        """Everything that is put under the real modules."""
        storage = self.storage
        found = standing_in("state.filesystem", os=storage, fcntl=self.locks, ctypes=storage)
        found |= standing_in("state.store.local", uuid=self.nonces)
        classify = light.classify_with(lambda fd: storage.pread(fd, 1 << 20, 0), self._node)
        return found | {
            "state.clock.time": self.clock,
            "state.turns.PATIENCE_SECONDS": 0,  # who has the turn may stand still in this world
            "state.result.verify.broken_seal": nothing,
            "state.threads.WORTH_A_THREAD_SECONDS": math.inf,
            "tasks.deep_check.edited_inputs": none_of,
            "state.filesystem.file_locks._open_here": set(),
            "state.filesystem.file_locks._SET_RANGE": 37,
            "state.result.classify.classify": classify,
            "state.index.best_effort.Connection": lambda _: self.server,
            "state.index.leases.threading": self.threading,
            "state.index.leases.is_dead": self.is_dead,
            "state.index.leases.new_token": self.new_token,
            "flows.opening.open_store": self.opened_store,
            "flows.planned_run.survey": self.survey,
            "flows.planned_run.compute_all": self.compute_all,
            "tasks.survey.list_source": self.inputs.list_source,
            "tasks.inputs.run_listing.list_day": self.inputs.list_day,
            "tasks.reading.day_input.read_contents": self.inputs.read_contents,
            "tasks.compute.runner.ThreadPoolTaskRunner": Runner,
            "tasks.compute.runner.SINGLE_DAYS": None,  # each schedule has its own
            "tasks.compute.runner.TASKS": None,
            "tasks.compute.runner.TURNS": None,
            "state.filesystem.flushing.AT_ONCE": 1,
            "tasks.compute.group.evaluate": light.evaluator(self._computed),
            "tasks.compute.job.arrow_table": lambda frame: frame,
            "tasks.compute.job.rows_digest": str,
            "state.result.writing.write_result": light.write_result,
            "tasks.compute.job.require_readable": nothing,
        }

    def _computed(self, aggregation: str, version: int, digest: str) -> None:
        self._look("compute", aggregation)
        self.note(f"has computed {aggregation} from {digest}")
        self.watch.computed(aggregation, version, digest)


@contextmanager
def staged() -> Iterator[Stage]:
    """A stage, with the real modules on it."""
    stage = Stage()
    log = logging.getLogger("noonmark")
    before = log.disabled
    with ExitStack() as stack:
        for target, new in stage.replacements().items():
            stack.enter_context(patch(target, new))
        gc.freeze()  # the world of each schedule is small: what was imported need not be looked through again
        stack.callback(gc.unfreeze)
        log.disabled = True
        stack.callback(setattr, log, "disabled", before)
        yield stage
