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

from flows.command import Parser, ProblemsRemain, run_command, tell_start
from flows.opening import opened_memory, opened_root
from flows.settings import Settings, read_settings
from flows.summary import SHOWN_FAILURES, counted
from state.accepted import write_accepted
from state.deep import broken_results, take_away
from state.errors import Refused
from state.found import Commit
from state.root import ACCEPT, OutputRoot, create_root, find_root, set_marker_aside
from state.scan import folders, scan
from tasks.catalog import Source
from tasks.deep_inputs import edited_inputs
from tasks.discovery import list_source
from tasks.loading import Catalog, key, load
from tasks.memory import Memory


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
    if bad := [*report["set_aside"], *report.get("edited", ())]:
        named = ", ".join(f"{one['aggregation']} {one['day']}" for one in bad[:SHOWN_FAILURES])
        more = f" and {len(bad) - SHOWN_FAILURES} more" if len(bad) > SHOWN_FAILURES else ""
        raise ProblemsRemain(
            f"{counted(len(bad), 'result')} damaged or computed from other bytes: {named}{more}", report
        )
    return report


def mend(settings: Settings, catalog: Catalog, *, deep: bool, accept: bool, dry_run: bool) -> dict[str, Any]:
    """One whole repair. Raises Refused, StorageError."""
    with opened_memory(settings, start=not dry_run) as memory:
        if accept and not dry_run:
            _accept(settings, catalog, memory)
        root = find_root(settings.output) if dry_run else opened_root(settings, catalog, memory)
        if root is None and not accept and memory.remembers(catalog):
            raise Refused(
                f"the output root {settings.output} has no marker, but the index remembers commits", command=ACCEPT
            )
        if root is None:
            return {"added": 0, "updated": 0, "removed": 0, "unchanged": 0, "set_aside": []}
        with root:
            memory.belongs_to(root.id, bind=False)
            names = sorted({*catalog, *folders(root), *memory.aggregations()})
            remembered = memory.read(names)
            output = scan(root)
            report: dict[str, Any] = {"set_aside": []}
            if deep:
                broken = list(broken_results(root, output, settings.workers))
                taken = broken if dry_run else [one for found in broken if (one := take_away(root, found))]
                report["set_aside"] = [asdict(one) for one in taken]
                edited = edited_inputs(catalog, settings.input, output, settings.workers)
                report["edited"] = [asdict(one) for one in edited]
                output = scan(root)
            repaired = asdict(memory.reconcile(remembered, output.days, dry_run=dry_run))
            return repaired | report | ({"index": "unread"} if memory.absence else {})


def _accept(settings: Settings, catalog: Catalog, memory: Memory) -> None:
    """Take what is there for what is meant: a person said so."""
    try:
        root = find_root(settings.output) or create_root(settings.output)
    except Refused as error:
        if error.command is None:  # a marker of newer code's: it is not damaged
            raise
        set_marker_aside(settings.output)
        root = create_root(settings.output)
    with root:
        write_accepted(root, _vanished_sources(settings, catalog, root))
        memory.bind_anew(root.id, sorted({*catalog, *folders(root)}))  # last: it alone needs Redis


def _vanished_sources(settings: Settings, catalog: Catalog, root: OutputRoot) -> set[str]:
    output = scan(root)

    def vanished(source: Source) -> bool:
        listing = list_source(settings.input, source.template)
        return not listing.days and not listing.unreadable

    return {
        key(source)
        for one in catalog.values()
        if any(isinstance(found, Commit) for found in output.days.get(one.name, {}).values())
        for source in one.sources.values()
        if vanished(source)
    }


def _act(options: argparse.Namespace, _: Settings) -> Mapping[str, Any]:
    tell_start()
    report: Mapping[str, Any] = repair(deep=options.deep, accept_output=options.accept_output, dry_run=options.dry_run)
    return report


def _show(report: Mapping[str, Any], _: Settings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    changed = {name: report[name] for name in ("added", "updated", "removed") if report[name]}
    told = ", ".join(f"{number:,} {name}" for name, number in changed.items()) or "nothing to repair"
    if report.get("index") == "unread":
        console.print("Index: [bold]not there[/], so nothing was repaired; python -m flows.health tells why")
    else:
        console.print(f"Index: [bold]{told}[/], {report['unchanged']:,} entries were right")
    for one in report["set_aside"]:
        console.print(
            Text(f"  {one['aggregation']} {one['day']} is damaged: {one['why']}; kept as {one['kept'] or '-'}")
        )
    if report["set_aside"]:
        console.print("They are rebuilt by: python -m flows.daily")
    for one in report.get("edited", ()):
        command = f"python -m flows.daily --force --days {one['day']} --only {one['aggregation']}"
        console.print(Text(f"  {one['aggregation']} {one['day']}: its input was edited without a trace: {command}"))


def main() -> None:
    """The command line."""
    parser = Parser(prog="python -m flows.repair", description="Make the index equal to the output.")
    parser.add_argument("--deep", action="store_true", help="check every byte of every result and input")
    parser.add_argument("--accept-output", action="store_true", help="take output and input as they are, and bind anew")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and do nothing")
    run_command(parser, _act, _show)


if __name__ == "__main__":
    main()
