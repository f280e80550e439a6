"""The health flow: compare input, output and index, and name what is wrong with the command that mends it. Read-only.

``python -m flows.health`` on a terminal, ``health/health`` as a deployment.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from prefect import flow
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.command import Parser, ProblemsRemain, run_command
from flows.cli.prefect_server import reporting
from flows.opening import opened_index, seen_root
from flows.report.terminal import SHOWN_FAILURES, counted
from flows.settings import WITHOUT_REDIS, Settings, read_settings
from state.errors import Refused
from state.index.best_effort import BestEffortIndex
from state.index.durability import Durability
from state.inputs.root import InputRoot
from state.planner.plan import Plan, Selection
from state.store.local.root import ACCEPT
from state.store.local.scan import counted_below_own
from tasks.catalog.load import Catalog, load
from tasks.diagnosis import DAILY, HEALTH, Problem, counts_of, problem_of_index, problems_of, problems_of_own
from tasks.survey import survey

Broken = Mapping[str, tuple[str, ...]]
"""The broken links below which a source may have files, by the source's template."""


@flow(name="health", description="Compare input, output and index, and name what is wrong. Writes nothing.")
def health() -> dict[str, Any]:
    """Look at everything and change nothing. Returns the JSON object of the contract."""
    settings = read_settings(strict=False)
    report = check_health(settings, load(settings.aggregations))
    if not report["healthy"]:
        raise ProblemsRemain(_in_one_line(report["problems"]), report)
    return report


def check_health(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """One whole examination. Starts no server and writes nothing. Raises StorageError where something is unreadable."""
    began = time.monotonic()
    with opened_index(settings, start=False) as index:
        plan, problems, broken = _look(settings, catalog, index)
        durability = index.durability()
        problems += _problems_of_redis(settings, index)
    skipped = plan.skipped()
    commits = sum(skipped[status] for status in ("done", "empty", "ahead", "orphaned", "retired"))
    commits += sum(bool(item.over) for item in plan.items)
    cost = f"losing it costs a scan of {counted(commits, 'commit')}, about {time.monotonic() - began:.1f} s"
    return {
        "healthy": not problems,
        "problems": [asdict(problem) for problem in problems],
        "counts": counts_of(plan),
        "warnings": _warnings(plan, durability, broken),
        "redis": (asdict(durability) if durability else {"absence": index.unavailable_reason}) | {"cost": cost},
    }


def _look(settings: Settings, catalog: Catalog, index: BestEffortIndex) -> tuple[Plan, list[Problem], Broken]:
    try:
        with seen_root(settings, catalog, index) or nullcontext() as root, InputRoot(settings.input) as raw:
            found = survey(catalog, raw, root, index, Selection(), settings.workers)
            own = counted_below_own(root) if root else []
    except Refused as error:
        return Plan(), [_refused(error)], {}
    problems = [*problems_of(found.plan), *problems_of_own(own)]
    undeclared = index.read(sorted(index.aggregations() - found.remembered.keys()))
    remembered = found.output.reachable({**found.remembered, **undeclared})
    if problem := problem_of_index(index.reconcile(remembered, found.output.days, dry_run=True)):
        problems.append(problem)
    return found.plan, problems, found.broken


def _refused(error: Refused) -> Problem:
    """What every run refuses, as a problem. Raises the error again where no command of ours mends it (newer code's)."""
    if error.command is None:
        raise error
    command = ACCEPT if ACCEPT in error.command else HEALTH
    return Problem("refused", "", "", f"{error.message}; {error.command}", command)


def _problems_of_redis(settings: Settings, index: BestEffortIndex) -> list[Problem]:
    if index.foreign:
        return [Problem("foreign_index", "", "", "the index belongs to another output", ACCEPT)]
    if index.unavailable_reason and settings.redis_url.get_secret_value() not in ("", WITHOUT_REDIS):
        return [
            Problem("redis", "", "", f"{index.unavailable_reason}; start it, or correct NOONMARK_REDIS_URL", HEALTH)
        ]
    return []


def _warnings(plan: Plan, durability: Durability | None, broken: Broken) -> list[dict[str, str]]:
    warnings = [
        (
            f"{name}: its code changed since {counted(commits, 'day')} of it were computed, and its version did not",
            f"raise version= of {name}, then: {DAILY}",
        )
        for name, commits in plan.changed_code.items()
    ]
    warnings += [
        (f"source {name!r}: {path} is a broken link; what it led to is not seen", f"mend or remove it, then: {DAILY}")
        for name, paths in broken.items()
        for path in paths
    ]
    warnings += [(f"Redis: {what}", command) for what, command in (durability.shortcomings() if durability else ())]
    return [{"detail": detail, "command": command} for detail, command in warnings]


def _in_one_line(problems: Sequence[Mapping[str, str]]) -> str:
    """What was found and the commands that mend it: what Prefect shows as the state's message."""
    named = [f"{_named(one)} ({one['command']})" for one in problems[:SHOWN_FAILURES]]
    more = f"; and {len(problems) - len(named)} more" if len(problems) > len(named) else ""
    return f"{counted(len(problems), 'problem')} found: {'; '.join(named)}{more}"


def _named(one: Mapping[str, str]) -> str:
    place = " ".join(part for part in (one["aggregation"], one["day"]) if part)
    return f"{one['kind']}: {place + ': ' if place else ''}{one['detail']}"


def _act(_: argparse.Namespace, __: Settings) -> Mapping[str, Any]:
    with reporting():
        report: Mapping[str, Any] = health()
    return report


def _show(report: Mapping[str, Any], _: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    statuses = sorted({status for counts in report["counts"].values() for status in counts})
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("aggregation")
    for status in statuses:
        table.add_column(status, justify="right")
    for name, counts in sorted(report["counts"].items()):
        table.add_row(name, *(f"{counts[status]:,}" if status in counts else "" for status in statuses))
    console.print(table)
    problems = report["problems"]
    if problems:
        console.print(f"[bold red]{counted(len(problems), 'problem')}[/]")
    for one in problems[:SHOWN_FAILURES]:
        console.print(Text(f"  {_named(one)}\n    → {one['command']}"))
    if len(problems) > SHOWN_FAILURES:
        console.print(f"  … and {len(problems) - SHOWN_FAILURES:,} more; --json names all, and {DAILY} mends most")
    for one in report["warnings"]:
        console.print(Text(f"Warning: {one['detail']}\n    → {one['command']}"))
    redis = report["redis"]
    told = redis.get("absence") or f"version {redis['version']}, append-only file: {redis['append_only']}"
    console.print(Text(f"Redis: {told}; {redis['cost']}"), style="dim")
    if not problems:
        console.print(
            "[bold]Healthy[/]: the output agrees with the input" + ("" if redis.get("absence") else " and the index")
        )


def main() -> None:
    """The command line."""
    parser = Parser(prog="python -m flows.health", description="Name what is wrong, and the command that mends it.")
    run_command(parser, _act, _show)


if __name__ == "__main__":
    main()
