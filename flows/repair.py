"""The repair flow: make the index equal to the output, and find what only a look at every byte can find.

``python -m flows.repair`` on a terminal, ``repair/repair`` as a deployment.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prefect import flow
from rich.console import Console
from rich.text import Text

from flows.cli.command import Parser, ProblemsRemain, collecting, run_command
from flows.cli.prefect_server import reporting
from flows.opening import opened_index, opened_root, seen_root
from flows.report.terminal import SHOWN_FAILURES, counted
from flows.settings import WITHOUT_REDIS, Settings, read_settings
from state.acceptance import Accepted
from state.errors import IndexUnavailable, Refused, StorageError
from state.index.best_effort import BestEffortIndex, log
from state.index.index import ReconcileStats
from state.inputs.root import InputRoot
from state.store.accepted import write_accepted
from state.store.local import layout
from state.store.local.root import ACCEPT, create_root, find_root, require_folders, set_marker_aside
from state.store.local.scan import Output, folders, foreign_files, scan
from state.store.local.store import LocalStore
from state.store.local.verify import Broken, Unread, scan_deep, set_aside_damaged
from state.store.local.visible_names import hide
from tasks.acceptance import as_json, to_accept
from tasks.catalog.load import Catalog, load
from tasks.diagnosis import DAILY, HEALTH, REPAIR
from tasks.inputs.edited import Edited, edited_inputs
from tasks.survey import remember_footers

DEEP = ("edited", "unreadable", "foreign", "renamed")
"""What only ``--deep`` reports."""


@flow(name="repair", description="Make the index equal to the output; with deep, check every byte of every result.")
def repair(deep: bool = False, accept_output: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """Repair the index from the output. Returns the JSON object of the contract.

    Args:
        deep: Check every byte of every result and of every input, and set damaged results aside.
        accept_output: Take output and input as they are: mark a new output, and bind the index to it anew.
        dry_run: Say what would be done and do nothing.
    """
    settings = read_settings(strict=False)
    report = mend(settings, load(settings.aggregations), deep=deep, accept=accept_output, dry_run=dry_run)
    wanted = not dry_run and settings.redis_url.get_secret_value() != WITHOUT_REDIS
    if told := _remaining(report, index_wanted=wanted):
        raise ProblemsRemain(told, report)
    return report


def _remaining(report: Mapping[str, Any], *, index_wanted: bool) -> str:
    """What is not in order after all, in one line: what Prefect shows as the state's message."""
    told = []
    if index_wanted and report.get("index") == "unread":
        told.append(f"the index was not repaired; {HEALTH} tells why")
    if bad := [*report["set_aside"], *report.get("edited", ()), *report.get("unreadable", ())]:
        named = ", ".join(f"{one['aggregation']} {one['day']}".strip() for one in bad[:SHOWN_FAILURES])
        more = f" and {len(bad) - SHOWN_FAILURES} more" if len(bad) > SHOWN_FAILURES else ""
        told.append(f"{counted(len(bad), 'result')} damaged, unreadable or computed from other bytes: {named}{more}")
    if foreign := report.get("foreign"):
        told.append(f"{counted(len(foreign), 'foreign file')} beside results: {', '.join(foreign[:SHOWN_FAILURES])}")
    return "; ".join(told)


def mend(settings: Settings, catalog: Catalog, *, deep: bool, accept: bool, dry_run: bool) -> dict[str, Any]:
    """One whole repair. Raises Refused, StorageError."""
    with opened_index(settings, start=not dry_run) as index:
        accepted = _accept(settings, catalog, index) if accept and not dry_run else None
        try:
            root = seen_root(settings, catalog, index) if dry_run else opened_root(settings, catalog, index)
        except Refused:
            if not (accept and dry_run):
                raise
            root = None
            log.warning("refused now; without --dry-run %s would be marked, and the index bound to it", settings.output)
        if root is None:
            nothing: dict[str, Any] = {name: [] for name in ("set_aside", *(DEEP if deep else ()))}
            return asdict(ReconcileStats()) | nothing | ({"index": "unread"} if index.unavailable_reason else {})
        with root:
            names = sorted({*catalog, *folders(root), *index.aggregations()})
            remembered = index.read(names)
            if deep:
                with collecting():  # it may take hours
                    output, report = _look_deep(settings, catalog, root, dry_run=dry_run)
            else:
                output, report = scan(root), {"set_aside": []}
            if blocked := [Unread(name, "", f"cannot be reached: {why}") for name, why in output.blocked_among(names)]:
                report["unreadable"] = [*report.get("unreadable", ()), *(asdict(one) for one in blocked)]
            report |= asdict(index.reconcile(output.reachable(remembered), output.days, dry_run=dry_run))
            if not dry_run:
                remember_footers(output)
        report |= {"index": "unread"} if index.unavailable_reason else {}
        return report | ({"accepted": as_json(accepted)} if accepted else {})


