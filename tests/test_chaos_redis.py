"""The campaign about Redis, short and long: whatever it holds or does, the output is right, and in time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.redis import failover, unreliable_redis
from tests.chaos.redis.mutants import CAUGHT_BY, MUTANTS
from tests.chaos.redis.unreliable_redis import FAULTS, Ground, Moment
from tests.redis_servers import valkey

SEED = 20261123
QUICK = [
    ("killed", 6),
    ("stopped", 3),
    ("flushed", 5),
    ("restarted from an older file", 8),
    ("out of memory", 2),
    ("losing a reply", 4),
    ("losing a reply", 7),
    ("lies", 0),
    ("lies", 5),
    ("wrong types", 6),
    ("another output's index", 0),
]
WAITING = {"no deadline on a call": unreliable_redis.BOUND, "lost reply retried": 5.0}
"""Mutants that show by their slowness, and the seconds that a run takes at most without each. Retried calls end too:
all tries of a call together have 6 seconds.
"""
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Two committed days, and a Valkey that knows them."""
    folder = tmp_path_factory.mktemp("ground")
    yield Ground(valkey(), folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize(("name", "nth"), QUICK)
def test_whatever_redis_does_the_output_is_right_and_in_time(
    name: str, nth: int, ground: Ground, tmp_path: Path
) -> None:
    """Promise 4 over whole runs; the rest of the matrix is slow."""
    assert list(unreliable_redis.trial(ground, tmp_path / "trial", name, Moment(nth), SEED)) == []


@pytest.mark.parametrize("mutant", sorted(MUTANTS.keys() - WAITING.keys()))
def test_the_mutants_are_caught(mutant: str, ground: Ground, tmp_path: Path) -> None:
    """A run that believes Redis, or writes over what is another's, does not pass: the campaign can fail."""
    moment = Moment(6 if CAUGHT_BY[mutant] == "killed" else 0)
    assert list(unreliable_redis.trial(ground, tmp_path / "trial", CAUGHT_BY[mutant], moment, SEED, (mutant,)))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", WAITING)
def test_the_waiting_mutants_are_caught(mutant: str, ground: Ground, tmp_path: Path) -> None:
    """A run that waits for Redis without an end, or again and again, takes too long."""
    trial = partial(unreliable_redis.trial, ground, tmp_path / "trial", CAUGHT_BY[mutant], Moment(0), SEED)
    assert list(trial(bound=WAITING[mutant])) == []
    found = list(trial((mutant,), bound=WAITING[mutant]))
    assert any("did not end within" in one for one in found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["valkey", "redis-7.0"])
def test_every_fault_at_every_moment(kind: str, tmp_path: Path) -> None:
    """Each fault before a run and before each of its calls, on both servers."""
    report = unreliable_redis.campaign(10_000, SEED, tmp_path, kinds=(kind,))
    assert report.violations == []
    if report.skipped:
        pytest.skip(str(*report.skipped))
    assert set(report.details) == set(FAULTS)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_failover_to_a_replica_that_lags_behind(tmp_path: Path) -> None:
    """What a Sentinel loses is in the output; before a run and at some moments of one."""
    report = failover.campaign(8, SEED, tmp_path)
    assert report.violations == []
    if report.skipped:
        pytest.skip(str(*report.skipped))
