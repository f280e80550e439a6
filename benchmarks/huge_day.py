"""``huge``: one day of many million rows. Its memory must not grow with it."""

from __future__ import annotations

from benchmarks.comparison import Pair, compare, require_equal
from benchmarks.figures import Bench, Findings
from benchmarks.many_days import plain
from benchmarks.project import Project
from benchmarks.timing import Spread, ratio
from benchmarks.work import laid_out

HUGE = "benchmarks.declared.huge"
GIGABYTE = 1e9
GROUPS = {"by_region": "a hundred groups", "by_user": "a million groups"}
FLOOR = "plain polars, streaming"
LIMITS = {"by_region": 1.4, "by_user": 1.2}
"""What the larger day may take against it."""


def huge(bench: Bench) -> Findings:
    """B5: few and many groups, of ten and of fifty million rows."""
    found = Findings()
    for name, groups in GROUPS.items():
        less, more = (_peaks(bench, found, name, groups, rows) for rows in bench.sizes.rows)
        found.target(f"{groups}: peak memory, of the more rows against the fewer", "", ratio(more, less), 1.2)
    return found


def _peaks(bench: Bench, found: Findings, name: str, groups: str, rows: int) -> list[float]:
    """Time one aggregation of one size; Noonmark's peak memory in each round."""
    root = laid_out(bench.work, "events", rows)
    title = f"{groups}, {rows / 1e6:g} million rows"
    trial = bench.work / "trial"
    ours, idle = (Project(bench, root, trial / at, HUGE, bench.threads) for at in ("noonmark", "noonmark-empty"))
    whole, empty = (
        plain(bench, trial / folder, HUGE, root, bench.threads, "--streaming", "--only", name, "--limit", limit)
        for folder, limit in (("plain", "1"), ("plain-empty", "0"))
    )
    nothing = idle.empty_run("--only", name)
    pairs = (Pair("noonmark", ours.run("daily", "--only", name, before=ours.clear), nothing), Pair(FLOOR, whole, empty))
    costs, timed = compare(bench, found, title, pairs, lambda: require_equal(trial / "plain", ours.output, (name,)))
    peaks = [float(one.peak) for one in timed["noonmark"]]
    found.target(f"{title}: peak memory", "GB", Spread.of([one / GIGABYTE for one in peaks]), 2.0)
    limit = LIMITS[name] if rows == max(bench.sizes.rows) else None
    found.target(f"{title}: time against {FLOOR}", "", ratio(costs["noonmark"], costs[FLOOR]), limit)
    return peaks
