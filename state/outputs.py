"""Reads committed results, safely while runs replace them: each file is opened once and checked as a whole.

A reader that opens a path twice, as polars and DuckDB do by path, may meet two generations of a day. This one cannot.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from state.days import is_date, order, parse_range
from state.errors import StorageError
from state.filesystem.durable import is_missing, read_whole
from state.result.classify import Commit, Newer, judge, open_result
from state.result.schemas import columns, differing_days
from state.result.seal import broken_seal
from state.store.local.root import find_root
from state.store.local.scan import day_folders
from state.store.local.store import LocalStore

_Read = tuple[Commit, pl.LazyFrame]
OUTPUT = Path(__file__).resolve().parent.parent / "data/aggregates"


def scan(
    aggregation: str, *, days: str | None = None, version: int | None = None, output: str | Path = OUTPUT
) -> pl.LazyFrame:
    """The committed results of an aggregation, as one LazyFrame.

    Columns are the result's and, last, ``day``: a Date, or an Int64 where days are integers; rows are ordered by day.
    ``days`` narrows it to a range such as ``2013-01-01..2013-01-31``; ``output`` is the output root, by default
    ``data/aggregates`` of the project. Each day is whole, of one generation; several days are no snapshot.

    All days must have one schema: nothing is cast, and no day is left out unasked. Days of several versions, as there
    are while a raised version is being computed, are read together where their schemas are equal. Where they are not,
    that is an error which names the versions and their days; ``version`` reads the days of one version alone.

    The files are read into memory as they are (compressed), so that nothing which happens to them later matters.
    Raises StorageError where a result cannot be read or is damaged, or where there is none to read.
    """
    asked = parse_range(days) if days is not None else None
    root = find_root(Path(output))
    if root is None:
        raise StorageError(f"{output} is no output of Noonmark: it has no marker", command="python -m flows.daily")
    with root:
        present = day_folders(root, aggregation)
        found = [day for day in present if asked is None or day in asked]
        read = [one for day in sorted(found, key=order) if (one := _read(root, aggregation, day, version))]
    if not read:
        narrowed = f" of version {version}" * (version is not None) + (f" for days {days}" if days else "")
        raise StorageError(
            f"{aggregation} has no committed result{narrowed} in {output}", command="python -m flows.daily"
        )
    _require_one_schema(aggregation, [commit for commit, _ in read])
    return pl.concat([frame for _, frame in read])


def _require_one_schema(aggregation: str, commits: Sequence[Commit]) -> None:
    """Raise StorageError where the schemas differ, within a version or between versions."""
    if len({commit.schema for commit in commits}) == 1 or len({columns(commit.schema) for commit in commits}) == 1:
        return
    by_version: dict[int, list[Commit]] = {}
    for commit in commits:
        by_version.setdefault(commit.record.version, []).append(commit)
    for version, some in sorted(by_version.items()):
        if differing := differing_days(version, some):
            day, why = min(differing.items(), key=lambda one: order(one[0]))
            raise StorageError(
                f"the days of {aggregation} have not one schema: {len(differing)} of {len(some)} of version {version} "
                f"{'differs' if len(differing) == 1 else 'differ'}; {day}: {why}",
                command=f"python -m flows.daily --force --days {','.join(differing)} --only {aggregation}",
            )
    told = ", ".join(f"version {version} ({_days(some)})" for version, some in sorted(by_version.items()))
    raise StorageError(
        f"the schemas of {aggregation} differ between {told}; expected days of one schema, or version= to read those "
        "of one version. A run computes what is of a lower version than the aggregation's",
        command="python -m flows.daily",
    )


def _days(commits: Sequence[Commit]) -> str:
    days = [commit.record.day for commit in commits]
    return f"1 day, {days[0]}" if len(days) == 1 else f"{len(days):,} days from {days[0]} to {days[-1]}"


def _read(root: LocalStore, aggregation: str, day: str, version: int | None = None) -> _Read | None:
    place = f"{aggregation}, day {day}"
    try:
        fd = open_result(root.fd, aggregation, day)
    except OSError as error:
        if is_missing(error):
            return None
        raise StorageError(f"{place} cannot be opened: {error.strerror}") from error
    try:
        found = judge(fd, aggregation, day)
        if isinstance(found, Newer):
            raise StorageError(f"{place} was committed by newer code (format {found.format}): read it with that code")
        if isinstance(found, Commit) and version not in (None, found.record.version):
            return None
        wrong = broken_seal(fd, os.fstat(fd).st_size) if isinstance(found, Commit) else found.why
        content = read_whole(fd)
    except OSError as error:
        raise StorageError(f"{place} cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)
    if wrong or not isinstance(found, Commit):
        raise StorageError(f"{place} is damaged: {wrong}", command="python -m flows.daily")
    return found, pl.scan_parquet(content, glob=False, hive_partitioning=False).with_columns(_key(day))


def _key(day: str) -> pl.Expr:
    key = pl.lit(day).str.to_date() if is_date(day) else pl.lit(int(day), pl.Int64)
    return key.alias("day")
