"""The index: what Redis remembers of the output. Quick, losable, and always rebuildable.

Nothing here decides: whatever Redis holds is untrusted, and whatever it does ends within a deadline. Two writers only,
each one atomic script: ``commit`` moves an entry forward, ``reconcile`` makes entries equal to the output.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from state.days import is_day
from state.errors import IndexUnavailable
from state.index import keys
from state.index import replies as shapes
from state.index.client import close, connect, limits, safe, send
from state.index.connection import Limits
from state.index.durability import Durability, durability_of
from state.index.replies import Call, Shape
from state.index.scripts import COMMIT, RECONCILE, commit_arguments, reconcile_arguments
from state.result.classify import Commit, Found, Newer, Unreadable

_DAYS_A_CALL = 500
_KEYS_A_CALL = 10_000
_SCAN_TIMES = 5
"""How many times longer than any other operation a scan may take: it passes every key of a server that others use."""
_MOST_NAMES = 10_000
"""How many aggregations are believed to be remembered."""


@dataclass(frozen=True, slots=True)
class IndexSnapshot:
    """What the index holds of one aggregation, as bytes, unchecked: its entries, its set of days, its highest day."""

    entries: Mapping[bytes, bytes] = field(default_factory=dict)
    processed: frozenset[bytes] = frozenset()
    last: bytes | None = None

    def days(self) -> set[str]:
        """The remembered days that are days at all."""
        names = (name.decode("ascii", "replace") for name in {*self.entries, *self.processed})
        return {name for name in names if is_day(name)}


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """A commit to tell the index of; ``predecessor`` is the nonce of the commit that it replaced, or empty."""

    commit: Commit
    predecessor: str


_Change = tuple[bytes, bytes, bytes]
"""A day, its entry as it was read, and the entry as it should be; empty means no entry."""


@dataclass(slots=True)
class ReconcileStats:
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
        return self._root(limits())

    def _root(self, within: Limits) -> str | None:
        [found] = self._call([self._ask_root()], within)
        return None if found is None else str(found.decode("utf-8", "replace"))

    def _ask_root(self) -> Call:
        return Call(("GET", keys.root(self._namespace)), shapes.of_any_type(shapes.text, b""))

    def bind(self, root_id: str) -> bool:
        """Bind an unbound index to an output; False where it belongs to another one."""
        within = limits()
        if self._root(within) is None:
            self._call([Call(("SET", keys.root(self._namespace), root_id, "NX"), shapes.granted)], within)
        return self._root(within) == root_id

    def rebind(self, root_id: str, aggregations: Iterable[str]) -> None:
        """Forget what is remembered of these aggregations and belong to this output from now on."""
        root = keys.root(self._namespace)
        forget = [
            Call(
                ("DEL", *keys.of_aggregation(self._namespace, name), keys.failures(self._namespace, name)),
                shapes.number,
            )
            for name in aggregations
        ]
        self._call([*forget, Call(("DEL", root), shapes.number), Call(("SET", root, root_id), shapes.done)])

    def has_commits(self, aggregations: Iterable[str]) -> bool:
        """Whether any commit of these aggregations is remembered."""
        sizes = [
            Call(("HLEN", keys.commits(self._namespace, name)), shapes.of_any_type(shapes.number, 0))
            for name in aggregations
        ]
        # Asked with a question of another shape: who answers every call with a number remembers nothing.
        _, *found = self._call([self._ask_root(), *sizes])
        return any(size > 0 for size in found)

    def read(self, aggregations: Sequence[str]) -> dict[str, IndexSnapshot]:
        """What is remembered of each of these aggregations. A key of the wrong type reads as empty."""
        calls = [
            Call((command, key), shape)
            for name in aggregations
            for (command, shape), key in zip(_READ, keys.of_aggregation(self._namespace, name), strict=True)
        ]
        replies = iter(self._call(calls))
        return {name: IndexSnapshot(next(replies), frozenset(next(replies)), next(replies)) for name in aggregations}

    def aggregations(self) -> set[str]:
        """The aggregations that anything is remembered of, declared or not."""
        found: set[str] = set()
        within = limits(_SCAN_TIMES)
        pattern = keys.pattern(self._namespace)
        cursor, passed = 0, set[int]()
        while cursor not in passed:
            passed.add(cursor)
            [(cursor, names)] = self._call(
                [Call(("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_A_CALL), shapes.page)], within
            )
            found |= {name for key in names if (name := keys.aggregation_of(self._namespace, key)) is not None}
            if len(found) > _MOST_NAMES:
                raise self._failed(f"Redis at {self._name} names more than {_MOST_NAMES:,} aggregations")
            if not cursor:
                return found
        raise self._failed(f"Redis at {self._name} scans in a circle: it came back to cursor {cursor}")

    def durability(self) -> Durability:
        """What the server says of its append-only file, flushes, evictions and replicas."""
        permitted: Shape = shapes.if_permitted(shapes.pairs, {})  # many a server keeps CONFIG from its users
        setting = Call(("CONFIG", "GET", "appendfsync"), permitted)
        [told, settings] = self._call([Call(("INFO",), shapes.fields), setting])
        flush = settings.get(b"appendfsync")
        return durability_of(told, None if flush is None else flush.decode("utf-8", "replace"))

    def record_commits(self, commits: Iterable[IndexUpdate]) -> None:
        """Remember commits: all three keys of an aggregation in one step, and never an older one over a newer."""
        by_aggregation: dict[str, list[tuple[str, int, str, bytes]]] = {}
        for new in commits:
            record = new.commit.record
            by_aggregation.setdefault(record.aggregation, []).append(
                (record.day, record.generation, new.predecessor, entry(new.commit))
            )
        self._call(
            [self._script(COMMIT, name, commit_arguments(some), shapes.number) for name, some in by_aggregation.items()]
        )

    def copy_failures(self, failures: Mapping[str, Mapping[str, str]]) -> None:
        """Replace what is shown of the failures of these aggregations: for each of them, day to JSON."""
        calls = []
        for name, days in failures.items():
            key = keys.failures(self._namespace, name)
            calls.append(Call(("DEL", key), shapes.number))
            if days:
                calls.append(Call(("HSET", key, *chain.from_iterable(days.items())), shapes.number))
        self._call(calls)

    def reconcile(
        self, then: Mapping[str, IndexSnapshot], output: Mapping[str, Mapping[str, Found]], *, dry_run: bool = False
    ) -> ReconcileStats:
        """Make the index equal to the output: entries added, corrected, set back or removed.

        ``then`` must have been read before the output was scanned. An entry that changed since was written by a
        commit that the scan may not have seen, and is left alone: the script compares before it sets.
        """
        repaired = ReconcileStats()
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
                calls.append(self._script(RECONCILE, name, reconcile_arguments(part), shapes.texts))
                parts.append(part)
        replies: list[list[bytes]] = [[]] * len(calls) if dry_run else self._call(calls)
        for part, left in zip(parts, replies, strict=True):
            repaired.count(part, frozenset(left))
        return repaired

    def _script(self, script: str, aggregation: str, arguments: Sequence[object], shape: Shape) -> Call:
        found = keys.of_aggregation(self._namespace, aggregation)
        return Call(("EVAL", script, len(found), *found, *arguments), shape)

    def _call(self, calls: Sequence[Call], within: Limits | None = None) -> list[Any]:
        if self._failure:
            raise IndexUnavailable(self._failure)
        if not calls:
            return []
        try:
            return send(self._redis, self._name, calls, within)
        except IndexUnavailable as error:
            raise self._failed(error.message) from None

    def _failed(self, why: str) -> IndexUnavailable:
        self._failure = why
        return IndexUnavailable(why)


_READ: tuple[tuple[str, Shape], ...] = (
    ("HGETALL", shapes.of_any_type(shapes.pairs, {})),
    ("SMEMBERS", shapes.of_any_type(shapes.texts, [])),
    ("GET", shapes.of_any_type(shapes.text, None)),
)
"""How the keys of an aggregation are read, in their order."""


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


def _order(day: bytes) -> tuple[int, bytes]:
    """As ``state.days.order``, for days as Redis holds them."""
    return len(day), day


def _changes(then: IndexSnapshot, commits: Mapping[str, Commit], unknown: set[bytes]) -> list[_Change]:
    changes = []
    for day, commit in commits.items():
        name, wanted = day.encode(), entry(commit)
        found = then.entries.get(name, b"")
        if found != wanted or name not in then.processed:
            changes.append((name, found, wanted))
    gone = sorted({*then.entries, *then.processed} - {day.encode() for day in commits} - unknown)
    return changes + [(name, then.entries.get(name, b""), b"") for name in gone]
