"""``python -m benchmarks``: what Noonmark costs, beside plain polars and beside other tools, in the same run.

Each benchmark keeps its last figures in the work folder. With ``--write``, docs/measurements.md is made of them. Exit 1
where a benchmark failed; a missed target is no failure, the page says it.
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
from benchmarks.machine import commit, cores
from benchmarks.measurements import PLACE, page, shown
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
    parser.add_argument("--write", action="store_true", help="write docs/measurements.md from all figures")
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
                failed |= not measure(entry, served)
    clear_aside(bench.work)
    if given.write:
        PLACE.write_text(page(read(bench.work), bench.work), encoding="utf-8")
        print(f"wrote {PLACE.relative_to(CHECKOUT)}")
    return 1 if failed else 0


def measure(entry: Benchmark, bench: Bench) -> bool:
    """Run a benchmark, print its ratios and keep its figures. False where it failed, which is kept too."""
    print(f"{entry.name}: {entry.asks}", flush=True)
    began = dt.datetime.now(dt.UTC)
    try:
        found = entry.run(bench)
    except (Differs, ItFailed, subprocess.CalledProcessError) as error:
        print(f"{entry.name} FAILED: {error}", file=sys.stderr)
        found = Findings(notes=[f"It failed, so there are no figures: {str(error).splitlines()[0]}"], failed=True)
    found.when, found.commit, found.runs = f"{began:%Y-%m-%d %H:%M} UTC", commit(), bench.runs
    found.save(kept(bench.work, entry, "trials" if bench.sizes == SMALL else "figures"))
    for line in shown(found):
        print(f"  {line}", flush=True)
    return not found.failed


def kept(work: Path, entry: Benchmark, where: str = "figures") -> Path:
    """Where the figures of a benchmark are kept; a trial's lie elsewhere."""
    return work / where / f"{entry.name}.json"


def read(work: Path) -> dict[str, Findings]:
    """The last figures of each benchmark that was ever run in this work folder."""
    return {entry.name: Findings.read(kept(work, entry)) for entry in ENTRIES if kept(work, entry).exists()}


if __name__ == "__main__":
    sys.exit(main())
