"""``memory``: what the index takes of Redis. Redis itself counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.figures import Bench, Findings
from benchmarks.many_days import LINEITEM, ONE, lineitem
from benchmarks.nothing import committed
from benchmarks.project import Project
from benchmarks.timing import Command, Spread, run
from state.embedded.server import EmbeddedServer
from state.index.connection import connect

FEWER, MORE = 11, 41
"""So many pending days are as many batches: up to fifty days have one each."""
SETTLE_SECONDS = 1.0
"""A server lets go of a client's buffers, and of its append-only file's, within this time."""


def redis_use(bench: Bench) -> Findings:
    """Memory a commit, and round trips a batch of days."""
    found = Findings()
    _memory(bench, found)
    _round_trips(bench, found)
    return found


def _memory(bench: Bench, found: Findings) -> None:
    days = bench.sizes.commits[1]
    project = committed(bench, days)
    repair = project.run("repair")
    taken = []
    for _ in range(bench.runs):
        project.forget()
        with _watched(project) as (client, _):
            before = _info(client, "used_memory")
            run(repair)
            time.sleep(SETTLE_SECONDS)
            taken.append((_info(client, "used_memory") - before) / days)
    found.target(f"Redis memory a commit, at {days:,} commits", "bytes", Spread.of(taken), 300)
    found.commands["memory"] = repair.shown(bench.work)


def _round_trips(bench: Bench, found: Findings) -> None:
    root = lineitem(bench, bench.sizes.days)
    project = Project(bench, root, bench.work / "trial/noonmark", LINEITEM, bench.threads)
    only = ("--only", *ONE)
    first = project.run("daily", *only, "--limit", "1")
    few, many = (project.run("daily", *only, "--limit", str(batches)) for batches in (FEWER, MORE))
    more = []
    for _ in range(bench.runs):
        project.clear()
        run(first)  # makes the output, and binds the index to it
        fixed = _reads(project, few)
        more.append((_reads(project, many) - fixed) / (MORE - FEWER))
    found.target("Redis round trips of a batch of days", "", Spread.of(more), 3)
    found.commands |= {f"{FEWER} batches": few.shown(bench.work), f"{MORE} batches": many.shown(bench.work)}


def _reads(project: Project, command: Command) -> float:
    """How often a run made Redis read from a connection, beyond what opening its connections takes: its round trips.

    How many connections two workers open is chance: the second one opens its own when the first one's is taken.
    """
    with _watched(project) as (client, url):
        before = _counted(client)
        with connect(url) as one:
            one.ping()
        opened = _counted(client)
        run(command)
        after = _counted(client)
    opening = opened[0] - before[0] - 2  # the ping, and the question itself
    return after[0] - opened[0] - 1 - opening * (after[1] - opened[1])


def _counted(client: redis.Redis) -> tuple[float, float]:
    return _info(client, "total_reads_processed"), _info(client, "total_connections_received")


@contextmanager
def _watched(project: Project) -> Iterator[tuple[redis.Redis, str]]:
    """The project's embedded server, kept running meanwhile: a client that is connected already, and the URL."""
    with EmbeddedServer(project.redis) as server, connect(server.url) as client:
        client.ping()
        yield client, server.url


def _info(client: redis.Redis, name: str) -> float:
    found = client.info("all")
    assert isinstance(found, dict)
    return float(found[name])
