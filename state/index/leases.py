"""Leases on days: who computes what, so that several runs together compute a day once.

They save work and decide nothing. One without a lifetime, with a longer one, of another type, or of a dead process is
taken over at once. One whose owner makes no progress is taken over once a whole lifetime was waited for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from state import clock
from state.errors import IndexUnavailable
from state.index import keys, scripts
from state.index.connection import Connection
from state.index.lease_owner import is_dead, new_token
from state.index.limits import Limits
from state.index.replies import Call, number, of_any_type, ok_or_nil, text
from state.partition import Partition
from state.words import enumerated

STALLED_LIFETIMES = 10
"""For so many lifetimes a lease is renewed while no day acquired with it is finished: a long query is no hang."""
_MOST_CHANGES = 20
"""How often a day that is waited for may become free or change hands before it is computed whatever its lease says."""
_CHECKS = 4
"""How many checks at least an owner has to make progress. Between two of them the run may have computed for hours."""

log = logging.getLogger("noonmark")


@dataclass(frozen=True, slots=True)
class _Lease:
    """A lease as it was read; ``alive``: its owner may live. The token is empty where there is none, or no string."""

    token: bytes
    alive: bool


@dataclass(slots=True)
class _Batch:
    """Leases that were acquired together, and when one of them was last finished (monotonic seconds)."""

    progress_at: float


class LeaseWait:
    """How long a run waits for days that others lease: as long as their owner makes progress, and one lifetime beyond.

    An owner is known by its token. It makes progress where it is seen to have acquired a day, or a day that it held to
    have left it. Time counts as far as the run waits. The commit protocol is safe without leases, so the wait for a day
    always ends.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._checked_at: float | None = None
        self._waited = 0.0
        self._progress_at: dict[int, float] = {}
        self._owners: dict[Partition, list[int | None]] = {}

    def check(self, now: float, owners: Mapping[Partition, bytes | None]) -> None:
        """Note who owns the days that are waited for; None: nobody alive."""
        since = 0.0 if self._checked_at is None else now - self._checked_at
        self._waited += min(since, self._lifetime / _CHECKS)
        self._checked_at = now
        for partition, token in owners.items():
            owner = None if token is None else hash(token)
            seen = self._owners.setdefault(partition, [])
            # Once a day each: a lease that comes and goes is no progress.
            if len(seen) == 1 and seen[0] not in (None, owner):
                self._progress_at[seen[0]] = self._waited
            if owner is not None and (owner not in self._progress_at or (seen and owner not in seen)):
                self._progress_at[owner] = self._waited
            if owner is None or seen[-1:] != [owner]:
                seen.append(owner)

    def goes_on(self, partition: Partition, token: bytes) -> bool:
        """Whether a day is left to its present owner."""
        progress_at = self._progress_at.get(hash(token))
        in_time = progress_at is None or self._waited - progress_at < self._lifetime
        return in_time and not self.is_over(partition)

    def is_over(self, partition: Partition) -> bool:
        """Whether a day is waited for no more, whatever is said of its lease."""
        return len(self._owners.get(partition, ())) > _MOST_CHANGES


