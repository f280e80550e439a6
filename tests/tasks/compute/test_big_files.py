"""Days that are larger than they look, or larger than memory: bounded, and whole or not at all."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tests.project import Project

DAY = "2024-01-01"
TELLS_PEAK = """

@atexit.register
def _tell_peak() -> None:
    print("peak", re.search(r"VmHWM:(.*) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""
PACKED = (
    """
import atexit, re, sys
import polars as pl
from tasks.catalog import Source, aggregation


@aggregation(Source("packed/{day}.csv.zst"))
def texts(sales: pl.LazyFrame) -> pl.LazyFrame:
    \"\"\"The longest way through a file: all of its columns.\"\"\"
    return sales.group_by("region").agg(pl.len(), pl.col("amount").sum(), pl.col("text").max())


@aggregation(Source("encoded/{day}.parquet"))
def columns(sales: pl.LazyFrame) -> pl.LazyFrame:
    \"\"\"Likewise.\"\"\"
    return sales.group_by("region").agg(pl.len(), pl.col("amount").sum(), pl.col("text").max())
"""
    + TELLS_PEAK
)
MEGABYTE = 1 << 20


def _put(project: Project, name: str) -> Path:
    path = project.raw / name
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's own peak")
def test_best_effort_does_not_grow_with_what_small_files_hold(tmp_path: Path, api_url: str) -> None:
    """Promise 12: some kilobytes that hold gigabytes are streamed. In memory, each of them took 1.1 GB."""
    project = Project.create(tmp_path / "project", api_url, redis_url="none")
    project.declare(PACKED)
    rows = 1 << 20
    text = "some text to fill up the line"
    with pa.output_stream(str(_put(project, f"packed/{DAY}.csv.zst")), compression="zstd") as file:
        file.write(b"region,text,amount\n")
        for _ in range(8):
            file.write(f"north,{text},3\n".encode() * rows)
    column = _put(project, f"encoded/{DAY}.parquet")
    frame = pl.select(pl.repeat("north", 16 * rows).alias("region")).with_columns(text=pl.lit(text), amount=pl.lit(3))
    frame.write_parquet(column, row_group_size=rows // 8)
    assert sum(path.stat().st_size for path in project.raw.rglob("*.*")) < MEGABYTE

    run = project.run()

    assert len(run.committed) == 2
    assert {name: rows for (name, _), rows in project.rows().items()} == {
        "texts": [("north", 8 * rows, 24 * rows, text)],
        "columns": [("north", 16 * rows, 48 * rows, text)],
    }
    peak = re.search(r"peak\s+(\d+)", run.stderr)
    assert peak
    assert int(peak[1]) * 1024 < 750 * MEGABYTE


CUT = """
import os
from pathlib import Path
import polars as pl
from tasks.catalog import Source, aggregation

BIG = Path(os.environ["NOONMARK_INPUT"]) / "events/2024-01-01.ndjson"
REST = 1000 * len(BIG.open("rb").readline())


def _cut_off(batch: pl.DataFrame) -> pl.DataFrame:
    if BIG.stat().st_size > REST:
        os.truncate(BIG, REST)
    return batch


@aggregation(Source("events/{day}.ndjson"))
def events(events: pl.LazyFrame) -> pl.LazyFrame:
    \"\"\"Cuts the large day short while it is read: the rest of it is not read yet when the first rows arrive.\"\"\"
    return events.map_batches(_cut_off, streamable=True).select(pl.len(), pl.col("amount").sum())


@aggregation(Source("files/{day}/*.csv", include_file_paths="path"))
def paths(files: pl.LazyFrame) -> pl.LazyFrame:
    \"\"\"The amount in each file.\"\"\"
    return files.group_by("path").agg(pl.col("amount").sum()).sort("path")
"""


def test_a_large_file_that_is_cut_short_while_it_is_read_is_begun_anew(tmp_path: Path, api_url: str) -> None:
    """A mapped file would end the run with SIGBUS. And what asks for the paths of files gets those on disk."""
    project = Project.create(tmp_path / "project", api_url, redis_url="none")
    project.declare(CUT)
    line = b'{"amount":1,"text":"some text to fill up the line"}\n'
    events = project.raw / "events"
    events.mkdir()
    (events / f"{DAY}.ndjson").write_bytes(line * (70 * MEGABYTE // len(line)))
    files = [project.raw / "files" / DAY / name for name in ("50%.csv", "[a].csv", "a.csv")]
    files[0].parent.mkdir(parents=True)
    for amount, file in enumerate(files):
        file.write_text(f"amount\n{amount}\n", encoding="utf-8")

    run = project.run()

    assert len(run.committed) == 2
    assert project.rows() == {
        ("events", DAY): [(1000, 1000)],
        ("paths", DAY): [(str(file), amount) for amount, file in enumerate(files)],
    }
    assert project.record("events", DAY)["inputs"]["events"]["bytes"] == 1000 * len(line)
