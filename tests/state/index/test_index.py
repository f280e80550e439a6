"""The index: what Redis remembers, moved forward by commits and made equal to the output by repairs."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from state.days import is_day, order
from state.errors import IndexUnavailable
from state.index.connection import Connection
from state.index.index import Index, IndexUpdate, ReconcileStats, entry
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable
from tests import redis_servers
from tests.redis_servers import NAMESPACE, client_of, dump
from tests.state.planner.test_decide import made_commit

server_url = redis_servers.server_url
client = redis_servers.client
index = redis_servers.index

COMMITS, PROCESSED, LAST = (
    f"noonmark:{{departures}}:{name}" for name in ("commits", "processed_days", "last_processed_day")
)
Value = Any  # what redis-py takes: wider than bytes, and dicts are invariant
KEYS = (COMMITS, PROCESSED, LAST)
ON_ONE_SERVER = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def news(
    day: str, generation: int = 1, *, nonce: str = "", predecessor: str = "", name: str = "departures"
) -> IndexUpdate:
    """A commit to tell the index of."""
    return IndexUpdate(made_commit(name, day, generation=generation, nonce=nonce or f"{day}-{generation}"), predecessor)


def held(client: redis.Redis, day: str) -> tuple[int, str]:
    """Generation and nonce of a day's entry."""
    found = json.loads(client.hget(COMMITS, day) or b"null")
    return found["generation"], found["nonce"]


def output_of(*commits: IndexUpdate) -> dict[str, dict[str, Found]]:
    """The output that holds these commits."""
    found: dict[str, dict[str, Found]] = {}
    for one in commits:
        found.setdefault(one.commit.record.aggregation, {})[one.commit.record.day] = one.commit
    return found


def repair(index: Index, output: Mapping[str, Mapping[str, Found]]) -> ReconcileStats:
    """A whole repair, nothing coming in between."""
    return index.reconcile(index.read(["departures"]), output)


def told(client: redis.Redis, index: Index, commits: list[IndexUpdate]) -> dict[bytes, object]:
    """What the server holds when an empty index heard of these commits and of nothing else."""
    client.flushall()
    index.record_commits(commits)
    return dump(client)


def test_a_commit_sets_its_three_keys(client: redis.Redis, index: Index) -> None:
    """Key names, types and contents are the contract's: dashboards read them."""
    index.record_commits([news("9"), news("10"), news("7")])
    assert dump(client) == {
        b"noonmark:{departures}:commits": {
            day.encode(): entry(made_commit(day=day, nonce=f"{day}-1")) for day in ("9", "10", "7")
        },
        b"noonmark:{departures}:processed_days": {b"7", b"9", b"10"},
        b"noonmark:{departures}:last_processed_day": b"10",
    }
    kept = json.loads(client.hget(COMMITS, "9") or b"")
    assert set(kept) == {"generation", "nonce", "fingerprint", "stat"}
    assert kept["fingerprint"] == made_commit().record.fingerprint()
    assert kept["stat"] == [4321, 1_700_000_000_123_456_789]


def test_the_commits_of_several_aggregations_are_kept_apart(client: redis.Redis, index: Index) -> None:
    """Each has its own keys, and is read by its own name."""
    index.record_commits([news("2013-01-01"), news("2013-01-02", name="delays"), news("2013-01-03")])
    found = index.read(["delays", "departures", "nothing"])
    assert {name: one.days() for name, one in found.items()} == {
        "delays": {"2013-01-02"},
        "departures": {"2013-01-01", "2013-01-03"},
        "nothing": set(),
    }
    assert found["departures"].last == b"2013-01-03"
    assert {key.decode() for key in client.scan_iter()} == {
        f"noonmark:{{{name}}}:{key}"
        for name in ("delays", "departures")
        for key in ("commits", "processed_days", "last_processed_day")
    }


@pytest.mark.parametrize(
    ("then", "now", "kept"),
    [
        ((1, "a", ""), (2, "b", "a"), (2, "b")),
        ((1, "a", ""), (5, "b", "unheard of"), (5, "b")),  # what came between was not heard of
        ((5, "a", ""), (4, "b", "other"), (5, "a")),  # late news of an older commit
        ((5, "a", ""), (4, "b", ""), (5, "a")),
        ((5, "a", ""), (5, "b", ""), (5, "a")),
        ((5, "a", ""), (3, "b", "a"), (3, "b")),  # a store's head replaced that very commit: its word counts
    ],
)
def test_an_entry_only_moves_forward(
    client: redis.Redis, index: Index, then: tuple[int, str, str], now: tuple[int, str, str], kept: tuple[int, str]
) -> None:
    """News replace an entry of a lower generation, or the very commit that they replaced; nothing else."""
    for generation, nonce, predecessor in (then, now):
        index.record_commits([news("7", generation, nonce=nonce, predecessor=predecessor)])
    assert held(client, "7") == kept


