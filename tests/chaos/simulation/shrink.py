"""Makes a failing schedule as small as it can be and still fail in the same way: what a person can read.

Delta debugging: whole parts are left out first, then halves of what is left, down to single things. What goes are
events, workers, runs, days, and turns: in the end two workers change places only where it matters.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.chaos.simulation.play import Play
from tests.chaos.simulation.schedule import Schedule
from tests.chaos.simulation.stage import Stage
from tests.chaos.simulation.world.scheduler import Turn

T = TypeVar("T")
Fails = Callable[[Schedule], bool]


def signature(broken: Sequence[str]) -> str:
    """What is broken first, without the numbers and names that other schedules have otherwise."""
    return re.sub(r"'[^']*'|\b(?:w|late|repair)\d+'*|\d+", "#", broken[0]) if broken else ""


def shrunk(stage: Stage, schedule: Schedule, seconds: float = 30.0) -> Schedule:
    """The smallest schedule found in time that fails like this one; it names its turns. The same where it passes."""
    play = Play(stage, schedule)
    wanted = signature(play.run())
    if not wanted:
        return schedule
    deadline = time.monotonic() + seconds

    def fails(smaller: Schedule) -> bool:
        return time.monotonic() < deadline and signature(Play(stage, smaller).run()) == wanted

    best = replace(schedule, turns=schedule.turns or tuple(play.scheduler.turns))
    before = None
    while best != before and time.monotonic() < deadline:
        before = best
        for step in (_fewer_events, _fewer_workers, _simpler_world, _fewer_turns, _simpler_turns, _smaller_numbers):
            best = step(best, fails)
    return best


def without_parts(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """The smallest sequence found by leaving out ever smaller parts."""
    kept = tuple(items)
    size = len(kept)
    while size:
        at = 0
        while at < len(kept):
            smaller = kept[:at] + kept[at + size :]
            if fails(smaller):
                kept = smaller
            else:
                at += size
        size //= 2
    return kept


def _first(schedule: Schedule, smaller: Iterator[Schedule], fails: Fails) -> Schedule:
    return next((one for one in smaller if one != schedule and fails(one)), schedule)


def _fewer_events(schedule: Schedule, fails: Fails) -> Schedule:
    events = without_parts(schedule.events, lambda some: fails(replace(schedule, events=some)))
    return replace(schedule, events=events)


def _fewer_workers(schedule: Schedule, fails: Fails) -> Schedule:
    """Workers that can go, and simpler ones. Whom an event strikes depends on how many there are: others are tried."""
    for one in schedule.workers:
        fewer = tuple(other for other in schedule.workers if other is not one)
        if fewer:
            schedule = _first(schedule, _struck_otherwise(replace(schedule, workers=fewer)), fails)
    for at, one in enumerate(schedule.workers):
        for simple in (replace(one, runs=1, delay_ns=0, version=1), replace(one, runs=1), replace(one, delay_ns=0)):
            workers = (*schedule.workers[:at], simple, *schedule.workers[at + 1 :])
            schedule = _first(schedule, iter([replace(schedule, workers=workers)]), fails)
    return schedule


def _struck_otherwise(schedule: Schedule) -> Iterator[Schedule]:
    yield schedule
    for draw in range(8):
        yield replace(schedule, events=tuple(replace(one, draw=draw) for one in schedule.events))


def _simpler_world(schedule: Schedule, fails: Fails) -> Schedule:
    """Fewer days and aggregations, no Redis, no groups, fine clocks."""
    for changes in (
        {"standing": schedule.standing[:1]},
        {"standing": schedule.standing[-1:]},
        {"aggregations": schedule.aggregations[:1]},
        {"redis": False},
        {"grouped": False},
        {"lock_ranges": True},
        {"tick_ns": 1_000_000},
        {"standing": ("nothing",) * len(schedule.standing)},
        {"standing": ("current",) * len(schedule.standing)},
    ):
        schedule = _first(schedule, iter([replace(schedule, **changes)]), fails)
        if schedule.standing == ("nothing",):
            break
    return schedule


def _fewer_turns(schedule: Schedule, fails: Fails) -> Schedule:
    turns = without_parts(schedule.turns or (), lambda some: fails(replace(schedule, turns=some)))
    return replace(schedule, turns=turns)


def _simpler_turns(schedule: Schedule, fails: Fails) -> Schedule:
    """Longer turns in the place of two, and turns that go on until the worker waits."""
    at = 0
    while at < len(turns := schedule.turns or ()):
        one, then = turns[at], turns[at + 1] if at + 1 < len(turns) else None
        simpler: list[tuple[Turn, ...]] = []
        if then and then.who == one.who and one.calls:
            joined = one._replace(calls=one.calls + then.calls if then.calls else 0, rest=then.rest)
            simpler.append((*turns[:at], joined, *turns[at + 2 :]))
        if one.calls:
            simpler.append((*turns[:at], one._replace(calls=0, rest=0), *turns[at + 1 :]))
        if one.rest and one.calls:
            simpler.append((*turns[:at], one._replace(rest=0), *turns[at + 1 :]))
        after = _first(schedule, (replace(schedule, turns=some) for some in simpler), fails)
        at += after == schedule
        schedule = after
    return schedule


def _smaller_numbers(schedule: Schedule, fails: Fails) -> Schedule:
    """Small seeds of events, and a small number of the schedule."""
    for at, event in enumerate(schedule.events):
        events = (
            (*schedule.events[:at], replace(event, draw=draw), *schedule.events[at + 1 :])
            for draw in range(min(event.draw, 10))
        )
        schedule = _first(schedule, (replace(schedule, events=some) for some in events), fails)
    return _first(schedule, (replace(schedule, number=number) for number in range(min(schedule.number, 5))), fails)
