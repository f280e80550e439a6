"""The least that must be read: ``footers`` of all results with pyarrow, or all their ``bytes`` with the SHA-256."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq


def footers(files: list[str]) -> int:
    """Rows, as the footers have them."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def digests(files: list[str]) -> int:
    """Bytes that were read and digested."""
    read = 0
    for file in files:
        with open(file, "rb") as opened:
            content = opened.read()
        hashlib.sha256(content).digest()
        read += len(content)
    return read


def results(root: Path) -> Iterator[str]:
    """The files of all results below an output root."""
    for aggregation in os.scandir(root):
        if not aggregation.name.startswith(("_", ".")):
            yield from (f"{day.path}/data.parquet" for day in os.scandir(aggregation))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("what", choices=["footers", "bytes"])
    parser.add_argument("output", type=Path)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    files = list(results(given.output))
    read = footers if given.what == "footers" else digests
    with ThreadPoolExecutor(given.threads) as pool:  # one part for each thread: a future for each file would cost more
        print(sum(pool.map(read, (files[at :: given.threads] for at in range(given.threads)))), given.what)


if __name__ == "__main__":
    main()
