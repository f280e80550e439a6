"""Reads committed results, safely while runs replace them: each file is opened once and checked as a whole.

A reader that opens a path twice, as polars and DuckDB do, may read two generations of a day. This one cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from state.days import is_date, order, parse_range
from state.errors import DAILY, StorageError
from state.result.classify import Commit, Damaged, Newer, Unreadable
from state.result.schemas import columns, differing_days
from state.store.base import Store
from state.store.local.root import find_store


def scan(
    aggregation: str, *, days: str | None = None, version: int | None = None, output: str | Path | None = None
) -> pl.LazyFrame:
    """The committed results of an aggregation, as one LazyFrame.

    Columns are the result's and, last, ``day``: a Date, or an Int64 where days are integers; rows are ordered by day.
    ``days`` narrows it to a range such as ``2013-01-01..2013-01-31``. ``output`` is the output root, by default that of
    the settings (``NOONMARK_OUTPUT``). Each day is whole and of one generation; several days are not a snapshot.

    All days must have one schema: nothing is cast, and no day is left out. Days of several versions, as there are while
    a raised version is computed, are read together where their schemas are equal, and are an error where they are not;
    ``version`` reads the days of one version alone.

    The files are read into memory as they are (compressed), so that later changes of them do not matter. Raises
    StorageError where a result cannot be read or is damaged, or where there is none; ConfigurationError for ``days`` or
    settings that are wrong.
    """
    if output is None:
        from state.settings import read_settings  # pydantic takes a tenth of a second

        output = read_settings().output
    store = find_store(Path(output))
    if store is None:
        raise StorageError(f"{output} is not an output of Noonmark: it has no marker", command=DAILY)
    with store:
        return scan_store(store, aggregation, days, version)


def scan_store(store: Store, aggregation: str, days: str | None = None, version: int | None = None) -> pl.LazyFrame:
    """As ``scan``, from an open store."""
    asked = parse_range(days) if days is not None else None
    found = [day for day in store.days(aggregation) if asked is None or day in asked]
    read = [one for day in sorted(found, key=order) if (one := _read(store, aggregation, day, version))]
    if not read:
        narrowed = f" of version {version}" * (version is not None) + (f" for days {days}" if days else "")
        raise StorageError(f"{aggregation} has no committed result{narrowed} in {store.path}", command=DAILY)
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
                command=f"{DAILY} --force --days {','.join(differing)} --only {aggregation}",
            )
    versions = ", ".join(f"version {version} ({_days(some)})" for version, some in sorted(by_version.items()))
    raise StorageError(
        f"the schemas of {aggregation} differ between {versions}; expected days of one schema, or version= to read "
        "those of one version. A run computes what is of a lower version than the aggregation's",
        command=DAILY,
    )


def _days(commits: Sequence[Commit]) -> str:
    days = [commit.record.day for commit in commits]
    return f"1 day, {days[0]}" if len(days) == 1 else f"{len(days):,} days from {days[0]} to {days[-1]}"


def _read(store: Store, aggregation: str, day: str, version: int | None = None) -> tuple[Commit, pl.LazyFrame] | None:
    name = f"{aggregation}, day {day}"
    found, content = store.read((aggregation, day), lambda one: version in (None, one.record.version))
    if found is None or (isinstance(found, Commit) and not content):
        return None
    if isinstance(found, Unreadable):
        raise StorageError(f"{name} {found.why}")
    if isinstance(found, Newer):
        raise StorageError(f"{name} was committed by newer code (format {found.format}): read it with that code")
    if isinstance(found, Damaged):
        raise StorageError(f"{name} is damaged: {found.why}", command=DAILY)
    key = pl.lit(day).str.to_date() if is_date(day) else pl.lit(int(day), pl.Int64)
    return found, pl.scan_parquet(content, glob=False, hive_partitioning=False).with_columns(key.alias("day"))
