"""Leases on days: who computes what, so that several runs together compute a day once.

They save work and decide nothing. Whatever Redis holds, a lease keeps a run waiting for its own lifetime at most: one
without a lifetime, with a longer one, of another type, or of a process that is dead, is taken over.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from state import index_keys as keys
from state.errors import IndexUnavailable
from state.holder import is_dead, new_token
from state.index_client import close, connect, safe, send
from state.layout import Place

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
    """A lease as it was found; ``counts`` says that somebody alive holds it. No token: none is there, or no string."""

    token: bytes
    counts: bool


class Leases:
    """The leases of one run. Every method raises IndexUnavailable where Redis does not serve.

    Held leases are renewed by a thread of its own, three times in a lifetime, until they are released or closed.
    """

    def __init__(self, url: str, namespace: str, seconds: int) -> None:
        self._redis = connect(url)
        self._namespace = namespace
        self._name = safe(url)
        self._milliseconds = seconds * 1000
        self._token = new_token()
        self._held: set[Place] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._renewer = threading.Thread(target=self._renew_until_closed, name="lease-renewer", daemon=True)
        self._renewer.start()

    def close(self) -> None:
        """Release what is still held, and give the connections back. Never fails."""
        self._closing.set()
        self._renewer.join()
        with suppress(IndexUnavailable):
            self.release(self._held.copy())
        close(self._redis)

    def take(self, places: Sequence[Place]) -> set[Place]:
        """Take the leases of these days; returns those that somebody alive holds."""
        claims = [("SET", self._key(place), self._token, "NX", "PX", self._milliseconds) for place in places]
        refused = [place for place, reply in zip(places, self._call(claims), strict=True) if not _granted(reply)]
        leased = self._not_taken_over(self._look(refused))
        with self._lock:
            self._held |= set(places) - leased
        return leased

    def leased(self, places: Sequence[Place]) -> set[Place]:
        """Those of these days whose lease somebody else, alive, holds now. Takes none."""
        return {place for place, found in self._look(places).items() if found.counts and found.token != self._token}

    def forget(self, places: Collection[Place]) -> None:
        """Renew the leases of these days no more: they end by themselves."""
        with self._lock:
            self._held -= set(places)

    def release(self, places: Collection[Place]) -> None:
        """Give up the leases of these days, where they are still this run's."""
        self.forget(places)
        self._call([("EVAL", _RELEASE, 1, self._key(place), self._token) for place in places])

    def _look(self, places: Sequence[Place]) -> dict[Place, _Lease]:
        asked = [(command, self._key(place)) for place in places for command in ("GET", "PTTL")]
        replies = iter(self._call(asked))
        return {place: self._judged(next(replies), next(replies)) for place in places}

    def _judged(self, token: object, milliseconds: object) -> _Lease:
        if not isinstance(token, bytes) or not isinstance(milliseconds, int):
            return _Lease(b"", counts=False)
        return _Lease(token, counts=0 <= milliseconds <= self._milliseconds and not is_dead(token))

    def _not_taken_over(self, found: Mapping[Place, _Lease]) -> set[Place]:
        """Take over the leases that do not count; returns the places whose lease is not ours after that.

        Exactly what was judged is taken over: another run may have taken the same lease over in between, and lives.
        """
        ours = {place for place, lease in found.items() if lease.counts and lease.token == self._token}
        void = [place for place, lease in found.items() if not lease.counts]
        replies = self._call(
            ("EVAL", _TAKE_OVER, 1, self._key(place), found[place].token, self._token, self._milliseconds)
            for place in void
        )
        return set(found) - ours - {place for place, taken in zip(void, replies, strict=True) if taken}

    def _renew_until_closed(self) -> None:
        while not self._closing.wait(self._milliseconds / 3000):
            with self._lock:
                held = list(self._held)
            # A lease that was lost meanwhile costs a day computed twice, so there is nobody to tell.
            with suppress(IndexUnavailable):
                self._call([("EVAL", _RENEW, 1, self._key(place), self._token, self._milliseconds) for place in held])

    def _key(self, place: Place) -> str:
        return keys.lease(self._namespace, *place)

    def _call(self, commands: Iterable[tuple[object, ...]]) -> list[Any]:
        return send(self._redis, self._name, commands)


def _granted(reply: object) -> bool:
    return reply is True or reply in (b"OK", "OK")
