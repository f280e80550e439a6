"""``python -m benchmarks``: what Noonmark costs, beside plain polars and beside other tools, in the same run.

Each benchmark keeps its last figures in the work folder. With ``--write`` it keeps them in benchmarks/results, with
their tables, and docs/measurements.md is made of them. Exit 1 where a benchmark failed; a missed target is no failure,
the page says it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
from pathlib import Path

from benchmarks.comparison import Differs
from benchmarks.entries import ENTRIES
from benchmarks.figures import SMALL, Bench, Benchmark, Findings, Sizes
from benchmarks.machine import commit, cores, machine
from benchmarks.measurements import PLACE, RESULTS, page, shown, tables
from benchmarks.project import prefect_server
from benchmarks.timing import CHECKOUT, ItFailed
from benchmarks.work import clear_aside

WORK = CHECKOUT / ".noonmark/bench"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", choices=[one.name for one in ENTRIES])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs of each command (default: 5)")
    parser.add_argument("--work", type=Path, default=WORK, metavar="DIR", help="default: .noonmark/bench")
    parser.add_argument("--small", action="store_true", help="try the benchmarks themselves, on a few made-up days")
    parser.add_argument("--write", action="store_true", help="keep the figures, and write docs/measurements.md")
    given = parser.parse_args()
    if given.small and given.write:
        parser.error("--write is for figures, and those of --small are none")
    if (CHECKOUT / ".env").exists():
        parser.error("a file .env would change what is measured: move it away meanwhile")
    bench = Bench(given.work.absolute(), given.runs, SMALL if given.small else Sizes(), cores())
    failed = False
    with prefect_server(bench) as served:
        for entry in ENTRIES:
            if not given.only or entry.name in given.only:
                where = RESULTS if given.write else bench.work / ("trials" if given.small else "figures")
                failed |= not measure(entry, served, where)
    clear_aside(bench.work)
    if given.write:
        write()
        print(f"wrote {PLACE.relative_to(CHECKOUT)}")
    return 1 if failed else 0


def measure(entry: Benchmark, bench: Bench, where: Path) -> bool:
    """Run a benchmark, print its ratios and keep its figures in a folder. False where it failed, which is kept too."""
    print(f"{entry.name}: {entry.asks}", flush=True)
    began = dt.datetime.now(dt.UTC)
    try:
        found = entry.run(bench)
    except (Differs, ItFailed, subprocess.CalledProcessError) as error:
        print(f"{entry.name} FAILED: {error}", file=sys.stderr)
        found = Findings(notes=[f"It failed, so there are no figures: {str(error).splitlines()[0]}"], failed=True)
    found.when, found.commit, found.runs = f"{began:%Y-%m-%d %H:%M} UTC", commit(), bench.runs
    found.machine = machine(bench.work)
    found.save(where / f"{entry.name}.json")
    for line in shown(found):
        print(f"  {line}", flush=True)
    return not found.failed


def write() -> None:
    """Write the page and the tables from the figures in benchmarks/results."""
    kept = {entry: RESULTS / f"{entry.name}.json" for entry in ENTRIES}
    found = {entry: Findings.read(path) for entry, path in kept.items() if path.exists()}
    for entry, findings in found.items():
        kept[entry].with_suffix(".md").write_text(tables(entry, findings), encoding="utf-8")
    PLACE.write_text(page({entry.name: findings for entry, findings in found.items()}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
