"""Reads committed results, safely while runs replace them: each file is opened once and checked as a whole.

A reader that opens a path twice, as polars and DuckDB do by path, may meet two generations of a day. This one cannot.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from state.days import is_date, order, parse_range
from state.errors import StorageError
from state.files import exists_not, read_whole
from state.found import Commit, Newer, judge, open_result
from state.root import OutputRoot, find_root
from state.scan import day_folders, folders
from state.seal import broken_seal

OUTPUT = Path(__file__).resolve().parent.parent / "data/aggregates"


def scan(aggregation: str, *, days: str | None = None, output: str | Path = OUTPUT) -> pl.LazyFrame:
    """The committed results of an aggregation, as one LazyFrame.

    Columns are the result's and, last, ``day``: a Date, or an Int64 where days are integers; rows are ordered by day.
    ``days`` narrows it to a range such as ``2013-01-01..2013-01-31``; ``output`` is the output root, by default
    ``data/aggregates`` of the project. Each day is whole, of one generation; several days are no snapshot.

    The files are read into memory as they are (compressed), so that nothing which happens to them later matters.
    Raises StorageError where a result cannot be read or is damaged, or where there is none to read.
    """
    asked = parse_range(days) if days is not None else None
    root = find_root(Path(output))
    if root is None:
        raise StorageError(f"{output} is no output of Noonmark: it has no marker", command="python -m flows.daily")
    with root:
        present = day_folders(root, aggregation) if aggregation in folders(root) else []
        found = [day for day in present if asked is None or day in asked]
        frames = [frame for day in sorted(found, key=order) if (frame := _read(root, aggregation, day)) is not None]
    if not frames:
        raise StorageError(
            f"{aggregation} has no committed result in {output}" + (f" for days {days}" if days else ""),
            command="python -m flows.daily",
        )
    return pl.concat(frames)


def _read(root: OutputRoot, aggregation: str, day: str) -> pl.LazyFrame | None:
    place = f"{aggregation}, day {day}"
    try:
        fd = open_result(root.fd, aggregation, day)
    except OSError as error:
        if exists_not(error):
            return None
        raise StorageError(f"{place} cannot be opened: {error.strerror}") from error
    try:
        found = judge(fd, aggregation, day)
        if isinstance(found, Newer):
            raise StorageError(f"{place} was committed by newer code (format {found.format}): read it with that code")
        wrong = broken_seal(fd, os.fstat(fd).st_size) if isinstance(found, Commit) else found.why
        content = read_whole(fd)
    except OSError as error:
        raise StorageError(f"{place} cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)
    if wrong:
        raise StorageError(f"{place} is damaged: {wrong}", command="python -m flows.daily")
    return pl.scan_parquet(content, glob=False, hive_partitioning=False).with_columns(_key(day))


def _key(day: str) -> pl.Expr:
    key = pl.lit(day).str.to_date() if is_date(day) else pl.lit(int(day), pl.Int64)
    return key.alias("day")
