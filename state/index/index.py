"""The index: what Redis remembers of the output. Fast, losable, and always rebuildable.

What Redis holds is untrusted, and decides nothing. Entries change in two ways, each one atomic script:
``record_commits`` moves them forward, ``reconcile`` makes them equal to the output.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from state.days import is_day, order
from state.errors import IndexUnavailable
from state.index import keys, replies, scripts
from state.index.connection import Connection
from state.index.durability import Durability, durability_of
from state.index.limits import Limits
from state.index.replies import Call, Parser
from state.result.classify import Commit, Found, Newer, Unreadable

_DAYS_A_CALL = 500
_KEYS_A_CALL = 10_000
_SCAN_TIMES = 5
"""How many times longer than any other operation a scan may take: it passes every key of a server that others use."""
_MOST_NAMES = 10_000
"""How many aggregations a scan may find."""
_READ: tuple[tuple[str, Parser], ...] = (
    ("HGETALL", replies.of_any_type(replies.pairs, {})),
    ("SMEMBERS", replies.of_any_type(replies.texts, [])),
    ("GET", replies.of_any_type(replies.text, None)),
)
"""How the keys of an aggregation are read, in their order."""


@dataclass(frozen=True, slots=True)
class IndexSnapshot:
    """What the index holds of one aggregation, as bytes, unchecked: its entries, its set of days, its highest day."""

    entries: Mapping[bytes, bytes] = field(default_factory=dict)
    processed: frozenset[bytes] = frozenset()
    last: bytes | None = None

    def days(self) -> set[str]:
        """The days in it that are valid days."""
        names = (name.decode("ascii", "replace") for name in {*self.entries, *self.processed})
        return {name for name in names if is_day(name)}


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """A commit to record in the index; ``predecessor`` is the nonce of the commit that it replaced, or empty."""

    commit: Commit
    predecessor: str


@dataclass(frozen=True, slots=True)
class ReconcileStats:
    """What a reconciliation did to the index, in entries."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0


class _Change(NamedTuple):
    """A day, its entry as it was read, and the entry as it should be; empty means no entry."""

    day: bytes
    found: bytes
    wanted: bytes

    def kind(self) -> str:
        """The field of ``ReconcileStats`` that counts it."""
        return "removed" if not self.wanted else "updated" if self.found else "added"


