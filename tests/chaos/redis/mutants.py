"""Mutants of the campaign about Redis: a run that trusts, waits or writes where it must not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from state.index import lease_owner as holder
from state.index import leases
from state.index.index import Index, IndexSnapshot
from state.index.replies import Call, of_any_type, texts
from state.planner import decide as deciding
from state.planner.current import Declared
from state.planner.decide import Facts
from state.store.local import layout
from tasks import survey
from tests.chaos.campaign import Mutant, replaced, replaced_all

Judge = Callable[[Declared, str, Facts], str | None]


@contextmanager
def _first_asked(judge: Judge) -> Iterator[None]:
    """Ask ``judge`` for a day's status before the planner does."""
    real = deciding.decide

    def asked(aggregation: Declared, day: str, facts: Facts, *, force: bool) -> Any:
        return judge(aggregation, day, facts) or real(aggregation, day, facts, force=force)

    with replaced("state.planner.plan.decide", asked):
        yield


def _index_believed() -> Any:
    return _first_asked(lambda one, day, facts: "done" if day in facts.index.get(one.name, ()) else None)


@contextmanager
def _index_stat_trusted() -> Iterator[None]:
    """A file of the size and time that the index has is not looked at."""
    held: dict[str, IndexSnapshot] = {}
    root: list[Any] = []
    read, look = Index.read, survey.survey

    def remember(index: Index, names: Sequence[str]) -> Mapping[str, IndexSnapshot]:
        held.update(read(index, names))
        return held

    def surveyed(catalog: Any, input_root: Any, found: Any, *rest: Any) -> Any:
        root.append(found)
        return look(catalog, input_root, found, *rest)

    def judge(one: Declared, day: str, _: Facts) -> str | None:
        try:
            status = os.stat(layout.data_file(one.name, day), dir_fd=root[0].fd)
            trusted = json.loads(held[one.name].entries[day.encode()])["stat"]
        except (OSError, KeyError, ValueError, TypeError):
            return None
        return "done" if trusted == [status.st_size, status.st_mtime_ns] else None

    with (
        replaced("state.index.index.Index.read", remember),
        replaced("flows.planned_run.survey", surveyed),
        _first_asked(judge),
    ):
        yield


@contextmanager
def _failures_believed() -> Iterator[None]:
    failed: dict[str, set[str]] = {}
    read = Index.read

    def remember(index: Index, names: Sequence[str]) -> Mapping[str, IndexSnapshot]:
        for name in names:
            asked = ("HKEYS", f"{index._namespace}:{{{name}}}:failures")
            [days] = index._connection.send([Call(asked, of_any_type(texts, []))])
            failed[name] = {day.decode() for day in days}
        return read(index, names)

    with (
        replaced("state.index.index.Index.read", remember),
        _first_asked(lambda one, day, _: "quarantined" if day in failed.get(one.name, ()) else None),
    ):
        yield


def _lease_blocks() -> Any:
    def judged(_: object, token: bytes | None, __: object) -> leases._Lease:
        return leases._Lease(token or b"", alive=token is not None)

    return replaced_all(
        {"state.index.leases.Leases._classify": judged, "state.index.leases.LeaseWait.goes_on": lambda *_: True}
    )


def _root_ignored() -> Any:
    return replaced("state.index.index.Index.bind", lambda *_: True)


def _no_deadline() -> Any:
    return replaced("state.index.limits.CALL_SECONDS", 3600.0)


def _retried() -> Any:
    """redis-py's own default: ten times, with pauses."""
    retry = Retry(ConstantBackoff(0.5), 10, (redis.RedisError, OSError))
    return replaced("state.index.connection.Retry", lambda *_: retry)


def _released_without_token() -> Any:
    return replaced("state.index.scripts.RELEASE", "return redis.call('DEL', KEYS[1])")


def _boot_ignored() -> Any:
    """Whoever has this host's name and namespaces is on this host."""

    def is_dead(token: bytes) -> bool:
        host, _, *rest = token.split(b"|")
        own = holder.new_token().split(b"|")[1]
        return holder.is_dead(b"|".join((host, own, *rest)))

    return replaced("state.index.leases.is_dead", is_dead)


def _set_without_compare() -> Any:
    from state.index.scripts import RECONCILE

    script = RECONCILE.replace("(redis.call('HGET', commits, day) or '') == expected", "true")
    assert script != RECONCILE
    return replaced("state.index.scripts.RECONCILE", script)


def _failure_of_redis_fails_the_run() -> Any:
    def lose(_: object, why: str) -> None:
        raise RuntimeError(why)

    return replaced("state.index.best_effort.BestEffortIndex.disable", lose)


MUTANTS: dict[str, Mutant] = {
    "Redis believed about done": _index_believed,
    "index stat trusted": _index_stat_trusted,
    "failures believed from Redis": _failures_believed,
    "lease blocks for ever": _lease_blocks,
    "root id ignored": _root_ignored,
    "no deadline on a call": _no_deadline,
    "lost reply retried": _retried,
    "lease released without token": _released_without_token,
    "boot id ignored": _boot_ignored,
    "index set without compare": _set_without_compare,
    "a lost Redis fails the run": _failure_of_redis_fails_the_run,
}
