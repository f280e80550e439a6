"""``layouts``: what a day costs where its file must be looked for in folders that a wildcard matches."""

from __future__ import annotations

from benchmarks.comparison import Pair, compare, require_equal
from benchmarks.figures import Bench, Findings
from benchmarks.project import Project
from benchmarks.timing import ratio
from benchmarks.work import laid_out

FLAT = "{day}.csv"
LAYOUTS = {
    FLAT: ("flat", "benchmarks.declared.layout_flat"),
    "*/{day}.csv": ("yearly", "benchmarks.declared.layout_star"),
    "**/{day}.csv": ("yearly", "benchmarks.declared.layout_deep"),
}
NAMES = ("totals",)


def layouts(bench: Bench) -> Findings:
    """B6: the same days in one folder, and in a folder for each year."""
    found = Findings()
    days = bench.sizes.layout_days
    pairs, projects = [], []
    for at, (template, (what, module)) in enumerate(LAYOUTS.items()):
        root, first = laid_out(bench.work, what, days), laid_out(bench.work, what, 1)
        ours, idle = (
            Project(bench, place, bench.work / f"trial/layout-{at}{name}", module, bench.threads)
            for place, name in ((root, ""), (first, "-empty"))
        )
        pairs.append(Pair(template, ours.run("daily", before=ours.clear), idle.empty_run()))
        projects.append(ours)

    def check() -> None:
        for other in projects[1:]:
            require_equal(projects[0].output, other.output, NAMES)

    costs, _ = compare(bench, found, "days below", pairs, check, days, "ms a day")
    for template in list(LAYOUTS)[1:]:
        found.target(f"{template}: cost per day against {FLAT}", "", ratio(costs[template], costs[FLAT]), 1.15)
    return found
