"""``nothing``: what a run costs that finds nothing to do, or one late day, among few and many commits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import count

from benchmarks.figures import Bench, Findings, Target
from benchmarks.project import Project, python
from benchmarks.timing import costs, difference, ratio, rounds, run, walls
from benchmarks.work import add_readings, laid_out

NUMBERED = "benchmarks.declared.numbered"


@cache
def committed(bench: Bench, days: int) -> Project:
    """Numbered days that are all committed: Noonmark itself did it, once, and brings up to date what it finds."""
    root = laid_out(bench.work, "readings", days)
    project = Project(bench, root, bench.work / f"committed-{days}", NUMBERED, bench.threads)
    print(f"committing {days:,} days where they are not", flush=True)
    run(project.run("daily"))
    return project


def nothing_to_do(bench: Bench) -> Findings:
    """B3: by the side of an empty Prefect flow, and with few and many commits."""
    found = Findings()
    _whole_processes(replace(bench, api_url=None), found)
    _many_commits(bench, found)
    return found


def _whole_processes(bench: Bench, found: Findings) -> None:
    some, more, _ = bench.sizes.commits
    few, many = committed(bench, some), committed(bench, more)
    bare = "import prefect, polars"
    commands = {
        "empty Prefect flow": python(bench, "-m", "benchmarks.empty_flow"),
        f"nothing to do, {some:,} days": few.run("daily"),
        bare: python(bench, "-c", bare),
        f"--dry-run, {more:,} days": many.run("daily", "--dry-run"),
    }
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    flow, nothing, imports, plan = (walls(timed, name) for name in commands)
    against = "nothing to do, against an empty Prefect flow: temporary server"
    found.targets.append(Target(against, "", ratio(nothing, flow), 1.15))
    found.targets.append(Target(f"--dry-run at {more:,} days, over the imports", "s", difference(plan, imports), 0.5))
    found.walls("temporary server", timed, commands, bench)


def _many_commits(bench: Bench, found: Findings) -> None:
    few, many, most = (committed(bench, days) for days in bench.sizes.commits)
    one = committed(bench, 1)
    # Late days stay: the next one has the next number, and the most commits become a few more.
    late = count(len(list((most.input / "readings").iterdir())))
    commands = {
        "empty Prefect flow": python(bench, "-m", "benchmarks.empty_flow"),
        f"nothing to do, {bench.sizes.commits[0]:,} days": few.run("daily"),
        "nothing to do, one day": one.run("daily"),
        f"nothing to do, {bench.sizes.commits[1]:,} days": many.run("daily"),
        f"nothing to do, {bench.sizes.commits[2]:,} days": most.run("daily"),
        f"one late day, {bench.sizes.commits[2]:,} days": most.run(
            "daily", before=lambda: add_readings(most.input, next(late))
        ),
    }
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    flow, few_days, empty, many_days, most_days, late_day = commands
    against = "nothing to do, against an empty Prefect flow: running server"
    found.targets.append(Target(against, "", ratio(walls(timed, few_days), walls(timed, flow)), 1.15))
    growth = ratio(costs(timed, most_days, empty), costs(timed, many_days, empty))
    found.cost(f"{most_days}, over one day", costs(timed, most_days, empty), "ms")
    found.cost(f"{many_days}, over one day", costs(timed, many_days, empty), "ms")
    found.targets.append(Target(f"{most_days}, against {many_days}, each over one day", "", growth, 11))
    later = difference(walls(timed, late_day), walls(timed, most_days))
    found.targets.append(Target(f"{late_day}, over nothing to do", "s", later, 0.3))
    found.walls("running server", timed, commands, bench)
