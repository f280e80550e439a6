"""Writes docs/reliability.md from the reports of the campaigns. Every figure in it was measured."""

from __future__ import annotations

import datetime as dt
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import commit, cores
from tests.chaos.campaign import Figures
from tests.chaos.campaigns import CAMPAIGNS
from tests.chaos.history import FOUND, LATER

PLACE = Path(__file__).resolve().parents[2] / "docs/reliability.md"
DAMAGE = "damaged-bytes"
"""The campaign whose details say which damage is found by what."""
_HEAD = """\
# Reliability

How the promises of [design.md](design.md) were attacked, and what was found. `make chaos` ran the attacks and wrote
this page; no figure here was typed by a person.

"""
_HOW = """\
All trials of a campaign follow from the seed. To repeat the same trials of one campaign:

```sh
python -m tests.chaos --only kills --seed {seed} --no-mutants
```

A violation names its trial, and the module of the campaign has a function that repeats that trial. A failing schedule
of the simulation is shrunk and saved as a file: `python -m tests.chaos.simulation.replay FILE` plays it step by step.

"""


def write(figures: Figures) -> None:
    """Write the page."""
    PLACE.write_text("".join(_page(figures)), encoding="utf-8")
    print(f"wrote {PLACE.name}")


def _page(figures: Figures) -> Iterator[str]:
    yield _HEAD
    when = dt.datetime.fromtimestamp(figures.began, dt.UTC)
    yield f"- Run: {when:%Y-%m-%d %H:%M} UTC, {figures.seconds / 60:.0f} minutes, seed {figures.seed}\n"
    yield f"- Code: commit {commit()}\n"
    yield f"- Machine: {_machine()}\n\n"
    yield "## Campaigns\n\n"
    yield "| campaign | what is attacked | promises | trials | violations | seconds |\n|---|---|---|---|---|---|\n"
    for campaign in CAMPAIGNS:
        report = figures.reports.get(campaign.name)
        if report is None:
            yield f"| {campaign.name} | {campaign.attacks} | {campaign.promises} | not run | | |\n"
            continue
        skipped = "".join(f"; {number:,} skipped: {why}" for why, number in report.skipped.items())
        yield (
            f"| {campaign.name} | {campaign.attacks} | {campaign.promises} | {report.trials:,}{skipped} "
            f"| {len(report.violations)} | {report.seconds:.0f} |\n"
        )
    yield "\n" + _HOW.format(seed=figures.seed)
    yield from _detection(figures)
    yield "## Faults that the campaigns found\n\n"
    yield "| campaign | what was wrong | fixed by the commit |\n|---|---|---|\n"
    yield from (f"| {campaign} | {what} | {commit} |\n" for campaign, what, commit in FOUND)
    yield "\n"
    yield from _met(figures)
    yield from _mutants(figures)


def _detection(figures: Figures) -> Iterator[str]:
    """Which damage every run finds, and which only a look at every byte."""
    details = figures.reports[DAMAGE].details if DAMAGE in figures.reports else {}
    kinds = sorted({kind for kind, found, _ in map(_found_by, details) if found})
    if not kinds:
        return
    yield "## Which damage is found by what\n\n"
    yield (
        "Results that were damaged on purpose. Every run reads the end of each result, where its record lies; "
        "`repair --deep` reads\nevery byte, and found all of them.\n\n"
        "| damage | results | found by every run | by `repair --deep` alone |\n|---|---|---|---|\n"
    )
    for kind in kinds:
        every, deep = (details.get(f"{kind}, found by {by}", 0) for by in ("every run", "--deep alone"))
        told, of = kind.replace("seal", "checksum"), every + deep
        yield f"| {told} | {of:,} | {every / of:.2%} | {deep / of:.2%} |\n"
    yield "\n"


def _found_by(detail: str) -> tuple[str, str, str]:
    return detail.partition(", found by ")


def _met(figures: Figures) -> Iterator[str]:
    yield "## What happened in the trials\n\n"
    for name in (campaign.name for campaign in CAMPAIGNS if campaign.name in figures.reports):
        report = figures.reports[name]
        some = [*sorted(report.sizes.items()), *sorted(report.details.items())]
        if some:
            yield f"- **{name}**: {'; '.join(f'{what}: {number:,}' for what, number in some)}\n"
    yield "\n"


def _mutants(figures: Figures) -> Iterator[str]:
    yield "## Mutants\n\n"
    yield (
        "A mutant is the program without one of its protections. The campaigns remove it in their own processes; no\n"
        "other run can. Each must be noticed: a campaign that cannot fail proves nothing.\n\n"
        "| protection removed | noticed by | in trial |\n|---|---|---|\n"
    )
    for mutant, by in sorted(figures.caught.items()):
        for campaign, caught in by.items():
            told = f"{caught.trials:,}" if caught.trials else f"not in {caught.of:,}"
            yield f"| {mutant} | {campaign} | {told} |\n"
    yield "\n" + "".join(f"- Not removed: {mutant}. {why}.\n" for mutant, why in LATER.items())


def _machine() -> str:
    return f"{cores()} cores, {platform.system()} {platform.release()}, Python {sys.version.split()[0]}"
