"""``peers``: the same days in other tools, each in its own environment and written as its own users would."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.environments import environment as environment_of
from benchmarks.environments import requirements
from benchmarks.figures import Bench, Findings, Target
from benchmarks.machine import PEERS
from benchmarks.many_days import FOUR, LINEITEM, Differs, lineitem, plain, require_equal
from benchmarks.project import Project, environment
from benchmarks.timing import Command, ItFailed, costs, ratio, rounds
from benchmarks.work import first_days

NAME = FOUR[2]
OURS = "noonmark"
FLOOR = "plain loop"


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
    trial = bench.work / "trial"
    root = first_days(lineitem(bench, bench.sizes.days), "lineitem", days)
    dates = sorted(path.stem for path in (root / "lineitem").iterdir())
    commands: dict[str, Command] = {}
    for what, last in (("", dates[-1]), (", one day", dates[0])):
        ours = Project(bench, root, trial / f"{OURS}{what}", LINEITEM, bench.threads)
        narrowed = ("--only", NAME, "--days", f"{dates[0]}..{last}")
        commands[f"{OURS}{what}"] = ours.run("daily", *narrowed, before=ours.clear)
        limit = ("--only", NAME, "--limit", str(days if last == dates[-1] else 1))
        floor = partial(plain, bench, module=LINEITEM, root=root, threads=bench.threads)
        commands[f"{FLOOR}{what}"] = floor(trial / f"{FLOOR}{what}", options=limit)
        for peer, python in pythons.items():
            output = trial / f"{peer.name}{what}"
            words = (str(python), str(_script(peer)), str(root), str(output), str(bench.threads), dates[0], last)
            anew = partial(shutil.rmtree, output, ignore_errors=True)
            commands[f"{peer.name}{what}"] = Command(words, environment(bench), cwd=trial, before=anew)
    rounds({name: command for name, command in commands.items() if name.startswith(FLOOR)}, 1)
    equal = [name for name in (OURS, *(peer.name for peer in pythons)) if _is_equal(trial, found, commands, name)]
    names = [FLOOR, *equal]
    kept = {f"{name}{what}": commands[f"{name}{what}"] for name in names for what in ("", ", one day")}
    timed = rounds(kept, bench.runs)
    cost = {name: costs(timed, name, f"{name}, one day", days - 1) for name in names}
    title = f"{days:,} days"
    for name in names:
        found.cost(f"{title}: {name}", cost[name])
    remembering = [peer.name for peer in pythons if peer.remembers and peer.name in equal]
    if OURS in equal and remembering:
        best = [min(at) for at in zip(*(cost[name] for name in remembering), strict=True)]
        against = f"{title}: cost per day against the best peer that remembers"
        found.targets.append(Target(against, "", ratio(cost[OURS], best), 1.0, strictly=True))
    for name in equal[1:]:
        found.targets.append(Target(f"{title}: cost per day against {name}", "", ratio(cost[OURS], cost[name])))
    found.walls(title, timed, kept, bench)


def _is_equal(trial: Path, found: Findings, commands: Mapping[str, Command], name: str) -> bool:
    """Run a tool once, and compare. One that differs or fails gets no time."""
    try:
        rounds({one: commands[one] for one in (name, f"{name}, one day")}, 1)
        output = trial / name / "output" if name == OURS else trial / name
        require_equal(trial / FLOOR, output, (NAME,))
    except (Differs, ItFailed) as error:
        found.notes.append(f"{name} has no time: {str(error).splitlines()[0]}.")
        return False
    return True
