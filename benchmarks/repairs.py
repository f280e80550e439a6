"""``repair``: the index from nothing, and a look at every byte, beside the least that must be read for it."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.comparison import Pair, compare
from benchmarks.figures import Bench, Findings
from benchmarks.nothing import committed
from benchmarks.project import Project, python
from benchmarks.timing import Command, less, ratio


def repair(bench: Bench) -> Findings:
    """B4: repair from an empty Redis, and ``--deep`` of results alone. The empty run is that of one commit."""
    found = Findings()
    few, many = bench.sizes.commits[1:]
    one = committed(bench, 1)
    for days, limit in ((few, None), (many, 1.5)):
        some = committed(bench, days)
        whole, empty = (project.run("repair", before=project.forget) for project in (some, one))
        pairs = (Pair("repair", whole, empty), Pair("footers", _reading("footers", some), _reading("footers", one)))
        title = f"{days:,} commits"
        costs, _ = compare(bench, found, title, pairs)
        against = f"{title}: repair from nothing, against reading the footers"
        found.target(against, "", ratio(costs["repair"], costs["footers"]), limit)
    _deep(bench, found, f"{few:,} small results", committed(bench, few), one, 2.0)
    large = bench.sizes.large
    by_user = ("event_days", "benchmarks.declared.huge", "--only", "by_user")
    all_days, one_day = (committed(bench, days, *by_user) for days in (large, 1))
    _deep(bench, found, f"{large:,} large results", all_days, one_day, 1.2)
    return found


def _deep(bench: Bench, found: Findings, title: str, some: Project, one: Project, limit: float) -> None:
    """``--deep`` where there is no input any more, so that it looks at results alone."""
    nowhere = bench.work / "inputs/none"
    nowhere.mkdir(exist_ok=True)
    some, one = (replace(project, input=nowhere) for project in (some, one))
    pairs = (
        Pair("repair --deep", some.run("repair", "--deep"), one.run("repair", "--deep")),
        Pair("repair", some.run("repair"), one.run("repair")),
        Pair("SHA-256", _reading("bytes", some), _reading("bytes", one)),
    )
    costs, _ = compare(bench, found, title, pairs)
    deep, plain, digest = (costs[pair.name] for pair in pairs)
    found.target(f"{title}: repair --deep, against SHA-256 over the same files", "", ratio(deep, digest), limit)
    found.target(f"{title}: what --deep adds to repair, against the same", "", ratio(less(deep, plain), digest))


def _reading(what: str, project: Project) -> Command:
    return python(project.bench, "-m", "benchmarks.reading", what, project.output, str(project.threads))
