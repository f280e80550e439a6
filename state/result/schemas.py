"""The schemas of results: all days of one version of an aggregation have the same columns, in one order, of one type.

Where one day differs, polars refuses to read the folder, and DuckDB casts it to the first file's types without a word.
So a result that differs is not committed, and what differs already is told.
"""

from __future__ import annotations

import base64
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl
from polars.exceptions import PanicException, PolarsError

from state.days import order
from state.partition import Partition
from state.result.classify import Commit, Found

if TYPE_CHECKING:
    import pyarrow as pa
    from polars._typing import PolarsDataType

Columns = tuple[tuple[str, pl.DataType], ...]
"""Names and types, as polars reads them. Empty where the schema cannot be read: such a one is compared with none."""

_TOLD = 3
"""How many columns of a difference are named."""
_TOLD_TYPE = 80
"""How much of a type is shown, in characters: an Enum of thousands of values is long."""


class SchemaDiffers(Exception):
    """A result that must not be committed beside the aggregation's others; the message says why and what to do."""


def schema_of(table: pa.Table) -> str:
    """The schema of a table, as the footer of a file that is made of it will hold it."""
    return base64.b64encode(table.schema.serialize()).decode()


@lru_cache(1024)
def columns(schema: str) -> Columns:
    """What polars reads in a schema that stands in a footer. Thousands of days have one and the same text."""
    import pyarrow as pa  # it takes a tenth of a second, and where all texts are the same nobody needs it

    try:
        arrow = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema, validate=True)))
        return tuple(pl.Schema(arrow).items())
    except (pa.ArrowException, PolarsError, PanicException, OSError, TypeError, ValueError):
        # What stands there instead of a schema is for the deep check to find.
        return ()


@lru_cache(1024)
def untyped(schema: str) -> str | None:
    """The first column whose type is not known, as all of its values, or of its elements, are null."""
    return next((name for name, dtype in columns(schema) if _holds_null(dtype)), None)


def _holds_null(dtype: PolarsDataType) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_null(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_holds_null(field.dtype) for field in dtype.fields)
    return isinstance(dtype, pl.Null)


class VersionSchemas:
    """The schemas of an aggregation's days of one version, and the one that is settled among them.

    It is the one that most days have; of those that equally many have, the one of the oldest commit. A column without
    a type settles nothing.
    """

    def __init__(self, version: int, commits: Sequence[Commit]) -> None:
        self.version = version
        if len({one.schema for one in commits}) > 1:  # their ages settle something
            commits = sorted(commits, key=lambda one: (one.record.committed_at, order(one.record.day)))
        self._days = {one.record.day: one.schema for one in commits}
        self._counts = Counter(self._days.values())

    def settled(self, but: str = "") -> Columns:
        """What is settled among all days ``but`` one, which may replace itself; empty where nothing is."""
        counts: Counter[Columns] = Counter()
        own = self._days.get(but)
        for schema, days in self._counts.items():
            if columns(schema) and untyped(schema) is None and (others := days - (schema == own)):
                counts[columns(schema)] += others
        return max(counts, key=counts.__getitem__, default=())

    def refusal(self, day: str, schema: str) -> str | None:
        """What is wrong with the schema of a day, beside all other days, and what to do about it; or None."""
        if self._counts.keys() == {schema} and untyped(schema) is None:  # so it is nearly always
            return None
        found, settled = columns(schema), self.settled(but=day)
        if (name := untyped(schema)) is not None:
            return _no_type(name, dict(found)[name], dict(settled).get(name))
        if not found or not settled or found == settled:
            return None
        other = next(one for one, text in self._days.items() if one != day and columns(text) == settled)
        told, mended = _difference(found, settled)
        return (
            f"{told} (as in day {other}; all days of version {self.version} have one schema): "
            f"{mended} in the aggregation, or raise version= where the new schema is meant"
        )

    def differing(self) -> Iterator[tuple[str, str]]:
        """The days whose schema no result of now might have, and what is wrong with each."""
        settled = self.settled()
        bad = {one for one in self._counts if untyped(one) is not None or columns(one) not in ((), settled)}
        for day, schema in self._days.items():
            if schema in bad and (told := self.refusal(day, schema)):
                yield day, told

    def put(self, day: str, schema: str | None) -> str | None:
        """Let a day have this schema, or none. Returns the one that it had."""
        before = self._days.pop(day, None)
        if before is not None:
            self._counts[before] -= 1
            self._counts += Counter()  # leaves out what no day has any more
        if schema is not None:
            self._days[day] = schema
            self._counts[schema] += 1
        return before


