"""Names the inferred type that explains why a day fails: its column, what it was on other days, and what to declare."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType

from state.partition import Partition
from state.result.classify import commits
from state.result.inferred import Seen, Types, declaration, settled
from state.result.record import SourceRecord
from state.words import counted, enumerated
from tasks.catalog.declare import Aggregation
from tasks.catalog.load import Catalog
from tasks.inputs.differing_types import Results
from tasks.inputs.inferring import infers

_SHOWN = 3
"""How many columns a message names."""


class RunTypes:
    """The inferred types of the days that a run found in the ``output``, and of those that it computes.

    Days without rows are left out: they say nothing of a column. Safe for threads.
    """

    def __init__(self, catalog: Catalog, output: Results) -> None:
        self._catalog = catalog
        self._output = output
        self._found: dict[str, dict[str, Types]] = {}
        self._claimed: dict[Partition, Mapping[str, SourceRecord]] = {}
        self._lock = threading.Lock()

    def claim(self, partition: Partition, inputs: Mapping[str, SourceRecord]) -> None:
        """Count a result's inputs among those of the other days from now on."""
        if any(one.schema for one in inputs.values()):
            with self._lock:
                self._claimed[partition] = inputs

    def release(self, partition: Partition) -> None:
        """Revoke a claim, where there is one: the result was not committed."""
        with self._lock:
            self._claimed.pop(partition, None)

    def explain(self, aggregation: Aggregation, day: str, types: Mapping[str, Types]) -> str | None:
        """Which columns were read as other types than on the other days, and what to declare; None for none.

        Where the aggregation's function mentions any of them, it is those alone.
        """
        mentioned = _texts_in(aggregation.function)
        told = []
        for name, here in types.items():
            usual = self._usual(aggregation.sources[name].key, day) if here else {}
            other = [column for column in usual if column in here and here[column] != _most(usual[column])]
            if columns := [column for column in other if column in mentioned] or other:
                told.append(_told(name, columns, here, usual))
        return "; ".join(told) or None

    def _usual(self, key: str, but: str) -> dict[str, dict[str, int]]:
        """Column to type to the number of days on which it was read as that, for a source without one day."""
        with self._lock:
            if key not in self._found:
                self._found[key] = dict(self._committed(key))
            days = self._found[key].copy()
            for (aggregation, day), inputs in self._claimed.items():
                days.update((day, inputs[name].schema) for name in self._names(aggregation, key) if inputs[name].rows)
        days.pop(but, None)
        alike = Counter(map(id, days.values()))
        mappings = {id(types): types for types in days.values()}
        usual: dict[str, dict[str, int]] = {}
        for which, number in alike.items():
            for column, dtype in mappings[which].items():
                of_column = usual.setdefault(column, {})
                of_column[dtype] = of_column.get(dtype, 0) + number
        return usual

    def _committed(self, key: str) -> Iterator[tuple[str, Types]]:
        for aggregation in self._catalog:
            for name in self._names(aggregation, key):
                for day, commit in commits(self._output.get(aggregation, {})).items():
                    read = commit.record.inputs.get(name)
                    if read and read.schema and read.rows:
                        yield day, read.schema

    def _names(self, aggregation: str, key: str) -> list[str]:
        sources = self._catalog[aggregation].sources
        return [name for name, source in sources.items() if source.key == key and infers(source)]


def _told(name: str, columns: Sequence[str], here: Types, usual: Mapping[str, Mapping[str, int]]) -> str:
    told: list[str] = []
    declared: dict[str, str] = {}
    moves = False
    for column in columns:
        most = _most(usual[column])
        days = counted(usual[column][most], "other day")
        of_source = f" of source {name!r} was read" * (not told)
        told.append(f"column {column!r}{of_source} as {here[column]} here and as {most} on {days}")
        seen = {dtype: Seen(number, number) for dtype, number in usual[column].items()}
        seen.setdefault(here[column], Seen()).add(Seen(1, 1))
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
