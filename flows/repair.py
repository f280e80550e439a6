"""The repair flow: make the index equal to the output, and with ``deep`` check every byte.

``python -m flows.repair`` on a terminal, ``repair/repair`` as a deployment.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:  # started as a file, it finds none of the modules below
    step = "in the project's folder: python -m flows.repair"
    print(f"noonmark: flows/repair.py is not a script\n  → {step}", file=sys.stderr)
    sys.exit(2)

from collections.abc import Mapping
from functools import partial
from typing import Any

from prefect import flow

from flows.cli.arguments import CommandLine
from flows.cli.command import run_command
from flows.cli.garbage import collecting
from flows.cli.prefect_server import is_configured
from flows.opening import opened_index, opened_root, seen_root
from flows.report.finish import finish, report_of
from flows.report.log import log
from flows.report.models import RepairReport
from flows.report.terminal import show_repair
from state.acceptance import Accepted
from state.errors import ACCEPT, IndexUnavailable, Refused
from state.index.best_effort import BestEffortIndex
from state.index.index import ReconcileStats
from state.inputs.root import InputRoot
from state.settings import WITHOUT_REDIS, Settings, read_settings
from state.store.accepted import write_accepted
from state.store.base import Store, Unread
from state.store.local.root import accept_store
from tasks.acceptance import to_accept
from tasks.caches import keep
from tasks.catalog.load import Catalog, load
from tasks.deep_check import DeepCheck, check_deep


@flow(name="repair", description="Make the index equal to the output; with deep, check every byte of every result.")
def repair(*, deep: bool = False, accept_output: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """Make the Redis index equal to the output; with deep, check every byte of every result.

    Args:
        deep: Check every byte of every result and of every input, and set damaged results aside.
        accept_output: Accept the output and the input as they are now, and bind the index to this output.
        dry_run: Report what would be done and do nothing.

    Returns:
        What `--json` prints.
    """
    settings = read_settings()
    return finish(
        repair_output(settings, load(settings.aggregations), deep=deep, accept=accept_output, dry_run=dry_run)
    )


def repair_output(settings: Settings, catalog: Catalog, *, deep: bool, accept: bool, dry_run: bool) -> RepairReport:
    """One whole repair. Raises Refused, StorageError."""
    required = not dry_run and settings.redis_url.get_secret_value() != WITHOUT_REDIS
    with opened_index(settings, start=not dry_run) as index:
        accepted = _accept(settings, catalog, index) if accept and not dry_run else None
        root = _seen(settings, catalog, index, accept) if dry_run else opened_root(settings, catalog, index)
        if root is None:
            nothing = DeepCheck() if deep else None
            return RepairReport(ReconcileStats(), index.unavailable_reason, required, nothing, dry_run=dry_run)
        with root:
            if accept and dry_run:
                with InputRoot(settings.input) as raw:
                    accepted = to_accept(catalog, raw, root, settings.workers)
            names = sorted({*catalog, *root.aggregations(), *index.aggregations()})
            remembered = index.read(names)  # before the scan, so that no newer entry is set back
            if deep:
                with collecting():  # it may take hours
                    output, checked = check_deep(
                        catalog, settings.input, root, threads=settings.workers, dry_run=dry_run
                    )
            else:
                output, checked = root.scan(), None
            stats = index.reconcile(output.reachable(remembered), output.days, dry_run=dry_run)
            if not dry_run:
                keep(output.footers, of="results")
        blocked = [Unread(name, "", f"cannot be reached: {why}") for name, why in output.blocked_among(names)]
        return RepairReport(
            *(stats, index.unavailable_reason, required, checked, tuple(blocked), accepted), dry_run=dry_run
        )


def _seen(settings: Settings, catalog: Catalog, index: BestEffortIndex, accept: bool) -> Store | None:
    """The output root for a dry run; None where there is none, or where ``accept`` would accept a refused one."""
    try:
        return seen_root(settings, catalog, index)
    except Refused:
        if not accept:
            raise
        log.warning("refused now; without --dry-run %s would be marked, and the index bound to it", settings.output)
        return None


def _accept(settings: Settings, catalog: Catalog, index: BestEffortIndex) -> Accepted:
    """Accept input and output as they are now, because a person said so. Returns what runs would have refused."""
    with accept_store(settings.output) as root, InputRoot(settings.input) as raw:
        accepted = to_accept(catalog, raw, root, settings.workers)
        write_accepted(root, accepted)
        try:
            index.rebind(root.id, sorted({*catalog, *root.aggregations()}))  # last: it alone needs Redis
        except IndexUnavailable as error:
            message = f"the output was accepted, but the index was not bound to it: {error.message}"
            raise IndexUnavailable(message, command=ACCEPT) from error
    return accepted


def _act(given: Mapping[str, Any], _: Settings) -> RepairReport:
    # Without a server that sees it, it needs no flow run.
    return report_of(partial(repair if is_configured() else repair.fn, **given), RepairReport)


def main() -> None:
    """The command line."""
    examples = ("", "--deep", "--accept-output")
    run_command(CommandLine("python -m flows.repair", repair.fn, examples), _act, show_repair)


if __name__ == "__main__":
    main()