def _look_deep(
    settings: Settings, catalog: Catalog, root: LocalStore, *, dry_run: bool
) -> tuple[Output, dict[str, Any]]:
    """Compare every byte, and set aside what is damaged. Returns what stands there then, and what is to be told."""
    found: list[Broken | Unread | Edited] = []
    touched: list[Broken] = []

    def tell(one: Broken | Unread) -> None:
        kept: Broken | Unread | None = one
        if isinstance(one, Broken) and not dry_run:
            touched.append(one)
            try:
                kept = set_aside_damaged(root, one)
            except (StorageError, OSError) as error:
                kept = Unread(one.aggregation, one.day, f"{one.why}, and it cannot be set aside: {error}")
        if kept:
            found.append(kept)

    output = scan_deep(root, settings.workers, tell)
    if touched:
        output = scan(root)  # a day was taken away, or another run has rebuilt it meanwhile
    with InputRoot(settings.input) as raw:
        found += edited_inputs(catalog, raw, output, settings.workers)
    return output, {
        "set_aside": [asdict(one) for one in found if isinstance(one, Broken)],
        "edited": [asdict(one) for one in found if isinstance(one, Edited)],
        "unreadable": [asdict(one) for one in found if isinstance(one, Unread)],
        "renamed": [] if dry_run else _rename_own(root),
        "foreign": foreign_files(root, output),
    }


def _rename_own(root: LocalStore) -> list[str]:
    """Give what readers would count below ``_noonmark/`` other names. What cannot be renamed stays, and is foreign."""
    try:
        return [*hide(root.fd, layout.OWN, links=False), *hide(root.fd, layout.SET_ASIDE)]
    except OSError as error:
        log.warning("not everything below %s can be renamed: %s", root.path / layout.OWN, error)
        return []


def _accept(settings: Settings, catalog: Catalog, index: BestEffortIndex) -> Accepted:
    """Take what is there for what is meant: a person said so. Returns what runs would have refused."""
    try:
        root = find_root(settings.output) or create_root(settings.output)
    except Refused as error:
        if ACCEPT not in (error.command or ""):  # newer code's marker, or what a person has to move
            raise
        set_marker_aside(settings.output)
        root = create_root(settings.output)
    with root:
        require_folders(root)
        with InputRoot(settings.input) as raw:
            accepted = to_accept(catalog, raw, root, settings.workers)
        write_accepted(root, accepted)
        try:
            index.rebind(root.id, sorted({*catalog, *folders(root)}))  # last: it alone needs Redis
        except IndexUnavailable as error:
            told = f"the output was accepted, but the index was not bound to it: {error.message}"
            raise IndexUnavailable(told, command=ACCEPT) from error
    return accepted


def _act(options: argparse.Namespace, _: Settings) -> Mapping[str, Any]:
    with reporting():
        report: Mapping[str, Any] = repair(
            deep=options.deep, accept_output=options.accept_output, dry_run=options.dry_run
        )
    return report


def _show(report: Mapping[str, Any], _: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    changed = {name: report[name] for name in ("added", "updated", "removed") if report[name]}
    told = ", ".join(f"{number:,} {name}" for name, number in changed.items()) or "nothing to repair"
    if report.get("index") == "unread":
        console.print(f"Index: [bold]not there[/], so nothing was repaired; {HEALTH} tells why")
    else:
        console.print(f"Index: [bold]{told}[/], {report['unchanged']:,} entries were right")
    for one in report["set_aside"]:
        console.print(
            Text(f"  {one['aggregation']} {one['day']} is damaged: {one['why']}; kept as {one['kept'] or '-'}")
        )
    if report["set_aside"]:
        console.print(f"They are rebuilt by: {DAILY}")
    for one in report.get("edited", ()):
        command = f"{DAILY} --force --days {one['day']} --only {one['aggregation']}"
        console.print(Text(f"  {one['aggregation']} {one['day']}: its input was edited without a trace: {command}"))
    accepted = report.get("accepted", {})
    for name, number in accepted.get("fewer_files", {}).items():
        days = counted(number, "day")
        console.print(Text(f"Accepted: {days} of source {name!r} with fewer files than their commits had"))
    for one in accepted.get("older_results", ()):
        console.print(Text(f"Accepted: {one['aggregation']} {one['day']} is an older result than was published"))
    for name in accepted.get("empty_sources", ()):
        console.print(Text(f"Accepted: no file matches source {name!r} any more"))
    for path in report.get("renamed", ()):
        console.print(Text(f"  {path} was counted by readers of **/*.parquet, and has another name now"))
    for path in report.get("foreign", ()):
        console.print(Text(f"  {path} is none of Noonmark's, and a reader of the folder may count it: move it away"))
    for one in report.get("unreadable", ()):
        place = f"{one['aggregation']} {one['day']}".strip()
        console.print(Text(f"  {place}: {one['why']}; mend that, then: {REPAIR} --deep"))


def main() -> None:
    """The command line."""
    parser = Parser(prog="python -m flows.repair", description="Make the index equal to the output.")
    parser.add_argument("--deep", action="store_true", help="check every byte of every result and input")
    parser.add_argument("--accept-output", action="store_true", help="take output and input as they are, and bind anew")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and do nothing")
    run_command(parser, _act, _show)


if __name__ == "__main__":
    main()
