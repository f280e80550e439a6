"""``repair``: the index from nothing, and a look at every byte, beside the least that must be read for it."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.figures import Bench, Findings, Target
from benchmarks.nothing import committed
from benchmarks.project import python
from benchmarks.timing import costs, ratio, rounds


def repair(bench: Bench) -> Findings:
    """B4: repair from an empty Redis, and ``--deep`` of results alone."""
    found = Findings()
    for days, limit in zip(bench.sizes.commits[1:], (None, 1.5), strict=True):
        _from_nothing(bench, found, days, limit)
    _deep(bench, found, bench.sizes.commits[1])
    return found


def _from_nothing(bench: Bench, found: Findings, days: int, limit: float | None) -> None:
    one, all_days = committed(bench, 1), committed(bench, days)
    threads = str(bench.threads)
    commands = {
        "repair": all_days.run("repair", before=all_days.forget),
        "repair, one commit": one.run("repair", before=one.forget),
        "footers": python(bench, "-m", "benchmarks.reading", "footers", all_days.output, threads),
        "footers, one commit": python(bench, "-m", "benchmarks.reading", "footers", one.output, threads),
    }
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    ours, floor = costs(timed, "repair", "repair, one commit"), costs(timed, "footers", "footers, one commit")
    title = f"{days:,} commits"
    found.cost(f"{title}: repair from nothing, over one commit", ours, "ms")
    found.cost(f"{title}: footers with pyarrow, over one", floor, "ms")
    found.targets.append(Target(f"{title}: repair from nothing against the footers", "", ratio(ours, floor), limit))
    found.walls(title, timed, commands, bench)


def _deep(bench: Bench, found: Findings, days: int) -> None:
    (bench.work / "inputs/none").mkdir(exist_ok=True)
    # Without input there are results alone to look at.
    one, all_days = (replace(committed(bench, some), input=bench.work / "inputs/none") for some in (1, days))
    threads = str(bench.threads)
    commands = {
        "repair --deep": all_days.run("repair", "--deep"),
        "repair --deep, one commit": one.run("repair", "--deep"),
        "SHA-256": python(bench, "-m", "benchmarks.reading", "bytes", all_days.output, threads),
        "SHA-256, one commit": python(bench, "-m", "benchmarks.reading", "bytes", one.output, threads),
    }
    rounds(commands, 1)
    timed = rounds(commands, bench.runs)
    ours = costs(timed, "repair --deep", "repair --deep, one commit")
    floor = costs(timed, "SHA-256", "SHA-256, one commit")
    title = f"{days:,} results"
    found.cost(f"{title}: repair --deep, over one commit", ours, "ms")
    found.cost(f"{title}: SHA-256 over the same files, over one", floor, "ms")
    found.targets.append(Target(f"{title}: repair --deep against SHA-256", "", ratio(ours, floor), 1.2))
    found.walls(title, timed, commands, bench)
