"""The health flow: compare input, output and index, and name what is wrong with the command that fixes it. Read-only.

``python -m flows.health`` on a terminal, ``health/health`` as a deployment.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:  # started as a file, it finds none of the modules below
    step = "in the project's folder: python -m flows.health"
    print(f"noonmark: flows/health.py is not a script\n  → {step}", file=sys.stderr)
    sys.exit(2)

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from prefect import flow

from flows.cli.arguments import CommandLine
from flows.cli.command import run_command
from flows.cli.prefect_server import is_configured
from flows.opening import opened_index, seen_root, used_index
from flows.report.fields import Strays
from flows.report.finish import finish, report_of
from flows.report.models import HealthReport, RedisReport
from flows.report.terminal import show_health
from state import clock
from state.errors import Refused
from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Plan, Selection
from state.settings import WITHOUT_REDIS, Settings, read_settings
from state.status import WITH_COMMIT
from tasks.catalog.load import Catalog, load
from tasks.diagnosis import (
    HealthWarning,
    Problem,
    counts_of,
    problem_of_index,
    problem_of_output,
    problem_of_redis,
    problem_of_refusal,
    problems_of,
    problems_of_own,
    problems_of_sources,
    warnings_of_code,
    warnings_of_foreign,
    warnings_of_links,
    warnings_of_redis,
    warnings_of_strays,
    warnings_of_types,
)
from tasks.reading.differing_types import differing_types
from tasks.survey import survey


@flow(name="health", description="Compare input, output and index, and name what is wrong. Writes nothing.")
def health() -> dict[str, Any]:
    """Compare input, output and index, and name what is wrong with the command that fixes it. Writes nothing.

    Returns:
        What `--json` prints.
    """
    settings = read_settings()
    return finish(check_health(settings, load(settings.aggregations)))


def check_health(settings: Settings, catalog: Catalog) -> HealthReport:
    """Compare input, output and index. Starts no server, writes nothing. Raises StorageError if any is unreadable."""
    began = clock.monotonic()
    with opened_index(settings, start=False) as index:
        plan, problems, warnings, strays = _compare(settings, catalog, index)
        durability = index.durability()
        configured = settings.redis_url.get_secret_value() not in ("", WITHOUT_REDIS)
        if problem := problem_of_redis(index.unavailable_reason, foreign=index.foreign, configured=configured):
            problems.append(problem)
    skipped = plan.skipped()
    commits = sum(skipped[status] for status in WITH_COMMIT)
    commits += sum(bool(item.over) for item in plan.items)
    return HealthReport(
        tuple(problems),
        counts_of(plan),
        (*warnings, *warnings_of_redis(durability)),
        RedisReport(durability, index.unavailable_reason, commits, clock.monotonic() - began),
        plan.gaps,
        plan.orphaned,
        plan.waiting,
        strays,
    )


def _compare(
    settings: Settings, catalog: Catalog, index: BestEffortIndex
) -> tuple[Plan, list[Problem], list[HealthWarning], Strays]:
    """The plan, what is wrong, what a person should know, and what looks like input and is none."""
    try:
        with seen_root(settings, catalog, index) or nullcontext() as root, InputRoot(settings.input) as raw:
            found = survey(catalog, raw, root, index, Selection(), settings.workers)
            own = root.visible_own_files() if root else []
            absent = [] if root else [problem_of_output(settings.output, was_used=used_index(settings))]
    except Refused as error:
        return Plan(), [problem_of_refusal(error)], [], {}
    # Without an output all days are new, which is no problem of theirs.
    problems = absent or [*problems_of(found.plan), *problems_of_own(own)]
    problems = [*problems, *problems_of_sources(found.unmatched)]
    undeclared = index.read(sorted(index.aggregations() - found.remembered.keys()))
    remembered = found.output.reachable({**found.remembered, **undeclared})
    if problem := problem_of_index(index.reconcile(remembered, found.output.days, dry_run=True)):
        problems.append(problem)
    warnings = [
        *warnings_of_code(found.plan),
        *warnings_of_links(found.broken),
        *warnings_of_strays(found.strays),
        *warnings_of_foreign(found.output.foreign),
        *warnings_of_types(differing_types(catalog, found.output.days)),
    ]
    return found.plan, problems, warnings, found.strays


def _act(_: Mapping[str, Any], __: Settings) -> HealthReport:
    # Without a server that sees it, it needs no flow run.
    return report_of(health if is_configured() else health.fn, HealthReport)


def main() -> None:
    """The command line."""
    run_command(CommandLine("python -m flows.health", health.fn, ("", "--json")), _act, show_health)


if __name__ == "__main__":
    main()
