"""Simulation: the real planner, commit protocol, index and leases, interleaved call by call in a world of memory.

Storage, Redis, input and clock are simulated; a seeded scheduler draws who goes on at every call, and what happens in
between: power cuts, kills, pauses, hands that meddle, a Redis that fails or lies. A schedule is one number, and comes
again exactly: ``python -m tests.chaos.simulation.replay NUMBER``.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from tests.chaos.campaign import Report, run_trials
from tests.chaos.simulation.mutants import MUTANTS
from tests.chaos.simulation.schedule import Play, draw, shrunk
from tests.chaos.simulation.stage import staged

__all__ = ["MUTANTS", "campaign"]


def campaign(trials: int, seed: int, workdir: Path, stop_at: int | None = 20) -> Report:
    """Play so many schedules, all drawn from ``seed``. ``workdir`` stays empty: nothing here touches a disk."""
    numbers = random.Random(seed)
    with staged() as stage:
        met: Counter[str] = Counter()

        def trial(_: int) -> list[str]:
            shape = draw(numbers.getrandbits(48))
            play = Play(stage, shape)
            broken = play.run()
            met.update(event.kind for event in shape.events)
            met["calls"] += play.scheduler.steps
            met["publications"] += stage.watch.publications
            if not broken:
                return []
            least = shrunk(stage, shape)
            return [f"seed {seed}, schedule {shape.number}: {'; '.join(broken[:3])}; least: {least}"]

        report = run_trials(range(trials), trial, stop_at)
    report.details += met
    return report