def test_late_news_do_not_set_the_highest_day_back(client: redis.Redis, index: Index) -> None:
    """last_processed_day is the highest day, in the order of days, not the latest to be told."""
    for day in ("10", "9", "100", "99"):
        index.record_commits([news(day)])
    assert client.get(LAST) == b"100"


def test_concurrent_writers_end_with_the_newest_and_no_reader_sees_half(
    server_url: str, client: redis.Redis, index: Index
) -> None:
    """All three keys move in one step: whoever looks meanwhile finds them in agreement, and every day only rises."""
    days = [str(number) for number in range(8, 13)]
    done = threading.Event()
    torn: list[object] = []

    def watch() -> int:
        looks = 0
        highest: dict[bytes, int] = {}
        with client_of(server_url) as reader:
            while not done.is_set():
                looks += 1
                with reader.pipeline(transaction=True) as look:
                    entries, processed, last = look.hgetall(COMMITS).smembers(PROCESSED).get(LAST).execute()
                generations = {day: json.loads(found)["generation"] for day, found in entries.items()}
                fell = [day for day, generation in generations.items() if generation < highest.get(day, 0)]
                top = max(entries, key=lambda day: order(day.decode()), default=None)
                if set(entries) != processed or last != top or fell:
                    torn.append((entries, processed, last, fell))
                highest |= generations
        return looks

    def write(seed: int) -> None:
        chance = random.Random(seed)
        writer = Index(Connection(server_url), NAMESPACE)
        for _ in range(60):
            writer.record_commits([news(day, chance.randrange(1, 500)) for day in chance.sample(days, 2)])
        writer.record_commits([news(day, 500) for day in days])
        writer._connection.close()

    with ThreadPoolExecutor(5) as pool:
        watcher = pool.submit(watch)
        try:
            for writer in [pool.submit(write, seed) for seed in range(4)]:
                writer.result()
        finally:
            done.set()
        assert watcher.result() > 0
    assert torn == []
    assert [held(client, day)[0] for day in days] == [500] * len(days)