class Leases:
    """The leases of one run. ``acquire``, ``leased`` and ``release`` raise IndexUnavailable where Redis cannot be used.

    A thread of its own runs three times in a lifetime: it renews held leases as long as the run makes progress, and
    releases those of finished days.
    """

    def __init__(self, connection: Connection, namespace: str, seconds: int) -> None:
        self._connection = connection
        self._namespace = namespace
        self._milliseconds = seconds * 1000
        self._token = new_token()
        self._held: dict[Partition, _Batch] = {}
        self._finished: set[Partition] = set()
        self._wait = LeaseWait(seconds)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._renewer = threading.Thread(target=self._renew_until_closed, name="lease-renewer", daemon=True)
        self._renewer.start()

    def close(self) -> None:
        """Release what is still held. Never fails."""
        self._closing.set()
        self._renewer.join()
        with suppress(IndexUnavailable):
            self.release({*self._held, *self._finished})

    def acquire(self, partitions: Sequence[Partition]) -> set[Partition]:
        """Acquire the leases of these days; returns those that are left to somebody else."""
        within = Limits()
        claims = [
            Call(("SET", self._key(one), self._token, "NX", "PX", self._milliseconds), ok_or_nil) for one in partitions
        ]
        granted = self._connection.send(claims, within)
        refused = [one for one, given in zip(partitions, granted, strict=True) if not given]
        leased = self._not_taken_over(self._read(refused, within), within)
        with self._lock:
            self._held |= dict.fromkeys(set(partitions) - leased, _Batch(clock.monotonic()))
        return leased

    def leased(self, partitions: Sequence[Partition]) -> set[Partition]:
        """Those of these days that are left to somebody else for now. Acquires none."""
        found = self._read(partitions, Limits())
        with self._lock:
            self._wait.check(
                clock.monotonic(), {one: lease.token if lease.alive else None for one, lease in found.items()}
            )
        return {one for one, lease in found.items() if lease.token != self._token and self._is_valid(one, lease)}

    def finish(self, partition: Partition) -> None:
        """Note that a day has its outcome: the run makes progress, and the lease is released soon."""
        with self._lock:
            if batch := self._held.pop(partition, None):
                batch.progress_at = clock.monotonic()
                self._finished.add(partition)

    def forget(self, partitions: Collection[Partition]) -> None:
        """Stop renewing the leases of these days: they expire."""
        with self._lock:
            self._finished.difference_update(partitions)
            for partition in partitions:
                self._held.pop(partition, None)

    def release(self, partitions: Collection[Partition]) -> None:
        """Release the leases of these days, where they are still this run's."""
        self.forget(partitions)
        self._connection.send(self._releases(partitions))

    def _releases(self, partitions: Iterable[Partition]) -> list[Call]:
        return [scripts.release(self._key(one), self._token) for one in partitions]

    def _read(self, partitions: Sequence[Partition], within: Limits) -> dict[Partition, _Lease]:
        calls = []
        for key in map(self._key, partitions):
            calls += [Call(("GET", key), of_any_type(text, None)), Call(("PTTL", key), number)]
        found = iter(self._connection.send(calls, within))
        return {one: self._classify(next(found), next(found)) for one in partitions}

    def _classify(self, token: bytes | None, milliseconds: int) -> _Lease:
        if token is None:
            return _Lease(b"", alive=False)
        return _Lease(token, alive=0 <= milliseconds <= self._milliseconds and not is_dead(token))

    def _is_valid(self, partition: Partition, lease: _Lease) -> bool:
        with self._lock:
            return lease.alive and (lease.token == self._token or self._wait.goes_on(partition, lease.token))

    def _not_taken_over(self, found: Mapping[Partition, _Lease], within: Limits) -> set[Partition]:
        """Take over the leases that are not valid; returns the days whose lease is not this run's after that.

        Exactly the lease that was read is taken over: another run may have taken it over in between, and lives.
        """
        theirs = {one for one, lease in found.items() if lease.token != self._token}
        void = [one for one, lease in found.items() if not self._is_valid(one, lease)]
        replies = self._connection.send(
            [scripts.take_over(self._key(one), found[one].token, self._token, self._milliseconds) for one in void],
            within,
        )
        with self._lock:
            taken = {one for one, ok in zip(void, replies, strict=True) if ok or self._wait.is_over(one)}
        if overruled := sorted(one for one in taken if found[one].alive):
            log.warning(
                "computing results that another run holds, for it finished none within NOONMARK_LEASE_SECONDS: %s",
                enumerated([" ".join(one) for one in overruled], shown=3),
            )
        return theirs.union(void) - taken

    def _renew_until_closed(self) -> None:
        while not self._closing.wait(self._milliseconds / 3000):
            # A lease that was lost meanwhile costs a day computed twice, and nothing else.
            with suppress(IndexUnavailable):
                self._connection.send(self._due(clock.monotonic()))

    def _due(self, now: float) -> list[Call]:
        stalled = now - STALLED_LIFETIMES * self._milliseconds / 1000
        with self._lock:
            held = [one for one, batch in self._held.items() if batch.progress_at > stalled]
            finished, self._finished = self._finished, set()
        renewed = [scripts.renew(self._key(one), self._token, self._milliseconds) for one in held]
        return renewed + self._releases(finished)

    def _key(self, partition: Partition) -> str:
        return keys.lease(self._namespace, *partition)
