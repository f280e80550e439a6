"""``strict``: what it costs to check a file before polars reads it, beside what polars takes to read all of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import polars as pl

from benchmarks.figures import Bench, Findings
from benchmarks.timing import Spread
from tasks.formats.formats import FORMATS, Format
from tasks.strict.check import check_file

ROWS = 4000
REPEATS = 40
"""How often each is timed, in turns. The quickest counts: the others were disturbed."""
SCHEMA = {"shop": pl.String, "city": pl.String, "items": pl.Int64, "price": pl.Float64, "note": pl.String}


def strict(bench: Bench) -> Findings:
    """A day of text in each form, checked and read."""
    found = Findings()
    for name, (suffix, content) in _files().items():
        form = FORMATS[suffix]
        checks, reads = [], []
        for _ in range(bench.runs):
            checking, reading = _quickest(form, content)
            checks.append(checking)
            reads.append(reading)
        size = f"{len(content) / 1000:,.0f} kB"
        found.note(f"{name}, {size}: checked", "ms", Spread.of(checks))
        found.note(f"{name}, {size}: read by polars with schema=", "ms", Spread.of(reads))
        shares = [one / other for one, other in zip(checks, reads, strict=True)]
        found.target(f"{name}: the check against the reading", "", Spread.of(shares))
    return found


def _quickest(form: Format, content: bytes) -> tuple[float, float]:
    """Milliseconds for the check, and for the reading."""
    options = {"schema": SCHEMA}

    def read() -> None:
        form.read([content], options).collect()

    checked = [_taken(lambda: check_file(form, content, options)) for _ in range(REPEATS)]
    return min(checked), min(_taken(read) for _ in range(REPEATS))


def _taken(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def _files() -> dict[str, tuple[str, bytes]]:
    chance = random.Random(1)  # noqa: S311 made-up rows
    rows = [
        (
            f"shop{chance.randrange(50)}",
            f"city {chance.randrange(9)}",
            chance.randrange(99),
            chance.random(),
            f"note {at}",
        )
        for at in range(ROWS)
    ]
    header = ",".join(SCHEMA)
    lines = ["{},{},{},{:.2f},{}".format(*row) for row in rows]
    quoted = ['"{}","{}",{},{:.2f},"{}"'.format(*row) for row in rows]
    objects = [json.dumps(dict(zip(SCHEMA, row, strict=True))) for row in rows]
    return {
        "CSV": (".csv", "\n".join([header, *lines, ""]).encode()),
        "CSV with CRLF": (".csv", "\r\n".join([header, *lines, ""]).encode()),
        "CSV with quotes": (".csv", "\n".join([header, *quoted, ""]).encode()),
        "NDJSON": (".ndjson", "\n".join([*objects, ""]).encode()),
        "JSON": (".json", f"[{','.join(objects)}]".encode()),
    }
