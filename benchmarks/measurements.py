"""Writes docs/measurements.md from the figures that were kept. Nobody else does: all of them were measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.entries import ENTRIES
from benchmarks.figures import Findings, Line, Target
from benchmarks.machine import machine, versions
from benchmarks.timing import CHECKOUT, Spread
from benchmarks.tried import TRIED

PLACE = CHECKOUT / "docs/measurements.md"
_HEAD = """\
# Measurements

What Noonmark costs, beside plain polars and beside other tools. `make bench` measured it and wrote this page; no figure
here was typed by a person.

"""
_HOW = """\
## How it was measured

- Whole processes, from start to end, in turns (A B C, A B C, …) after one round that does not count. A figure is the
  median over the rounds, with the least and the greatest in brackets. A ratio or a difference is taken within a round.
- A **cost** is a whole run less an empty run of the same command in the same round: the start of Python, Prefect and
  the others is nobody's cost. Finding the input is part of it.
- Results are compared before any time counts: exact types exactly, floats to 1e-9.
- The plain loop publishes as atomically and durably as Noonmark, on as many threads, and keeps no books.
- Outputs of earlier rounds are moved aside, and removed after the last one: on some file systems what was removed
  lately slows the creation of files down, and nobody removes ten thousand results before a run.
- Runs report to one Prefect server that is running all the time, unless it says "temporary server".
- `benchmarks.unrounded` runs Noonmark and the empty flow without Prefect's heartbeats, with which every flow run takes
  whole seconds, and half a second of work looks like none.
- `$WORK` is the work folder, and every other path is one of this checkout.

"""


def page(found: Mapping[str, Findings], work: Path) -> str:
    """The whole page."""
    return "".join(_page(found, work))


def shown(found: Findings) -> Iterator[str]:
    """What a benchmark found of its targets, a line each."""
    for one in found.targets:
        yield f"{one.what}: {_spread(one.found, one.unit)}{_aim(one, ', target {}: {}')}"
    yield from found.notes


def _page(found: Mapping[str, Findings], work: Path) -> Iterator[str]:
    yield _HEAD
    yield from _targets(found)
    yield _HOW
    yield f"## Machine and versions\n\n{machine(work)}.\n\n| tool | versions |\n|---|---|\n"
    yield from (f"| {tool} | {told} |\n" for tool, told in versions())
    for entry in ENTRIES:
        yield f"\n## {entry.name}: {entry.asks}\n\n"
        yield from _benchmark(found[entry.name]) if entry.name in found else ["It was not run.\n"]
    if TRIED:
        yield "\n## Tried and left\n\n| what | effect | why it was left |\n|---|---|---|\n"
        yield from (f"| {what} | {effect} | {why} |\n" for what, effect, why in TRIED)


def _targets(found: Mapping[str, Findings]) -> Iterator[str]:
    yield "## Targets\n\n| benchmark | what | measured | target | met |\n|---|---|---|---|---|\n"
    for entry in ENTRIES:
        if entry.name not in found:
            yield f"| {entry.name} | not run | | | no |\n"
            continue
        if found[entry.name].failed:
            yield f"| {entry.name} | it failed | | | no |\n"
        for one in found[entry.name].targets:
            if one.limit is not None:
                yield f"| {entry.name} | {one.what} | {_spread(one.found, one.unit)} | {_aim(one, '{} | {}')} |\n"
    yield "\n"


def _benchmark(found: Findings) -> Iterator[str]:
    yield f"{found.when}, commit {found.commit}, {found.runs} rounds.\n\n"
    yield from (f"- {note}\n" for note in found.notes)
    yield "\n" if found.notes else ""
    if found.targets:
        yield "| ratio | median | target | met |\n|---|---|---|---|\n"
        for one in found.targets:
            yield f"| {one.what} | {_spread(one.found, one.unit)} | {_aim(one, '{} | {}') or ' | '} |\n"
        yield "\n"
    if found.lines:
        yield "| measured | median | peak memory |\n|---|---|---|\n"
        yield from (f"| {one.what} | {_spread(one.found, one.unit)} | {_peak(one)} |\n" for one in found.lines)
        yield "\n"
    if found.commands:
        yield "```sh\n" + "".join(f"# {what}\n{told}\n" for what, told in found.commands.items()) + "```\n"


def _spread(found: Spread, unit: str) -> str:
    """A median with its spread; a ratio has no unit."""
    if math.isnan(found.median):
        return "lost in the noise"
    return f"{_number(found.median)} {unit} ({_number(found.low)} to {_number(found.high)})".replace("  ", " ")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _peak(one: Line) -> str:
    return f"{one.peak / 1e6:,.0f} MB" if one.peak else ""


def _aim(one: Target, form: str) -> str:
    """The target and whether it is met, put into ``form``; nothing where there is none."""
    if one.limit is None:
        return ""
    return form.format(
        f"{'<' if one.strictly else '≤'} {one.limit:g} {one.unit}".rstrip(), "yes" if one.met else "**no**"
    )
