"""Whatever Redis may hold: values that lie, name paths, explode or belong to somebody else, under every key."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import redis

from state.index import keys
from state.index.lease_owner import new_token
from state.store.local import layout
from tests.chaos.harness.scene import DAYS
from tests.chaos.redis.faults import Fault, Stage
from tests.redis_servers import dump

AGGREGATIONS = ("items_by_shop", "totals")
NEW = "2024-01-03"
"""The day that only the disturbed run finds; the first of DAYS it finds changed, the second unchanged."""
UNCHANGED = DAYS[1]
_NS = "noonmark"
NO_DAYS = ("../../etc/passwd", "", "2024-02-30", "9" * 40, "-1", "day=2024-01-01", "\udcff", "a" * 70_000, "/tmp/x")
LIES = (
    json.dumps({"generation": 10**9, "nonce": "f" * 32, "fingerprint": "f" * 32, "stat": [1, 1]}),
    '{"generation":1e999,"nonce":null}',
    f'{{"generation":{"9" * 400}}}',
    '{"generation":-1,"nonce":{}}',
    '{"generation":"1"}',
    "[" * 5000,
    "{",
    "null",
    "done",
    "",
    "\x80\x04cbuiltins\nexit\n.",
)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _lie(stage: Stage) -> None:
    """All days are done, and more; no day is free; all of them failed; and there are aggregations that nobody knows."""
    client, chance = stage.client(), stage.chance
    days = [*DAYS, NEW, "2030-01-01", *NO_DAYS]
    for name in (*AGGREGATIONS, "ghost"):
        commits, processed, last = keys.of_aggregation(_NS, name)
        client.hset(commits, mapping={_raw(day): _raw(chance.choice(LIES)) for day in days})
        client.sadd(processed, *map(_raw, days))
        client.set(last, _raw(chance.choice(days)))
        client.hset(f"{_NS}:{{{name}}}:failures", mapping=dict.fromkeys((*DAYS, NEW), '{"status":"quarantined"}'))
    client.hset(f"{_NS}:{{../../escaped}}:commits", NEW, LIES[0])
    _hold_leases(client, stage)


def _hold_leases(client: redis.Redis, stage: Stage) -> None:
    """Every lease is somebody's: without a lifetime, for a century, unreadable, or not even a string."""
    for name in AGGREGATIONS:
        for day in (*DAYS, NEW):
            lease = keys.lease(_NS, name, day)
            client.delete(lease)
            kind = stage.chance.randrange(5)
            if kind == 0:
                client.rpush(lease, "x")
            else:
                token = stage.chance.choice((b"", b"|||", b"a|0|0|b", b"x" * 70_000, new_token()))
                client.set(lease, token, px=None if kind < 3 else 10**12)


def _change_types(stage: Stage) -> None:
    client = stage.client()
    for name in AGGREGATIONS:
        leases = [keys.lease(_NS, name, day) for day in (*DAYS, NEW)]
        for key in (*keys.of_aggregation(_NS, name), *leases, f"{_NS}:{{{name}}}:failures"):
            client.delete(key)
            kind = stage.chance.randrange(6)
            if kind == 0:
                client.rpush(key, NEW)
            elif kind == 1:
                client.zadd(key, {NEW: 1})
            elif kind == 2:
                client.xadd(key, {NEW: "1"})
            elif kind == 3:
                client.set(key, NEW)
            elif kind == 4:
                client.hset(key, NEW, "1")
            else:
                client.sadd(key, NEW)


def _belong_elsewhere(stage: Stage) -> None:
    client = stage.client()
    client.set(keys.root(_NS), "another output")
    stage.notes["before"] = dump(client)


def _is_untouched(stage: Stage) -> list[str]:
    if stage.notes.get("at start") and dump(stage.client()) != stage.notes["before"]:
        return ["another output's index was written to"]
    return []


def _make_root_a_list(stage: Stage) -> None:
    client = stage.client()
    client.delete(keys.root(_NS))
    client.rpush(keys.root(_NS), "x")


