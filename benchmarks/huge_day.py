"""``huge``: one day of many million rows. Its memory must not grow with it."""

from __future__ import annotations

from functools import partial

from benchmarks.figures import Bench, Findings, Target
from benchmarks.many_days import plain, require_equal
from benchmarks.project import NO_DAY, Project
from benchmarks.timing import Spread, costs, ratio, rounds
from benchmarks.work import laid_out

HUGE = "benchmarks.declared.huge"
GIGABYTE = 1e9
GROUPS = {"by_region": "a hundred groups", "by_user": "a million groups"}


def huge(bench: Bench) -> Findings:
    """B5: few and many groups, of ten and of fifty million rows."""
    found = Findings()
    for name, groups in GROUPS.items():
        less, more = (_peaks(bench, found, name, groups, rows) for rows in bench.sizes.rows)
        growth = ratio(more, less)
        found.targets.append(
            Target(f"{groups}: memory at {_rows(bench, 1)} against {_rows(bench, 0)}", "", growth, 1.2)
        )
    return found


def _rows(bench: Bench, at: int) -> str:
    return f"{bench.sizes.rows[at] / 1e6:g} million rows"


def _peaks(bench: Bench, found: Findings, name: str, groups: str, rows: int) -> list[float]:
    """Time one aggregation of one size; Noonmark's peak memory in each round."""
    root = laid_out(bench.work, "events", rows)
    trial = bench.work / "trial"
    ours = Project(bench, root, trial / "noonmark", HUGE, bench.threads)
    idle = Project(bench, root, trial / "noonmark-empty", HUGE, bench.threads)
    floor = partial(plain, bench, module=HUGE, root=root, threads=bench.threads)
    commands = {
        "noonmark": ours.run("daily", "--only", name, before=ours.clear),
        "noonmark, empty run": idle.run("daily", "--only", name, "--days", NO_DAY, before=idle.clear),
        "plain polars, streaming": floor(trial / "plain", options=("--streaming", "--only", name)),
        "plain, empty run": floor(trial / "plain-empty", options=("--limit", "0", "--only", name)),
    }
    rounds(commands, 1)
    require_equal(trial / "plain", ours.output, (name,))
    timed = rounds(commands, bench.runs)
    cost = costs(timed, "noonmark", "noonmark, empty run")
    theirs = costs(timed, "plain polars, streaming", "plain, empty run")
    peaks = [float(one.peak) for one in timed["noonmark"]]
    title = f"{groups}, {rows / 1e6:g} million rows"
    found.targets.append(Target(f"{title}: peak memory", "GB", Spread.of([one / GIGABYTE for one in peaks]), 2.0))
    found.targets.append(Target(f"{title}: time against plain polars, streaming", "", ratio(cost, theirs)))
    found.walls(title, timed, commands, bench)
    return peaks
