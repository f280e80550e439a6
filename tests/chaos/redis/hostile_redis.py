"""Any reply to any call: a run uses it rightly or goes on without Redis, in time and in bounded memory.

Each trial makes all calls that daily, repair and health make to an index, to a server that answers one of them, or all,
with anything.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from state.days import is_day
from state.errors import IndexUnavailable
from state.index import keys
from state.index.best_effort import BestEffortIndex
from state.index.index import Index, IndexUpdate
from state.index.limits import Limits
from state.index.replies import Call, Unexpected, page
from state.partition import Partition, is_aggregation_name
from state.result.classify import Commit, Found
from tests.builders import RECORD
from tests.chaos.campaign import Campaign, Hunt, Mutant, Report, Short, replaced, replaced_all, run_trials
from tests.chaos.redis.hostile_server import (
    ENDLESS,
    NO_VALUE,
    Command,
    ErrorValue,
    HostileServer,
    Reply,
    any_reply,
    encoded,
)
from tests.redis_servers import NAMESPACE, Server, client_of, started

CALL_SECONDS = 0.15
READ_BYTES = 4 << 20
BOUND = 20 * CALL_SECONDS + 4
"""How long a trial may take: a scan, another operation, and what a busy machine adds."""
NAMES = ("items_by_shop", "totals")
PLACES: list[Partition] = [(name, day) for name in NAMES for day in ("2024-01-01", "2024-01-02")]
ROOT = "f" * 32


def _found(name: str, day: str) -> Commit:
    return Commit(RECORD._replace(aggregation=name, day=day), (1000, 10**18))


OUTPUT: dict[str, dict[str, Found]] = {name: {day: _found(name, day) for _, day in PLACES[:2]} for name in NAMES}


@dataclass
class Use:
    """What a run asks of its index, call by call; ``wrong`` is what no reply may lead to."""

    url: str
    wrong: list[str] = field(default_factory=list)
    absence: str | None = None
    index: BestEffortIndex | None = None

    def run(self) -> None:
        """All of it. What a call raises is wrong."""
        with ExitStack() as stack:
            self.index = index = stack.enter_context(BestEffortIndex.open(self.url, NAMESPACE, 30))
            self._check("has_commits", lambda: index.has_commits(NAMES), lambda got: isinstance(got, bool))
            self._check("belongs_to", lambda: index.belongs_to(ROOT, bind=True), lambda got: isinstance(got, bool))
            then = self._check("read", lambda: index.read(NAMES), _is_read) or {}
            self._check("reconcile", lambda: index.reconcile(then, OUTPUT), _are_counts)
            self._check("acquire", lambda: index.acquire(PLACES), set(PLACES).issuperset)
            self._check("leased", lambda: index.leased(PLACES), set(PLACES).issuperset)
            news = [IndexUpdate(_found(*place), "") for place in PLACES]
            self._check("record_commits", lambda: index.record_commits(news), lambda got: got is None)
            self._check("release", lambda: index.release(PLACES), lambda got: got is None)
            self._check("aggregations", index.aggregations, lambda got: all(map(is_aggregation_name, got)))
            self._check("durability", index.durability, lambda got: got is None or json.dumps(asdict(got)))
            self._check("rebind", lambda: self._rebind(index), lambda got: got is None)
            self.absence = self.absence or index.unavailable_reason

    def _rebind(self, index: BestEffortIndex) -> None:
        try:
            index.rebind(ROOT, NAMES)
        except IndexUnavailable as error:
            self.absence = error.message

    def _check(self, name: str, call: Callable[[], Any], is_right: Callable[[Any], object]) -> Any:
        try:
            got = call()
            if not is_right(got):
                self.wrong.append(f"{name} gave {got!r:.200}")
        except Exception as error:  # noqa: BLE001 whatever comes out of it, it should not
            self.wrong.append(f"{name} raised {type(error).__name__}: {error!s:.200}")
            return None
        return got


def _is_read(got: dict[str, Any]) -> bool:
    texts = [text for one in got.values() for text in (*one.entries, *one.entries.values(), *one.processed)]
    days = [day for one in got.values() for day in one.days()]
    return all(isinstance(text, bytes) for text in texts) and all(map(is_day, days))


def _are_counts(got: Any) -> bool:
    return all(isinstance(number, int) and number >= 0 for number in asdict(got).values())


def fits(command: Command, value: object) -> bool:
    """Whether Redis may answer a command so."""
    if value is NO_VALUE:
        return False
    other_type = isinstance(value, ErrorValue) and value.text.startswith(b"WRONGTYPE")
    listed = isinstance(value, list) and all(isinstance(one, bytes) for one in value)
    paired = isinstance(value, list) and listed and len(value) % 2 == 0
    counted = isinstance(value, int) and abs(value) < 2**63
    text = value is None or isinstance(value, bytes)
    name = command[0]
    if name == b"EVAL":
        script = command[1]
        return listed if b"desired" in script else counted if b"predecessor" in script else value in (0, 1)
    if name == b"SCAN":
        return (
            isinstance(value, list)
            and len(value) == 2
            and isinstance(value[0], bytes)
            and value[0].isdigit()
            and len(value[0]) <= 20
            and isinstance(value[1], list)
            and all(isinstance(one, bytes) for one in value[1])
        )
    return bool(
        {
            b"GET": text or other_type,
            b"SET": value == b"OK" or (value is None and b"NX" in command),
            b"HLEN": counted or other_type,
            b"HGETALL": paired or other_type,
            b"SMEMBERS": listed or other_type,
            b"PTTL": counted,
            b"DEL": counted,
            b"INFO": isinstance(value, bytes),
            b"CONFIG": paired or isinstance(value, ErrorValue),
        }.get(name, True)
    )


def scans(step: int) -> Callable[[int, Command], Reply | None]:
    """Scans that never end: in a circle, or ever on."""

    def answer(_: int, command: Command) -> Reply | None:
        if command[0] != b"SCAN":
            return None
        cursor = encoded([str(int(command[1]) + step or 1).encode(), [b"noonmark:{totals}:commits"]])
        return Reply("a scan", lambda: (cursor,), NO_VALUE)

    return answer


@contextmanager
def short() -> Iterator[None]:
    """Deadlines and sizes that let thousands of trials run."""
    with replaced_all({"state.index.limits.CALL_SECONDS": CALL_SECONDS, "state.index.limits.REPLY_BYTES": READ_BYTES}):
        yield


class HostileServers:
    """The trials over one real server."""

    def __init__(self, server: Server, seed: int) -> None:
        self._server = server
        self._seed = seed
        self.calls = self._count()

    def _count(self) -> int:
        """How many commands an undisturbed use sends."""
        numbers: list[int] = []

        def count(number: int, _: Command) -> None:
            numbers.append(number)

        wrong, use = self._use(count)[:2]
        assert not wrong, wrong
        assert use.absence is None, use.absence
        return len(numbers)

    def trial(self, number: int) -> Iterator[str]:
        """Two scans without an end and each reply without one; then one call, or all, answered with anything.

        What is drawn depends on seed and number.
        """
        chance = random.Random(f"{self._seed} {number}")
        if number < 2:
            wrong, _, _ = self._use(scans(number))
            yield from (f"a scan without an end: {one}" for one in wrong)
            return
        same: Reply | None
        if number < 2 + len(ENDLESS):
            at, same = chance.randrange(3, self.calls + 1), ENDLESS[number - 2]
        else:
            at = chance.randrange(self.calls + 1)  # 0: all calls
            same = any_reply(chance) if chance.random() < 0.5 else None
        struck: list[tuple[Command, Reply]] = []

        def answer(place: int, command: Command) -> Reply | None:
            if at not in (0, place):
                return None
            reply = same or any_reply(chance)
            struck.append((command, reply))
            return reply

        wrong, use, sent = self._use(answer)
        misfit = next(((command, reply) for command, reply in struck if not fits(command, reply.value)), None)
        if misfit and use.absence is None and misfit[0][0] != b"CLIENT":
            wrong.append(f"{misfit[1].name} was taken for an answer to {misfit[0][0].decode()}")
        if sent > 2 * READ_BYTES + len(struck) * (1 << 20):
            wrong.append(f"{sent:,} bytes were read")
        where = f"call {at} of {self.calls}" if at else "every call"
        first = struck[0][1].name if struck else "nothing"
        yield from (f"seed {self._seed}, {where} answered {first}: {one}" for one in wrong)

    def _use(self, answer: Callable[[int, Command], Reply | None]) -> tuple[list[str], Use, int]:
        with client_of(self._server.url) as client:
            client.flushall()
        stranger = HostileServer(self._server.folder / "socket", answer)
        use = Use(stranger.url)
        thread = threading.Thread(target=use.run, daemon=True)
        thread.start()
        thread.join(BOUND)
        hangs = thread.is_alive()
        stranger.close()
        if hangs:
            use.wrong.append(f"it did not end within {BOUND:g} s")
        return list(use.wrong), use, stranger.sent


def attack(trials: int, seed: int, workdir: Path, stop_at: int | None = 20) -> Report:
    """So many trials on the server that Noonmark brings along."""
    log = logging.getLogger("noonmark")
    before, log.disabled = log.disabled, True
    try:
        with short(), started() as server:
            strangers = HostileServers(server, seed)
            return run_trials(range(trials), strangers.trial, stop_at)
    finally:
        log.disabled = before


def _trusted(call: Call, reply: object) -> Any:
    try:
        return call.parse(reply)
    except Unexpected:
        return reply


def _scan_on(self: Index) -> set[str]:
    cursor, found = 0, set[str]()
    while True:
        [(cursor, names)] = self._connection.send([Call(("SCAN", cursor), page)], Limits(1000))
        found |= {name for key in names if (name := keys.aggregation_of(NAMESPACE, key)) is not None}
        if not cursor:
            return found


MUTANTS: dict[str, Mutant] = {
    "SCAN unbounded": lambda: replaced("state.index.index.Index.aggregations", _scan_on),
    "reply's shape trusted": lambda: replaced("state.index.connection._parsed", _trusted),
    "reply's length trusted": lambda: replaced("state.index.limits.Limits.count", lambda *_: None),
    "deadline of each read alone": lambda: replaced("state.index.limits.Limits.seconds", lambda *_: 3600.0),
}
"""What this campaign must notice."""

_ENDLESS = ("SCAN unbounded", "deadline of each read alone")
"""Mutants that show by never coming to an end."""

CAMPAIGN = Campaign(
    "hostile-redis",
    "Replies of every type, nested, broken, cut, dribbled and endless, to any call or to all that daily, repair "
    "and health make; scans that never end",
    "4, 12",
    attack,
    trials=3_000,
    seed=20261126,
    shorts={"": Short(60)},
    mutants={name: Hunt(400, 2, slow=True) if name in _ENDLESS else Hunt(400, 40) for name in MUTANTS},
    protections=MUTANTS,
    waits=True,
)
