"""What a campaign is: a number of seeded trials against some promises, what they broke, and the mutants it must catch.

Each campaign's module declares one ``CAMPAIGN``: how long its long form is (``make chaos``), what its short forms are
(tests/chaos/test_campaigns.py), and in how many trials it must notice that a protection is gone. A trial that the
machine does not permit is skipped with its reason, and never counted as passed.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from functools import lru_cache, partial
from pathlib import Path
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


@dataclass(frozen=True)
class Short:
    """A form of a campaign that the tests run. ``options`` narrow it.

    ``at_least`` trials must not have been skipped; by default, all. ``met`` are the details that must have been counted
    at least so often: a form that meets no fault proves nothing.
    """

    trials: int
    at_least: int | None = None
    met: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False
    timeout: int | None = None

    def lacking(self, report: Report) -> list[str]:
        """What the form did not reach."""
        wanted = self.trials if self.at_least is None else self.at_least
        few = [f"{report.trials} trials, expected {wanted}"] if report.trials < wanted else []
        return few + [
            f"{what}: {report.details[what]}, expected {least} or more"
            for what, least in self.met.items()
            if report.details[what] < least
        ]


@dataclass(frozen=True)
class Hunt:
    """How a campaign catches a mutant: in how many trials at most, in its long form and in the tests.

    ``options`` narrow both forms, ``tests_options`` the one of the tests alone. ``slow``: ``make test`` leaves it out.
    """

    trials: int
    short: int
    options: Mapping[str, Any] = field(default_factory=dict)
    tests_options: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False


@dataclass(frozen=True)
class Campaign:
    """A campaign. ``run(trials, seed, folder, **options)`` attacks; ``trials`` is its long form.

    ``protections`` removes a mutant's protection around ``run``. Where it is None, the workers are other processes and
    remove it themselves: ``run`` takes their names as ``mutants``. ``seed`` is that of the short forms. ``waits``: it
    spends its time waiting for leases and servers more than computing. ``timeout`` is in seconds, for each test.
    """

    name: str
    attacks: str
    promises: str
    run: Callable[..., Report]
    trials: int
    seed: int
    shorts: Mapping[str, Short]
    mutants: Mapping[str, Hunt] = field(default_factory=dict)
    protections: Mapping[str, Mutant] | None = None
    waits: bool = False
    timeout: int = 120

    def hunt(self, mutant: str, trials: int, seed: int, folder: Path, **options: Any) -> Report:
        """Attack without a protection, until that is noticed."""
        options = {**self.mutants[mutant].options, **options, "stop_at": 1}
        if self.protections is None:
            report = self.run(trials, seed, folder, mutants=(mutant,), **options)
        else:
            with self.protections[mutant]():
                report = self.run(trials, seed, folder, **options)
        if outdated := [one for one in report.violations if _OUTDATED.search(one)]:
            raise TypeError(f"the mutant {mutant!r} does not fit the code any more: {outdated[0]}")
        return report


_OUTDATED = re.compile(r"TypeError.*(required positional argument|positional arguments? but|unexpected keyword)", re.S)
"""What breaks where a mutant replaces a function whose parameters have changed since: it proves nothing."""


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
