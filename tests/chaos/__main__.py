"""``python -m tests.chaos``: the long forms of the campaigns, and the mutants that they must notice.

Bounded and seeded. ``--write`` writes the figures into docs/reliability.md. Exit 1 where a promise was broken, a mutant
survived or a campaign ran no trial.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.campaign import Campaign, Caught, Figures, Report
from tests.chaos.campaigns import CAMPAIGNS

PARTS = 2
"""How many processes share a campaign, each with a seed of its own."""
_MEMORY = Path("/dev/shm")
TOLD = 12


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", choices=[one.name for one in CAMPAIGNS])
    parser.add_argument("--trials", type=int, metavar="N", help="of each campaign, instead of its long form")
    parser.add_argument("--seed", type=int, metavar="N", help="repeats the trials of the run with this seed")
    parser.add_argument("--no-mutants", action="store_true", help="run the campaigns alone")
    parser.add_argument("--no-campaigns", action="store_true", help="hunt the mutants alone")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    parser.add_argument("--part", nargs=3, metavar=("NAME", "MUTANT", "TRIALS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    campaigns = [one for one in CAMPAIGNS if not options.only or one.name in options.only]
    if options.part:
        logging.disable(logging.CRITICAL)
        name, mutant, trials = options.part
        report = run_part(next(one for one in CAMPAIGNS if one.name == name), mutant, int(trials), seed)
        print(json.dumps(report.to_json()))
        return 0
    if options.write and (options.only or options.trials or options.no_mutants or options.no_campaigns):
        parser.error("--write needs a whole run: the page would say that the rest was not run")
    figures = Figures(seed=seed, began=time.time())
    print(f"seed {seed}", flush=True)
    # Campaigns that mostly wait for a lease or a server run beside those that compute, so that the cores stay busy.
    lanes = [[one for one in campaigns if one.waits is waits] for waits in (False, True)]
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(lambda lane: _run_lane(lane, options, figures), lanes))
    figures.seconds = time.time() - figures.began
    if options.write:
        from tests.chaos.reliability import write

        write(figures)
    survived = [name for name, by in figures.caught.items() if not any(one.trials for one in by.values())]
    for name in survived:
        print(f"mutant {name!r} SURVIVED")
    idle = [name for name, report in figures.reports.items() if not report.trials]
    for name in idle:
        print(f"{name} ran NO trial")
    return 1 if survived or idle or any(report.violations for report in figures.reports.values()) else 0


def _run_lane(campaigns: list[Campaign], options: argparse.Namespace, figures: Figures) -> None:
    """Run campaigns one after the other, then hunt the mutants of each."""
    for campaign in () if options.no_campaigns else campaigns:
        figures.reports[campaign.name] = attack(campaign, options.trials or campaign.trials, figures.seed)
    for campaign in () if options.no_mutants else campaigns:
        for mutant, caught in hunt(campaign, figures.seed):
            figures.caught.setdefault(mutant, {})[campaign.name] = caught


def attack(campaign: Campaign, trials: int, seed: int) -> Report:
    """Run a campaign in PARTS processes, and print its result."""
    report = Report()
    with ThreadPoolExecutor(PARTS) as pool:
        seeds = [seed + 1_000_000 * at for at in range(PARTS)]
        for part in pool.map(lambda one: _run_part(campaign, "", -(-trials // PARTS), one), seeds):
            report.add(part)
    skipped = "".join(f"; SKIPPED {number:,}: {why}" for why, number in report.skipped.items())
    told = f"{report.trials:,} trials in {report.seconds:.0f} s, {len(report.violations)} violations{skipped}"
    print(f"{campaign.name}: {told}", flush=True)
    for violation in report.violations[:TOLD]:
        print(f"  {violation}", flush=True)
    return report


def hunt(campaign: Campaign, seed: int) -> list[tuple[str, Caught]]:
    """Hunt the mutants of a campaign, and print what became of each."""
    found = []
    with ThreadPoolExecutor(PARTS) as pool:
        reports = pool.map(
            lambda mutant: _run_part(campaign, mutant, campaign.mutants[mutant].trials, seed), campaign.mutants
        )
        for name, report in zip(campaign.mutants, reports, strict=True):
            caught = Caught(report.trials if report.violations else 0, report.trials)
            told = f"caught in trial {caught.trials:,}" if caught.trials else f"not caught in {caught.of:,} trials"
            why = "".join(f" (skipped: {one})" for one in report.skipped)
            print(f"{campaign.name}: mutant {name!r} {told}{why}", flush=True)
            found.append((name, caught))
    return found


def run_part(campaign: Campaign, mutant: str, trials: int, seed: int) -> Report:
    """Run one process's part of a campaign in a temporary folder, in memory where possible."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="noonmark-chaos-", dir=where, ignore_cleanup_errors=True) as folder:
        began = time.monotonic()
        if mutant:
            report = campaign.hunt(mutant, trials, seed, Path(folder))
        else:
            report = campaign.run(trials, seed, Path(folder))
        report.seconds = time.monotonic() - began
        return report


def _run_part(campaign: Campaign, mutant: str, trials: int, seed: int) -> Report:
    """Run a part in a child process, so that nothing it leaves behind reaches another part."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seed", str(seed), "--part", campaign.name, mutant, str(trials)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if mutant else None,
        text=True,
        check=False,
    )
    if process.returncode == 0:
        return Report.of(json.loads(process.stdout.splitlines()[-1]))
    return Report(
        violations=[f"a part ended with {process.returncode}: {process.args!r}"]
    )  # without a report, it counts as failed


if __name__ == "__main__":
    sys.exit(main())
