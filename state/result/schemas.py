"""The schemas of results: all days of one version of an aggregation have the same columns, in one order and type.

Where one day differs, polars refuses to read the folder, and DuckDB silently casts it to the first file's types. So a
result that differs is not committed, and days that differ already are reported.
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
from state.words import enumerated

if TYPE_CHECKING:
    import pyarrow as pa
    from polars._typing import PolarsDataType

Columns = tuple[tuple[str, pl.DataType], ...]
"""Names and types, as polars reads them. Empty where the schema cannot be read: it is then compared with nothing."""

_SHOWN = 3
"""How many columns of a difference a message names."""
_SHOWN_TYPE = 80
"""How much of a type is shown, in characters: an Enum of thousands of values is long."""


class SchemaDiffers(Exception):
    """A result must not be committed beside the others of its aggregation; the message says why and what to do.

    ``summary`` is the message without the other day that it names.
    """

    def __init__(self, message: str, summary: str) -> None:
        super().__init__(message)
        self.summary = summary


def schema_of(table: pa.Table) -> str:
    """The schema of a table, as the footer of its file will hold it."""
    return base64.b64encode(table.schema.serialize()).decode()


@lru_cache(1024)
def columns(schema: str) -> Columns:
    """What polars reads in a footer's schema. Thousands of days have the same text, so results are cached."""
    import pyarrow as pa  # it takes a tenth of a second, and where all texts are the same nobody needs it

    try:
        arrow = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema, validate=True)))
        return tuple(pl.Schema(arrow).items())
    except (pa.ArrowException, PolarsError, PanicException, OSError, TypeError, ValueError):
        # The deep check finds what is there instead of a schema.
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
    """The schemas of an aggregation's days of one version, and which of them is settled.

    That is the one that most days have, and of equally frequent ones that of the oldest commit. A schema with an
    untyped column is never settled.
    """

    def __init__(self, version: int, commits: Sequence[Commit]) -> None:
        self.version = version
        if len({one.schema for one in commits}) > 1:  # their ages settle something
            commits = sorted(commits, key=lambda one: (one.record.committed_at, order(one.record.day)))
        self._days = {one.record.day: one.schema for one in commits}
        self._counts = Counter(self._days.values())

    def settled(self, but: str = "") -> Columns:
        """The settled schema among all days ``but`` one, which may replace itself; empty where there is none."""
        counts: Counter[Columns] = Counter()
        own = self._days.get(but)
        for schema, days in self._counts.items():
            if columns(schema) and untyped(schema) is None and (others := days - (schema == own)):
                counts[columns(schema)] += others
        return max(counts, key=counts.__getitem__, default=())

    def refusal(self, day: str, schema: str) -> SchemaDiffers | None:
        """What is wrong with a day's schema beside all other days, and what to do about it; None where nothing is."""
        if self._counts.keys() == {schema} and untyped(schema) is None:  # the usual case
            return None
        found, settled = columns(schema), self.settled(but=day)
        if (name := untyped(schema)) is not None:
            message = _no_type(name, dict(found)[name], dict(settled).get(name))
            return SchemaDiffers(message, message)
        if not found or not settled or found == settled:
            return None
        other = next(one for one, text in self._days.items() if one != day and columns(text) == settled)
        message, remedy = _difference(found, settled)
        all_days = f"all days of version {self.version} have one schema"
        todo = f"{remedy} in the aggregation, or raise version= where the new schema is meant"
        return SchemaDiffers(f"{message} (as in day {other}; {all_days}): {todo}", f"{message} ({all_days}): {todo}")

    def differing(self) -> Iterator[tuple[str, str]]:
        """The days whose schema a new result could not have, and what is wrong with each."""
        settled = self.settled()
        bad = {one for one in self._counts if untyped(one) is not None or columns(one) not in ((), settled)}
        for day, schema in self._days.items():
            if schema in bad and (differs := self.refusal(day, schema)):
                yield day, str(differs)

    def put(self, day: str, schema: str | None) -> str | None:
        """Set or, with None, remove a day's schema. Returns the one that it had."""
        before = self._days.pop(day, None)
        if before is not None:
            self._counts[before] -= 1
            self._counts += Counter()  # drops counts of zero
        if schema is not None:
            self._days[day] = schema
            self._counts[schema] += 1
        return before


class Schemas:
    """The schemas of all results that a run found in the ``output`` and makes. Safe for threads."""

    def __init__(self, output: Mapping[str, Mapping[str, Found]] | None = None) -> None:
        self.output = output or {}
        self._of: dict[str, VersionSchemas] = {}
        self._before: dict[Partition, str | None] = {}
        self._lock = threading.Lock()

    def claim(self, aggregation: str, version: int, day: str, schema: str) -> None:
        """Set a result's schema, which the other days of this run are compared with from now on.

        Raises SchemaDiffers where it must not be committed.
        """
        with self._lock:
            if aggregation not in self._of:
                found = self.output.get(aggregation, {})
                self._of[aggregation] = VersionSchemas(version, commits_of(version, found.values()))
            schemas = self._of[aggregation]
            if differs := schemas.refusal(day, schema):
                raise differs
            before = schemas.put(day, schema)
            self._before.setdefault((aggregation, day), before)

    def release(self, aggregation: str, day: str) -> None:
        """Revoke a claim, where there is one: the result was not committed."""
        with self._lock:
            if (aggregation, day) in self._before:
                self._of[aggregation].put(day, self._before.pop((aggregation, day)))


def commits_of(version: int, found: Iterable[Found]) -> list[Commit]:
    """The commits of one version."""
    return [one for one in found if isinstance(one, Commit) and one.record.version == version]


def differing_days(version: int, found: Collection[Found]) -> dict[str, str]:
    """The days of a version whose schema differs from the settled one, and what is wrong with each."""
    texts = {one.schema for one in found if isinstance(one, Commit) and one.record.version == version}
    if len(texts) <= 1 and all(untyped(one) is None for one in texts):
        return {}
    return dict(VersionSchemas(version, commits_of(version, found)).differing())


def _no_type(name: str, dtype: pl.DataType, settled: pl.DataType | None) -> str:
    wanted = _shown(settled) if settled is not None else "Int64" if isinstance(dtype, pl.Null) else ""
    such = f", such as pl.col({name!r}).cast(pl.{wanted})" if wanted.isidentifier() else f" ({wanted})" * bool(wanted)
    return f"column {name!r} has no type ({_shown(dtype)}), as all its values are null: cast it to one{such}"


def _difference(found: Columns, expected: Columns) -> tuple[str, str]:
    """The first columns that differ, and what to do to them."""
    types, wanted = dict(found), dict(expected)
    messages = [f"column {name!r} ({_shown(dtype)}) is missing" for name, dtype in expected if name not in types]
    messages += [f"column {name!r} ({_shown(dtype)}) is not expected" for name, dtype in found if name not in wanted]
    remedy = "add or drop it" if messages else "cast it"
    messages += [
        f"column {name!r} is {_shown(dtype)}, expected {_shown(wanted[name])}"
        for name, dtype in found
        if name in wanted and dtype != wanted[name]
    ]
    if not messages:
        at = next(at for at, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other)
        messages, remedy = [f"column {at + 1} is {found[at][0]!r}, expected {expected[at][0]!r}"], "order them"
    return enumerated(messages, shown=_SHOWN), remedy


def _shown(dtype: pl.DataType) -> str:
    text = str(dtype)
    return text if len(text) <= _SHOWN_TYPE else text[:_SHOWN_TYPE] + "…"
