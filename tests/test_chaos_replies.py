"""The campaign about replies, short: whatever calls itself Redis, a run goes on without it, in time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.redis import hostile_redis

SEED = 20261126
FIXED = 10
"""The trials that every seed begins with."""
WAITING = ("SCAN unbounded", "deadline of each read alone")
"""Mutants that show by never coming to an end."""


def test_any_reply_to_any_call_is_right_or_ends_in_going_on_without_redis(tmp_path: Path) -> None:
    """Promises 4 and 12: no error comes out, nothing is taken for what it is not, and nothing hangs or fills memory."""
    report = hostile_redis.campaign(FIXED + 50, SEED, tmp_path)
    assert report.violations == []
    assert report.trials == FIXED + 50


@pytest.mark.parametrize("mutant", sorted(hostile_redis.MUTANTS.keys() - set(WAITING)))
def test_the_mutants_are_caught(mutant: str, tmp_path: Path) -> None:
    """A run that takes a reply as it comes does not pass: the campaign can fail."""
    with hostile_redis.MUTANTS[mutant]():
        assert hostile_redis.campaign(FIXED + 30, SEED, tmp_path, stop_at=1).violations


@pytest.mark.slow
@pytest.mark.parametrize("mutant", WAITING)
def test_the_mutants_that_wait_are_caught(mutant: str, tmp_path: Path) -> None:
    """A run that waits for as long as something comes never ends."""
    with hostile_redis.MUTANTS[mutant]():
        [found] = hostile_redis.campaign(2, SEED, tmp_path, stop_at=1).violations
    assert "did not end" in found
