"""The index: what Redis remembers of the output. Quick, losable, and always rebuildable.

Nothing here decides: whatever Redis holds is untrusted, and whatever it does ends within a deadline. Two writers only,
each one atomic script: ``commit`` moves an entry forward, ``reconcile`` makes entries equal to the output.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from state import index_keys as keys
from state.days import is_day
from state.durability import Durability, durability_of
from state.errors import IndexUnavailable
from state.found import Commit, Found, Newer, Unreadable
from state.index_client import close, connect, safe, send
from state.index_scripts import COMMIT, RECONCILE, commit_arguments, reconcile_arguments

_DAYS_A_CALL = 500


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the index holds of one aggregation, as bytes, unchecked: its entries, its set of days, its highest day."""

    entries: Mapping[bytes, bytes] = field(default_factory=dict)
    processed: frozenset[bytes] = frozenset()
    last: bytes | None = None

    def days(self) -> set[str]:
        """The remembered days that are days at all."""
        names = (name.decode("ascii", "replace") for name in {*self.entries, *self.processed})
        return {name for name in names if is_day(name)}


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to tell the index of; ``predecessor`` is the nonce of the commit that it replaced, or empty."""

    commit: Commit
    predecessor: str


_Change = tuple[bytes, bytes, bytes]
"""A day, its entry as it was read, and the entry as it should be; empty means no entry."""


@dataclass(slots=True)
class Repaired:
    """What a repair did to the index, in entries."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0

    def count(self, changes: Iterable[_Change], left: frozenset[bytes]) -> None:
        """Count changes, but for days that were ``left`` alone: another run has told the index of them meanwhile."""
        for day, found, wanted in changes:
            if day in left:
                self.unchanged += 1
            elif not wanted:
                self.removed += 1
            elif found:
                self.updated += 1
            else:
                self.added += 1


