"""Random files of one day under random declarations: Python judges what they hold and what is refused."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest

from state.errors import DeclarationError
from state.inputs.files import FileStat
from tasks.catalog import Source
from tasks.reading.declared import NotAsDeclared
from tasks.reading.frames import frame_of, readable
from tasks.reading.sound_files import DaySound, SoundFiles

NAMES = ["a", "b", "c", "x", "", "A", "a b", "*", "^a$", "é"]
VALUES = ["1", "2", "", 'q,"z', "u v", "é", "x\ny"]
Table = tuple[list[str], list[list[str]]]
Judged = tuple[list[str], list[tuple[str | None, ...]]]


def _tables(seeded: random.Random) -> list[Table]:
    """Files that mostly have the same columns, some of them double or without a name, or else others."""
    several = seeded.choices(NAMES, k=seeded.randrange(2, 5))
    base = several if seeded.random() < 0.3 else seeded.sample(NAMES, seeded.randrange(2, 6))
    tables = []
    for _ in range(seeded.randrange(1, 4)):
        names = list(base)
        if seeded.random() < 0.4:
            seeded.shuffle(names)
        if seeded.random() < 0.2:
            names = seeded.sample(NAMES, seeded.randrange(2, 6))
        rows = [[seeded.choice(VALUES) for _ in names] for _ in range(seeded.randrange(3))]
        tables.append((names, rows))
    return tables


def _declared(seeded: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {"infer_schema": False}
    if seeded.random() < 0.5:
        names = seeded.sample(NAMES, seeded.randrange(1, 5))
        options = {"schema": dict.fromkeys(names, pl.String)}
        if seeded.random() < 0.6:
            options["extra_columns"] = "ignore"
        if seeded.random() < 0.6:
            options["missing_columns"] = seeded.choice(["insert", [name for name in names if seeded.random() < 0.6]])
    if seeded.random() < 0.5:
        options["rename"] = {old: seeded.choice(["a", "b", "c", "new"]) for old in seeded.sample(NAMES, 2)}
    return options


def _calls(names: list[str]) -> list[str]:
    """What polars calls them, after its documentation."""
    return [f"{name}_duplicated_{names[:at].count(name) - 1}" if name in names[:at] else name
            for at, name in enumerate(names)]  # fmt: skip


def _judged(tables: list[Table], options: dict[str, Any]) -> Judged | None:
    """Columns and rows as they are meant; None where a file is to be refused."""
    rename, schema, result = options.get("rename", {}), options.get("schema"), []
    ignores, may_miss = options.get("extra_columns") == "ignore", options.get("missing_columns", [])
    first: list[str] | None = None
    for names, rows in tables:
        final = [rename.get(name, name) for name in _calls(names)]
        columns = first = first or (list(schema) if schema else final)
        double = {name for name in names if names.count(name) > 1}
        if len(set(final)) < len(final):
            return None
        if schema:
            lost = [name for name in schema if name not in final and may_miss != "insert" and name not in may_miss]
            if lost or not set(final) & set(schema) or (not ignores and set(final) - set(schema)):
                return None
            if any(rename.get(name, name) in schema for name in double):
                return None
        elif final != columns or "" in final or any("_duplicated_" in name for name in final):
            return None
        result += [
            tuple((row[final.index(name)] or None) if name in final else None for name in columns) for row in rows
        ]
    return (first or [], result)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_and_what_is_refused_are_as_python_judges(seed: int) -> None:
    """No value is shifted, lost or made up, whichever columns are read; what is refused could not be meant."""
    seeded = random.Random(seed)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        tables, options = _tables(seeded), _declared(seeded)
        try:
            source = Source("f/{day}.csv", **options)
        except DeclarationError:
            continue
        files = []
        for number, (names, rows) in enumerate(tables):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([names, *rows])
            content = text.getvalue().encode()
            files.append((FileStat(f"{number}.csv", len(content), 0, 0, 0), content))
        expected = _judged(tables, options)
        try:
            frame = frame_of(source, readable(source, files, DaySound(SoundFiles(), source, dict)), Path())
        except NotAsDeclared:
            assert expected is None, (tables, options)
            outcomes["refused"] += 1
            continue
        engine: Any = seeded.choice(["in-memory", "streaming"])
        found = frame.collect(engine=engine)
        assert (found.columns, found.rows()) == expected, (tables, options)
        one = seeded.choice(found.columns)
        assert frame.select(cs.by_name(one)).collect(engine=engine)[one].to_list() == found[one].to_list()
        assert frame.select(pl.len()).collect(engine=engine).item() == found.height
        outcomes["read"] += 1
    assert min(outcomes.values()) > 40
