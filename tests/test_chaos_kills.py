"""A worker that is killed anywhere leaves whole results, and the next run mends the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.crashes import kills
from tests.chaos.harness import tracing
from tests.chaos.harness.situations import SITUATIONS

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(tracing.lacking() is not None, reason=str(tracing.lacking())),
]


def test_a_kill_at_any_system_call_loses_and_tears_nothing(tmp_path: Path) -> None:
    """Promises 1, 2, 6 and 7, at sixty system calls drawn by seed from six situations; ``make chaos`` takes all."""
    report = kills.campaign(60, seed=1, workdir=tmp_path)
    assert not report.violations, report.violations
    assert report.trials >= 50  # a run that is shorter than the one that was listed ends before its kill


@pytest.mark.parametrize(
    ("mutant", "situation"),
    [("written in place", "damaged results"), ("temporary file in the day's folder", "changed day")],
)
def test_the_campaign_sees_a_removed_protection(tmp_path: Path, mutant: str, situation: str) -> None:
    """A campaign that cannot fail proves nothing."""
    chosen = [one for one in SITUATIONS if one.name == situation]
    report = kills.campaign(300, seed=1, workdir=tmp_path, mutants=(mutant,), situations=chosen, stop_at=1)
    assert report.violations
