"""Simulation: the real planner, commit protocol, index and leases, interleaved call by call in a world of memory.

Storage, Redis, input and clock are simulated; a seeded scheduler draws who goes on at every call, and what happens in
between: power cuts, kills, pauses, hands that meddle, a Redis that fails or lies. A schedule is one number. One that
fails is shrunk to what a person can read and saved as a file; both play again exactly:
``python -m tests.chaos.simulation.replay NUMBER|FILE``.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from tests.chaos.campaign import Campaign, Hunt, Report, Short, run_trials
from tests.chaos.simulation.mutants import MUTANTS
from tests.chaos.simulation.play import Play
from tests.chaos.simulation.schedule import draw
from tests.chaos.simulation.shrink import shrunk
from tests.chaos.simulation.stage import staged
from tests.chaos.simulation.story import FAILURES, save


def attack(
    trials: int,
    seed: int,
    workdir: Path,
    stop_at: int | None = 20,
    first: int | None = None,
    save_in: Path | None = FAILURES,
) -> Report:
    """Play so many schedules, their numbers drawn from ``seed``, or counted from ``first``.

    Each that fails is shrunk and saved. ``workdir`` stays empty: nothing here touches a disk.
    """
    chance = random.Random(seed)
    with staged() as stage:
        met: Counter[str] = Counter()

        def trial(at: int) -> list[str]:
            schedule = draw(chance.getrandbits(48) if first is None else first + at)
            play = Play(stage, schedule)
            broken = play.run()
            met.update(event.kind for event in schedule.events)
            met["calls"] += play.scheduler.steps
            met["publications"] += stage.watch.publications
            if not broken:
                return []
            told = f"seed {seed}, schedule {schedule.number}: {'; '.join(broken[:3])}"
            if save_in is None:
                return [told]
            return [f"{told}; saved as {save(stage, shrunk(stage, schedule), save_in, schedule.number)}"]

        report = run_trials(range(trials), trial, stop_at)
    report.details += met
    return report


_HARD = {
    "listing error as empty",
    "EIO as corrupt",
    "no parent flush",
    "repair without the lock",
    "deadline frees the lock",
    "root id ignored",
    "token read after the input, no re-check",
    "older entry over newer",
    "no flush before reporting another's commit",
    "lease not renewed",
}
"""Mutants that more than a hundred schedules survive."""
_SHOWN_FROM = {"recent footers kept": 1_700, "recent digests kept": 3_700, "older entry over newer": 42_000}
"""Where the tests begin to count, shortly before a schedule that shows a rare mutant."""

CAMPAIGN = Campaign(
    "simulation",
    "Several workers interleaved at every call: pauses, kills, power cuts, a Redis that forgets and lies, failing "
    "listings, changing inputs, a newer version half-way. Storage, Redis, input and clock are simulated",
    "1-8, 11",
    attack,
    trials=250_000,
    seed=1,
    shorts={"": Short(2_000, met=dict.fromkeys(("power", "kill", "pause", "damage", "redis_hostile"), 21))},
    mutants={
        name: Hunt(
            100_000, 10_000, {"save_in": None}, tests_options={"first": _SHOWN_FROM.get(name, 0)}, slow=name in _HARD
        )
        for name in MUTANTS
    },
    protections=MUTANTS,
)
