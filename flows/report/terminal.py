"""Prints the report of each command for a person."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.report.causes import failures_by_cause
from flows.report.fields import DayRanges, Waiting, waiting_ranges
from flows.report.models import DailyReport, HealthReport, PlanReport, RepairReport, told_unmatched
from state import clock
from state.acceptance import Accepted
from state.days import order, ranges_of
from state.errors import CHECK, DAILY, HEALTH, REPAIR, next_steps
from state.planner.decide import Item
from state.settings import PROJECT, Settings
from state.status import UP_TO_DATE
from state.words import SHOWN, counted, enumerated
from tasks.compute.outcomes import Committed, Failed, traceback_log
from tasks.deep_check import DeepCheck
from tasks.diagnosis import causes_of, command_for, command_for_all

SHOWN_ITEMS = 40
"""A plan of more results is shown as one line for each aggregation and reason."""
SHOWN_WAITING = 5
"""How many causes of waiting are shown."""
_WORDS = {"missing": "without input"}
"""Statuses that a person reads in other words."""


def show_daily(report: DailyReport | PlanReport, settings: Settings) -> None:
    """Print a run's report, or a plan."""
    console = _console()
    if isinstance(report, PlanReport):
        _show_plan(console, report)
        _show_unmatched(console, report.unmatched)
        _show_skipped(console, report.plan.skipped(), report.plan.gaps, report.plan.orphaned, report.plan.waiting)
        _show_left(console, report.plan.left)
        return
    if report.committed:
        _show_committed(console, report)
    elif not (report.failed or report.unmatched):
        done = sum(report.skipped.get(status, 0) for status in UP_TO_DATE)
        console.print(f"[bold]Nothing to do[/]: {counted(done, 'result')} up to date ({_waited()})")
    if report.failed:
        _show_failed(console, report.failed)
    _show_unmatched(console, report.unmatched)
    _show_skipped(console, report.skipped, report.gaps, report.orphaned, report.waiting)
    _show_left(console, report.left)
    if report.committed:
        where = _shown(settings.output)
        console.print(
            f"Results are in {escape(str(where))}. In Python:",
            escape(f'  pl.read_parquet("{where}/{report.committed[0].aggregation}")'),
            sep="\n",
        )


def show_repair(report: RepairReport, _: Settings) -> None:
    """Print what a repair found and did."""
    console = _console()
    index = report.index
    if report.absence:
        console.print(f"Index: [bold]not available[/], so it was not repaired: {escape(report.absence)}")
    else:
        numbers = {"added": index.added, "updated": index.updated, "removed": index.removed}
        changed = ", ".join(f"{number:,} {name}" for name, number in numbers.items() if number)
        console.print(f"Index: [bold]{changed or 'nothing to repair'}[/], {index.unchanged:,} entries unchanged")
    if report.deep:
        _show_damaged(console, report.deep)
    if report.accepted:
        _show_accepted(console, report.accepted, "Would accept" if report.dry_run else "Accepted")
    if report.deep:
        _show_files(console, report.deep)
    for one in report.unreadable:
        place = f"{one.aggregation} {one.day}".strip()
        console.print(Text(f"  {place}: {one.why}; fix that, then: {REPAIR} --deep"))


