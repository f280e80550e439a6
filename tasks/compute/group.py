"""Computes days in groups: one call of polars for many small days, and flushes that wait for the device together.

What is wrong with a day harms that day alone. One that changes under the computation is begun anew, a bounded number
of times.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from state import clock
from state.filesystem.flushing import flush_each
from state.planner.decide import Item
from state.store.local import commit as commits
from state.store.local.staging import StagedFile
from state.store.local.store import LocalStore
from tasks.compute.context import Days, RunContext
from tasks.compute.evaluate import Results, evaluate
from tasks.compute.job import Attempt, Ready
from tasks.compute.outcomes import Failed, Outcome
from tasks.inputs.run_listing import logical_now

ATTEMPTS = 3
"""How often a day is begun that changes while it is computed."""
TOGETHER_BYTES = 64 << 20
"""How much input is computed together, in bytes once it is unpacked; a day of more has a group of its own."""

log = logging.getLogger("noonmark")


def compute(shop: RunContext, days: Days) -> Iterator[Outcome]:
    """Compute and commit the planned results of days, group by group as far as the outcomes are asked for.

    What is wrong with a day is an outcome, not an error. Once the run is told to end, no further group is begun: its
    days have no outcome.
    """
    todo = deque((day, items, 1) for day, items in days)
    while todo and not shop.stopping.is_set():
        began = clock.monotonic()
        group = _begin_group(shop, todo)
        with shop.note.computing((one.aggregation, one.day) for attempt, _ in group for one in attempt.pending):
            _commit([attempt for attempt, _ in group], shop.root)
        shop.pace.took(sum(len(attempt.planned) for attempt, _ in group), clock.monotonic() - began)
        begun_anew = 0
        for attempt, number in reversed(group):
            if attempt.anew and number < ATTEMPTS:
                todo.appendleft((attempt.day, attempt.anew, number + 1))
                attempt.anew = []
                begun_anew += 1
        shop.progress.advance(len(group) - begun_anew)
        for attempt, _ in group:
            yield from attempt.outcomes
            yield from (_unsettled(attempt.day, item) for item in attempt.anew)


Todo = deque[tuple[str, Sequence[Item], int]]
"""Days, what is planned of them, and for which time it is begun."""


def _begin_group(shop: RunContext, todo: Todo) -> list[tuple[Attempt, int]]:
    """Take in as many days as are computed together. All tokens come first: then one look at the folders serves all."""
    group: list[tuple[Attempt, int]] = []
    results = size = 0
    while todo and results < shop.pace.results:
        day, items, number = todo.popleft()
        attempt = Attempt(shop, day, items)
        _guarded(attempt, attempt.read_tokens)
        group.append((attempt, number))
        results += len(items)
    since = logical_now()
    for at, (attempt, _) in enumerate(group):
        if size >= TOGETHER_BYTES:
            todo.extendleft((left.day, left.planned, number) for left, number in reversed(group[at:]))
            return group[:at]
        _guarded(attempt, partial(attempt.take_in, since))
        size += sum(taken.bytes for taken in attempt.taken.values())
    return group


def _commit(group: Sequence[Attempt], root: LocalStore) -> None:
    """Take a group from its input to its commits, each step for all of its days."""
    with ExitStack() as drafts:
        for attempt, results in _evaluated(group):
            _guarded(attempt, partial(attempt.write, results, drafts))
        written = _ready(group)
        for (attempt, one), error in zip(
            written, flush_each(StagedFile.flush, [one.new for _, one in written]), strict=True
        ):
            attempt.flushed(one, error)
        since = logical_now()
        for attempt in group:
            _guarded(attempt, partial(attempt.publish, since))
        published = _ready(group)
        places = [(one.item.aggregation, attempt.day) for attempt, one in published]
        for (attempt, one), error in zip(published, commits._flush_published(root.folder, places), strict=True):
            _guarded(attempt, partial(attempt.settle, one, error))


def _evaluated(group: Sequence[Attempt]) -> list[tuple[Attempt, Results]]:
    try:
        found = evaluate([(attempt.aggregations, attempt.taken) for attempt in group])
    except Exception as error:
        log.exception("days %s", ", ".join(attempt.day for attempt in group))
        for attempt in group:
            attempt.abort(error)
        return []
    return list(zip(group, found, strict=True))


def _ready(group: Sequence[Attempt]) -> list[tuple[Attempt, Ready]]:
    return [(attempt, one) for attempt in group for one in attempt.ready]


def _guarded(attempt: Attempt, step: Callable[[], None]) -> None:
    """Take a step; what nobody foresaw harms this day alone."""
    try:
        step()
    except Exception as error:
        log.exception("day %s", attempt.day)
        attempt.abort(error)


def _unsettled(day: str, item: Item) -> Failed:
    told = f"its input or its commit changed {ATTEMPTS} times while it was computed; the next run takes it up"
    return Failed(item.aggregation, day, "unsettled", told, passing=True)
