"""Names the inferred type that explains why a day fails: its column, what it was on other days, and what to declare."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import CodeType

from state.partition import Partition
from state.result.classify import Commit
from state.result.inferred import Seen, Types, declaration, settled
from state.result.record import SourceRecord
from state.words import counted, enumerated
from tasks.catalog.declare import Aggregation
from tasks.catalog.load import Catalog
from tasks.reading.differing_types import Results
from tasks.reading.inferring import infers

_SHOWN = 3
"""How many columns a message names."""


class _DayTypes:
    """The types of a source's days; how many days have each mapping is counted as they come and go."""

    def __init__(self) -> None:
        self._days: dict[str, Types] = {}
        self._counts: Counter[int] = Counter()
        self._mappings: dict[int, Types] = {}

    def put(self, day: str, types: Types | None) -> None:
        """Set or, with None, remove a day's types."""
        before = self._days.pop(day, None)
        if before is not None:
            self._counts[id(before)] -= 1
        if types is not None:
            self._days[day] = self._mappings[id(types)] = types  # which keeps the mapping, and so its id
            self._counts[id(types)] += 1

    def counts(self, but: str) -> dict[str, dict[str, int]]:
        """Column to type to the number of days on which it was read as that, without one day."""
        own, found = id(self._days.get(but)), dict[str, dict[str, int]]()
        for which, number in self._counts.items():
            if days := number - (which == own):
                for column, dtype in self._mappings[which].items():
                    of_column = found.setdefault(column, {})
                    of_column[dtype] = of_column.get(dtype, 0) + days
        return found


class RunTypes:
    """The inferred types of the days that a run found in the ``output``, and of those that it computes.

    Days without rows are left out: they say nothing of a column. Nothing is counted before a day fails, and each day
    once, however many aggregations read it. Safe for threads.
    """

    def __init__(self, catalog: Catalog, output: Results) -> None:
        self._catalog = catalog
        self._output = output
        self._of: dict[str, _DayTypes] = {}
        self._claimed: dict[Partition, Mapping[str, SourceRecord]] = {}
        self._named: dict[tuple[str, str], Sequence[str]] = {}
        self._lock = threading.Lock()

    def claim(self, partition: Partition, inputs: Mapping[str, SourceRecord]) -> None:
        """Count a result's inputs among those of the other days from now on."""
        if any(one.schema for one in inputs.values()):
            with self._lock:
                self._claimed[partition] = inputs
                self._update(partition)

    def release(self, partition: Partition) -> None:
        """Revoke a claim, where there is one: the result was not committed."""
        with self._lock:
            if self._claimed.pop(partition, None) is not None:
                self._update(partition)

    def explain(
        self, aggregation: Aggregation, day: str, types: Mapping[str, Types], rows: Mapping[str, int]
    ) -> str | None:
        """Which columns were read as other types than on the other days, and what to declare; None for none.

        ``types`` and ``rows`` are those of the day, by its sources. Where the aggregation's function mentions any of
        the columns, it is those alone.
        """
        mentioned = _texts_in(aggregation.function)
        told = []
        for name, here in types.items():
            usual = self._usual(aggregation.sources[name].key, day) if here else {}
            other = [column for column in usual if column in here and here[column] != _most(usual[column])]
            if columns := [column for column in other if column in mentioned] or other:
                told.append(_told(name, columns, here, usual, has_rows=rows.get(name) != 0))
        return "; ".join(told) or None

    def _usual(self, key: str, but: str) -> Mapping[str, Mapping[str, int]]:
        """What the columns of a source were read as on all days but one."""
        with self._lock:
            types = self._of.get(key)
            if types is None:
                types = self._of[key] = _DayTypes()
                known = (self._output.get(name, ()) for name in self._catalog if self._names(name, key))
                for day in dict.fromkeys(chain(*known, (day for _, day in self._claimed))):
                    types.put(day, self._read(key, day))
            return types.counts(but)

    def _update(self, partition: Partition) -> None:
        aggregation, day = partition
        for key, types in self._of.items():
            if self._names(aggregation, key):
                types.put(day, self._read(key, day))

    def _read(self, key: str, day: str) -> Types | None:
        """What the columns of a source were read as on one day, where that is known and it has rows."""
        for aggregation in self._catalog:
            for name in self._names(aggregation, key):
                commit = self._output.get(aggregation, {}).get(day)
                committed = commit.record.inputs if isinstance(commit, Commit) else {}
                read = self._claimed.get((aggregation, day), committed).get(name)
                if read and read.schema and read.rows:
                    return read.schema
        return None

    def _names(self, aggregation: str, key: str) -> Sequence[str]:
        """What records of an aggregation call a source."""
        if (aggregation, key) not in self._named:
            sources = self._catalog[aggregation].sources
            self._named[aggregation, key] = [
                name for name, source in sources.items() if source.key == key and infers(source)
            ]
        return self._named[aggregation, key]


def _told(
    name: str, columns: Sequence[str], here: Types, usual: Mapping[str, Mapping[str, int]], *, has_rows: bool
) -> str:
    told: list[str] = []
    declared: dict[str, str] = {}
    moves = False
    for column in columns:
        most = _most(usual[column])
        days = counted(usual[column][most], "other day")
        of_source = f" of source {name!r} was read" * (not told)
        told.append(f"column {column!r}{of_source} as {here[column]} here and as {most} on {days}")
        seen = {dtype: Seen(number, number) for dtype, number in usual[column].items()}
        seen.setdefault(here[column], Seen()).add(Seen(1, int(has_rows)))
        declared[column] = settled(seen)
        moves = moves or declared[column] != most
    version = ", and raise version= so that the other days have it too" * moves
    return f"{enumerated(told, shown=_SHOWN)}: declare {declaration(declared)}{version}"


def _most(types: Mapping[str, int]) -> str:
    return max(types, key=types.__getitem__)


def _texts_in(function: Callable[..., object]) -> set[str]:
    """The names and texts in a function's code, where it speaks of columns."""
    found: set[str] = set()
    rest: list[object] = [inspect.unwrap(function).__code__]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            found.add(one)
        elif isinstance(one, CodeType):
            rest += [*one.co_names, *one.co_consts]
        elif isinstance(one, tuple | frozenset):
            rest += one
    return found
