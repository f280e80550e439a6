"""Races of writers that need no stop at a system call: threads, leases, eight at once, two versions at once.

Each is one trial: it takes the situations and the mutants, and returns what was broken.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import redis

from state.filesystem.folder import Folder
from state.index import keys as index_keys
from state.index import leases
from state.index.connection import Connection
from state.index.lease_owner import new_token
from state.index.leases import Leases
from state.inputs.root import InputRoot
from state.planner.decide import Item
from state.store.local import day_lock
from state.store.local.root import find_store
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed
from tests.chaos.harness import scene as scenes
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import Told, run
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import DAY, Bases, Situation
from tests.chaos.harness.tracing import STOP, Point, let_go_until, wait_stopped
from tests.chaos.harness.worker import DEADLINE, Worker, call, inspect_in_child, mend_in_child, run_in_child

_LATER = (20, 30, 40)
_WRITERS = 8
_ROUNDS = 3
MANY = Situation("many days", {}, {f"2024-02-0{at}": (at, at + 1) for at in range(1, 7)})


def _together(
    scene: Scene, versions: list[int], mutants: tuple[str, ...]
) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Let workers of these versions run at once; how often each result was told, and who did not end well."""
    workers = [Worker(run_in_child, scene, {"version": version}, mutants=mutants) for version in versions]
    for worker in workers:
        worker.let_go()
    wrong = []
    for worker in workers:
        if not worker.wait():
            wrong.append(f"one of {len(workers)} did not end in {DEADLINE:g} s")
        elif not worker.ended_well or worker.result["failed"]:
            wrong.append(f"one of {len(workers)} failed: {worker.error or worker.result['failed']}")
    return Counter((name, day) for worker in workers for name, day, _ in worker.told), wrong


def eight_at_once(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """Eight runs over one new output commit each result once, and what stands is right."""
    with bases.copy(bases.built[MANY.name]) as scene:
        told, wrong = _together(scene, [1] * _WRITERS, mutants)
        wrong += [f"{name} {day} was committed {times} times" for (name, day), times in told.items() if times > 1]
        wrong += call(inspect_in_child, scene, 1, mutants=mutants)
        return wrong


def two_versions(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """Old and new code at once, again and again: the new one's results stand, and nobody replaces them any more."""
    wrong = []
    with bases.copy(bases.built[MANY.name]) as scene:
        for turn in range(_ROUNDS):
            told, failed = _together(scene, [1, 2, 1, 2], mutants)
            wrong += failed
            wrong += [f"round {turn}: {one}" for one in call(inspect_in_child, scene, 2, mutants=mutants)]
            if turn and told:
                wrong.append(f"round {turn}: {sum(told.values())} results were replaced that were done")
    return wrong


def foreign_lease(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """A run that lost its lease while it was stopped leaves the lease of its successor alone."""
    with (
        bases.copy(bases.built["changed day"], lease_seconds=1) as scene,
        redis.Redis.from_url(bases.redis_url) as client,
    ):
        worker = Worker(run_in_child, scene, {}, mutants=mutants)
        log = bases.folder / "log"
        tracer = let_go_until(worker, Point("renameat", 1), STOP, log)
        if not wait_stopped(worker, log=log):
            return ["the worker ended before it renamed anything"]
        names = [index_keys.lease(scene.namespace, name, DAY) for name in ("items_by_shop", "totals")]
        token = new_token()
        for name in names:
            while not client.set(name, token, nx=True, ex=60):
                pass  # until the stopped one's lease has run out
        os.kill(worker.pid, signal.SIGCONT)
        worker.wait()
        tracer.wait()
        wrong = [f"{name} was taken from its holder" for name in names if client.get(name) != token]
        client.delete(*names)
        return wrong + list(call(mend_in_child, scene, 1, mutants=mutants))


def hanging_holder(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """A run that hangs keeps its leases for a bounded time, and others from its days for one lifetime."""
    with bases.copy(bases.built["changed day"], lease_seconds=1) as scene:
        return list(call(run_beside_a_hanging_holder, scene, {}, mutants=mutants))


def run_beside_a_hanging_holder(scene: Scene, _: Mapping[str, Any], told: Told) -> list[str]:
    """What a process runs: somebody takes all days of the scene and settles none of them."""
    places = [(name, DAY) for name in ("items_by_shop", "totals")]
    names = [index_keys.lease(scene.namespace, *place) for place in places]
    wrong = []
    with redis.Redis.from_url(scene.redis_url) as client:
        holder = Leases(Connection(scene.redis_url), scene.namespace, scene.lease_seconds)
        with patch.object(leases, "STALLED_LIFETIMES", 2):
            holder.acquire(places)
            if not _comes_true(lambda: not client.exists(*names), 6):
                wrong.append("its leases were renewed for ever")
        holder.acquire(places)
        began = time.monotonic()
        failed = run(scene, told=told).to_json()["failed"]
        wrong += [f"beside it, a run failed: {one}" for one in failed]
        if time.monotonic() - began > 6:
            wrong.append("a run waited for it for longer than a lease lasts")
        holder.close()
        return wrong + inspect(scene, 1)


def _comes_true(condition: Callable[[], object], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def two_threads(bases: Bases, mutants: tuple[str, ...]) -> list[str]:
    """While one thread publishes a day, another thread of the same process does not."""
    with bases.copy(bases.built["changed day"], own_input=True) as scene:
        second = call(publish_in_two_threads, scene, {}, mutants=mutants)
        wrong = []
        if second:
            wrong = [f"the second thread committed, then: {one}" for one in call(inspect_in_child, scene, 1)]
            wrong = [one for one in wrong if " holds " in one]
        return wrong + list(call(mend_in_child, scene, 1, mutants=mutants))


def publish_in_two_threads(scene: Scene, _: Mapping[str, Any], __: Told) -> bool:
    """What a process runs: one thread waits in the middle of its publication while another computes newer input.

    Returns whether the other one committed.
    """
    root = find_store(scene.output)
    assert root is not None
    run = RunContext(scenes.catalog(), InputRoot(scene.raw), root)
    items = [
        Item(name, DAY, "changed", getattr(getattr(found[DAY], "record", None), "nonce", ""))
        for name, found in root.scan().days.items()
    ]
    inside, done = threading.Event(), threading.Event()
    make = Folder.make
    outcomes: list[Any] = []

    def wait_inside(folder: Folder, path: str) -> None:
        make(folder, path)
        if "/day=" in path and threading.current_thread() is first and not inside.is_set():
            inside.set()
            done.wait(DEADLINE)

    first = threading.Thread(target=lambda: list(compute(run, items)))
    with patch.object(Folder, "make", wait_inside), patch.object(day_lock, "LOCK_DEADLINE_SECONDS", 0.3):
        first.start()
        inside.wait(DEADLINE)
        scene.sell(DAY, *_LATER)
        second = threading.Thread(target=lambda: outcomes.extend(compute(run, items)))
        second.start()
        second.join(DEADLINE)
        done.set()
        first.join(DEADLINE)
    held = items[0].aggregation  # the day's lock is one of each aggregation, and the first thread was in this one's
    return any(isinstance(one, Committed) and one.aggregation == held for one in outcomes)
