"""``peers``: the same days in other tools, each in its own environment and written as its own users would."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.comparison import Differs, Pair, compare, require_equal
from benchmarks.environments import environment as environment_of
from benchmarks.environments import requirements
from benchmarks.figures import Bench, Findings
from benchmarks.machine import PEERS
from benchmarks.many_days import LINEITEM, ONE, lineitem, plain
from benchmarks.project import Project, environment
from benchmarks.timing import Command, ItFailed, ratio, run
from benchmarks.work import first_days, set_aside

OURS = "noonmark"
FLOOR = "plain"
LIMITS = {(FLOOR, False): 0.8, ("duckdb_partitions", True): 1.5}
"""What Noonmark may cost against a tool, for a year of days (False) and for all of B1 (True)."""


@dataclass(frozen=True)
class Peer:
    """A file of ``peers/``. ``remembers`` which days are done; ``quick`` enough to run all days of B1."""

    name: str
    remembers: bool
    quick: bool = False


ALL = (
    Peer("luigi_range", remembers=True, quick=True),
    Peer("sqlmesh_daily", remembers=True),
    Peer("dagster_partitions", remembers=True),
    Peer("dbt_microbatch", remembers=False),
    Peer("prefect_naive", remembers=False),
    Peer("duckdb_partitions", remembers=False, quick=True),
)


def peers(bench: Bench) -> Findings:
    """A year of B1 in every tool, and all of it in those that are quick. The first day alone is the empty run."""
    found = Findings()
    found.notes.append(
        "DuckDB flushes its database. No peer flushes a file that it writes: a power cut can take any of them."
    )
    remembering = ", ".join(peer.name for peer in ALL if peer.remembers)
    found.notes.append(f"These remember which days are done: {remembering}. The others compute what they are told to.")
    pythons = dict(_environments(bench, found))
    for days, some in ((bench.sizes.peer_days, ALL), (bench.sizes.days, tuple(one for one in ALL if one.quick))):
        _beside(bench, found, days, {peer: pythons[peer] for peer in some if peer in pythons})
    return found


def _environments(bench: Bench, found: Findings) -> Iterator[tuple[Peer, Path]]:
    for peer in ALL:
        try:
            yield peer, environment_of(bench.work / "environments" / peer.name, requirements(_script(peer)))
        except subprocess.CalledProcessError:
            found.notes.append(f"{peer.name} was not run: its environment could not be made.")


def _script(peer: Peer) -> Path:
    return PEERS / f"{peer.name}.py"


def _beside(bench: Bench, found: Findings, days: int, pythons: Mapping[Peer, Path]) -> None:
    """Note what each tool costs of so many days, and what Noonmark does against it."""
    trial = bench.work / "trial"
    root = first_days(lineitem(bench, bench.sizes.days), "lineitem", days)
    dates = sorted(path.stem for path in (root / "lineitem").iterdir())

    def ours(folder: str, last: str) -> Command:
        project = Project(bench, root, trial / folder, LINEITEM, bench.threads)
        return project.run("daily", "--only", *ONE, "--days", f"{dates[0]}..{last}", before=project.clear)

    def floor(folder: str, last: str) -> Command:
        limit = str(dates.index(last) + 1)
        return plain(bench, trial / folder, LINEITEM, root, bench.threads, "--only", *ONE, "--limit", limit)

    def theirs(peer: Peer, folder: str, last: str) -> Command:
        output = trial / folder
        words = (pythons[peer], _script(peer), root, output, bench.threads, dates[0], last)
        anew = partial(set_aside, bench.work, output)
        return Command([str(word) for word in words], environment(bench), cwd=trial, before=anew)

    tools: dict[str, Callable[[str, str], Command]] = {FLOOR: floor, OURS: ours}
    tools |= {peer.name: partial(theirs, peer) for peer in pythons}
    pairs = {name: Pair(name, tool(name, dates[-1]), tool(f"{name}-one-day", dates[0])) for name, tool in tools.items()}
    equal = [pair for pair in pairs.values() if _is_equal(trial, found, pair)]
    title = f"{days:,} days"
    costs, _ = compare(bench, found, title, equal, parts=days - 1, unit="ms a day")
    remembering = [costs[peer.name] for peer in pythons if peer.remembers and peer.name in costs]
    if remembering and OURS in costs:
        best = [min(at) for at in zip(*remembering, strict=True)]
        against = f"{title}: cost per day against the best peer that remembers"
        found.target(against, "", ratio(costs[OURS], best), 1.0, strictly=True)
        for name in costs.keys() - {OURS}:
            against = f"{title}: cost per day against {name}"
            found.target(against, "", ratio(costs[OURS], costs[name]), LIMITS.get((name, days == bench.sizes.days)))


def _is_equal(trial: Path, found: Findings, pair: Pair) -> bool:
    """Run a tool once, and compare what it made. One that differs or fails gets no time."""
    try:
        run(pair.whole)
        if pair.name != FLOOR:
            require_equal(trial / FLOOR, trial / pair.name / ("output" if pair.name == OURS else ""), ONE)
    except (Differs, ItFailed) as error:
        found.notes.append(f"{pair.name} has no time: {str(error).splitlines()[0]}.")
        return False
    return True
