"""``days`` and ``flights``: what a day costs in a run of many, beside the plain loop."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import SMALL, Bench, Findings, Target
from benchmarks.project import NO_DAY, Project, python
from benchmarks.timing import CHECKOUT, Command, costs, ratio, rounds
from benchmarks.work import first_days, laid_out

LINEITEM = "benchmarks.declared.lineitem"
FOUR = ("by_discount", "by_ship_mode", "by_status", "by_supplier")
FLIGHTS = (
    "busiest_routes",
    "delays_by_hour_and_origin",
    "delays_by_weather",
    "departures_by_carrier",
    "weather_by_origin",
)


class Differs(Exception):
    """Results that are to be equal are not: their times say nothing."""


def require_equal(expected: Path, found: Path, names: tuple[str, ...]) -> None:
    """Raises Differs. A process of its own looks, for that takes memory."""
    compare: list[str | Path] = [sys.executable, "-m", "benchmarks.equality", expected, found, *names]
    ended = subprocess.run(compare, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise Differs(ended.stdout.strip() or f"the comparison ended with {ended.returncode}")


def lineitem(bench: Bench, days: int) -> Path:
    """The input of B1, or what stands for it in a trial."""
    return laid_out(bench.work, "lines" if bench.sizes == SMALL else "tpch", days)


def plain(bench: Bench, output: Path, *, module: str, root: Path, threads: int, options: tuple[str, ...]) -> Command:
    """The plain loop, into an output that is not there yet."""
    words: list[str | Path] = ["-m", "benchmarks.plain", module, root, output, str(threads), *options]
    return python(bench, *words, before=partial(shutil.rmtree, output, ignore_errors=True))


@dataclass(frozen=True)
class Loop:
    """A way to write the plain loop. ``limits`` are the targets of Noonmark's cost per day against it."""

    name: str
    options: tuple[str, ...] = ()
    limits: tuple[tuple[float, bool], ...] = ()


@dataclass(frozen=True)
class Case:
    """Aggregations over ``root``, which has ``days``; ``first`` has the first of them, for the empty runs."""

    title: str
    module: str
    names: tuple[str, ...]
    root: Path
    first: Path
    days: int
    threads: int
    loops: tuple[Loop, ...]


def beside_plain(bench: Bench, found: Findings, case: Case) -> None:
    """Run Noonmark and the plain loops of a case in turns, and note costs and ratios. Raises Differs."""
    trial = bench.work / "trial"
    only = [word for name in case.names for word in ("--only", name)]
    ours = Project(bench, case.root, trial / "noonmark", case.module, case.threads)
    idle = Project(bench, case.first, trial / "noonmark-empty", case.module, case.threads)
    floor = partial(plain, bench, module=case.module, threads=case.threads)
    commands = {
        "noonmark": ours.run("daily", *only, before=ours.clear),
        "noonmark, empty run": idle.run("daily", *only, "--days", NO_DAY, before=idle.clear),
        "plain, empty run": floor(trial / "plain-empty", root=case.first, options=("--limit", "0", *only)),
    }
    for loop in case.loops:
        commands[loop.name] = floor(trial / loop.name, root=case.root, options=(*loop.options, *only))
    rounds(commands, 1)
    for loop in case.loops:
        require_equal(trial / loop.name, ours.output, case.names)
    timed = rounds(commands, bench.runs)
    cost = costs(timed, "noonmark", "noonmark, empty run", case.days)
    found.cost(f"{case.title}: noonmark", cost)
    for loop in case.loops:
        theirs = costs(timed, loop.name, "plain, empty run", case.days)
        found.cost(f"{case.title}: {loop.name}", theirs)
        for limit, strictly in loop.limits or ((None, False),):
            against = f"{case.title}: cost per day against {loop.name}"
            found.targets.append(Target(against, "", ratio(cost, theirs), limit, strictly))
    found.walls(case.title, timed, commands, bench)


def days(bench: Bench) -> Findings:
    """B1: one aggregation and four, on all cores and on one thread."""
    found = Findings()
    root = lineitem(bench, bench.sizes.days)
    where = (root, first_days(root, "lineitem", 1), bench.sizes.days)
    for threads in dict.fromkeys((bench.threads, 1)):
        aimed = threads == bench.threads
        one = Loop("plain loop", limits=((1.3, False), (1.0, True)) if aimed else ())
        four = Loop("four plain loops", limits=((0.6, False),) if aimed else ())
        at_once = Loop("one plain loop for all four", ("--together",))
        on = f"{threads} threads" if threads > 1 else "1 thread"
        beside_plain(bench, found, Case(f"one aggregation, {on}", LINEITEM, FOUR[2:3], *where, threads, (one,)))
        beside_plain(bench, found, Case(f"four aggregations, {on}", LINEITEM, FOUR, *where, threads, (four, at_once)))
    return found


def flights(bench: Bench) -> Findings:
    """B2: CSV, and all aggregations that Noonmark ships."""
    found = Findings()
    number = bench.sizes.flights
    root = laid_out(bench.work, "flights", number)
    first = laid_out(bench.work, "flights", 1)
    loops = (Loop("one plain loop for all five", ("--together",)), Loop("five plain loops"))
    case = Case("five aggregations", "aggregations", FLIGHTS, root, first, number, bench.threads, loops)
    beside_plain(bench, found, case)
    return found
