"""A Sentinel fails over to a replica that lags behind, before a run or in the middle of one.

What was acknowledged since is gone from Redis. The output is right all the same, and one repair restores the index.
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from flows.repair import repair_output
from tests.chaos.campaign import Campaign, Report, Short
from tests.chaos.harness import tracing
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.scene import DAYS, Scene, catalog
from tests.chaos.harness.worker import Worker, call, run_in_child
from tests.redis_servers import Server, client_of, free_port, started, wait_until
from tests.state.index.test_connection import started_sentinel

NEW = "2024-01-03"
BOUND = 25.0
_CALLS = ("connect", "sendto")


@dataclass(frozen=True)
class Watched:
    """A primary, its replica, and the Sentinel that watches both; ``scene`` uses them through it."""

    primary: Server
    replica: Server
    watcher: Server
    scene: Scene
    replica_port: int

    def fail_over(self) -> None:
        """The primary dies, and the replica, which was held back, takes its place."""
        self.primary.kill()
        self.replica.go_on()
        with client_of(self.watcher.url) as client:
            wait_until(lambda: int(client.sentinel_master("main")["port"]) == self.replica_port)
        with client_of(self.replica.url) as client:
            wait_until(lambda: client.info("replication")["role"] == "master")

    def wait_serving(self) -> None:
        """On a busy machine a Sentinel takes a slow answer for a death, and names no primary for a while."""
        with client_of(self.watcher.url) as client:
            wait_until(lambda: not {"s_down", "o_down"} & set(client.sentinel_master("main")["flags"].split(",")))


def watched(stack: ExitStack, folder: Path) -> Watched:
    """Start all three, commit two days, and hold the replica back from then on."""
    port, replica_port, watcher = free_port(), free_port(), free_port()
    primary = stack.enter_context(started("--port", str(port)))
    replica = stack.enter_context(started("--port", str(replica_port), "--replicaof", "127.0.0.1", str(port)))
    configuration = primary.folder / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor main 127.0.0.1 {port} 1\n"
        "sentinel down-after-milliseconds main 1500\n"
        "sentinel failover-timeout main 3000\n"
    )
    sentinel = stack.enter_context(started_sentinel(configuration, watcher))
    scene = Scene(folder / "raw", folder / "output", f"redis+sentinel://127.0.0.1:{watcher}/main", lease_seconds=2)
    for day in DAYS:
        scene.sell(day, 1, 2, 3)
    call(run_in_child, scene, {})
    with client_of(primary.url) as client, client_of(sentinel.url) as asked:
        assert client.wait(1, 10_000) == 1
        wait_until(lambda: len(asked.sentinel_slaves("main")) == 1)
    replica.stop()
    return Watched(primary, replica, sentinel, scene, replica_port)


def trial(folder: Path, point: tracing.Point | None, report: Report) -> Iterator[str]:
    """Fail over before a run, or at one call of it; yields what that broke. A run may make fewer calls than that."""
    with ExitStack() as stack:
        servers = watched(stack, folder)
        scene = servers.scene
        scene.sell(DAYS[1], 4)
        call(run_in_child, scene, {})  # the replica never hears of it
        scene.sell(DAYS[0], 5)
        scene.sell(NEW, 6)
        if point is None:
            servers.fail_over()
        worker = Worker(run_in_child, scene, {})
        began = time.monotonic()
        if point:
            tracer = tracing.let_go_until(worker, point, tracing.STOP, folder / "trace")
            if tracing.wait_stopped(worker, log=folder / "trace"):
                report.details["failed over in mid-run"] += 1
                servers.fail_over()
                began = time.monotonic()
                os.kill(worker.pid, signal.SIGCONT)
            ended = worker.wait(BOUND)
            tracer.wait()
        else:
            worker.let_go()
            ended = worker.wait(BOUND)
        if not ended:
            yield f"the run did not end within {BOUND:g} s of the failover"
        elif worker.error or worker.result["failed"]:
            yield f"the run ended after {time.monotonic() - began:.1f} s with {worker.error or worker.result['failed']}"
        yield from inspect(replace(scene, redis_url="none"))
        if servers.primary.process.poll() is None:
            servers.replica.go_on()
        servers.wait_serving()
        repair_output(scene.settings(), catalog(), deep=False, accept=False, dry_run=False)
        servers.wait_serving()
        yield from (f"after one repair: {wrong}" for wrong in inspect(scene))


def attack(trials: int, seed: int, workdir: Path) -> Report:
    """The first trial fails over before its run, each other one at a random call of it."""
    report = Report()
    began = time.monotonic()
    chance = random.Random(seed)
    for number in range(trials):
        point = tracing.Point(chance.choice(_CALLS), chance.randrange(1, 12)) if number else None
        if point and (why := tracing.lacking()):
            report.skipped[why] += 1
            continue
        folder = workdir / f"trial{number}"
        folder.mkdir()
        try:
            found = list(trial(folder, point, report))
        except Exception:  # noqa: BLE001 a trial that breaks off proves nothing
            found = [traceback.format_exc()]
        report.violations += [f"seed {seed} trial {number}, {point or 'at start'}: {wrong}" for wrong in found]
        report.trials += 1
    report.seconds = time.monotonic() - began
    return report


CAMPAIGN = Campaign(
    "failover",
    "A failover to a replica that lags, at the start and at a random call",
    "4, 12",
    attack,
    trials=16,
    seed=20261123,
    shorts={"": Short(8, slow=True, timeout=300)},
    waits=True,
)
