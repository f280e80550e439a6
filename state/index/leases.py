"""Leases on days: who computes what, so that several runs together compute a day once.

They save work and decide nothing. One without a lifetime, with a longer one, of another type, or of a process that is
dead, is taken over at once; one whose holder does not get on, once a whole lifetime was waited for it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from state import clock
from state.errors import IndexUnavailable
from state.index import keys
from state.index.client import close, connect, limits, safe, send
from state.index.connection import Limits
from state.index.lease_owner import is_dead, new_token
from state.index.lease_wait import Patience
from state.index.replies import Call, flag, granted, number, of_any_type, text
from state.partition import Partition

STALLED_LIFETIMES = 10
"""For so many lifetimes a lease is renewed while no day that was taken with it is settled: a long query is no hang."""

_TAKE_OVER = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then redis.call('DEL', KEYS[1]) end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_RENEW = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


@dataclass(frozen=True, slots=True)
class _Lease:
    """A lease as it was found; ``lives`` says that somebody alive holds it. No token: none is there, or no string."""

    token: bytes
    lives: bool


@dataclass(slots=True)
class _Holding:
    """Leases that were taken together, and when one of them was last settled."""

    got_on: float


class Leases:
    """The leases of one run. Every method raises IndexUnavailable where Redis does not serve.

    A thread of its own tends to them three times in a lifetime: held leases are renewed as long as the run gets on,
    those of settled days released. ``overruled`` are the days whose holder lives and was waited for in vain.
    """

    def __init__(self, url: str, namespace: str, seconds: int) -> None:
        self._redis = connect(url)
        self._namespace = namespace
        self._name = safe(url)
        self._milliseconds = seconds * 1000
        self._token = new_token()
        self._held: dict[Partition, _Holding] = {}
        self._settled: set[Partition] = set()
        self._patience = Patience(seconds)
        self.overruled: set[Partition] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._renewer = threading.Thread(target=self._renew_until_closed, name="lease-renewer", daemon=True)
        self._renewer.start()

    def close(self) -> None:
        """Release what is still held, and give the connections back. Never fails."""
        self._closing.set()
        self._renewer.join()
        with suppress(IndexUnavailable):
            self.release({*self._held, *self._settled})
        close(self._redis)

    def acquire(self, places: Sequence[Partition]) -> set[Partition]:
        """Take the leases of these days; returns those that somebody alive holds."""
        within = limits()
        claims = [
            Call(("SET", self._key(place), self._token, "NX", "PX", self._milliseconds), granted) for place in places
        ]
        refused = [place for place, given in zip(places, self._call(claims, within), strict=True) if not given]
        leased = self._not_taken_over(self._look(refused, within), within)
        with self._lock:
            self._held |= dict.fromkeys(set(places) - leased, _Holding(clock.monotonic()))
        return leased

    def leased(self, places: Sequence[Partition]) -> set[Partition]:
        """Those of these days that this run leaves to somebody else, alive, for now. Takes none."""
        found = self._look(places, limits())
        with self._lock:
            holders = {place: lease.token if lease.lives else None for place, lease in found.items()}
            self._patience.look(clock.monotonic(), holders)
        return {place for place, lease in found.items() if lease.token != self._token and self._counts(place, lease)}

    def finish(self, place: Partition) -> None:
        """Note that a day has its outcome: the run gets on, and the lease is released soon."""
        with self._lock:
            if holding := self._held.pop(place, None):
                holding.got_on = clock.monotonic()
                self._settled.add(place)

    def forget(self, places: Collection[Partition]) -> None:
        """Renew the leases of these days no more: they end by themselves."""
        with self._lock:
            self._settled.difference_update(places)
            for place in places:
                self._held.pop(place, None)

    def release(self, places: Collection[Partition]) -> None:
        """Give up the leases of these days, where they are still this run's."""
        self.forget(places)
        self._call(self._releases(places))

    def _releases(self, places: Iterable[Partition]) -> list[Call]:
        return [Call(("EVAL", _RELEASE, 1, self._key(place), self._token), flag) for place in places]

    def _look(self, places: Sequence[Partition], within: Limits) -> dict[Partition, _Lease]:
        asked = [call for place in places for call in (self._ask_token(place), self._ask_lifetime(place))]
        replies = iter(self._call(asked, within))
        return {place: self._judged(next(replies), next(replies)) for place in places}

    def _ask_token(self, place: Partition) -> Call:
        return Call(("GET", self._key(place)), of_any_type(text, None))

    def _ask_lifetime(self, place: Partition) -> Call:
        return Call(("PTTL", self._key(place)), number)

    def _judged(self, token: bytes | None, milliseconds: int) -> _Lease:
        if token is None:
            return _Lease(b"", lives=False)
        return _Lease(token, lives=0 <= milliseconds <= self._milliseconds and not is_dead(token))

    def _counts(self, place: Partition, lease: _Lease) -> bool:
        with self._lock:
            return lease.lives and (lease.token == self._token or self._patience.lasts(place, lease.token))

    def _not_taken_over(self, found: Mapping[Partition, _Lease], within: Limits) -> set[Partition]:
        """Take over the leases that do not count; returns the places whose lease is not ours after that.

        Exactly what was judged is taken over: another run may have taken the same lease over in between, and lives.
        """
        theirs = {place for place, lease in found.items() if lease.token != self._token}
        void = [place for place, lease in found.items() if not self._counts(place, lease)]
        commands = [
            ("EVAL", _TAKE_OVER, 1, self._key(place), found[place].token, self._token, self._milliseconds)
            for place in void
        ]
        replies = self._call([Call(command, flag) for command in commands], within)
        with self._lock:
            taken = {place for place, ok in zip(void, replies, strict=True) if ok or self._patience.is_over(place)}
            self.overruled |= {place for place in taken if found[place].lives}
        return theirs.union(void) - taken

    def _renew_until_closed(self) -> None:
        while not self._closing.wait(self._milliseconds / 3000):
            # A lease that was lost meanwhile costs a day computed twice, so there is nobody to tell.
            with suppress(IndexUnavailable):
                self._call(self._due(clock.monotonic()))

    def _due(self, now: float) -> list[Call]:
        stalled = now - STALLED_LIFETIMES * self._milliseconds / 1000
        with self._lock:
            held = [place for place, holding in self._held.items() if holding.got_on > stalled]
            settled, self._settled = self._settled, set()
        renewed = [Call(("EVAL", _RENEW, 1, self._key(place), self._token, self._milliseconds), flag) for place in held]
        return renewed + self._releases(settled)

    def _key(self, place: Partition) -> str:
        return keys.lease(self._namespace, *place)

    def _call(self, calls: Iterable[Call], within: Limits | None = None) -> list[Any]:
        return send(self._redis, self._name, calls, within)
