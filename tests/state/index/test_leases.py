"""Leases: several runs together compute a day once, and nothing that Redis holds or does keeps one waiting for long."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from state.errors import IndexUnavailable
from state.index import leases as module
from state.index.connection import Connection
from state.index.lease_owner import new_token
from state.index.leases import Leases, _Batch
from state.partition import Partition
from tests import redis_servers
from tests.project import Project, Running, dates, wait_until
from tests.redis_servers import NAMESPACE, client_of, started
from tests.state.index import test_best_effort

server_url = redis_servers.server_url
client = redis_servers.client
told = test_best_effort.told

PLACE: Partition = ("totals", "2024-01-01")
OTHER: Partition = ("totals", "2024-01-02")
KEY = "noonmark:{totals}:lease:2024-01-01"
PERMANENT = re.compile(rb"noonmark:(root|\{\w+\}:(processed_days|last_processed_day|commits|failures))")
SECONDS = 30


@pytest.fixture
def make(server_url: str) -> Iterator[Any]:
    """Makes the leases of a run on the shared server; all are closed afterwards."""
    made: list[Leases] = []

    def _make(seconds: int = SECONDS) -> Leases:
        made.append(Leases(Connection(server_url), NAMESPACE, seconds))
        return made[-1]

    yield _make
    for leases in made:
        leases.close()


def elsewhere() -> bytes:
    """The token of a run on another machine: whether it lives, nobody here can tell."""
    host, _, rest = new_token().split(b"|", 2)
    return b"|".join((host, b"another-boot", rest))


def ended() -> bytes:
    """The token of a run on this machine that ended: its process number belongs to another now."""
    *where, _, nonce = new_token().split(b"|")
    return b"|".join((*where, b"1", nonce))


def bounded(client: redis.Redis, key: str = KEY, seconds: int = SECONDS) -> bool:
    """Whether a lease is there with a lifetime that is at most the one it was given."""
    return 0 < client.pttl(key) <= seconds * 1000


def watched(leases: Leases) -> list[str]:
    """What the thread that renews did, as it goes on: ``renewed`` or ``failed``."""
    calls: list[str] = []
    send = leases._connection.send

    def watch(asked: Any, within: Any = None) -> list[Any]:
        told = ""
        try:
            replies = send(asked, within)
            told = "renewed"
            return replies
        except IndexUnavailable:
            told = "failed"
            raise
        finally:
            if threading.current_thread() is leases._renewer:
                calls.append(told)

    leases._connection.send = watch  # type: ignore[method-assign, assignment]
    return calls


def leaked(client: redis.Redis) -> list[bytes]:
    """The keys that would stay for ever, and are not on the contract's list of those that may."""
    return [key for key in client.scan_iter() if client.pttl(key) == -1 and not PERMANENT.fullmatch(key)]


# Taking, holding, giving up


def test_a_day_has_one_holder_until_it_is_released(client: redis.Redis, make: Any) -> None:
    """The second comer is told so; the key and its lifetime are the contract's."""
    one, two = make(), make()
    assert one.acquire([PLACE]) == set()
    assert bounded(client)
    assert two.acquire([PLACE, OTHER]) == {PLACE}
    assert two.leased([PLACE, OTHER]) == {PLACE}
    assert one.leased([PLACE, OTHER]) == {OTHER}
    one.release([PLACE])
    assert not client.exists(KEY)
    assert two.leased([PLACE]) == set()
    assert two.acquire([PLACE]) == set()
    two.close()
    assert not client.exists(KEY)
    assert leaked(client) == []


def test_looking_takes_nothing(client: redis.Redis, make: Any) -> None:
    """A run that only waits must not become the holder of what it waits for."""
    assert make().leased([PLACE, OTHER]) == set()
    assert list(client.scan_iter()) == []


def test_ones_own_lease_is_no_obstacle(client: redis.Redis, make: Any) -> None:
    """After a SET NX whose reply was lost the lease is there and is ours: the token tells."""
    one = make()
    client.set(KEY, one._token, px=SECONDS * 1000)
    assert one.leased([PLACE]) == set()
    assert one.acquire([PLACE]) == set()
    one.release([PLACE])
    assert not client.exists(KEY)