class Schemas:
    """The schemas of all results that a run found, and of those that it makes. Any thread may ask."""

    def __init__(self, output: Mapping[str, Mapping[str, Found]] | None = None) -> None:
        self._output = output or {}
        self._of: dict[str, VersionSchemas] = {}
        self._before: dict[Partition, str | None] = {}
        self._lock = threading.Lock()

    def claim(self, aggregation: str, version: int, day: str, schema: str) -> None:
        """Let a result have its schema, which the other days of this run are held against from now on.

        Raises SchemaDiffers where it must not be committed.
        """
        with self._lock:
            if aggregation not in self._of:
                found = self._output.get(aggregation, {})
                self._of[aggregation] = VersionSchemas(version, commits_of(version, found.values()))
            schemas = self._of[aggregation]
            if told := schemas.refusal(day, schema):
                raise SchemaDiffers(told)
            before = schemas.put(day, schema)
            self._before.setdefault((aggregation, day), before)

    def release(self, aggregation: str, day: str) -> None:
        """Take a claim back: the result was not committed. Nothing where there is none."""
        with self._lock:
            if (aggregation, day) in self._before:
                self._of[aggregation].put(day, self._before.pop((aggregation, day)))


def commits_of(version: int, found: Iterable[Found]) -> list[Commit]:
    """The commits of one version."""
    return [one for one in found if isinstance(one, Commit) and one.record.version == version]


def differing_days(version: int, found: Collection[Found]) -> dict[str, str]:
    """The days of a version whose schema differs from what is settled, and what is wrong with each."""
    texts = {one.schema for one in found if isinstance(one, Commit) and one.record.version == version}
    if len(texts) <= 1 and all(untyped(one) is None for one in texts):
        return {}
    return dict(VersionSchemas(version, commits_of(version, found)).differing())


def _no_type(name: str, dtype: pl.DataType, settled: pl.DataType | None) -> str:
    wanted = _shown(settled) if settled is not None else "Int64" if isinstance(dtype, pl.Null) else ""
    such = f", such as pl.col({name!r}).cast(pl.{wanted})" if wanted.isidentifier() else f" ({wanted})" * bool(wanted)
    return f"column {name!r} has no type ({_shown(dtype)}), as all its values are null: cast it to one{such}"


def _difference(found: Columns, expected: Columns) -> tuple[str, str]:
    """The first columns that differ, and what is to be done to them."""
    types, wanted = dict(found), dict(expected)
    told = [f"column {name!r} ({_shown(dtype)}) is missing" for name, dtype in expected if name not in types]
    told += [f"column {name!r} ({_shown(dtype)}) is not expected" for name, dtype in found if name not in wanted]
    mended = "add or drop it" if told else "cast it"
    told += [
        f"column {name!r} is {_shown(dtype)}, expected {_shown(wanted[name])}"
        for name, dtype in found
        if name in wanted and dtype != wanted[name]
    ]
    if not told:
        at = next(at for at, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other)
        told, mended = [f"column {at + 1} is {found[at][0]!r}, expected {expected[at][0]!r}"], "order them"
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return ", ".join(told[:_TOLD]) + more, mended


def _shown(dtype: pl.DataType) -> str:
    text = str(dtype)
    return text if len(text) <= _TOLD_TYPE else text[:_TOLD_TYPE] + "…"
