"""``nothing``: what a run costs that finds nothing to do, or one late day, among few and many commits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import count

from benchmarks.figures import Bench, Findings
from benchmarks.project import Project, python
from benchmarks.timing import Spread, difference, less, ratio, rounds, run, walls
from benchmarks.work import add_readings, laid_out

NUMBERED = "benchmarks.declared.numbered"


@cache
def committed(bench: Bench, days: int, what: str = "readings", module: str = NUMBERED, *only: str) -> Project:
    """Days that are all committed: Noonmark itself did it, and brings up to date what it finds.

    A second run notes the footers of what the first committed: a plan reads each of them until a run has done that.

    ``only`` are words such as ``--only by_user``; by default all aggregations of the module are computed.
    """
    root = laid_out(bench.work, what, days)
    project = Project(bench, root, bench.work / f"committed-{what}-{days}", module, bench.threads)
    print(f"committing {days:,} days of {what} where they are not", flush=True)
    run(project.run("daily", *only))
    run(project.run("daily", *only))
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
        "empty Prefect flow": python(bench, "-m", "benchmarks.unrounded", "benchmarks.empty_flow"),
        f"nothing to do, {some:,} days": few.run("daily"),
        f"--dry-run, {some:,} days": few.run("daily", "--dry-run"),
        bare: python(bench, "-c", bare),
        f"--dry-run, {more:,} days": many.run("daily", "--dry-run"),
    }
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    flow, nothing, few_planned, imports, plan = (walls(timed, name) for name in commands)
    found.target("nothing to do, against --dry-run: no server configured", "", ratio(nothing, few_planned), 1.5)
    against = "nothing to do, against an empty Prefect flow with its temporary server"
    found.note(against, "", ratio(nothing, flow))
    found.target(f"--dry-run at {more:,} days, over the imports", "s", difference(plan, imports), 0.5)
    found.walls("no server configured", timed, commands, bench)


def _many_commits(bench: Bench, found: Findings) -> None:
    one, few, many, most = (committed(bench, days) for days in (1, *bench.sizes.commits))
    # Late days stay: the next one has the next number, and the most commits become a few more.
    late = count(len(list((most.input / "readings").iterdir())))
    some, more, all_of_them = (f"nothing to do, {days:,} days" for days in bench.sizes.commits)
    flow, one_day = "empty Prefect flow", "nothing to do, one day"
    late_day = f"one late day, {bench.sizes.commits[2]:,} days"
    commands = {
        flow: python(bench, "-m", "benchmarks.unrounded", "benchmarks.empty_flow"),
        one_day: one.run("daily"),
        some: few.run("daily"),
        more: many.run("daily"),
        all_of_them: most.run("daily"),
        late_day: most.run("daily", before=lambda: add_readings(most.input, next(late))),
    }
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    took = {name: walls(timed, name) for name in commands}
    against = "nothing to do, against an empty Prefect flow: running server"
    found.target(against, "", ratio(took[some], took[flow]), 1.15)
    over = {}
    for name in (more, all_of_them):
        over[name] = less(took[name], took[one_day])
        found.note(f"{name}, over one day", "s", Spread.of(over[name]))
    found.target(f"{all_of_them}, against {more}, each over one day", "", ratio(over[all_of_them], over[more]), 11)
    found.target(f"{late_day}, over nothing to do", "s", difference(took[late_day], took[all_of_them]), 0.3)
    found.walls("running server", timed, commands, bench)
