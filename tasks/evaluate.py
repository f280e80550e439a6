"""Runs a day's aggregations over its frames: together where all go well, one by one to tell which one does not.

Together, polars reads the common input once. Nothing is written here, and a user's function that raises, panics or
returns something else is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tasks.catalog import Aggregation, Source
from tasks.intake import Taken

Kind = Literal["input", "aggregation"]
_ROWS = "rows"
_TOLD = 240
"""How much of a foreign error is shown, in characters: garbage that is read as a header makes long ones."""
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


def evaluate(aggregations: list[Aggregation], taken: Mapping[Source, Taken]) -> dict[str, Evaluated | Misfit]:
    """The result of each aggregation by name; ``taken`` holds the day's files of every source that they have.

    Two sources may read the same files differently, so each has a frame of its own.
    """
    frames: dict[Source, pl.LazyFrame] = {}
    unread: dict[Source, Misfit] = {}
    for source, one in taken.items():
        try:
            frames[source] = one.frame()
        except _CAUGHT as error:
            unread[source] = _unreadable(one, error)
    results: dict[str, Evaluated | Misfit] = {}
    plans: dict[str, pl.LazyFrame] = {}
    failed: dict[str | Source, BaseException] = {}
    for aggregation in aggregations:
        sources = aggregation.sources.values()
        if bad := next((unread[source] for source in sources if source in unread), None):
            results[aggregation.name] = bad
            continue
        try:
            planned: object = aggregation.function(*(frames[source] for source in sources))
        except _CAUGHT as error:
            failed[aggregation.name] = error
            continue
        if isinstance(planned, pl.LazyFrame):
            plans[aggregation.name] = planned
        else:
            told = f"it returned {type(planned).__name__}, expected a polars LazyFrame ({aggregation.place})"
            results[aggregation.name] = Misfit("aggregation", told)
    counts = {source: frame.select(pl.len().alias(_ROWS)) for source, frame in frames.items()}
    collected: _Collected = {**failed, **_collect(plans, counts, taken)}
    fault = cache(lambda source: _fault(taken[source], frames[source]))
    for aggregation in aggregations:
        if aggregation.name not in results:
            results[aggregation.name] = _result(aggregation, collected, fault)
    return results


_Collected = Mapping[str | Source, pl.DataFrame | BaseException]
"""What came of each query: of an aggregation by its name, of the rows of a source by itself."""


def _collect(
    plans: Mapping[str, pl.LazyFrame], counts: Mapping[Source, pl.LazyFrame], taken: Mapping[Source, Taken]
) -> _Collected:
    # The in-memory engine takes half the streaming engine's time for a small day, and no bound on memory is lost.
    engine: Literal["in-memory", "streaming"] = (
        "in-memory" if all(taken[source].in_memory for source in counts) else "streaming"
    )
    names: list[str | Source] = [*plans, *counts]
    queries = [*plans.values(), *counts.values()]
    try:
        return dict(zip(names, pl.collect_all(queries, engine=engine), strict=True))
    except _CAUGHT:
        collected: dict[str | Source, pl.DataFrame | BaseException] = {}
        for name, query in zip(names, queries, strict=True):
            try:
                collected[name] = query.collect(engine=engine)
            except _CAUGHT as error:
                collected[name] = error
        return collected


def _result(
    aggregation: Aggregation, collected: _Collected, fault: Callable[[Source], Misfit | None]
) -> Evaluated | Misfit:
    frame = collected[aggregation.name]
    rows = {}
    for name, source in aggregation.sources.items():
        counted = collected[source]
        bad = fault(source) if isinstance(frame, BaseException) or isinstance(counted, BaseException) else None
        if bad:
            return _both(bad, frame, aggregation)
        if isinstance(counted, BaseException):  # it could be read a moment later: a disk's whim
            return Misfit("input", f"{source} cannot be read: {_told(counted)}")
        rows[name] = int(counted.item())
    if isinstance(frame, BaseException):
        return _raised(aggregation, frame, rows)
    if "day" in frame.columns:
        return Misfit(
            "aggregation", f"its result has a column 'day': the day lies in the path alone ({aggregation.place})"
        )
    if not frame.width:
        return Misfit("aggregation", f"its result has no column ({aggregation.place})")
    return Evaluated(frame, rows)


def _fault(taken: Taken, frame: pl.LazyFrame) -> Misfit | None:
    """What is wrong with the input itself, told after the fact: polars parses no column that a query leaves out."""
    try:
        _read_through(frame)
    except _CAUGHT as error:
        return _unreadable(taken, error)
    return None


def _unreadable(taken: Taken, error: BaseException) -> Misfit:
    unreadable = f"{taken.source.template.pattern(taken.day)} cannot be read as declared"
    for file, content in taken.each():
        try:
            _read_through(taken.source.scan([content]))
        except _CAUGHT as own:
            return Misfit("input", f"{unreadable}: {_told(own)} (in {file.path!r}, {file.size:,} bytes)")
    number = len(taken.files.files)
    together = f", its {number:,} files together" if number > 1 else ""
    return Misfit("input", f"{unreadable}{together}: {_told(error)}")


def _read_through(frame: pl.LazyFrame) -> None:
    frame.select(pl.all().count()).collect(engine="streaming")


def _both(bad: Misfit, met: pl.DataFrame | BaseException, aggregation: Aggregation) -> Misfit:
    if isinstance(met, BaseException) and (told := _told(met)) not in bad.error:
        return Misfit(bad.kind, f"{bad.error}; the aggregation met {told} ({aggregation.place_of(met)})")
    return bad


def _raised(aggregation: Aggregation, error: BaseException, rows: Mapping[str, int]) -> Misfit:
    empty = [name for name, number in rows.items() if not number and isinstance(error, PolarsError)]
    hint = f"; {empty[0]} has no row, and a column without values is text unless its type is declared" if empty else ""
    return Misfit("aggregation", f"it failed: {_told(error)} ({aggregation.place_of(error)}){hint}")


def _told(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    told = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in told[:_TOLD])
    return shown + "…" * (len(told) > _TOLD)
