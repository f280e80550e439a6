"""Tells where inferred types of one source differ between its days: one line a source, with what settles it.

Nothing is wrong with such a day by itself. But whatever is computed from it may differ by it, or fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from state.result.classify import Commit, Found
from state.result.inferred import Seen, Types, counted_types, declaration, differing, settled, shown_types
from state.words import enumerated
from tasks.catalog.declare import Aggregation
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tasks.reading.inferring import declared_columns, infers

Results = Mapping[str, Mapping[str, Found]]
"""Aggregation to day to what the output has of it."""
_Reader = tuple[Aggregation, str, Source]
"""An aggregation, and one of its sources by the name in the record."""


@dataclass(frozen=True, slots=True)
class DifferingTypes:
    """Columns of a source, by its template, that were read as several types: each with its types and their days."""

    source: str
    columns: Mapping[str, Mapping[str, Seen]]

    def __str__(self) -> str:
        told = [f"column {name!r} as {shown_types(types)}" for name, types in self.columns.items()]
        return f"source {self.source!r}: polars inferred types that differ between its days: {enumerated(told, '; ')}"

    @property
    def remedy(self) -> str:
        """The argument that settles it."""
        return declaration({name: settled(types) for name, types in self.columns.items()})


def differing_types(catalog: Catalog, results: Results) -> list[DifferingTypes]:
    """The sources whose inferred types differ, over the commits that are of their aggregations' versions."""
    readers: dict[str, list[_Reader]] = {}
    for one in catalog.values():
        for name, source in one.sources.items():
            if infers(source):
                readers.setdefault(source.key, []).append((one, name, source))
    found = ((key, _of_source(some, results)) for key, some in readers.items())
    return [DifferingTypes(key, columns) for key, columns in found if columns]


def _of_source(readers: list[_Reader], results: Results) -> dict[str, Mapping[str, Seen]]:
    distinct = {id(types): types for _, _, types in _read(readers, results)}
    if len(distinct) < 2:  # as nearly always, and there may be 100,000 days
        return {}
    undeclared = {column for types in distinct.values() for column in types}
    undeclared -= frozenset.intersection(*(declared_columns(source) for _, _, source in readers))
    if not differing(counted_types((("", 1, types) for types in distinct.values()), undeclared)):
        return {}
    days = {day: (day, rows, types) for day, rows, types in _read(readers, results)}
    return differing(counted_types(days.values(), undeclared))


def _read(readers: list[_Reader], results: Results) -> Iterator[tuple[str, int, Types]]:
    """Each day with its rows and types, as often as an aggregation read it."""
    for one, name, _ in readers:
        for day, commit in results.get(one.name, {}).items():
            if isinstance(commit, Commit) and commit.record.version == one.version:
                read = commit.record.inputs.get(name)
                if read and read.schema:
                    yield day, read.rows, read.schema
