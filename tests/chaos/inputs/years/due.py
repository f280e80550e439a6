"""Every result that there must be: the files that it is computed from, what identifies them, and what it must hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.chaos.inputs.years.judge import result_of
from tests.chaos.inputs.years.raw_files import COLLECTIONS, Collection
from tests.chaos.inputs.years.world import Lying, World

Key = tuple[str, str]
"""An aggregation and a day."""


@dataclass(frozen=True)
class Fault:
    """Why a result must be refused, and what the message must hold."""

    kind: str
    named: tuple[str, ...]


@dataclass(frozen=True)
class Due:
    """A result. ``files`` are in the order in which they are read, each with the number of its own day.

    ``table`` serves all days.
    """

    aggregation: str
    collection: Collection
    day: str
    files: tuple[tuple[int, Lying], ...]
    table: Lying | None = None

    @property
    def key(self) -> Key:
        """Which one it is."""
        return self.aggregation, self.day

    @cached_property
    def identity(self) -> bytes:
        """What a commit is computed from: names and bytes, in order. The folders of the files are no part of it."""
        digest = hashlib.sha256()
        for at, one in self._all:
            digest.update(f"{at} {one.file.name} {len(one.content)} ".encode() + one.content)
        return digest.digest()

    @property
    def faults(self) -> list[Fault]:
        """What it must be refused for; nothing where it must be committed."""
        found = [_fault_of(one) for _, one in self._all if one.dirty]
        if self.collection.duplicates == "error":
            found += [Fault("a file twice", (first.path, again.path)) for first, again in self._twice]
        return found

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """What it must hold."""
        again = [copy.path for _, copy in self._twice]
        files = (one.file.rows for _, one in self.files if one.path not in again)
        return result_of(self.aggregation, self.day, files, self.table.file.rows if self.table else ())

    @property
    def _all(self) -> tuple[tuple[int, Lying], ...]:
        return (*self.files, (0, self.table)) if self.table else self.files

    @property
    def _twice(self) -> list[tuple[Lying, Lying]]:
        """Files that have name and bytes of one before them."""
        first: dict[tuple[int, str, bytes], Lying] = {}
        for at, one in self.files:
            first.setdefault((at, one.file.name, one.content), one)
        named = [(first[at, one.file.name, one.content], one) for at, one in self.files]
        return [(one, other) for one, other in named if one is not other]


def _fault_of(lying: Lying) -> Fault:
    dirty = lying.dirty
    assert dirty
    line = f"line {dirty.line:,}" if dirty.line else None
    return Fault(lying.dirt, tuple(filter(None, (lying.path, line, dirty.column, dirty.value))))


def due(world: World) -> Iterator[Due]:
    """All results of what lies there."""
    for collection in COLLECTIONS.values():
        before, after = collection.reach
        for at in _days(world, collection):
            near = range(at - before, at + after + 1)
            files = tuple((day, one) for day in near for one in world.files((collection.name, day)))
            for aggregation in collection.aggregations:
                table = world.files((collection.tables.get(aggregation, ""), 0))
                yield Due(aggregation, collection, collection.day(at), files, *table)


def _days(world: World, collection: Collection) -> list[int]:
    """The days that a file reaches, but for the newest, which wait for the files that may still reach them."""
    before, after = collection.reach
    there = world.there(collection)
    reached = {at + by for at in there for by in range(-after, before + 1)}
    return sorted(at for at in reached if at + after <= there[-1])
