"""Runs a day's aggregations over its frames: together where all go well, one by one to tell which one does not.

Together, polars reads the common input once. Nothing is written here, and a user's function that raises, panics or
returns something else is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl
from polars.exceptions import PanicException

from tasks.catalog import Aggregation
from tasks.intake import Taken
from tasks.loading import key

Kind = Literal["input", "aggregation"]
_ROWS = "rows"
# polars' panics are no Exceptions; the process is sound after one, and the other days go on.
_CAUGHT = (Exception, PanicException)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A result, and the number of rows that each source (by its name in the record) gave."""

    frame: pl.DataFrame
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why there is no result: the ``input`` cannot be read as declared, or the ``aggregation`` does not work on it."""

    kind: Kind
    error: str


def evaluate(aggregations: list[Aggregation], taken: Mapping[str, Taken]) -> dict[str, Evaluated | Misfit]:
    """The result of each aggregation by name; ``taken`` holds the day's files of every source by its key."""
    frames: dict[str, pl.LazyFrame] = {}
    unread: dict[str, Misfit] = {}
    for name, one in taken.items():
        try:
            frames[name] = one.frame()
        except _CAUGHT as error:
            unread[name] = _unreadable(one, error)
    results: dict[str, Evaluated | Misfit] = {}
    plans: dict[str, pl.LazyFrame] = {}
    for aggregation in aggregations:
        sources = [key(source) for source in aggregation.sources.values()]
        bad = next((unread[source] for source in sources if source in unread), None)
        planned = bad or _planned(aggregation, [frames[source] for source in sources])
        if isinstance(planned, Misfit):
            results[aggregation.name] = planned
        else:
            plans[aggregation.name] = planned
    counts = {name: frame.select(pl.len().alias(_ROWS)) for name, frame in frames.items()}
    collected = _collect(plans, counts, taken)
    for aggregation in aggregations:
        if aggregation.name in plans:
            results[aggregation.name] = _result(aggregation, collected)
    return results


_Collected = Mapping[str, pl.DataFrame | Misfit]


def _planned(aggregation: Aggregation, frames: list[pl.LazyFrame]) -> pl.LazyFrame | Misfit:
    try:
        planned: object = aggregation.function(*frames)
    except _CAUGHT as error:
        return _raised(aggregation.place, error)
    if not isinstance(planned, pl.LazyFrame):
        found = type(planned).__name__
        return Misfit("aggregation", f"it returned {found}, expected a polars LazyFrame ({aggregation.place})")
    return planned


def _collect(
    plans: Mapping[str, pl.LazyFrame], counts: Mapping[str, pl.LazyFrame], taken: Mapping[str, Taken]
) -> _Collected:
    # The in-memory engine takes half the streaming engine's time for a small day, and no bound on memory is lost.
    engine: Literal["in-memory", "streaming"] = (
        "in-memory" if all(taken[name].in_memory for name in counts) else "streaming"
    )
    names = [*plans, *counts]
    queries = [*plans.values(), *counts.values()]
    try:
        return dict(zip(names, pl.collect_all(queries, engine=engine), strict=True))
    except _CAUGHT:
        collected: dict[str, pl.DataFrame | Misfit] = {}
        for name, query in zip(names, queries, strict=True):
            try:
                collected[name] = query.collect(engine=engine)
            except _CAUGHT as error:
                one = taken.get(name)
                collected[name] = _unreadable(one, error) if one else _raised(name, error)
        return collected


def _result(aggregation: Aggregation, collected: _Collected) -> Evaluated | Misfit:
    rows = {}
    for name, source in aggregation.sources.items():
        counted = collected[key(source)]
        if isinstance(counted, Misfit):
            return counted
        rows[name] = int(counted.item())
    frame = collected[aggregation.name]
    if isinstance(frame, Misfit):
        return frame
    if "day" in frame.columns:
        return Misfit(
            "aggregation", f"its result has a column 'day': the day lies in the path alone ({aggregation.place})"
        )
    if not frame.width:
        return Misfit("aggregation", f"its result has no column ({aggregation.place})")
    return Evaluated(frame, rows)


def _unreadable(taken: Taken, error: BaseException) -> Misfit:
    pattern = taken.source.template.pattern(taken.day)
    return Misfit("input", f"{pattern} cannot be read as declared: {_told(error)}")


def _raised(place: str, error: BaseException) -> Misfit:
    return Misfit("aggregation", f"it failed: {_told(error)} ({place})")


def _told(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