def _living_lease(stage: Stage) -> None:
    """Another run holds every day, and lives: that may delay by a lease's lifetime."""
    for name in AGGREGATIONS:
        for day in (*DAYS, NEW):
            stage.client().set(keys.lease(_NS, name, day), new_token(), px=stage.scene.lease_seconds * 1000)


def _lease_elsewhere(stage: Stage) -> None:
    """As a living lease; its holder's process number is free here, for it runs on another host of this one's name."""
    host, _, *where, _, began, nonce = new_token().split(b"|")
    token = b"|".join((host, b"another-boot", *where, str(2**22 + 1).encode(), began, nonce))
    for name in AGGREGATIONS:
        for day in (*DAYS, NEW):
            stage.client().set(keys.lease(_NS, name, day), token, px=stage.scene.lease_seconds * 1000)
    stage.notes["leased until"] = time.monotonic() + stage.scene.lease_seconds


def _waited_for(stage: Stage) -> list[str]:
    early = time.monotonic() < stage.notes["leased until"]
    return ["the lease of a run that may live was taken over"] if early else []


def _take_over(stage: Stage) -> None:
    """Another run took over, just now, what this one is about to release."""
    named = sorted(set(re.findall(rb"noonmark:\{\w+\}:lease:[-0-9]+", stage.call)))
    token = new_token()
    for key in named:
        stage.client().set(key, token, px=60_000)
    stage.leases = [(key, token) for key in named]


def _still_theirs(stage: Stage) -> list[str]:
    return [f"{key!r} was released for another run" for key, token in stage.leases if stage.client().get(key) != token]


_THEIRS = b'{"generation":7,"nonce":"theirs"}'


def _forget_one(stage: Stage) -> None:
    for name in AGGREGATIONS:
        stage.client().hset(keys.commits(_NS, name), UNCHANGED, "{}")


def _commit_meanwhile(stage: Stage) -> None:
    """Another run commits a day after this one looked at it, and before it sets the index right."""
    for name in AGGREGATIONS:
        stage.client().hset(keys.commits(_NS, name), UNCHANGED, _THEIRS)


def _not_set_back(stage: Stage) -> list[str]:
    kept = [stage.client().hget(keys.commits(_NS, name), UNCHANGED) for name in AGGREGATIONS]
    return [f"an entry of another run was set back: {one!r}" for one in kept if one != _THEIRS]


def _vouch(stage: Stage) -> None:
    """The index has the very size and time of a file that is none of ours."""
    for name in AGGREGATIONS:
        path: Path = stage.scene.output / layout.data_file(name, UNCHANGED)
        path.write_bytes(b"PAR1 somebody's PAR1")
        status = path.stat()
        commits = keys.commits(_NS, name)
        found = json.loads(stage.client().hget(commits, UNCHANGED) or b"{}")
        stage.client().hset(commits, UNCHANGED, json.dumps(found | {"stat": [status.st_size, status.st_mtime_ns]}))


VALUES: dict[str, Fault] = {
    "lies": Fault(_lie),
    "wrong types": Fault(_change_types),
    "another output's index": Fault(_belong_elsewhere, foreign=True, judge=_is_untouched),
    "a root that is a list": Fault(_make_root_a_list, foreign=True),
    "leases of a living run": Fault(_living_lease, in_mid_run=False),
    "leases of another host of this name": Fault(_lease_elsewhere, judge=_waited_for, in_mid_run=False),
    "a lease taken over": Fault(
        _take_over, judge=_still_theirs, at_call=b"return redis.call('DEL', KEYS[1])", lease_seconds=60
    ),
    "a commit meanwhile": Fault(
        _commit_meanwhile, judge=_not_set_back, at_call=b"local day, expected, desired", prepare=_forget_one
    ),
    "an index that vouches for a foreign file": Fault(_vouch, in_mid_run=False),
}
"""What a server may hold."""
