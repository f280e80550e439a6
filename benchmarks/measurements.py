"""Writes docs/measurements.md, and the tables of benchmarks/results, from the figures that were kept there.

Nobody else does: every figure in them was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.entries import ENTRIES
from benchmarks.figures import Benchmark, Findings, Line, Target
from benchmarks.headlines import CHART, HEADLINES, LOST, STARTS, Headline
from benchmarks.machine import versions
from benchmarks.timing import CHECKOUT, Spread
from benchmarks.tried import TRIED

PLACE = CHECKOUT / "docs/measurements.md"
RESULTS = CHECKOUT / "benchmarks/results"
_HEAD = """\
# Measurements

What Noonmark costs, beside plain polars and beside other tools. `make bench` measured it and wrote this page; no figure
here was typed by a person. Each ratio is Noonmark's cost over the other's: below 1, Noonmark costs less.

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
- Runs report to one Prefect server that is running all the time, unless it says "no server configured".
- `benchmarks.unrounded` runs Noonmark and the empty flow without Prefect's heartbeats, with which every flow run takes
  whole seconds, and half a second of work looks like none.

"""


def page(found: Mapping[str, Findings]) -> str:
    """The page."""
    return "".join(_page(found))


def tables(entry: Benchmark, found: Findings) -> str:
    """All that a benchmark found, with the commands that were timed. ``$WORK`` in them is the work folder."""
    return f"# {entry.name}: {entry.asks}\n\n" + "".join(_benchmark(found))


def shown(found: Findings) -> Iterator[str]:
    """What a benchmark found of its targets, a line each."""
    for one in found.targets:
        yield f"{one.what}: {_spread(one.found, one.unit)}{_aim(one, ', target {}: {}')}"
    yield from found.notes


def _page(found: Mapping[str, Findings]) -> Iterator[str]:
    yield _HEAD
    yield from _ratios("In short", found, HEADLINES)
    yield from _ratios("What it loses", found, LOST)
    yield from _starts(found)
    yield from _chart(found)
    yield from _targets(found)
    yield _HOW
    yield "## Runs\n\n| benchmark | question | run | tables and commands |\n|---|---|---|---|\n"
    for entry in ENTRIES:
        one = found.get(entry.name)
        run = f"{one.when}, commit {one.commit}, {one.runs} rounds" if one else "not run"
        where = f"[results/{entry.name}.md](../benchmarks/results/{entry.name}.md)" if one else ""
        yield f"| {entry.name} | {entry.asks} | {run} | {where} |\n"
    machines = dict.fromkeys(one.machine for one in found.values())
    yield f"\n## Machine and versions\n\n{'; '.join(machines)}.\n\n| tool | versions |\n|---|---|\n"
    yield from (f"| {tool} | {told} |\n" for tool, told in versions())
    if TRIED:
        yield "\n## Tried and left\n\n| what | effect | why it was left |\n|---|---|---|\n"
        yield from (f"| {what} | {effect} | {why} |\n" for what, effect, why in TRIED)


def _ratios(title: str, found: Mapping[str, Findings], headlines: Sequence[Headline]) -> Iterator[str]:
    yield f"## {title}\n\n| | ratio |\n|---|---|\n"
    for one in headlines:
        targets = found[one.benchmark].targets if one.benchmark in found else []
        measured = next((_spread(target.found, "") for target in targets if target.what == one.what), "not measured")
        yield f"| {one.sentence} | {measured} |\n"
    yield "\n"


def _starts(found: Mapping[str, Findings]) -> Iterator[str]:
    starts = sorted(_by_tool(found, *STARTS), key=lambda one: one[1].median)
    if starts:
        told = ", ".join(f"{tool} {_number(took.median)} s" for tool, took in starts)
        yield f"A run that finds nothing to compute, from start to end: {told}.\n\n"


def _chart(found: Mapping[str, Findings]) -> Iterator[str]:
    costs = sorted(_by_tool(found, *CHART), key=lambda one: one[1].median)
    if costs:
        names = ", ".join(f'"{tool}"' for tool, _ in costs)
        bars = ", ".join(_number(cost.median) for _, cost in costs)
        yield "## A small day in each tool\n\n365 days of one aggregation. No peer flushes its files.\n\n"
        yield f'```mermaid\nxychart-beta\n  title "Cost of a day, in ms"\n  x-axis [{names}]\n'
        yield f'  y-axis "ms"\n  bar [{bars}]\n```\n\n'


def _by_tool(found: Mapping[str, Findings], benchmark: str, before: str, after: str) -> Iterator[tuple[str, Spread]]:
    for line in found[benchmark].lines if benchmark in found else ():
        if line.what.startswith(before) and line.what.endswith(after):
            tool = line.what.removeprefix(before).removesuffix(after)
            if "," not in tool:
                yield tool, line.found


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
    yield f"{found.when}, commit {found.commit}, {found.runs} rounds, on {found.machine}.\n\n"
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
