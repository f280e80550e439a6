"""Commands in front of something that calls itself Redis: the output is right, the exit code is that without Redis."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.chaos.replies import scans
from tests.chaos.strangers import Command, Reply, Stranger, any_reply
from tests.project import Finished, Project, Running
from tests.redis_servers import started

pytestmark = pytest.mark.timeout(300)

OK = Reply("OK", lambda: (b"+OK\r\n",), b"OK")
NEW = "2024-02-01"


@contextmanager
def before(project: Project, answer: Callable[[int, Command], Reply | None]) -> Iterator[Project]:
    """The project with a stranger in front of its Redis, and a day more."""
    with started() as server:
        stranger = Stranger(server.folder / "socket", answer)
        try:
            yield replace(project, redis_url=stranger.url)
        finally:
            stranger.close()


def run(project: Project, module: str) -> Finished:
    """One command to its end."""
    command = [sys.executable, "-m", module, "--json"]
    return Running(command, project.checkout, project.environment(NOONMARK_LEASE_SECONDS="2")).finish()


def anything(seed: int) -> Callable[[int, Command], Reply]:
    """Answers every call with anything."""
    chance = random.Random(seed)
    return lambda *_: any_reply(chance)


@pytest.mark.parametrize("kind", ["OK", "anything"])
def test_a_run_goes_on_without_what_does_not_answer_as_redis(project: Project, kind: str) -> None:
    """Promise 4: every day is committed, with exit 0, and one line says that the run went on without Redis."""
    project.sell(NEW, [("north", 1)])
    with before(project, (lambda *_: OK) if kind == "OK" else anything(3)) as changed:
        end = run(changed, "flows.daily")
        health = run(changed, "flows.health")
    assert set(end.committed) == {("items_by_shop", NEW), ("totals", NEW)}
    assert end.stderr.count("going on without Redis") == 1
    assert project.rows() == project.expected()
    assert health.code == 1
    assert [one["kind"] for one in health.json["problems"]] == ["redis"]
    if kind == "OK":
        assert "answered HLEN with 'OK'; expected a number" in end.stderr


def test_a_scan_in_a_circle_ends_repair_and_health(project: Project) -> None:
    """Promise 12: both come to their end, and say that the index was not looked at."""
    with before(project, scans(0)) as changed:
        repair, health = run(changed, "flows.repair"), run(changed, "flows.health")
    assert repair.code == health.code == 1
    assert repair.json["index"] == "unread"
    [problem] = health.json["problems"]
    assert "scans in a circle" in problem["detail"]
