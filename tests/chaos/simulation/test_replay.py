"""A schedule of the simulation comes again exactly."""

from __future__ import annotations

from tests.chaos.simulation.replay import replay


def test_a_schedule_comes_again_exactly() -> None:
    """A violation that cannot be looked at again helps nobody."""
    first: list[str] = []
    second: list[str] = []
    replay(11, first.append)
    replay(11, second.append)
    assert first == second
    assert len(first) > 100
