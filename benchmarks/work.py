"""Lays out what is computed: once, in the work folder, and the same bytes every time.

Each layout is made by a process of its own, so that the one that measures others stays small.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmarks.environments import environment
from benchmarks.timing import CHECKOUT

SETTLE_SECONDS = 3.0
"""A file that is younger is read twice by Noonmark, for its times prove nothing yet. Files of real feeds are older."""
TPCHGEN = "tpchgen-cli==4.0.0"
FIRST_SHIPPED = dt.date(1992, 1, 2)
FIRST_READ = dt.date(2015, 1, 1)
USERS = 1_000_000
REGIONS = 100
ASIDE = "aside"
"""Where in the work folder the outputs of earlier rounds lie."""
ROWS_A_DAY = 100_000
CHUNK = 1_000_000
"""Rows of a huge day that are generated at once; also its row groups."""


def laid_out(work: Path, what: str, size: int) -> Path:
    """The input root of a layout with ``size`` days or rows; made where it is missing, and whole by a rename."""
    root = work / "inputs" / f"{what}-{size}"
    if not root.exists():
        print(f"laying out {what}, {size:,}", flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.work", what, root, str(size), work], cwd=CHECKOUT, check=True)
        time.sleep(SETTLE_SECONDS)
    return root


def first_days(root: Path, source: str, days: int) -> Path:
    """An input root that holds the first days of another one, by hard links."""
    some = root.with_name(f"{root.name}-first-{days}")
    if not some.exists():
        unfinished = some.with_name(f"{some.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / source).mkdir(parents=True)
        for path in sorted((root / source).iterdir())[:days]:
            shutil.copytree(path, unfinished / source / path.name, copy_function=os.link) if path.is_dir() else os.link(
                path, unfinished / source / path.name
            )
        unfinished.rename(some)
        time.sleep(SETTLE_SECONDS)
    return some


def set_aside(work: Path, folder: Path) -> None:
    """Make room for a new output. The old one is removed at the end of all: for each file that it creates, ext4 without
    a journal looks past all that were removed within minutes, and that took up to half a millisecond a result.
    """
    aside = work / ASIDE
    aside.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        folder.rename(aside / uuid.uuid4().hex)


def clear_aside(work: Path) -> None:
    """Remove all that was set aside."""
    shutil.rmtree(work / ASIDE, ignore_errors=True)


def tpch(root: Path, days: int, work: Path) -> None:
    """The lines of TPC-H at scale 1, 6,001,215 rows, by the day that they were shipped: 2,526 days."""
    import polars as pl

    python = environment(work / "environments/tpchgen", [TPCHGEN])
    raw = root / "raw"
    generate: list[str | Path] = [python.with_name("tpchgen-cli"), "parquet", "--scale-factor=1", "--tables=lineitem"]
    subprocess.run([*generate, f"--output-dir={raw}"], check=True)
    lines = pl.scan_parquet(sorted(raw.rglob("*.parquet"))).collect()
    _write_lines(root, lines, days)
    shutil.rmtree(raw)


def lines(root: Path, days: int, _: Path) -> None:
    """Made-up lines with TPC-H's columns, for a trial without a network: forty rows a day."""
    import polars as pl

    row = pl.int_range(days * 40)

    def drawn(seed: int, below: int) -> pl.Expr:
        return (row.hash(seed) % below).cast(pl.Int64)

    def money(seed: int, below: int) -> pl.Expr:
        return (drawn(seed, below).cast(pl.Decimal(15, 2)) / 100).cast(pl.Decimal(15, 2))

    made = pl.select(
        l_orderkey=row,
        l_partkey=drawn(1, 200),
        l_suppkey=drawn(2, 30),
        l_quantity=money(3, 50) * 100,
        l_extendedprice=money(4, 10_000_000),
        l_discount=money(5, 11),
        l_returnflag=pl.lit(pl.Series(["A", "N", "R"])).gather(drawn(6, 3)),
        l_linestatus=pl.lit(pl.Series(["F", "O"])).gather(drawn(7, 2)),
        l_shipdate=pl.lit(FIRST_SHIPPED) + pl.duration(days=row // 40),
        l_shipmode=pl.lit(pl.Series(["AIR", "RAIL", "SHIP", "TRUCK"])).gather(drawn(8, 4)),
    )
    _write_lines(root, made, days)


def _write_lines(root: Path, lines: object, days: int) -> None:
    import polars as pl

    assert isinstance(lines, pl.DataFrame)
    (root / "lineitem").mkdir()
    by_day = lines.sort("l_shipdate", maintain_order=True).partition_by("l_shipdate", as_dict=True)
    for (day,), some in list(by_day.items())[:days]:
        some.write_parquet(root / "lineitem" / f"{day}.parquet")


def flights(root: Path, days: int, _: Path) -> None:
    """The flights of 2013 and the weather, the published text."""
    from examples.nycflights import lay_out

    lay_out(root)
    for name in ("flights", "weather"):
        for folder in sorted((root / name).iterdir())[days:]:
            shutil.rmtree(folder)


def readings(root: Path, days: int, _: Path) -> None:
    """Numbered days of three rows."""
    for day in range(days):
        add_readings(root, day)


def add_readings(root: Path, day: int) -> None:
    """One numbered day."""
    _add_readings(root / "readings" / f"{day}.csv", day)


def flat(root: Path, days: int, _: Path) -> None:
    """Dated days of three rows in one folder."""
    for at in range(days):
        _add_readings(root / f"readings/{FIRST_READ + dt.timedelta(at)}.csv", at)


def yearly(root: Path, days: int, _: Path) -> None:
    """The same in a folder for each year."""
    for at in range(days):
        day = FIRST_READ + dt.timedelta(at)
        _add_readings(root / f"readings/{day.year}/{day}.csv", at)


def _add_readings(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{sensor},{seed * 7 % 1009 + at}\n" for at, sensor in enumerate(("door", "roof", "yard")))
    file.write_text("sensor,value\n" + rows)


def events(root: Path, rows: int, _: Path) -> None:
    """One day of many rows that do not compress, some 50 bytes each."""
    (root / "events").mkdir()
    _write_events(root / "events/1.parquet", 0, rows)


def event_days(root: Path, days: int, _: Path) -> None:
    """Days of 100,000 such rows each."""
    (root / "events").mkdir()
    for day in range(days):
        _write_events(root / f"events/{day}.parquet", day * ROWS_A_DAY, ROWS_A_DAY)


def _write_events(file: Path, first: int, rows: int) -> None:
    """Generated chunk by chunk, so that memory does not grow with them."""
    import polars as pl
    import pyarrow.parquet as pq

    writer = None
    for start in range(first, first + rows, CHUNK):
        row = pl.int_range(start, min(start + CHUNK, first + rows), dtype=pl.Int64)
        chunk = pl.select(
            event=row,
            region=(row.hash(1) % REGIONS).cast(pl.Int32),
            user=(row.hash(2) % USERS).cast(pl.Int64),
            amount=(row.hash(3) % 2**40).cast(pl.Int64),
            weight=(row.hash(4) % 2**40).cast(pl.Int64),
            trace=row.hash(5),
            span=row.hash(6),
        ).to_arrow()
        writer = writer or pq.ParquetWriter(file, chunk.schema)
        writer.write_table(chunk, row_group_size=CHUNK)
    assert writer
    writer.close()


LAYOUTS: dict[str, Callable[[Path, int, Path], None]] = {
    one.__name__: one for one in (tpch, lines, flights, readings, flat, yearly, events, event_days)
}


def main() -> None:
    """Make one layout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.work", description=__doc__)
    parser.add_argument("what", choices=LAYOUTS)
    parser.add_argument("root", type=Path)
    parser.add_argument("size", type=int, help="days, or the rows of the one day")
    parser.add_argument("work", type=Path)
    given = parser.parse_args()
    unfinished = given.root.with_name(f"{given.root.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    LAYOUTS[given.what](unfinished, given.size, given.work)
    unfinished.rename(given.root)


if __name__ == "__main__":
    main()
