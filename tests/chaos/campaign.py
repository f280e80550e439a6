"""What every campaign is and reports: a number of seeded trials, and what they broke.

A trial that the machine does not permit is skipped with its reason, and never counted as passed.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from typing import Any
from unittest.mock import patch

Mutant = Callable[[], AbstractContextManager[None]]
"""Removes one protection for as long as it is entered. Only campaigns know it: nothing in a normal run leads here."""


@dataclass(slots=True)
class Report:
    """What a campaign did. ``violations`` name the trial and what was broken; ``details`` count what was met.

    ``sizes`` say how much there was to meet, the same for every part of a campaign.
    """

    trials: int = 0
    violations: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Report) -> None:
        """Count another part of the same campaign in."""
        self.trials += other.trials
        self.violations += other.violations
        self.skipped += other.skipped
        self.details += other.details
        self.sizes |= other.sizes
        self.seconds = max(self.seconds, other.seconds)

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def of_none(cls, trials: int, why: str) -> Report:
        """What a campaign reports that this machine does not permit."""
        return cls(skipped=Counter({why: trials}))

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Report:
        """A report as another process told it."""
        return cls(**{**told, **{name: Counter(told[name]) for name in ("skipped", "details", "sizes")}})


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of a mutant: caught by trial number ``trials``, or 0 where it outlived ``of`` of them."""

    trials: int
    of: int


@dataclass(slots=True)
class Figures:
    """All that one run of the campaigns found: reports by campaign, and by mutant what each campaign made of it."""

    seed: int
    began: float
    seconds: float = 0.0
    reports: dict[str, Report] = field(default_factory=dict)
    caught: dict[str, dict[str, Caught]] = field(default_factory=dict)


class NotStruck(Exception):
    """The run ended before its fault came: no trial, and nothing shown."""


NOT_STRUCK = "the run ended before the fault came"


def run_trials(trials: Iterable[int], trial: Callable[[int], Iterable[str]], stop_at: int | None = 20) -> Report:
    """Run numbered trials; each yields what it broke. Ends early once ``stop_at`` trials found something.

    One that raises NotStruck is skipped: it counts for nothing.
    """
    report = Report()
    began = time.monotonic()
    bad = 0
    for number in trials:
        try:
            found = [f"trial {number}: {what}" for what in trial(number)]
        except NotStruck:
            report.skipped[NOT_STRUCK] += 1
            continue
        report.trials += 1
        report.violations += found
        bad += bool(found)
        if stop_at is not None and bad >= stop_at:
            break
    report.seconds = time.monotonic() - began
    return report


@lru_cache(maxsize=4)
def shuffled(length: int, seed: int, turn: int) -> tuple[int, ...]:
    """The order in which one round, the ``turn``-th, goes through so many points."""
    order = list(range(length))
    random.Random(f"{seed} {turn}").shuffle(order)
    return tuple(order)


@contextmanager
def replaced_all(patches: Mapping[str, object]) -> Iterator[None]:
    """Put objects in the place of each ``module.name`` for a while: how a mutant removes a protection."""
    with ExitStack() as stack:
        for target, new in patches.items():
            stack.enter_context(patch(target, new))
        yield


def replaced(target: str, new: object) -> AbstractContextManager[None]:
    """Put ``new`` in the place of one ``module.name`` for a while."""
    return replaced_all({target: new})


def without(patches: Mapping[str, object]) -> Mutant:
    """The mutant that puts these objects in the place of each ``module.name``."""
    return partial(replaced_all, patches)
