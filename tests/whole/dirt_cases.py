"""The kinds of dirt of tests/whole/test_dirt.py: the file you have, what must be said of it, the line you write."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.dirt import TABLES, Table

SOUND, DIRTY = "2024-01-01", "2024-01-02"
HEADER = ("shop", "note", "items")
LONG = Table((HEADER, *((f"shop{at % 7}", "n", str(at)) for at in range(6000))))
SHORT = Table((HEADER, *((f"shop{at}", "n", str(10 + at)) for at in range(9))))
ALL = [(len(SHORT.records) - 1, sum(range(10, 19)))]
"""The result of SHORT: its rows and its items."""
SCHEMA = 'schema={"shop": pl.String, "note": pl.String, "items": pl.Int64}'
COUNT = 'rows=pl.len(), items=pl.col("items").sum()'


@dataclass(frozen=True)
class Case:
    """One kind. ``files`` are the dirty day's, by name, where ``{day}`` stands for it; ``sound`` is the other day's.

    ``plain`` and ``mended`` are the arguments of ``Source`` after the template, ``select`` what is computed. ``told``
    are parts of the message, of a failure of ``kind``; ``wanted`` is the result of the mended source.
    """

    name: str
    files: Mapping[str, bytes]
    told: tuple[str, ...] = ()
    mended: str = ""
    wanted: list[tuple[Any, ...]] = field(default_factory=lambda: ALL)
    plain: str = SCHEMA
    template: str = "{day}.csv"
    select: str = COUNT
    kind: str = "input"
    sound: bytes = SHORT.content
    strays: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where its files lie."""
        return re.sub(r"\W+", "_", self.name.lower())

    @property
    def untold(self) -> bool:
        """Whether the source as it was declared first must read it rightly."""
        return not (self.told or self.strays)

    @property
    def plain_name(self) -> str:
        """The aggregation over the source as it was declared first."""
        return f"told_{self.folder}"

    @property
    def mended_name(self) -> str:
        """The aggregation over the source with the argument for it."""
        return f"mended_{self.folder}"

    def sound_file(self) -> Iterator[tuple[str, bytes]]:
        """The path below the input root of the day beside it, and its content."""
        first, *_ = self.files
        yield f"{self.folder}/{first.format(day=SOUND)}", self.sound

    def dirty_files(self) -> Iterator[tuple[str, bytes]]:
        """The paths and contents of the dirty day."""
        for name, content in self.files.items():
            yield f"{self.folder}/{name.format(day=DIRTY)}", content


def _dirty(kind: str, mended: str, *hints: str, wanted: list[tuple[Any, ...]] = ALL) -> Case:
    """A kind of tests/dirt.py in SHORT; what it says of its place must be told."""
    dirty = TABLES[kind](SHORT, random.Random(kind))
    place = [f"line {dirty.line:,}"] if dirty.line else []
    told = (f"{DIRTY}.csv", *place, *filter(None, (dirty.column, dirty.value)), *hints)
    return Case(kind, {"{day}.csv": dirty.content}, told, mended, wanted)


