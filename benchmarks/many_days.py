"""``days``, ``flights`` and ``functions``: what a day costs in a run of many, beside the plain loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.comparison import Pair, compare, require_equal
from benchmarks.figures import SMALL, Bench, Findings
from benchmarks.project import Project, python
from benchmarks.timing import Command, ratio
from benchmarks.work import first_days, laid_out, set_aside

LINEITEM = "benchmarks.declared.lineitem"
READ = "benchmarks.declared.flights_read"
ONE = ("by_status",)
FOUR = ("by_discount", "by_ship_mode", "by_status", "by_supplier")
FLIGHTS = (
    "busiest_routes",
    "delays_by_hour_and_origin",
    "delays_by_weather",
    "departures_by_carrier",
    "weather_by_origin",
)
AT_ONCE = "one plain loop for all"


def lineitem(bench: Bench, days: int) -> Path:
    """The input of B1, or what stands for it in a trial."""
    return laid_out(bench.work, "lines" if bench.sizes == SMALL else "tpch", days)


def plain(bench: Bench, output: Path, module: str, root: Path, threads: int, *options: str) -> Command:
    """The plain loop, into an output that is not there yet."""
    words: list[str | Path] = ["-m", "benchmarks.plain", module, root, output, str(threads), *options]
    return python(bench, *words, before=partial(set_aside, bench.work, output))


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


def beside_plain(bench: Bench, found: Findings, case: Case, separate: str, limit: float | None = None) -> list[float]:
    """Note what Noonmark and the plain loops cost, and the ratios. Returns Noonmark's costs, in seconds a day.

    ``separate`` names the plain loop that serves one aggregation, or the loops; ``limit`` is the target against it.
    """
    trial = bench.work / "trial"
    only = [word for name in case.names for word in ("--only", name)]
    ours = Project(bench, case.root, trial / "noonmark", case.module, case.threads)
    idle = Project(bench, case.first, trial / "noonmark-empty", case.module, case.threads)
    # Where nothing is to be computed, no temporary server is started: then the empty run is that of the first day.
    first = idle.empty_run(*only) if bench.api_url else idle.run("daily", *only, before=idle.clear)
    pairs = [Pair("noonmark", ours.run("daily", *only, before=ours.clear), first)]
    places = {loop: trial / loop.replace(" ", "-") for loop in (separate, AT_ONCE)}
    loops = {separate: [], AT_ONCE: ["--together"]} if len(case.names) > 1 else {separate: list[str]()}
    for loop, options in loops.items():
        whole = plain(bench, places[loop], case.module, case.root, case.threads, *options, *only)
        empty = plain(bench, trial / "plain-empty", case.module, case.first, case.threads, "--limit", "0", *only)
        pairs.append(Pair(loop, whole, empty))

    def check() -> None:
        for loop in loops:
            require_equal(places[loop], ours.output, case.names)

    costs, _ = compare(bench, found, case.title, pairs, check, case.days, "ms a day")
    for loop in loops:
        against = f"{case.title}: cost per day against {loop}"
        found.target(against, "", ratio(costs["noonmark"], costs[loop]), limit if loop == separate else None)
    return costs["noonmark"]


def one_aggregation(bench: Bench) -> Case:
    """B1 as a run does it: one aggregation of Parquet days, on all cores."""
    root, days = lineitem(bench, bench.sizes.days), bench.sizes.days
    title = f"one aggregation, {_on(bench.threads)}"
    return Case(title, LINEITEM, ONE, root, first_days(root, "lineitem", 1), days, bench.threads)


def all_aggregations(bench: Bench) -> Case:
    """B2: CSV, and all aggregations that Noonmark ships."""
    root, first = (laid_out(bench.work, "flights", days) for days in (bench.sizes.flights, 1))
    return Case("five aggregations", "aggregations", FLIGHTS, root, first, bench.sizes.flights, bench.threads)


def days(bench: Bench) -> Findings:
    """B1: one aggregation and four, on all cores and on one thread, and one with a temporary Prefect server."""
    found = Findings()
    costs: dict[int, list[float]] = {}
    for threads in dict.fromkeys((bench.threads, 1)):
        one = replace(one_aggregation(bench), title=f"one aggregation, {_on(threads)}", threads=threads)
        four = replace(one, title=f"four aggregations, {_on(threads)}", names=FOUR)
        aimed = threads == bench.threads
        costs[threads] = beside_plain(bench, found, one, "plain loop", 0.55 if aimed else None)
        beside_plain(bench, found, four, "four plain loops", 0.4 if aimed else None)
    if bench.threads > 1:
        against = f"one aggregation: cost per day on {_on(bench.threads)} against {_on(1)}"
        found.target(against, "", ratio(costs[bench.threads], costs[1]), 0.6)
    alone = replace(bench, api_url=None)
    case = replace(one_aggregation(bench), title=f"one aggregation, {_on(bench.threads)}, temporary server")
    beside_plain(alone, found, case, "plain loop", 0.65)
    return found


def _on(threads: int) -> str:
    return f"{threads} threads" if threads > 1 else "1 thread"


def flights(bench: Bench) -> Findings:
    """B2, beside the plain loops."""
    found = Findings()
    beside_plain(bench, found, all_aggregations(bench), "five plain loops", 0.5)
    return found


def functions(bench: Bench) -> Findings:
    """B7: the same files, read by a function of the user's."""
    found = Findings()
    case = replace(all_aggregations(bench), title="one aggregation", module=READ, names=("delays_by_file_and_carrier",))
    beside_plain(bench, found, case, "plain loop", 1.0)
    return found
