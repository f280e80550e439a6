"""A schedule: everything that a play needs, drawn from one number, or read from a file that a person can change."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.chaos.simulation.events import FAULTS, SECOND, Event
from tests.chaos.simulation.world.scheduler import STEP_NS, Turn

_MOODS = (
    "change arrive start repair",
    "change touch vanish come_back pause",
    "change pause kill start",
    "power kill kill start change",
    "delete damage damage change pause start power repair",
    "redis_error redis_down redis_flush redis_save redis_restore redis_hostile redis_foreign change start repair",
    "disk_error disk_full change start damage",
    "disk_error change start damage delete kill pause power redis_error redis_hostile",
)
"""What can happen together; each schedule has one of them."""
_CALM = {"change", "arrive", "touch", "vanish", "come_back", "start", "repair", "pause"}
AT_THE_END = 1 << 30
"""The step of an event that waits until every worker has ended."""


@dataclass(frozen=True)
class Worker:
    """A worker that is there from the beginning: its code's version, how many runs it makes, and when it begins."""

    name: str
    version: int
    runs: int
    delay_ns: int

    @classmethod
    def drawn(cls, name: str, version: int, rng: random.Random) -> Worker:
        """Most make one run, at once."""
        runs = 1 if rng.random() < 0.8 else 2
        return cls(name, version, runs, 0 if rng.random() < 0.6 else int(rng.random() * 60) * STEP_NS)


@dataclass(frozen=True)
class Schedule:
    """Who works, on what, and what happens at which step.

    ``standing`` says what stands in each day's place in the beginning: "nothing", or a result that is "current",
    "older" or "damaged". Turns are drawn from ``number``, about ``quantum`` calls long, unless ``turns`` has them.
    ``tick_ns`` is how coarsely files' times tick; ``grouped``: days are computed together; ``lock_ranges``: days are
    locked by ranges of shared files.
    """

    number: int
    workers: tuple[Worker, ...]
    aggregations: tuple[str, ...]
    standing: tuple[str, ...]
    events: tuple[Event, ...]
    quantum: float
    tick_ns: int
    redis: bool
    grouped: bool
    lock_ranges: bool = True
    turns: tuple[Turn, ...] | None = None

    @property
    def newest(self) -> int:
        """The highest version of the code."""
        return max(one.version for one in self.workers)

    @property
    def faulty(self) -> bool:
        """Whether storage or Redis fails in it."""
        return any(event.kind in FAULTS for event in self.events)

    @property
    def calm(self) -> bool:
        """Whether every worker comes to its end, in its own time, and only the input changes."""
        return all(event.kind in _CALM for event in self.events)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self) | {"turns": self.turns and [list(one) for one in self.turns]}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Schedule:
        """The schedule that a file holds."""
        made = dict(told)
        made["workers"] = tuple(Worker(**one) for one in told["workers"])
        made["events"] = tuple(Event(**one) for one in told["events"])
        made["aggregations"], made["standing"] = tuple(told["aggregations"]), tuple(told["standing"])
        made["turns"] = None if told["turns"] is None else tuple(Turn(*one) for one in told["turns"])
        return cls(**made)


def draw(number: int) -> Schedule:
    """The schedule of this number."""
    rng = random.Random(number)
    mood = _MOODS[int(rng.random() * len(_MOODS))].split()
    workers = 2 if rng.random() < 0.7 else 3 if rng.random() < 0.7 else 4
    newest = 2 if rng.random() < 0.25 else 1
    versions = [newest if rng.random() < 0.6 else 1 for _ in range(workers)]
    words = ("nothing", "nothing", "current", "older", "damaged")
    standing = tuple(words[int(rng.random() * 5)] for _ in range(1 if rng.random() < 0.75 else 2))
    steps = sorted(1 + int(rng.random() * 75 * workers) for _ in range(int(rng.random() * 5.5)))
    if "power" in mood and rng.random() < 0.5:
        steps.append(AT_THE_END)
    events = [Event(step, mood[int(rng.random() * len(mood))], rng.getrandbits(30)) for step in steps]
    if steps and steps[-1] == AT_THE_END:
        events[-1] = replace(events[-1], kind="power")
    return Schedule(
        number,
        tuple(Worker.drawn(f"w{at}", version, rng) for at, version in enumerate(versions, 1)),
        ("alpha",) if rng.random() < 0.9 else ("alpha", "beta"),
        standing,
        tuple(events),
        (1.5, 4.0, 12.0, 40.0)[int(rng.random() * 4)],
        (1_000_000, 10_000_000, 2 * SECOND)[int(rng.random() * 3)],
        rng.random() < 0.8,
        rng.random() < 0.5,
        rng.random() < 0.9,
    )