def _lines(*objects: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def _ids(name: str, value: str, dtype: str) -> Case:
    """Identifiers that are numbers on one day, by the types that polars infers."""
    return Case(
        name,
        {"{day}.csv": Table((("id",), (value,))).content},
        ("'id'", dtype, "as String on 1 other day", 'declare schema_overrides={"id": pl.String}'),
        'schema_overrides={"id": pl.String}',
        [(value,)],
        plain="",
        select='"id"',
        kind="schema",
        sound=Table((("id",), ("a17",))).content,
    )


def _shifted() -> bytes:
    """84 rows have a field more in second place."""
    rows = [(one[0], "+", *one[1:]) if 2000 <= at < 2084 else one for at, one in enumerate(LONG.records)]
    return Table(tuple(rows)).content


def _without(kind: str) -> list[tuple[Any, ...]]:
    """The result of SHORT without the record that is dirty."""
    lost = TABLES[kind](SHORT, random.Random(kind)).line
    assert lost
    return [(ALL[0][0] - 1, ALL[0][1] - int(SHORT.records[lost - 1][-1]))]


_LONG_SUM = sum(range(6000))
_KEYS = _lines(*({"items": at} if at < 150 else {"items": at, "note": "n"} for at in range(200)))
_OTHER = Table((("shop", "note", "pieces"), ("a", "n", "4"))).content
_LATE = LONG.with_record(5000, ("shop1", "n", "many")).content
CASES = (
    Case(
        "84 rows with a field more in second place",
        {"{day}.csv": _shifted()},
        (f"{DIRTY}.csv", "line 2,001", "4 fields", "expected 3", "83"),
        "prepare=three_fields",
        [(6000, _LONG_SUM)],
    ),
    _dirty("a row too short", "prepare=whole_lines", wanted=_without("a row too short")),
    _dirty("cut in mid-line", "prepare=whole_lines"),
    _dirty("cut in mid-quote", "prepare=whole_lines"),
    _dirty("a NUL tail", "prepare=whole_lines"),
    _dirty("a blank line", "prepare=whole_lines"),
    _dirty("CR alone as line end", 'eol_char="\\r"', "eol_char"),
    _dirty("the header again", "prepare=one_header"),
    _dirty("a stray quote", "quote_char=None"),
    _dirty("another separator", 'separator=";"', 'separator=";"'),
    _dirty("UTF-16", 'encoding="utf-16"', 'encoding="utf-16"'),
    _dirty("a byte of cp1252", 'encoding="cp1252"', "encoding="),
    Case(
        "a bad value in row 5,000 of a declared column",
        {"{day}.csv": _LATE},
        (f"{DIRTY}.csv", "line 5,001", "'items'", "many", "Int64"),
        'null_values=["many"]',
        [(6000, _LONG_SUM - 4999)],
    ),
    Case(
        "a bad value in row 5,000 of an inferred column",
        {"{day}.csv": _LATE},
        (f"{DIRTY}.csv", "line 5,001", "'items'", "many", "Int64"),
        'null_values=["many"]',
        [(6000, _LONG_SUM - 4999)],
        plain="",
    ),
    Case(
        "NDJSON keys that begin after row 100",
        {"{day}.ndjson": _KEYS},
        mended='schema={"items": pl.Int64, "note": pl.String}',
        wanted=[(200, sum(range(200)), 50)],
        plain="",
        template="{day}.ndjson",
        select=f'{COUNT}, notes=pl.col("note").count()',
        sound=_lines({"items": 1, "note": "n"}),
    ),
    Case(
        "an NDJSON line that is no object",
        {"{day}.ndjson": _lines({"items": 4}, 17, {"items": 5})},
        (f"{DIRTY}.ndjson", "line 2", "17"),
        "prepare=objects",
        [(2, 9)],
        plain='schema={"items": pl.Int64}',
        template="{day}.ndjson",
        sound=_lines({"items": 1}),
    ),
    Case(
        "another file of the day has another header",
        {"{day}/a.csv": SHORT.content, "{day}/b.csv": _OTHER},
        (f"{DIRTY}/b.csv", "'pieces'", "'items'"),
        'rename={"pieces": "items"}',
        [(10, ALL[0][1] + 4)],
        plain="",
        template="{day}/*.csv",
    ),
    Case(
        "a renamed column",
        {"{day}.csv": _OTHER},
        (f"{DIRTY}.csv", "'items'", "pieces"),
        'rename={"pieces": "items"}',
        [(1, 4)],
    ),
    Case(
        "a lost column",
        {"{day}.csv": Table((("shop", "items"), ("a", "4"))).content},
        (f"{DIRTY}.csv", "'note'", "'shop'"),
        'missing_columns=["note"]',
        [(1, 4)],
    ),
    Case(
        "a file of a header alone",
        {"{day}.csv": Table((HEADER,)).content},
        ("its type is declared",),
        'schema_overrides={"items": pl.Int64}',
        [(0, 0)],
        plain="",
        kind="aggregation",
    ),
    _dirty("0 bytes", "prepare=or_header", wanted=[(0, 0)]),
    Case(
        "the same day in two folders",
        {"old/{day}.csv": SHORT.content, "new/{day}.csv": SHORT.content},
        (f"old/{DIRTY}.csv", f"new/{DIRTY}.csv"),
        'duplicates="first"',
        template="**/{day}.csv",
    ),
    Case(
        "a copy that a wildcard matches",
        {"{day}.csv": SHORT.content, "{day} (1).csv": SHORT.content},
        (f"{DIRTY}.csv", f"{DIRTY} (1).csv"),
        'duplicates="first"',
        template="{day}*.csv",
    ),
    _ids("ids that look like floats", "4063e7", "Float64"),
    _ids("04 on a day of digits only", "04", "Int64"),
    Case(
        "stray names",
        {
            "{day}.csv": SHORT.content,
            "NaN-NaN-NaN.csv": SHORT.content,
            "2024-01-32.csv": SHORT.content,
            "2024-1-3.csv": SHORT.content,
            "2024-01-04.CSV": SHORT.content,
        },
        strays=("NaN-NaN-NaN.csv", "2024-01-32.csv", "2024-1-3.csv", "2024-01-04.CSV"),
    ),
    Case("a copy", {"{day}.csv": SHORT.content, "{day} (1).csv": SHORT.content}, strays=(f"{DIRTY} (1).csv",)),
)