class Index:
    """A Redis that remembers the commits of one output.

    Every method raises IndexUnavailable where Redis does not serve.
    After the first failure the rest of the run goes without it: a server that hangs costs one deadline, not thousands.
    """

    def __init__(self, url: str, namespace: str) -> None:
        self._redis = connect(url)
        self._namespace = namespace
        self._name = safe(url)
        self._failure: str | None = None

    def close(self) -> None:
        """Give the connections back. Never fails."""
        close(self._redis)

    def root(self) -> str | None:
        """The id of the output that this index belongs to; None where it is bound to none."""
        [found] = self._call([("GET", keys.root(self._namespace))])
        return None if found is None else found.decode("utf-8", "replace") if isinstance(found, bytes) else ""

    def bind(self, root_id: str) -> bool:
        """Bind an unbound index to an output; False where it belongs to another one."""
        if self.root() is None:
            self._call([("SET", keys.root(self._namespace), root_id, "NX")])
        return self.root() == root_id

    def bind_anew(self, root_id: str, aggregations: Iterable[str]) -> None:
        """Forget what is remembered of these aggregations and belong to this output from now on."""
        forget = [("DEL", *keys.of_aggregation(self._namespace, name)) for name in aggregations]
        self._call([*forget, ("DEL", keys.root(self._namespace)), ("SET", keys.root(self._namespace), root_id)])

    def remembers(self, aggregations: Iterable[str]) -> bool:
        """Whether any commit of these aggregations is remembered."""
        return any(
            isinstance(size, int) and size > 0
            for size in self._call([("HLEN", keys.commits(self._namespace, name)) for name in aggregations])
        )

    def read(self, aggregations: Sequence[str]) -> dict[str, Remembered]:
        """What is remembered of each of these aggregations. A key of the wrong type reads as empty."""
        calls = [
            (command, key)
            for name in aggregations
            for command, key in zip(
                ("HGETALL", "SMEMBERS", "GET"), keys.of_aggregation(self._namespace, name), strict=True
            )
        ]
        replies = self._call(calls)
        return {name: _remembered(*replies[3 * at : 3 * at + 3]) for at, name in enumerate(aggregations)}

    def aggregations(self) -> set[str]:
        """The aggregations that anything is remembered of, declared or not."""
        found: set[str] = set()
        cursor = 0
        while True:
            [(reached, names)] = self._call([("SCAN", cursor, "COUNT", 1000)])
            found |= {name for key in names if (name := keys.aggregation_of(self._namespace, key)) is not None}
            if not (cursor := int(reached)):
                return found

    def durability(self) -> Durability:
        """What the server says of its append-only file, flushes, evictions and replicas."""
        [info] = self._call([("INFO",)])
        told = {str(name): str(value) for name, value in info.items()} if isinstance(info, dict) else {}
        flush = None
        with suppress(IndexUnavailable):  # many a server keeps CONFIG from its users
            [found] = send(self._redis, self._name, [("CONFIG", "GET", "appendfsync")])
            flush = found[1].decode() if isinstance(found, list) and len(found) == 2 else None
        return durability_of(told, flush)

    def commit(self, commits: Iterable[NewCommit]) -> None:
        """Remember commits: all three keys of an aggregation in one step, and never an older one over a newer."""
        by_aggregation: dict[str, list[tuple[str, int, str, bytes]]] = {}
        for new in commits:
            record = new.commit.record
            by_aggregation.setdefault(record.aggregation, []).append(
                (record.day, record.generation, new.predecessor, entry(new.commit))
            )
        self._call([self._script(COMMIT, name, commit_arguments(some)) for name, some in by_aggregation.items()])

    def reconcile(
        self, then: Mapping[str, Remembered], output: Mapping[str, Mapping[str, Found]], *, dry_run: bool = False
    ) -> Repaired:
        """Make the index equal to the output: entries added, corrected, set back or removed.

        ``then`` must have been read before the output was scanned. An entry that changed since was written by a
        commit that the scan may not have seen, and is left alone: the script compares before it sets.
        """
        repaired = Repaired()
        calls, parts = [], []
        for name, remembered in then.items():
            days = output.get(name, {})
            commits = {day: found for day, found in days.items() if isinstance(found, Commit)}
            unknown = {day.encode() for day, found in days.items() if isinstance(found, Unreadable | Newer)}
            changes = _changes(remembered, commits, unknown)
            processed = {*(day.encode() for day in commits), *(unknown & remembered.processed)}
            if not changes and max(processed, key=_order, default=None) != remembered.last:
                # The script sets the highest day whatever it is given; the highest commit counts as wrong.
                highest = max((day.encode() for day in commits), key=_order, default=b"")
                same = remembered.entries.get(highest, b"")
                changes = [(highest, same, same)]
            repaired.unchanged += len(commits) - sum(bool(wanted) for _, _, wanted in changes)
            for at in range(0, len(changes), _DAYS_A_CALL):
                part = changes[at : at + _DAYS_A_CALL]
                calls.append(self._script(RECONCILE, name, reconcile_arguments(part)))
                parts.append(part)
        replies = [None] * len(calls) if dry_run else self._call(calls)
        for part, reply in zip(parts, replies, strict=True):
            repaired.count(part, _days(reply))
        return repaired

    def _script(self, script: str, aggregation: str, arguments: Sequence[object]) -> tuple[object, ...]:
        found = keys.of_aggregation(self._namespace, aggregation)
        return ("EVAL", script, len(found), *found, *arguments)

    def _call(self, commands: Sequence[tuple[object, ...]]) -> list[Any]:
        if self._failure:
            raise IndexUnavailable(self._failure)
        if not commands:
            return []
        try:
            return send(self._redis, self._name, commands)
        except IndexUnavailable as error:
            self._failure = error.message
            raise


def entry(commit: Commit) -> bytes:
    """A commit as the index keeps it: a function of the output alone, so that it can be rebuilt equal."""
    record = commit.record
    kept = {
        "generation": record.generation,
        "nonce": record.nonce,
        "fingerprint": record.fingerprint(),
        "stat": [commit.size, commit.mtime_ns],
    }
    return _ENCODER.encode(kept).encode()


_ENCODER = json.JSONEncoder(separators=(",", ":"))  # ``json.dumps`` would make one for each commit


def _order(day: bytes) -> tuple[int, bytes]:
    """As ``state.days.order``, for days as Redis holds them."""
    return len(day), day


def _remembered(entries: object, processed: object, last: object) -> Remembered:
    return Remembered(
        _pairs(entries) if isinstance(entries, list | dict) else {},
        frozenset(processed) if isinstance(processed, list | set) else frozenset(),
        last if isinstance(last, bytes) else None,
    )


def _days(reply: object) -> frozenset[bytes]:
    return frozenset(one for one in reply if isinstance(one, bytes)) if isinstance(reply, list) else frozenset()


def _pairs(reply: list[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes]:
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def _changes(then: Remembered, commits: Mapping[str, Commit], unknown: set[bytes]) -> list[_Change]:
    changes = []
    for day, commit in commits.items():
        name, wanted = day.encode(), entry(commit)
        found = then.entries.get(name, b"")
        if found != wanted or name not in then.processed:
            changes.append((name, found, wanted))
    gone = sorted({*then.entries, *then.processed} - {day.encode() for day in commits} - unknown)
    return changes + [(name, then.entries.get(name, b""), b"") for name in gone]
