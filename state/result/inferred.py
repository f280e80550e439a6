"""The types that polars inferred as it read a source's files: which columns differ between days, and what settles that.

Types are the texts that polars gives them, ``Int64``: so they stand in commit records. Days whose files hold no row say
nothing of a column: where only a header is left, polars takes every column for text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from state.days import order
from state.words import counted

Types = Mapping[str, str]
"""Column to type."""
_TEXT = "String"
_EMPTY = (_TEXT, "Null")
"""What a column without values is taken for."""
_NAMES = "|".join(
    sorted(
        (name for name, one in vars(pl.datatypes).items() if isinstance(one, type) and issubclass(one, pl.DataType)),
        key=len,
        reverse=True,
    )
)
_WORD = re.compile(rf"'(?:[^'\\]|\\.)*'|\b(?:{_NAMES})\b")


@lru_cache(4096)
def _interned(items: tuple[tuple[str, str], ...]) -> Types:
    return dict(items)


def interned(types: Types) -> Types:
    """The one mapping that all days of these types share. Raises AttributeError, TypeError for what is no mapping."""
    return _interned(tuple(types.items()))


@dataclass(slots=True)
class Seen:
    """On how many days a column was read as a type, on how many of them with rows, and the first of the days."""

    days: int = 0
    with_rows: int = 0
    first: str = ""

    def add(self, other: Seen) -> None:
        """Count the days of the other too."""
        self.days += other.days
        self.with_rows += other.with_rows
        self.first = min(filter(None, (self.first, other.first)), key=order, default="")

    def __str__(self) -> str:
        rows = "" if self.with_rows else " without rows"
        return f"on {counted(self.days, 'day')}{rows} (first {self.first})"


Counts = Mapping[str, Mapping[str, Seen]]
"""Column to type to the days on which it was read as that."""


def counted_types(days: Iterable[tuple[str, int, Types]], columns: Collection[str] | None = None) -> Counts:
    """How often each column was read as each type: ``days`` are days with the number of their rows and their types.

    ``columns``: of these alone. Days that share a mapping cost next to nothing.
    """
    alike: dict[tuple[int, bool], tuple[Types, Seen]] = {}
    for day, rows, types in days:
        found = alike.get((id(types), rows > 0))
        if found is None:
            alike[id(types), rows > 0] = types, Seen(1, int(rows > 0), day)
            continue
        seen = found[1]
        seen.days += 1
        seen.with_rows += rows > 0
        if (day < seen.first or len(day) < len(seen.first)) and order(day) < order(seen.first):
            seen.first = day
    counts: dict[str, dict[str, Seen]] = {}
    for types, seen in alike.values():
        for column, dtype in types.items():
            if columns is None or column in columns:
                counts.setdefault(column, {}).setdefault(dtype, Seen()).add(seen)
    return counts


def differing(counts: Counts) -> dict[str, Mapping[str, Seen]]:
    """The columns that have more than one type."""
    return {column: types for column, types in counts.items() if len(types) > 1}


def settled(types: Mapping[str, Seen]) -> str:
    """The type to declare for a column that was read as these.

    Text where half of the days have it or more, for it loses nothing; otherwise it was a day without values, or one
    of few bad ones, which then fails by name. Of several numbers it is the type that holds them all, of anything else
    text.
    """
    counts = {dtype: seen.with_rows for dtype, seen in types.items() if seen.with_rows} or dict.fromkeys(types, 1)
    others = {dtype: days for dtype, days in counts.items() if dtype not in _EMPTY}
    if not others or counts.get(_TEXT, 0) >= sum(others.values()):
        return _TEXT
    return _common(tuple(sorted(others, key=lambda one: -others[one])))


def shown_types(types: Mapping[str, Seen]) -> str:
    """The types of a column, most frequent first, each with its days."""
    in_order = sorted(types.items(), key=lambda one: (-one[1].days, one[0]))
    return ", ".join(f"{dtype} {seen}" for dtype, seen in in_order)


def declaration(types: Types) -> str:
    """What a user writes to declare these types: ``schema_overrides={"temp": pl.Float64}``."""
    named = [(f'"{column}"' if column.isidentifier() else repr(column), dtype) for column, dtype in types.items()]
    return f"schema_overrides={{{', '.join(f'{name}: {_expression(dtype)}' for name, dtype in named)}}}"


def _expression(dtype: str) -> str:
    """A type's text as Python: ``List(Int64)`` is ``pl.List(pl.Int64)``. Names of fields stand in quotes."""
    return _WORD.sub(lambda found: found[0] if found[0].startswith("'") else f"pl.{found[0]}", dtype)


def _common(types: tuple[str, ...]) -> str:
    """The type that holds the values of all of these; the first is the most frequent."""
    if len(types) == 1:
        return types[0]
    known = [getattr(pl, dtype, None) if dtype.isidentifier() else None for dtype in types]
    if all(isinstance(one, type) and issubclass(one, pl.DataType) and one.is_numeric() for one in known):
        frames = [pl.DataFrame(schema={"": one}) for one in known if one is not None]
        return str(pl.concat(frames, how="vertical_relaxed").schema[""])
    return _TEXT if None not in known else types[0]