class Index:
    """The commits of one output, as Redis remembers them.

    Every method raises IndexUnavailable where Redis cannot be used.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def root(self, within: Limits | None = None) -> str | None:
        """The id of the output that this index belongs to; None where it is unbound."""
        [found] = self._connection.send([self._get_root()], within)
        return None if found is None else str(found.decode("utf-8", "replace"))

    def bind(self, root_id: str) -> bool:
        """Bind an unbound index to an output; False where it belongs to another one."""
        within = Limits()
        if self.root(within) is None:
            claim = Call(("SET", keys.root(self._namespace), root_id, "NX"), replies.ok_or_nil)
            self._connection.send([claim], within)
        return self.root(within) == root_id

    def rebind(self, root_id: str, aggregations: Iterable[str]) -> None:
        """Delete what is held of these aggregations, and bind the index to this output."""
        root = keys.root(self._namespace)
        deleted = [("DEL", *keys.all_of(self._namespace, name)) for name in aggregations]
        calls = [Call(command, replies.number) for command in (*deleted, ("DEL", root))]
        self._connection.send([*calls, Call(("SET", root, root_id), replies.ok)])

    def has_commits(self, aggregations: Iterable[str]) -> bool:
        """Whether any commit of these aggregations is held."""
        size = replies.of_any_type(replies.number, 0)
        sizes = [Call(("HLEN", keys.commits(self._namespace, name)), size) for name in aggregations]
        # Together with a call of another type of reply: a server that answers every call with a number has no commits.
        _, *found = self._connection.send([self._get_root(), *sizes])
        return any(size > 0 for size in found)

    def read(self, aggregations: Sequence[str]) -> dict[str, IndexSnapshot]:
        """What is held of each of these aggregations. A key of the wrong type reads as empty."""
        calls = [
            Call((command, key), parse)
            for name in aggregations
            for (command, parse), key in zip(_READ, keys.of_aggregation(self._namespace, name), strict=True)
        ]
        found = iter(self._connection.send(calls))
        return {name: IndexSnapshot(next(found), frozenset(next(found)), next(found)) for name in aggregations}

    def aggregations(self) -> set[str]:
        """The aggregations of which anything is held, declared or not."""
        found: set[str] = set()
        within = Limits(_SCAN_TIMES)
        scan = ("MATCH", keys.pattern(self._namespace), "COUNT", _KEYS_A_CALL)
        cursor, passed = 0, set[int]()
        while cursor not in passed:
            passed.add(cursor)
            [(cursor, names)] = self._connection.send([Call(("SCAN", cursor, *scan), replies.page)], within)
            found |= {name for key in names if (name := keys.aggregation_of(self._namespace, key)) is not None}
            if len(found) > _MOST_NAMES:
                raise IndexUnavailable(f"Redis (NOONMARK_REDIS_URL) names more than {_MOST_NAMES:,} aggregations")
            if not cursor:
                return found
        raise IndexUnavailable(f"Redis (NOONMARK_REDIS_URL) scans in a circle: it came back to cursor {cursor}")

    def durability(self) -> Durability:
        """What the server says of its append-only file, flushes, evictions and replicas."""
        setting = Call(("CONFIG", "GET", "appendfsync"), replies.unless_refused(replies.pairs, {}))
        [info, settings] = self._connection.send([Call(("INFO",), replies.fields), setting])
        flush = settings.get(b"appendfsync")
        return durability_of(info, None if flush is None else flush.decode("utf-8", "replace"))

    def record_commits(self, updates: Iterable[IndexUpdate]) -> None:
        """Record commits: all three keys of an aggregation in one step, and never an older entry over a newer."""
        by_aggregation: dict[str, list[tuple[str, int, str, bytes]]] = {}
        for update in updates:
            record = update.commit.record
            by_aggregation.setdefault(record.aggregation, []).append(
                (record.day, record.generation, update.predecessor, entry(update.commit))
            )
        self._connection.send(
            scripts.commit(self._namespace, name, commits) for name, commits in by_aggregation.items()
        )

    def copy_failures(self, failures: Mapping[str, Mapping[str, str]]) -> None:
        """Replace the copy of the failures of these aggregations: for each of them, day to JSON."""
        calls = []
        for name, days in failures.items():
            key = keys.failures(self._namespace, name)
            calls.append(Call(("DEL", key), replies.number))
            if days:
                calls.append(Call(("HSET", key, *chain.from_iterable(days.items())), replies.number))
        self._connection.send(calls)

    def reconcile(
        self, then: Mapping[str, IndexSnapshot], output: Mapping[str, Mapping[str, Found]], *, dry_run: bool = False
    ) -> ReconcileStats:
        """Make the index equal to the output: entries added, corrected, set back or removed.

        ``then`` must have been read before the output was scanned. An entry that changed since was written by a
        commit that the scan may have missed, and is left alone: the script compares before it sets.
        """
        counts = Counter[str]()
        calls, parts = [], []
        for name, snapshot in then.items():
            days = output.get(name, {})
            changes = _changes(snapshot, days)
            commits = sum(isinstance(found, Commit) for found in days.values())
            counts["unchanged"] += commits - sum(bool(change.wanted) for change in changes)
            for at in range(0, len(changes), _DAYS_A_CALL):
                parts.append(changes[at : at + _DAYS_A_CALL])
                calls.append(scripts.reconcile(self._namespace, name, parts[-1]))
        left: list[list[bytes]] = [[]] * len(calls) if dry_run else self._connection.send(calls)
        for part, kept in zip(parts, map(frozenset, left), strict=True):
            counts.update("unchanged" if change.day in kept else change.kind() for change in part)
        return ReconcileStats(**counts)

    def _get_root(self) -> Call:
        return Call(("GET", keys.root(self._namespace)), replies.of_any_type(replies.text, b""))


def entry(commit: Commit) -> bytes:
    """A commit as the index keeps it: a function of the output alone, so that it can be rebuilt equal."""
    record = commit.record
    kept = {
        "generation": record.generation,
        "nonce": record.nonce,
        "fingerprint": record.fingerprint(),
        "stat": commit.stat,
    }
    return _ENCODER.encode(kept).encode()


_ENCODER = json.JSONEncoder(separators=(",", ":"))  # ``json.dumps`` would make one for each commit


def _changes(then: IndexSnapshot, days: Mapping[str, Found]) -> list[_Change]:
    """What makes an aggregation's keys agree with its results. What is held of unreadable or newer ones stays."""
    changes = []
    commits = {day.encode(): found for day, found in days.items() if isinstance(found, Commit)}
    unknown = {day.encode() for day, found in days.items() if isinstance(found, Unreadable | Newer)}
    for day, commit in commits.items():
        wanted = entry(commit)
        found = then.entries.get(day, b"")
        if found != wanted or day not in then.processed:
            changes.append(_Change(day, found, wanted))
    gone = sorted({*then.entries, *then.processed} - commits.keys() - unknown)
    changes += [_Change(day, then.entries.get(day, b""), b"") for day in gone]
    processed = {*commits, *(unknown & then.processed)}
    if not changes and max(processed, key=order, default=None) != then.last:
        # The script sets the highest day whatever it is given; the highest commit counts as wrong.
        highest = max(commits, key=order, default=b"")
        same = then.entries.get(highest, b"")
        changes = [_Change(highest, same, same)]
    return changes
