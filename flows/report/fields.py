"""Fields that the JSON objects of several commands share, in the form in which all of them print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from state.acceptance import Accepted
from state.days import DayRange, ranges_of
from tasks.inputs.strays import Stray, grouped

DayRanges = Mapping[str, Sequence[DayRange]]
"""Aggregation to ranges of days."""
Waiting = Mapping[str, Mapping[str, str]]
"""Aggregation to its days that wait, in their order, and what each waits for."""
Strays = Mapping[str, Sequence[Stray]]
"""Source to what looks like input of it and is none."""
STRAYS_SHOWN = 20
"""How many strays of one source and reason are named; ``stray_count`` has them all."""


def if_any(**fields: Any) -> dict[str, Any]:
    """The fields that hold anything."""
    return {name: value for name, value in fields.items() if value}


def unmatched_field(unmatched: Mapping[str, str]) -> list[dict[str, str]]:
    """Sources that no file matches."""
    return [{"source": source, "why": why} for source, why in unmatched.items()]


def ranges_field(ranges: DayRanges) -> dict[str, list[str]]:
    """The days of each aggregation."""
    return {name: [str(one) for one in some] for name, some in ranges.items()}


def waiting_ranges(waiting: Waiting) -> DayRanges:
    """The days that wait, as ranges."""
    return {name: ranges_of(days) for name, days in waiting.items()}


def waiting_fields(waiting: Waiting) -> dict[str, Any]:
    """The days that wait, and what each waits for."""
    reasons = {name: dict(days) for name, days in waiting.items()}
    return if_any(waiting=ranges_field(waiting_ranges(waiting)), waiting_for=reasons)


def stray_fields(strays: Strays) -> dict[str, Any]:
    """The first strays of each source and reason, and how many there are."""
    named = [
        {"source": group.source, "path": path, "why": group.why}
        for group in grouped(strays)
        for path in group.paths[:STRAYS_SHOWN]
    ]
    return if_any(strays=named, stray_count=sum(map(len, strays.values())))


def accepted_field(accepted: Accepted) -> dict[str, Any]:
    """What was accepted: sources by their templates, days by their number."""
    return {
        "empty_sources": sorted(accepted.empty_sources),
        "fewer_files": {source: len(days) for source, days in sorted(accepted.fewer_files.items())},
        "older_results": [
            {"aggregation": name, "day": day} for name, days in sorted(accepted.older_results.items()) for day in days
        ],
    }
