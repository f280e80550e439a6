"""What a run tells: one plain mapping for programs, and the same as a table that a person enjoys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.settings import PROJECT, Settings
from state.days import order
from state.planner.plan import Plan
from tasks.compute.outcomes import Committed, Failed, Outcome, Skipped

SHOWN_FAILURES = 10
SHOWN_ITEMS = 40


@dataclass(slots=True)
class Summary:
    """What a run did: ``seconds`` is the time from the beginning of the survey to the last commit."""

    committed: list[Committed] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @classmethod
    def of(cls, plan: Plan, outcomes: Iterable[Outcome], seconds: float) -> Summary:
        """Everything that was planned, and everything that was not."""
        summary = cls(skipped=plan.skipped(), seconds=seconds)
        for trouble in plan.troubles:
            summary.failed.append(Failed(trouble.aggregation, trouble.day, trouble.kind, trouble.why))
        for outcome in outcomes:
            if isinstance(outcome, Committed):
                summary.committed.append(outcome)
            elif isinstance(outcome, Failed):
                summary.failed.append(outcome)
            elif isinstance(outcome, Skipped):
                summary.skipped[outcome.status] += 1
        return summary

    def failures(self) -> str:
        """What failed, in one line: what Prefect shows as the state's message."""
        named = [f"{one.aggregation} {one.day} ({one.kind}): {one.error}" for one in self.failed[:SHOWN_FAILURES]]
        more = f"; and {len(self.failed) - len(named)} more" if len(self.failed) > len(named) else ""
        return (
            f"{counted(len(self.failed), 'result')} failed, {len(self.committed)} committed: {'; '.join(named)}{more}"
        )

    def to_json(self) -> dict[str, Any]:
        """The contract's JSON object."""
        return {
            "committed": [
                {
                    "aggregation": one.aggregation,
                    "day": one.day,
                    "generation": one.generation,
                    "rows": one.rows,
                    "reason": one.reason,
                }
                for one in self.committed
            ],
            "failed": [
                {"aggregation": one.aggregation, "day": one.day, "kind": one.kind, "error": one.error}
                for one in self.failed
            ],
            "skipped": dict(self.skipped),
            "seconds": round(self.seconds, 3),
        }


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The contract's JSON object of ``--dry-run``."""
    return {
        "plan": [{"aggregation": one.aggregation, "day": one.day, "reason": one.reason} for one in plan.items],
        "counts": dict(plan.counts()),
    }


def counted(number: int, thing: str) -> str:
    """A number with its noun: ``1 day``, ``1,823 results``."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def show_daily(report: Mapping[str, Any], settings: Settings) -> None:
    """Print a run's report, or a plan, for a person."""
    console = Console(highlight=False, soft_wrap=True)
    if "plan" in report:
        _show_plan(console, report)
        return
    committed, failed = report["committed"], report["failed"]
    if committed:
        console.print(_table(committed))
        days = len({one["day"] for one in committed})
        rows = sum(one["rows"] for one in committed)
        console.print(
            f"[bold]{counted(len(committed), 'result')}[/] of {counted(days, 'day')} committed, "
            f"{counted(rows, 'row')}, in {report['seconds']:.1f} s"
        )
    elif not failed:
        done = sum(number for status, number in report["skipped"].items() if status in ("done", "empty"))
        console.print(f"[bold]Nothing to do[/]: {counted(done, 'result')} up to date ({report['seconds']:.1f} s)")
    _show_failed(console, failed)
    _show_other(console, report["skipped"])
    if committed:
        where = _shown(settings.output)
        console.print(
            f"Results lie in {escape(str(where))}; in Python:",
            escape(f'  pl.read_parquet("{where}/{committed[0]["aggregation"]}")'),
            sep="\n",
        )


def _table(committed: list[dict[str, Any]]) -> Table:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for one in committed:
        by_name.setdefault(one["aggregation"], []).append(one)
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("aggregation")
    for name in ("days", "rows", "first", "last"):
        table.add_column(name, justify="right")
    for name, some in sorted(by_name.items()):
        days = sorted((one["day"] for one in some), key=order)
        table.add_row(name, f"{len(some):,}", f"{sum(one['rows'] for one in some):,}", days[0], days[-1])
    return table


def _show_plan(console: Console, report: Mapping[str, Any]) -> None:
    if not report["plan"]:
        console.print("[bold]Nothing to do[/]")
    if len(report["plan"]) <= SHOWN_ITEMS:
        for one in report["plan"]:
            console.print(f"{one['aggregation']}  {one['day']}  {one['reason']}")
    else:
        groups: dict[tuple[str, str], list[str]] = {}
        for one in report["plan"]:
            groups.setdefault((one["aggregation"], one["reason"]), []).append(one["day"])
        for (aggregation, reason), days in sorted(groups.items()):
            first, last = min(days, key=order), max(days, key=order)
            console.print(f"{aggregation}  {counted(len(days), 'day')} {reason}, {first} to {last}")
        console.print("--json names each", style="dim")
    if report.get("index") == "unread":
        console.print("The index was not read (no server is running), so lost results show as new", style="dim")


def _show_failed(console: Console, failed: list[dict[str, Any]]) -> None:
    if failed:
        console.print(f"[bold red]{counted(len(failed), 'result')} failed[/]; what was there before is still there:")
    for one in failed[:SHOWN_FAILURES]:
        console.print(Text(f"  {one['aggregation']} {one['day']} ({one['kind']}): {one['error']}"))
    if len(failed) > SHOWN_FAILURES:
        console.print(f"  … and {len(failed) - SHOWN_FAILURES:,} more; --json names all")
    mendable = [one for one in failed if one["kind"] not in ("unrecoverable", "unreadable")]
    if mendable:
        one = mendable[0]
        console.print(
            f"Mend them and run again; one alone: python -m flows.daily --days {one['day']} --only {one['aggregation']}"
        )
    if len(mendable) < len(failed):
        console.print("What mends each that is unrecoverable or unreadable: python -m flows.health")


def _show_other(console: Console, skipped: Mapping[str, int]) -> None:
    told = [f"{number:,} {status}" for status, number in sorted(skipped.items()) if status not in ("done", "empty")]
    if told:
        console.print(f"Besides: {', '.join(told)}", style="dim")


def _shown(path: Path) -> Path:
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
