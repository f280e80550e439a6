"""The simulation's short form: some thousand schedules keep every promise, and without a protection some do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.simulation import MUTANTS, campaign
from tests.chaos.simulation.replay import replay
from tests.chaos.simulation.schedule import Play, draw
from tests.chaos.simulation.stage import staged

SEED = 1
ENOUGH = 10_000
"""In how many schedules every mutant is to be caught."""
HARD = {
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
"""Those that more than a hundred schedules survive: they are looked for by ``make test-all``."""


def test_schedules_keep_every_promise(tmp_path: Path) -> None:
    """Whatever is killed, paused, cut off or lied to: every promise holds, and one run mends what is left."""
    report = campaign(2000, SEED, tmp_path)
    assert report.violations == []
    assert report.trials == 2000
    assert min(report.details[kind] for kind in ("power", "kill", "pause", "damage", "redis_hostile")) > 20


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in HARD), id=name) for name in MUTANTS]
)
def test_a_missing_protection_is_caught(name: str, tmp_path: Path) -> None:
    """A campaign that cannot fail proves nothing."""
    with MUTANTS[name](), staged() as stage:
        assert any(Play(stage, draw(number)).run() for number in range(ENOUGH)), f"{name} was not caught"


def test_a_schedule_comes_again_exactly() -> None:
    """A violation that cannot be looked at again helps nobody."""
    first: list[str] = []
    second: list[str] = []
    replay(11, first.append)
    replay(11, second.append)
    assert first == second
    assert len(first) > 100