def show_health(report: HealthReport, _: Settings) -> None:
    """Print how many days have which status, and every problem with the command that fixes it."""
    console = _console()
    statuses = sorted({status for counts in report.counts.values() for status in counts})
    table = _table("aggregation", *(_WORDS.get(status, status) for status in statuses))
    for name, counts in sorted(report.counts.items()):
        table.add_row(name, *(f"{counts[status]:,}" if status in counts else "" for status in statuses))
    if report.counts:
        console.print(table)
    if report.gaps:
        console.print(f"Without input: {_enumerated_days(report.gaps)}", style="dim")
    if report.orphaned:
        told = "Orphaned, for their raw files are gone; the results are kept"
        console.print(f"{told}: {_enumerated_days(report.orphaned)}", style="dim")
    _show_waiting(console, report.waiting)
    problems = report.problems
    if problems:
        console.print(f"[bold red]{counted(len(problems), 'problem')}[/]")
    causes = causes_of(problems)
    for one in causes[:SHOWN]:
        console.print(Text("\n    → ".join([f"  {one}", *one.steps])))
    if len(causes) > SHOWN:
        console.print(f"  … and {len(causes) - SHOWN:,} more; --json lists all, and {DAILY} fixes most")
    for warning in report.warnings:
        steps = next_steps(warning.command, warning.hint)
        console.print(Text("\n    → ".join([f"Warning: {warning.detail}", *steps])))
    redis = report.redis
    server = redis.durability
    status = f"version {server.version}, append-only file: {server.append_only}" if server else redis.absence
    cost = f"; {redis.cost}" if redis.commits else ""
    console.print(Text(f"Redis: {status}{cost}"), style="dim")
    if not problems:
        agrees = " and the index" if server else "; no index was compared"
        console.print(f"[bold]Healthy[/]: the output agrees with the input{agrees}")
    if not report.counts:
        return
    console.print(
        "Compared: names, sizes and times of the input, and the footer of each result. Not read: the bytes of both, "
        f"and other files in the days' folders; {REPAIR} --deep reads them",
        style="dim",
    )


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _show_plan(console: Console, report: PlanReport) -> None:
    items = report.plan.items
    if not (items or report.unmatched):
        console.print("[bold]Nothing to do[/]")
    if len(items) <= SHOWN_ITEMS:
        for one in items:
            console.print(f"{one.aggregation}  {one.day}  {one.reason}")
    else:
        _show_many(console, items)
    if report.unread:
        console.print("The index was not read (no server is running), so lost results show as new", style="dim")


def _show_many(console: Console, items: Sequence[Item]) -> None:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in items:
        groups.setdefault((one.aggregation, one.reason), []).append(one.day)
    for (aggregation, reason), days in sorted(groups.items()):
        first, last = min(days, key=order), max(days, key=order)
        console.print(f"{aggregation}  {counted(len(days), 'day')} {reason}, {first} to {last}")
    console.print("--json lists each", style="dim")


def _show_committed(console: Console, report: DailyReport) -> None:
    by_name: dict[str, list[Committed]] = {}
    for one in report.committed:
        by_name.setdefault(one.aggregation, []).append(one)
    table = _table("aggregation", "days", "rows", "first", "last")
    for name, some in sorted(by_name.items()):
        days = sorted((one.day for one in some), key=order)
        table.add_row(name, f"{len(some):,}", f"{sum(one.rows for one in some):,}", days[0], days[-1])
    console.print(table)
    number_of_days = len({one.day for one in report.committed})
    rows = sum(one.rows for one in report.committed)
    console.print(
        f"[bold]{counted(len(report.committed), 'result')}[/] of {counted(number_of_days, 'day')} committed, "
        f"{counted(rows, 'row')}, in {_waited()}"
    )
    if report.server_seconds:
        console.print(f"Prefect's temporary server took {report.server_seconds:.1f} s of them", style="dim")


def _waited() -> str:
    """For how long a person has waited for this command."""
    return f"{clock.waited():.1f} s"


def _show_failed(console: Console, failed: Sequence[Failed]) -> None:
    """Print what failed, results that have one cause as one."""
    console.print(f"[bold red]{counted(len(failed), 'result')} failed[/]; any earlier results are kept:")
    causes = failures_by_cause(failed)
    for one in causes[:SHOWN]:
        console.print(Text(f"  {one}"))
    if len(causes) > SHOWN:
        console.print(f"  … and {len(causes) - SHOWN:,} more; --json lists all")
    retryable = [one for one in causes if one.kind not in ("unrecoverable", "unreadable")]
    if retryable:
        first = retryable[0].failed
        again = command_for_all([one.partition for one in first if one.day == first[0].day])
        console.print(f"Fix the cause and run again. To retry the first alone: {again}")
        if any(one.kind == "aggregation" for one in failed) and not traceback_log.isEnabledFor(logging.DEBUG):
            console.print("With --traceback, a run prints the whole of what was raised", style="dim")
    if len(retryable) < len(causes):
        console.print(f"For the command that fixes each unrecoverable or unreadable result: {HEALTH}")