WRONG = {
    "string": ("SET", "x"),
    "list": ("RPUSH", "x"),
    "set": ("SADD", "x"),
    "hash": ("HSET", "x", "y"),
    "sorted set": ("ZADD", "1", "x"),
    "stream": ("XADD", "*", "x", "y"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("key", KEYS, ids=["commits", "processed_days", "last_processed_day"])
def test_a_key_of_any_type_harms_nothing(client: redis.Redis, index: Index, key: str, kind: str) -> None:
    """A key of another type reads as empty, and a commit or a repair puts the right one in its place."""
    commits = [news("9"), news("10")]
    wanted = told(client, index, commits)
    command, *words = WRONG[kind]

    def spoil() -> None:
        client.delete(key)
        client.execute_command(command, key, *words)  # type: ignore[no-untyped-call]

    spoil()
    found = index.read(["departures"])["departures"]
    assert found.days() <= {"9", "10"}
    repair(index, output_of(*commits))
    assert dump(client) == wanted
    client.flushall()
    spoil()
    if kind != {COMMITS: "hash", PROCESSED: "set", LAST: "string"}[key]:
        index.record_commits(commits)
        assert dump(client) == wanted


def test_a_root_of_any_type_is_a_foreign_one(client: redis.Redis, index: Index) -> None:
    """A root key that is no string binds the index to nobody whom we know."""
    client.rpush("noonmark:root", "x")
    assert index.root() not in (None, "root-id")
    assert not index.bind("root-id")
    index.rebind("root-id", [])
    assert index.root() == "root-id"


DEEP = b"[" * 20_000
HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe\x00",
    b"{",
    DEEP,
    b'{"generation":' * 5000,
    b'{"generation":"7"}',
    b'{"generation":null,"nonce":null}',
    b'{"generation":1e999,"nonce":"x"}',
    b'{"generation":99999999999999999999999999}',
    b'{"generation":-1,"nonce":[]}',
    b'{"generation":NaN}',
    b'{"generation":Infinity}',
    b'{"generation":{"generation":1}}',
    b'{"generation":9007199254740993,"nonce":{}}',
    b"0" * 100_000,
]
VALUES = st.sampled_from(HOSTILE) | st.binary(max_size=40)
DAYS_HELD = st.sampled_from(
    [b"9", b"10", b"11", b"2013-01-01", b"", b"1\n2", b"../..", b"\x00", b"01", b"-1"]
) | st.binary(max_size=12)


@ON_ONE_SERVER
@given(
    st.dictionaries(DAYS_HELD, VALUES, max_size=6),
    st.sets(DAYS_HELD, max_size=5),
    st.none() | st.binary(max_size=12),
    st.lists(st.tuples(st.sampled_from(["9", "10", "11"]), st.integers(1, 3)), max_size=4),
)
@example({b"": b"?"}, {b""}, b"", [])
@example({b"9": entry(made_commit(day="9", nonce="9-1"))}, set(), b"9", [("9", 1)])  # only the set lacks it
@example({}, {b"9"}, b"9", [("9", 1)])  # only the entry is missing
@example({}, set(), b"2013-01-01", [])
def test_a_repaired_index_equals_one_that_commits_alone_have_made(
    client: redis.Redis,
    index: Index,
    entries: dict[Value, Value],
    processed: set[bytes],
    last: bytes | None,
    commits: list[tuple[str, int]],
) -> None:
    """Whatever was there before, one repair makes every key equal, byte for byte; a second one finds nothing to do."""
    newest = {day: news(day, generation) for day, generation in sorted(commits)}
    wanted = told(client, index, list(newest.values()))
    client.flushall()
    if entries:
        client.hset(COMMITS, mapping=entries)
    if processed:
        client.sadd(PROCESSED, *processed)
    if last is not None:
        client.set(LAST, last)
    assert all(is_day(day) for day in index.read(["departures"])["departures"].days())
    output = output_of(*newest.values())
    repaired = repair(index, output)
    assert dump(client) == wanted
    assert repaired.added + repaired.updated + repaired.unchanged == len(newest)
    assert repair(index, output) == ReconcileStats(unchanged=len(newest))
    assert dump(client) == wanted


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_entry_keeps_a_day_from_its_commit_for_good(client: redis.Redis, index: Index, value: bytes) -> None:
    """An entry that is no entry gives way to news; a made-up huge generation gives way to the next repair."""
    client.hset(COMMITS, "9", value)
    index.record_commits([news("9")])
    repair(index, output_of(news("9")))
    assert held(client, "9") == (1, "9-1")
    assert client.smembers(PROCESSED) == {b"9"}


def test_an_unreadable_entry_gives_way_at_once(client: redis.Redis, index: Index) -> None:
    """What is not JSON, or nested beyond measure, counts as no entry."""
    for value in (b"", b"{", DEEP, b"[]", b'{"generation":"7"}'):
        client.hset(COMMITS, "9", value)
        index.record_commits([news("9")])
        assert held(client, "9") == (1, "9-1")


def test_repair_says_what_it_did(client: redis.Redis, index: Index) -> None:
    """Added, updated, removed and unchanged are counted by entries; a dry run counts the same and writes nothing."""
    index.record_commits([news("1"), news("2", 5), news("3"), news("4")])
    output = output_of(news("1"), news("2", 2), news("3", 4), news("9"))
    before = dump(client)
    then = index.read(["departures"])
    assert index.reconcile(then, output, dry_run=True) == ReconcileStats(added=1, updated=2, removed=1, unchanged=1)
    assert dump(client) == before
    assert index.reconcile(then, output) == ReconcileStats(added=1, updated=2, removed=1, unchanged=1)
    assert (held(client, "2"), held(client, "3")) == ((2, "2-2"), (4, "3-4")), "set back, and set forward"
    assert client.smembers(PROCESSED) == {b"1", b"2", b"3", b"9"}
    assert client.get(LAST) == b"9"


@pytest.mark.parametrize("spoil", ["processed lacks one", "processed has one more", "last is wrong", "last is gone"])
def test_repair_mends_the_keys_that_no_entry_shows(client: redis.Redis, index: Index, spoil: str) -> None:
    """Where the entries agree with the output, the set and the highest day are made to agree too."""
    commits = [news("9"), news("10")]
    wanted = told(client, index, commits)
    if spoil == "processed lacks one":
        client.srem(PROCESSED, "10")
    elif spoil == "processed has one more":
        client.sadd(PROCESSED, "11")
    elif spoil == "last is wrong":
        client.set(LAST, "9")
    else:
        client.delete(LAST)
    assert dump(client) != wanted
    wrong = repair(index, output_of(*commits))
    assert wrong != ReconcileStats(unchanged=2), "and it is counted, or health would call it right"
    assert dump(client) == wanted
    assert repair(index, output_of(*commits)) == ReconcileStats(unchanged=2)


def test_the_highest_day_may_be_one_that_cannot_be_read(client: redis.Redis, index: Index) -> None:
    """What is remembered of an unreadable or newer result stays, and its day goes on to count: nothing is wrong."""
    index.record_commits([news("9"), news("10"), news("11")])
    days: dict[str, Found] = {"9": news("9").commit, "10": Newer(2), "11": Unreadable("cannot be read: EIO")}
    output = {"departures": days}
    then = index.read(["departures"])
    assert index.reconcile(then, output) == ReconcileStats(unchanged=1)
    assert client.get(LAST) == b"11"
    client.set(LAST, "9")
    assert index.reconcile(index.read(["departures"]), output) == ReconcileStats(updated=1)
    assert client.get(LAST) == b"11"


def test_repair_leaves_alone_what_was_committed_after_it_looked(client: redis.Redis, index: Index) -> None:
    """Compare and set: an entry that moved since it was read belongs to a commit that the scan may not have seen."""
    old = [news("1"), news("2"), news("3", 4)]
    index.record_commits(old)
    then = index.read(["departures"])
    stale = output_of(news("1"), news("3", 2))  # as scanned before the commits below
    index.record_commits([news("1", 2), news("2", 2), news("3", 5), news("4")])
    client.hdel(COMMITS, "1")  # and one that vanished
    before = dump(client)
    repaired = index.reconcile(then, stale)
    assert dump(client) == before
    assert [held(client, day)[0] for day in ("2", "3", "4")] == [2, 5, 1]
    assert repaired == ReconcileStats(unchanged=3), "what another run did is not counted as repaired"
    now = output_of(news("1", 2), news("2", 2), news("3", 5), news("4"))
    repair(index, now)
    assert [held(client, day)[0] for day in ("1", "2", "3", "4")] == [2, 2, 5, 1]


def test_repairs_and_commits_at_once_lose_nothing(server_url: str, client: redis.Redis, index: Index) -> None:
    """Repairs that run against older looks at the output never take back what was committed since."""
    output: dict[str, dict[str, Found]] = {"departures": {}}
    done = threading.Event()

    def keep_repairing() -> None:
        repairer = Index(Connection(server_url), NAMESPACE)
        while not done.is_set():
            then = repairer.read(["departures"])
            seen = {"departures": dict(output["departures"])}
            repairer.reconcile(then, seen)
        repairer._connection.close()

    with ThreadPoolExecutor(3) as pool:
        repairing = [pool.submit(keep_repairing) for _ in range(2)]
        try:
            for generation in range(1, 120):
                new = news(str(generation % 7), generation, predecessor=f"{generation % 7}-{generation - 7}")
                output["departures"][new.commit.record.day] = new.commit  # published first, told afterwards
                index.record_commits([new])
                assert held(client, new.commit.record.day)[0] == generation
        finally:
            done.set()
        for one in repairing:
            one.result()
    commits = [one for one in output["departures"].values() if isinstance(one, Commit)]
    assert client.hgetall(COMMITS) == {one.record.day.encode(): entry(one) for one in commits}


@pytest.mark.parametrize("found", [Unreadable("EIO"), Newer(2)])
def test_repair_keeps_the_entry_of_a_result_that_nobody_could_read(
    client: redis.Redis, index: Index, found: Found
) -> None:
    """Unknown is not absent: such a day stays remembered."""
    index.record_commits([news("1"), news("2")])
    before = dump(client)
    output = {"departures": {"1": news("1").commit, "2": found}}
    assert repair(index, output) == ReconcileStats(unchanged=1)
    assert dump(client) == before


def test_repair_forgets_a_damaged_result(client: redis.Redis, index: Index) -> None:
    """A damaged file is no commit, so the index does not speak of it as one."""
    index.record_commits([news("1"), news("2")])
    repair(index, {"departures": {"1": news("1").commit, "2": Damaged("torn")}})
    assert client.smembers(PROCESSED) == {b"1"}


def test_redis_emptied_in_between_is_built_anew_by_the_next_repair(client: redis.Redis, index: Index) -> None:
    """FLUSHALL at the worst moment: this repair sets nothing that it did not see, the next one restores everything."""
    commits = [news(str(day)) for day in range(20)]
    wanted = told(client, index, commits)
    then = index.read(["departures"])
    client.flushall()
    index.reconcile(then, output_of(*commits[:10]))
    repair(index, output_of(*commits))
    assert dump(client) == wanted


def test_many_days_are_repaired_in_several_steps(client: redis.Redis, index: Index) -> None:
    """More days than one script takes at once end just the same."""
    commits = [news(str(day)) for day in range(1203)]
    wanted = told(client, index, commits)
    client.flushall()
    assert repair(index, output_of(*commits)) == ReconcileStats(added=1203)
    assert dump(client) == wanted
    assert repair(index, {}) == ReconcileStats(removed=1203)
    assert dump(client) == {}


def test_an_index_belongs_to_the_first_output_that_binds_it(client: redis.Redis, index: Index) -> None:
    """Bound once, it refuses every other output until it is bound anew, and then forgets what it knew."""
    assert index.root() is None
    assert index.bind("one")
    assert index.bind("one")
    assert not index.bind("other")
    assert client.get("noonmark:root") == b"one"
    index.record_commits([news("1")])
    assert index.has_commits(["nothing", "departures"])
    assert not index.has_commits(["nothing"])
    index.rebind("other", ["departures"])
    assert dump(client) == {b"noonmark:root": b"other"}
    assert not index.has_commits(["departures"])


def test_two_first_runs_bind_one_index_once(server_url: str, client: redis.Redis, index: Index) -> None:
    """Of several outputs that bind at once, one wins and all know which."""

    def bind(name: str) -> bool:
        other = Index(Connection(server_url), NAMESPACE)
        try:
            return other.bind(name)
        finally:
            other._connection.close()

    for _ in range(10):
        client.flushall()
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(bind, "abcd")) == 1