def test_nothing_is_released_but_ones_own(client: redis.Redis, make: Any) -> None:
    """A holder that slept past its lease must not end its successor's, by release, close or renewal."""
    other = KEY.replace("01-01", "01-02")
    one = make(1)
    calls = watched(one)
    one.acquire([PLACE, OTHER])
    client.set(KEY, successor := elsewhere(), px=60_000)
    client.delete(other)
    client.rpush(other, "no string")
    one.release([PLACE])
    one._held |= dict.fromkeys([PLACE, OTHER], _Batch(time.monotonic()))  # as where it never came to release
    calls.clear()
    wait_until(lambda: calls.count("renewed") >= 3)
    assert client.pttl(KEY) > 1000
    one.close()
    assert client.get(KEY) == successor
    assert client.pttl(KEY) > 1000
    assert client.type(other) == b"list"
    assert client.pttl(other) == -1


def test_a_lease_is_renewed_as_long_as_it_is_held(client: redis.Redis, make: Any) -> None:
    """A day may take many lifetimes to compute; whoever tries meanwhile, however often, never gets it."""
    one, two = make(1), make(1)
    one.acquire([PLACE])
    until = time.monotonic() + 2.3
    looks = 0
    while time.monotonic() < until:
        assert two.acquire([PLACE]) == {PLACE}
        assert client.get(KEY) == one._token
        looks += 1
    assert looks > 10
    assert bounded(client, seconds=1)
    one.release([PLACE])
    assert two.acquire([PLACE]) == set()


