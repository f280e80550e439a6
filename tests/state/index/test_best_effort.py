"""The index as a run uses it: it may be lacking, foreign or failing, and the run goes on and says so once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import redis

from state.index.best_effort import BestEffortIndex
from state.index.connection import Connection
from state.index.index import Index, IndexSnapshot, ReconcileStats
from state.result.classify import Found
from tests import redis_servers
from tests.redis_servers import NAMESPACE, dump, free_port, started
from tests.state.index.test_index import news, output_of

server_url = redis_servers.server_url
client = redis_servers.client
index = redis_servers.index


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What a run logs, and no other listener: Prefect's own handler complains outside a flow run."""
    logger = logging.getLogger("noonmark")
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    monkeypatch.setattr(logger, "propagate", False)
    return caplog


def failing() -> BestEffortIndex:
    """A best-effort index whose server is not there."""
    return BestEffortIndex(Index(Connection(f"redis://user:sesame@127.0.0.1:{free_port()}/0"), NAMESPACE))


def test_a_serving_index_is_used(client: redis.Redis, index: Index) -> None:
    """Where Redis serves, every call reaches it."""
    best_effort = BestEffortIndex(index)
    assert best_effort.belongs_to("root-id", bind=True)
    best_effort.record_commits([news("1"), news("2")])
    assert best_effort.has_commits(["departures"])
    then = best_effort.read(["departures"])
    assert then["departures"].days() == {"1", "2"}
    assert best_effort.reconcile(then, output_of(news("1"))) == ReconcileStats(removed=1, unchanged=1)
    assert best_effort.read(["departures"])["departures"].days() == {"1"}
    assert best_effort.unavailable_reason is None


def test_without_an_index_nothing_is_known_and_nothing_said(told: pytest.LogCaptureFixture) -> None:
    """NOONMARK_REDIS_URL=none is a choice: every answer is empty, and no line is logged."""
    best_effort = BestEffortIndex(None, "NOONMARK_REDIS_URL=none")
    output: dict[str, dict[str, Found]] = {"departures": {}}
    assert not best_effort.belongs_to("root-id", bind=True)
    assert not best_effort.has_commits(["departures"])
    assert best_effort.read(["departures"]) == {}
    assert best_effort.reconcile({"departures": IndexSnapshot()}, output) == ReconcileStats()
    best_effort.record_commits([news("1")])
    assert best_effort.unavailable_reason == "NOONMARK_REDIS_URL=none"
    assert told.messages == []


@pytest.mark.parametrize("first", ["belongs_to", "has_commits", "read", "reconcile", "record_commits"])
def test_a_failing_index_is_given_up_and_told_of_once(told: pytest.LogCaptureFixture, first: str) -> None:
    """No call fails, whichever meets the failure first; one line says so, without any secret."""
    best_effort = failing()
    calls: dict[str, Callable[[], object]] = {
        "belongs_to": lambda: best_effort.belongs_to("root-id", bind=True),
        "has_commits": lambda: best_effort.has_commits(["departures"]),
        "read": lambda: best_effort.read(["departures"]),
        "reconcile": lambda: best_effort.reconcile({"departures": IndexSnapshot()}, output_of(news("1"))),
        "record_commits": lambda: best_effort.record_commits([news("1")]),
    }
    for call in (calls[first], *calls.values()):
        answer: object = call()
        assert answer in (False, None, {}, ReconcileStats())
    assert len(told.messages) == 1
    assert told.messages[0].startswith("going on without Redis: Redis (NOONMARK_REDIS_URL) cannot be used: ")
    assert best_effort.unavailable_reason
    assert "sesame" not in told.text + best_effort.unavailable_reason


def test_an_index_of_another_output_is_no_index(
    client: redis.Redis, index: Index, server_url: str, told: pytest.LogCaptureFixture
) -> None:
    """It is neither believed nor written to, and the message names the command that binds it anew."""
    BestEffortIndex(index).belongs_to("another", bind=True)
    index.record_commits([news("1")])
    before = dump(client)
    for bind in (True, False):
        best_effort = BestEffortIndex(Index(Connection(server_url), NAMESPACE))
        assert not best_effort.belongs_to("root-id", bind=bind)
        assert best_effort.read(["departures"]) == {}
        best_effort.record_commits([news("2")])
        best_effort.reconcile({"departures": IndexSnapshot()}, {})
        assert "python -m flows.repair --accept-output" in (best_effort.unavailable_reason or "")
    assert dump(client) == before
    assert len(told.messages) == 2


def test_a_look_binds_nothing(client: redis.Redis, index: Index) -> None:
    """``bind=False`` accepts an index that is nobody's, and leaves it so."""
    assert BestEffortIndex(index).belongs_to("root-id", bind=False)
    assert dump(client) == {}


class _LostInBetween(BestEffortIndex):
    """Another thread loses the index between this one's look at it and its call."""

    looks = 0

    @property
    def _index(self) -> Index | None:
        self.looks += 1
        return self._kept if self.looks == 1 else None

    @_index.setter
    def _index(self, index: Index | None) -> None:
        self._kept = index


@pytest.mark.parametrize("call", ["record_commits", "read", "has_commits", "reconcile"])
def test_one_thread_may_lose_the_index_while_another_uses_it(call: str) -> None:
    """Workers share one index: whichever meets the failure first, no other breaks."""
    with started() as server:
        best_effort = _LostInBetween(Index(Connection(server.url), NAMESPACE))
        if call == "record_commits":
            best_effort.record_commits([news("1")])
        elif call == "reconcile":
            best_effort.reconcile({"departures": IndexSnapshot()}, {})
        else:
            getattr(best_effort, call)(["departures"])
