"""``python -m benchmarks.before_after COMMIT``: what this checkout costs beside an earlier commit of it, in one run.

Both run the same commands in turns, on inputs that they share and outputs of their own. Figures are ratios, this
checkout's over the earlier one's: 1.00 is no change.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.__main__ import WORK
from benchmarks.figures import SMALL, Bench, Findings, Sizes
from benchmarks.machine import commit, cores
from benchmarks.many_days import Case, all_aggregations, one_aggregation
from benchmarks.measurements import shown
from benchmarks.nothing import NUMBERED
from benchmarks.project import Project, prefect_server
from benchmarks.timing import CHECKOUT, Command, Ran, Rounds, less, nothing, ratio, rounds, run
from benchmarks.work import clear_aside, laid_out

LIMIT = 1.03
"""What a rebuild may cost: 3 %."""


@dataclass(frozen=True)
class Version:
    """A checkout of the project, and what it is called here."""

    name: str
    checkout: Path

    def command(self, project: Project, flow: str, *words: str, before: Callable[[], object] = nothing) -> Command:
        """A command of this version for a project."""
        return replace(project.run(flow, *words, before=before), cwd=self.checkout)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before_after", description=__doc__)
    parser.add_argument("commit", metavar="COMMIT", help="the earlier commit")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="timed runs of each command (default: 5)")
    parser.add_argument("--work", type=Path, default=WORK, metavar="DIR", help="default: .noonmark/bench")
    parser.add_argument("--days-only", action="store_true", help="what a day costs, and nothing of many commits")
    parser.add_argument("--small", action="store_true", help="try the comparison itself, on a few made-up days")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(given.work.absolute(), given.runs, SMALL if given.small else Sizes(), cores())
    versions = (Version("before", checked_out(bench.work, given.commit)), Version("after", CHECKOUT))
    found = Findings(commit=f"{given.commit} before, {commit()} after", runs=bench.runs)
    with prefect_server(bench) as served:
        for case in (one_aggregation(served), all_aggregations(served)):
            cost_of_a_day(served, versions, found, case)
        if not given.days_only:
            many_commits(served, versions, found)
    clear_aside(bench.work)
    print(f"{found.commit}, medians of {found.runs} rounds (least to greatest)")
    for line in shown(found):
        print(f"  {line}")
    return 0


def checked_out(work: Path, name: str) -> Path:
    """The files of a commit, in the work folder."""
    place = work / "commits" / name
    if not place.exists():
        place.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", name], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
    return place


def cost_of_a_day(bench: Bench, versions: tuple[Version, Version], found: Findings, case: Case) -> None:
    """B1 and B2: a first run less an empty one."""
    only = [word for name in case.names for word in ("--only", name)]
    commands = {}
    for version in versions:
        place = bench.work / "trial" / version.name
        ours = Project(bench, case.root, place, case.module, case.threads)
        idle = Project(bench, case.first, place.with_suffix(".empty"), case.module, case.threads)
        commands[version.name] = version.command(ours, "daily", *only, before=ours.clear)
        idle.clear()
        commands[f"{version.name}, empty"] = version.command(idle, "daily", *only)
        run(commands[f"{version.name}, empty"])
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    compared(found, f"cost per day, {case.title}", timed)
    found.walls(f"first run, {case.title}", timed, commands, bench)


def many_commits(bench: Bench, versions: tuple[Version, Version], found: Findings) -> None:
    """B3 and B4: nothing to do, and repair from nothing, each less the same with one commit."""
    days = bench.sizes.commits[2]
    for title, flow, forget in (("nothing to do", "daily", False), ("repair from nothing", "repair", True)):
        commands = {}
        for version in versions:
            many, one = (committed(bench, version, number) for number in (days, 1))
            for name, project in ((version.name, many), (f"{version.name}, empty", one)):
                before = project.forget if forget else nothing
                commands[name] = version.command(project, flow, before=before)
        rounds(commands, 1)
        timed = rounds(commands, bench.runs)
        compared(found, f"{title}, {days:,} commits", timed)
        found.walls(title, timed, commands, bench)


def committed(bench: Bench, version: Version, days: int) -> Project:
    """Days that are all committed, in an output of this version's own: the first one's is copied for the second."""
    root = laid_out(bench.work, "readings", days)
    project = Project(bench, root, bench.work / f"committed-readings-{days}-{version.name}", NUMBERED, bench.threads)
    common = bench.work / f"committed-readings-{days}"
    if not project.folder.exists() and common.exists():
        shutil.copytree(common / "output", project.output, symlinks=True)
    run(version.command(project, "daily"))
    if not common.exists():
        shutil.copytree(project.output, common / "output", symlinks=True)
    return project


def compared(found: Findings, title: str, timed: Rounds) -> None:
    """Note the ratios of wall time, CPU time and peak memory, after over before."""
    kinds: Mapping[str, Callable[[Ran], float]] = {
        "wall time": lambda ran: ran.wall,
        "CPU time": lambda ran: ran.user + ran.system,
    }
    for kind, of in kinds.items():
        took = {name: [of(one) for one in ran] for name, ran in timed.items()}
        before, after = (less(took[name], took[f"{name}, empty"]) for name in ("before", "after"))
        found.target(f"{title}: {kind}", "", ratio(after, before), LIMIT)
    peaks = ([float(one.peak) for one in timed[name]] for name in ("after", "before"))
    found.target(f"{title}: peak memory", "", ratio(*peaks), LIMIT)


if __name__ == "__main__":
    sys.exit(main())