def test_a_lease_is_renewed_no_longer_than_its_run_gets_on(
    client: redis.Redis, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of days taken together, one that settles keeps the others; where none does for many lifetimes, all end."""
    monkeypatch.setattr(module, "STALLED_LIFETIMES", 2)
    places = [("totals", day) for day in dates(8)]
    keys = [f"noonmark:{{totals}}:lease:{day}" for day in dates(8)]
    one = make(1)
    one.acquire(places)
    until = time.monotonic() + 4
    for place, key in zip(places[:-1], keys[:-1], strict=True):
        one.finish(place)
        wait_until(partial(_gone, client, key), 2)  # released with the next renewal
        assert client.exists(keys[-1]) or time.monotonic() > until
    settled = time.monotonic()
    assert settled > until - 2.5
    wait_until(lambda: not client.exists(keys[-1]), 10)
    assert time.monotonic() - settled > 1.5
    one.finish(places[-1])


def _gone(client: redis.Redis, key: str) -> bool:
    return not client.exists(key)


def test_who_gets_on_is_waited_for_and_who_hangs_is_not(
    client: redis.Redis, make: Any, told: pytest.LogCaptureFixture
) -> None:
    """A holder that gives days up is left the others; one that gives none up for a lifetime is overruled, once."""
    holder, one, two = make(1), make(1), make(1)
    places = [("totals", day) for day in dates(3)]
    holder.acquire(places)
    assert one.acquire(places) == two.acquire(places) == set(places)
    for at in range(3):
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            assert one.leased(places) == set(places[at:])
            time.sleep(0.05)
        if at < 2:
            holder.finish(places[at])
            holder.release([places[at]])
    wait_until(lambda: not one.leased(places[2:]), 5)
    assert client.get("noonmark:{totals}:lease:2024-01-03") == holder._token
    assert one.acquire(places[2:]) == set()
    [line] = told.messages
    assert line.endswith("for it finished none within NOONMARK_LEASE_SECONDS: totals 2024-01-03")
    assert client.get("noonmark:{totals}:lease:2024-01-03") == one._token
    for _ in range(5):
        assert two.leased(places[2:]) == {places[2]}, "its heir has a lifetime of its own"
        time.sleep(0.05)
    holder.release(places)
    assert client.get("noonmark:{totals}:lease:2024-01-03") == one._token


def test_who_acquires_another_day_gets_on() -> None:
    """The heir of a dead holder has a lifetime for that day, however long ago it was last seen to finish one."""
    wait = module.LeaseWait(60)
    wait.check(0, {("totals", "1"): b"dead", ("totals", "2"): b"lives"})
    wait.check(5, {("totals", "1"): b"dead", ("totals", "2"): None})
    for now in range(10, 75, 5):
        wait.check(now, {("totals", "1"): b"dead"})
    assert not wait.goes_on(("totals", "1"), b"dead")
    wait.check(75, {("totals", "1"): b"lives"})
    assert wait.goes_on(("totals", "1"), b"lives")


def test_a_day_that_is_looked_at_for_the_first_time_gives_its_holder_no_more_time() -> None:
    """It may have held it all the time: a run that hangs is waited for one lifetime, and not one for each day."""
    wait = module.LeaseWait(60)
    for now in range(0, 65, 5):
        wait.check(now, {("totals", "1"): b"hangs"})
    assert not wait.goes_on(("totals", "1"), b"hangs")
    wait.check(65, {("totals", "2"): b"hangs"})
    assert not wait.goes_on(("totals", "2"), b"hangs")


def test_a_redis_that_says_free_and_gives_no_lease_ends_the_wait(client: redis.Redis, make: Any) -> None:
    """Promise 4: after some rounds the day is computed without a lease."""
    one = make()
    client.set(KEY, elsewhere(), px=SECONDS * 1000)
    look = one._read
    rounds = 0
    while one.acquire([PLACE]):
        one._read = lambda *_: {PLACE: module._Lease(b"", alive=False)}
        assert one.leased([PLACE]) == set()
        one._read = look
        assert (rounds := rounds + 1) < 50
    assert rounds > 10


def test_a_lease_that_nobody_renews_ends_by_itself(client: redis.Redis, make: Any) -> None:
    """A holder elsewhere that died costs its lease's lifetime and no more."""
    client.set(KEY, elsewhere(), px=500)
    one = make()
    assert one.acquire([PLACE]) == {PLACE}
    wait_until(lambda: not one.leased([PLACE]), 5)
    assert one.acquire([PLACE]) == set()


# Whatever Redis holds


VOID: dict[str, Any] = {
    "without a lifetime": lambda c: c.set(KEY, elsewhere()),
    "with a longer lifetime": lambda c: c.set(KEY, elsewhere(), px=SECONDS * 1000 + 60_000),
    "of ages": lambda c: c.set(KEY, elsewhere(), ex=10**9),
    "a list": lambda c: c.rpush(KEY, "x"),
    "a hash": lambda c: c.hset(KEY, "x", "y"),
    "a set with a lifetime": lambda c: (c.sadd(KEY, "x"), c.pexpire(KEY, 5000)),
    "a stream": lambda c: c.xadd(KEY, {"x": "y"}),
    "empty, without a lifetime": lambda c: c.set(KEY, b""),
    "bytes, without a lifetime": lambda c: c.set(KEY, b"\xff\x00\r\n|" * 40),
    "of a run here that ended": lambda c: c.set(KEY, ended(), px=5000),
}


@pytest.mark.parametrize("kind", VOID)
def test_a_lease_that_cannot_be_meant_is_taken_over_at_once(client: redis.Redis, make: Any, kind: str) -> None:
    """Promise 4: no wait at all, and afterwards it is a proper lease with a lifetime."""
    VOID[kind](client)
    one = make()
    assert one.leased([PLACE]) == set()
    assert one.acquire([PLACE, OTHER]) == set()
    assert client.get(KEY) == one._token
    assert bounded(client)
    assert make().acquire([PLACE]) == {PLACE}
    assert leaked(client) == []


@pytest.mark.parametrize("token", [b"", b"\xff\x00|" * 9, "a|²|c|d".encode(), b"|" * 3, b"x" * 100_000])
def test_a_strange_token_with_a_proper_lifetime_is_waited_for(client: redis.Redis, make: Any, token: bytes) -> None:
    """Another version's token, maybe: it ends by itself."""
    client.set(KEY, token, px=400)
    one = make()
    assert one.acquire([PLACE]) == {PLACE}
    wait_until(lambda: not one.leased([PLACE]), 5)


def test_a_dead_runs_lease_has_one_heir(client: redis.Redis, make: Any) -> None:
    """Of two that find it at once one gets it: what is taken over is the lease that was judged, not its successor's."""
    client.set(KEY, ended(), px=5000)
    one, two = make(), make()
    look = one._read

    def look_and_be_late(places: list[Partition], within: Any) -> object:
        found = look(places, within)
        assert two.acquire(places) == set()
        return found

    one._read = look_and_be_late
    assert one.acquire([PLACE]) == {PLACE}
    assert client.get(KEY) == two._token


def test_many_at_once_never_share_a_day(client: redis.Redis, make: Any) -> None:
    """Threads take, check and release the same few days; two holders of one at a time would be seen."""
    places = [("totals", str(number)) for number in range(3)]
    holders: Counter[Partition] = Counter()
    shared: list[Partition] = []
    taken = Counter[str]()
    guard = threading.Lock()
    client.set("noonmark:{totals}:lease:1", ended(), px=5000)
    client.set("noonmark:{totals}:lease:2", elsewhere())

    def work(name: str, leases: Leases) -> None:
        for _ in range(60):
            mine = set(places) - leases.acquire(places)
            with guard:
                holders.update(mine)
                taken[name] += len(mine)
                shared.extend(place for place in mine if holders[place] > 1)
            time.sleep(0.001)
            with guard:
                holders.subtract(mine)
            leases.release(mine)

    workers = [threading.Thread(target=work, args=(str(number), make())) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert shared == []
    assert sum(taken.values()) > 60
    assert list(client.scan_iter()) == []


# Whatever Redis does


def test_a_server_that_goes_away_is_an_error_and_closing_never_is() -> None:
    """Every call says so and none waits for long; the thread that renews survives, and serves when Redis is back."""
    with started() as server:
        one = Leases(Connection(server.url), NAMESPACE, 1)
        calls = watched(one)
        one.acquire([PLACE])
        server.stop()
        began = time.monotonic()
        with pytest.raises(IndexUnavailable):
            one.acquire([PLACE])
        assert time.monotonic() - began < 10
        wait_until(lambda: "failed" in calls)
        server.go_on()
        wait_until(lambda: _answers(one))
        one.acquire([OTHER])
        with client_of(server.url) as client:
            name = "noonmark:{totals}:lease:2024-01-02"
            mine = client.get(name)
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                assert client.get(name) == mine
        server.kill()
        began = time.monotonic()
        for call in (one.acquire, one.leased, one.release):
            with pytest.raises(IndexUnavailable):
                call([PLACE])
        one.close()
        assert time.monotonic() - began < 10


def _answers(leases: Leases) -> bool:
    with suppress(IndexUnavailable):
        leases.leased([PLACE])
        return True
    return False


# Whole runs

GATED = '''"""The shops' totals, a line in LOG for each computation; with GATE set, they wait until it exists."""

import os
import time
from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation


def read(files):
    return pl.concat([pl.read_csv(file) for file in files]).with_columns(day_=pl.lit(files[0].parent.name)).lazy()


sales = Source("sales/{day}/*.csv", read=read)


def log(name, sales):
    day = sales.select(pl.col("day_").first()).collect().item()
    fd = os.open(os.environ["LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{name} {day}\\n".encode())
    os.close(fd)
    while "GATE" in os.environ and not Path(os.environ["GATE"]).exists():
        time.sleep(0.01)


@aggregation(sales)
def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold in each shop."""
    log("items_by_shop", sales)
    return sales.group_by("shop").agg(pl.col("items").sum()).sort("shop")


@aggregation(sales)
def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Sales and items of the whole day."""
    log("totals", sales)
    return sales.select(sales=pl.len(), items=pl.col("items").sum())
'''


@contextmanager
def shared(api_url: str, folder: Path, days: int) -> Iterator[tuple[Project, redis.Redis, Any]]:
    """A project of GATED on a real server, a client of that, and a function that starts runs with their LOG."""
    with started() as server, client_of(server.url) as client:
        project = Project.create(folder / "project", api_url, dates(days), redis_url=server.url)
        project.declare(GATED)
        yield project, client, partial(_start, project)


def _start(project: Project, **env: str) -> Running:
    return project.start("--json", env={"LOG": str(project.folder / "log"), **env})


def _computed(project: Project) -> list[str]:
    path = project.folder / "log"
    return path.read_text().splitlines() if path.exists() else []


def _leases(client: redis.Redis) -> list[bytes]:
    return list(client.scan_iter("*:lease:*"))


def _release_all(processes: Iterable[Running]) -> None:
    for one in processes:
        with suppress(ProcessLookupError):
            os.kill(one.process.pid, signal.SIGCONT)
        one.kill()


def test_four_runs_at_once_compute_each_day_once(api_url: str, tmp_path: Path) -> None:
    """Promise 8: while leases work, together they compute a day once, and each one's report is right."""
    with shared(api_url, tmp_path, 60) as (project, client, start):
        runs = [start() for _ in range(4)]
        ends = [run.finish() for run in runs]
        assert leaked(client) == []
        assert _leases(client) == []
    committed = [end.committed for end in ends]
    everything = set(project.expected())
    assert len(everything) == 120
    assert Counter(key for one in committed for key in one) == Counter(everything)
    assert {one["generation"] for end in ends for one in end.json["committed"]} == {1}
    for end, one in zip(ends, committed, strict=True):
        assert end.json["skipped"] == ({"done": 120 - len(one)} if len(one) < 120 else {})
    assert Counter(_computed(project)) == Counter(f"{name} {day}" for name, day in everything)
    assert project.rows() == project.expected()


def test_a_killed_runs_days_are_taken_up_at_once_by_those_that_wait(api_url: str, tmp_path: Path) -> None:
    """Nobody waits a lease's lifetime for a process that is dead on this machine; the next run goes on at once too."""
    with shared(api_url, tmp_path, 6) as (project, client, start):
        killed = start(GATE=str(tmp_path / "never"), NOONMARK_LEASE_SECONDS="600")
        try:
            killed.until(lambda: len(_leases(client)) == 4)
            waiting = start(NOONMARK_LEASE_SECONDS="600")
            waiting.until(lambda: len(project.results()) == 8)
            assert not waiting.over
            killed.kill()
            end = waiting.finish()
        finally:
            killed.kill()
            killed.finish()
        assert set(end.committed) == set(project.expected())
        assert end.seconds < 60
        assert len(_computed(project)) <= 12 + 4
        assert leaked(client) == []
        assert _leases(client) == []


def test_a_holder_that_hangs_is_waited_for_a_lifetime_and_does_no_harm_when_it_wakes(
    api_url: str, tmp_path: Path
) -> None:
    """Promise 4: the second run computes what the first one holds and renews, says so, and exits with 0.

    The first one, once it goes on, finds its days done by another and leaves the lease of a successor alone.
    """
    gate = tmp_path / "gate"
    with shared(api_url, tmp_path, 1) as (project, client, start):
        first = start(GATE=str(gate), NOONMARK_LEASE_SECONDS="2")
        try:
            first.until(lambda: _computed(project))
            second = start(NOONMARK_LEASE_SECONDS="2").finish()
            assert set(second.committed) == set(project.expected())
            assert second.json["skipped"] == {}
            assert "computing results that another run holds, for it finished none" in second.stderr
            assert "totals 2024-01-01" in second.stderr
            assert not first.over
            before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.results()}
            successor = elsewhere()
            assert client.set(KEY, successor, px=60_000, nx=True), "it gave up what it took over"
            gate.touch()
            end = first.finish()
        finally:
            _release_all([first])
        assert end.committed == {}
        assert end.json["skipped"] == {"done": 2}
        assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.results()} == before
        assert client.get(KEY) == successor
        assert _leases(client) == [KEY.encode()]
        assert leaked(client) == []
    assert project.drafts == []


def test_a_lease_of_another_machine_delays_a_run_by_its_lifetime_and_a_void_one_not_at_all(
    api_url: str, tmp_path: Path
) -> None:
    """Promise 4, from outside: hostile leases on every day, and one run commits all of them."""
    with shared(api_url, tmp_path, 3) as (project, client, start):
        for day, lifetime in zip(dates(3), (3000, None, 10**9), strict=True):
            client.set(f"noonmark:{{totals}}:lease:{day}", elsewhere(), px=lifetime)
            client.rpush(f"noonmark:{{items_by_shop}}:lease:{day}", "x")
        end = start(NOONMARK_LEASE_SECONDS="4").finish()
        assert set(end.committed) == set(project.expected())
        assert end.json["skipped"] == {}
        assert leaked(client) == []
        assert _leases(client) == []
    assert project.rows() == project.expected()