def _show_unmatched(console: Console, unmatched: Mapping[str, str]) -> None:
    for one in unmatched.items():
        console.print(Text(told_unmatched(one), style="bold red"))
    if unmatched:
        console.print(f"Correct the template, or bring the files, and look again: {CHECK}")


def _show_left(console: Console, left: int) -> None:
    if left:
        console.print(f"--limit left {counted(left, 'day')} for later runs", style="dim")


def _enumerated_days(ranges: DayRanges) -> str:
    """The days of any aggregation, each range once."""
    found = sorted({one for some in ranges.values() for one in some}, key=lambda one: order(str(one.first)))
    return enumerated([str(one) for one in found])


def _show_skipped(
    console: Console, skipped: Mapping[str, int], gaps: DayRanges, orphaned: DayRanges, waiting: Waiting
) -> None:
    days = {"missing": gaps, "orphaned": orphaned, "waiting": waiting_ranges(waiting)}
    other = [
        f"{number:,} {_WORDS.get(status, status)}"
        + (f" ({_enumerated_days(days[status])})" if days.get(status) else "")
        for status, number in sorted(skipped.items())
        if status not in UP_TO_DATE
    ]
    if other:
        console.print(f"Not computed: {', '.join(other)}", style="dim")
    _show_waiting(console, waiting)


def _show_waiting(console: Console, waiting: Waiting) -> None:
    """Print what the days that are not ready wait for, each cause once."""
    causes: dict[str, set[str]] = {}
    for days in waiting.values():
        for day, why in days.items():
            causes.setdefault(why, set()).add(day)
    for why, named in list(causes.items())[:SHOWN_WAITING]:
        ranges = enumerated([str(one) for one in ranges_of(named)])
        console.print(Text(f"Waiting: {ranges} for {why}", style="dim"))
    if len(causes) > SHOWN_WAITING:
        console.print(f"  … and {len(causes) - SHOWN_WAITING:,} more; --json lists all", style="dim")


def _show_damaged(console: Console, deep: DeepCheck) -> None:
    for damaged in deep.set_aside:
        kept = f"moved to {damaged.kept}" if damaged.kept else "not moved, for this is a dry run"
        console.print(Text(f"  {damaged.aggregation} {damaged.day} is damaged: {damaged.why}; {kept}"))
    console.print(f"Read every byte of {counted(deep.results, 'result')} and of the input that is there for them")
    if deep.set_aside:
        console.print(f"To rebuild them: {DAILY}")
    for one in deep.edited:
        again = command_for(one.aggregation, one.day, force=True)
        console.print(Text(f"  {one.aggregation} {one.day}: its input changed, but not its size and times: {again}"))


def _show_accepted(console: Console, accepted: Accepted, verb: str) -> None:
    for name, days in sorted(accepted.fewer_files.items()):
        number = counted(len(days), "day")
        console.print(Text(f"{verb}: {number} of source {name!r} with fewer files than their commits had"))
    for name, days in sorted(accepted.older_results.items()):
        for day in days:
            console.print(Text(f"{verb}: {name} {day} is an older result than was published"))
    for name in sorted(accepted.empty_sources):
        console.print(Text(f"{verb}: no file matches source {name!r} any more"))


def _show_files(console: Console, deep: DeepCheck) -> None:
    for path in deep.renamed:
        console.print(Text(f"  {path} was renamed: readers of **/*.parquet counted it"))
    for path in deep.foreign:
        console.print(Text(f"  {path} is not Noonmark's, and readers of the folder may count it: move it away"))


def _shown(path: Path) -> Path:
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
