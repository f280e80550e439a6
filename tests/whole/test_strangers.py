"""In front of something that calls itself Redis or a Sentinel: commands end as without Redis, and in time."""

from __future__ import annotations

import itertools
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from state.embedded import supervisor
from state.errors import IndexUnavailable
from state.index import limits as index_limits
from state.index.connection import Connection
from state.index.index import Index
from tests.chaos.redis.hostile_redis import scans
from tests.chaos.redis.hostile_server import ENDLESS, Command, HostileServer, Reply, any_reply, encoded
from tests.flows.test_health import command
from tests.project import Finished, Project
from tests.redis_servers import NAMESPACE, speaking, started

pytestmark = pytest.mark.timeout(300)

OK = Reply("OK", lambda: (b"+OK\r\n",), b"OK")
NEW = "2024-02-01"


@contextmanager
def before(project: Project, answer: Callable[[int, Command], Reply | None]) -> Iterator[Project]:
    """The project with a stranger in front of its Redis, and a day more."""
    with started() as server:
        stranger = HostileServer(server.folder / "socket", answer)
        try:
            yield replace(project, redis_url=stranger.url)
        finally:
            stranger.close()


def run(project: Project, name: str) -> Finished:
    """One command to its end."""
    return command(project, name, "--json", env={"NOONMARK_LEASE_SECONDS": "2"}).finish()


def anything(seed: int) -> Callable[[int, Command], Reply]:
    """Answers every call with anything."""
    chance = random.Random(seed)
    return lambda *_: any_reply(chance)


@pytest.mark.parametrize("kind", ["OK", "anything"])
def test_a_run_goes_on_without_what_does_not_answer_as_redis(project: Project, kind: str) -> None:
    """Promise 4: every day is committed, with exit 0, and one line says that the run went on without Redis."""
    project.sell(NEW, [("north", 1)])
    with before(project, (lambda *_: OK) if kind == "OK" else anything(3)) as changed:
        end = run(changed, "daily")
        health = run(changed, "health")
    assert set(end.committed) == {("items_by_shop", NEW), ("totals", NEW)}
    assert end.stderr.count("going on without Redis") == 1
    assert project.rows() == project.expected()
    assert health.code == 1
    assert [one["kind"] for one in health.json["problems"]] == ["redis"]
    if kind == "OK":
        assert "answered HLEN with 2 bytes of text; expected a number" in end.stderr


def test_a_scan_in_a_circle_ends_repair_and_health(project: Project) -> None:
    """Promise 12: both come to their end, and say that the index was not looked at."""
    with before(project, scans(0)) as changed:
        repair, health = run(changed, "repair"), run(changed, "health")
    assert repair.code == health.code == 1
    assert repair.json["index"] == "unread"
    [problem] = health.json["problems"]
    assert "scans in a circle" in problem["detail"]


def _leading(port: int) -> Reply:
    """What a Sentinel says of its servers: that Redis is at this port."""
    flags = {"is_master": "1", "flags": "master", "num-other-sentinels": "0", "ip": "127.0.0.1", "port": str(port)}
    state: list[object] = [text.encode() for pair in {"name": "main", **flags}.items() for text in pair]
    content = encoded([state])
    return Reply("a server", lambda: (content,))


@contextmanager
def sentinel(answer: Callable[[int, Command], Reply]) -> Iterator[HostileServer]:
    """Something that listens where a Sentinel should."""
    stranger = HostileServer(None, answer, tcp=True)
    try:
        yield stranger
    finally:
        stranger.close()


def asked(stranger: HostileServer) -> float:
    """How many seconds it takes until a run that asks through this Sentinel goes on without Redis."""
    began = time.monotonic()
    with pytest.raises(IndexUnavailable):
        Index(Connection(f"redis+sentinel://127.0.0.1:{stranger.port}/main"), NAMESPACE).read(["totals"])
    return time.monotonic() - began


def test_a_sentinel_that_answers_anything_ends_in_going_on_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own connections are bounded too: what it says of its servers has any shape, dribbles, or never ends.

    So are those to the server that it names.
    """
    monkeypatch.setattr(index_limits, "CALL_SECONDS", 0.15)
    chance = random.Random(5)
    met: set[bytes] = set()
    for reply in (*ENDLESS, OK, *(any_reply(chance) for _ in range(12))):
        for leads in (False, True):

            def answer(_: int, command: Command, reply: Reply = reply, leads: bool = leads) -> Reply:
                met.add(command[0])
                return _leading(stranger.port) if leads and command[0] == b"SENTINEL" else reply

            with sentinel(answer) as stranger:
                assert asked(stranger) < 4
    assert {b"SENTINEL", b"HGETALL"} <= met


def test_the_embedded_server_is_asked_in_time_whatever_sits_at_its_socket() -> None:
    """Nothing but a PONG is a server that is ready, and nothing keeps a run that asks."""
    chance = random.Random(6)
    for reply in (*ENDLESS, OK, *(any_reply(chance) for _ in range(12))):

        def talk(client: socket.socket, reply: Reply = reply) -> None:
            client.recv(1000)
            for piece in itertools.islice(reply.pieces(), 1000):
                if piece is None:
                    return
                client.sendall(piece)

        with speaking(talk) as url:
            began = time.monotonic()
            assert not supervisor.answers(url.removeprefix("unix://"), 0.2)
            assert time.monotonic() - began < 2