def test_nothing_asked_is_nothing_sent(client: redis.Redis, index: Index) -> None:
    """Empty questions cost no call and give empty answers."""
    index.record_commits([])
    assert index.read([]) == {}
    assert not index.has_commits([])
    assert index.reconcile({}, {}) == ReconcileStats()
    assert dump(client) == {}


def test_ten_thousand_commits_take_little_memory(client: redis.Redis, index: Index) -> None:
    """At most 300 bytes of Redis's memory a commit, all three keys together."""
    days = 10_000
    for at in range(0, days, 1000):
        index.record_commits([news(str(day), nonce=f"{day:032x}") for day in range(at, at + 1000)])
    used = sum(client.memory_usage(key, samples=0) or 0 for key in KEYS)
    print(f"{used / days:.0f} bytes a commit")
    assert used / days <= 300


def test_a_namespace_keeps_to_its_own_keys(server_url: str, client: redis.Redis, index: Index) -> None:
    """Two projects on one Redis do not see each other."""
    other = Index(Connection(server_url), "noonmark:other")
    index.bind("one")
    index.record_commits([news("1")])
    assert other.root() is None
    assert other.read(["departures"])["departures"].days() == set()
    assert other.bind("two")
    keys = {key.decode() for key in client.scan_iter(match="noonmark:other:*")}
    assert keys == {"noonmark:other:root"}
    client.delete("noonmark:other:root")
    other._connection.close()


def test_a_closed_connection_closes_again(server_url: str) -> None:
    """Closing never fails, whatever the server does."""
    connection = Connection(server_url)
    Index(connection, NAMESPACE).root()
    connection.close()
    connection.close()
    nowhere = Connection("unix:///nowhere/socket")
    with suppress(IndexUnavailable):
        Index(nowhere, NAMESPACE).root()
    nowhere.close()


def test_an_aggregation_is_known_by_any_of_its_keys(client: redis.Redis, index: Index) -> None:
    """What is left of one that nobody declares any more is found by what is left, and repaired away."""
    client.sadd("noonmark:{ghost}:processed_days", "1")
    client.set("noonmark:{gone}:last_processed_day", "1")
    client.set("noonmark:{held}:lease:1", "x", ex=60)
    assert index.aggregations() == {"ghost", "gone"}
    assert index.reconcile(index.read(["ghost", "gone"]), {}) == ReconcileStats(removed=2)
    assert index.aggregations() == set()
