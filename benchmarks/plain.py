"""The floor: a plain polars loop, as a careful engineer writes it who keeps no books.

Each result is as atomic and as durable as Noonmark's: a private file, flushed, renamed into place, its folders flushed.
Nothing is digested, recorded, compared or remembered. The aggregations are the same functions.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tasks.catalog.declare import Aggregation
from tasks.catalog.load import load
from tasks.catalog.source import Source

SCANS: Mapping[str, Callable[..., pl.LazyFrame]] = {".csv": pl.scan_csv, ".parquet": pl.scan_parquet}
Files = Mapping[Source, Mapping[str, list[Path]]]
"""The files of each source by day."""


def files_by_day(root: Path, source: Source) -> dict[str, list[Path]]:
    """The files of a source whose days are files, or folders of files, of one folder."""
    folder = root / source.template.text.partition("/")[0]
    return {path.stem: sorted(path.iterdir()) if path.is_dir() else [path] for path in sorted(folder.iterdir())}


def compute(files: Files, one: Aggregation, day: str) -> pl.LazyFrame:
    """The plan of one result."""
    frames = []
    for source in one.sources.values():
        paths = files[source][day]
        options: dict[str, Any] = source.options
        read = source.read or SCANS[paths[0].suffix]
        frames.append(read(paths, **options).lazy())
    return one.function(*frames)


def write(output: Path, name: str, day: str, result: pl.DataFrame) -> None:
    """Put a result in its place, atomically and durably."""
    folder = output / name / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    private = output / f".{name}.{day}"
    with private.open("wb") as file:
        result.write_parquet(file)
        file.flush()
        os.fsync(file.fileno())
    private.rename(folder / "data.parquet")
    flush(folder)
    flush(folder.parent)


def flush(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def days_of(files: Files, aggregations: Iterable[Aggregation]) -> list[str]:
    """The days that all sources of these aggregations have."""
    sources = [files[source] for one in aggregations for source in one.sources.values()]
    return sorted(set.intersection(*(set(days) for days in sources)))


def separate(files: Files, output: Path, one: Aggregation, engine: Literal["auto", "streaming"], day: str) -> None:
    """A day of a loop that serves one aggregation."""
    write(output, one.name, day, compute(files, one, day).collect(engine=engine))


def together(files: Files, output: Path, some: list[Aggregation], day: str) -> None:
    """A day of a loop that serves them all; polars reads once what their plans share."""
    some = [one for one in some if all(day in files[source] for source in one.sources.values())]
    for one, result in zip(some, pl.collect_all([compute(files, one, day) for one in some]), strict=True):
        write(output, one.name, day, result)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain", description=__doc__)
    parser.add_argument("module", help="where the aggregations are declared")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--limit", type=int, metavar="DAYS", help="0 is the empty run")
    parser.add_argument(
        "--together", action="store_true", help="one loop for all aggregations, instead of one for each"
    )
    parser.add_argument("--streaming", action="store_true", help="compute in bounded memory")
    given = parser.parse_args()
    catalog = [one for one in load(given.module).values() if not given.only or one.name in given.only]
    files = {source: files_by_day(given.input, source) for one in catalog for source in one.sources.values()}
    given.output.mkdir(parents=True)
    engine: Literal["auto", "streaming"] = "streaming" if given.streaming else "auto"
    with ThreadPoolExecutor(given.threads) as pool:
        many = map if given.threads == 1 else pool.map
        if given.together:
            every = sorted({day for days in files.values() for day in days})
            list(many(partial(together, files, given.output, catalog), every[: given.limit]))
        else:
            for one in catalog:
                days = days_of(files, [one])[: given.limit]
                list(many(partial(separate, files, given.output, one, engine), days))


if __name__ == "__main__":
    main()
