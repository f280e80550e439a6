"""A cut of the power at any step leaves whole results, and nothing that was told as committed is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.crashes import loop_devices, power_loss
from tests.chaos.harness import tracing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(tracing.lacking() is not None, reason=str(tracing.lacking())),
]


def _able(kind: str) -> None:
    if why := loop_devices.lacking(kind):
        pytest.skip(why)


@pytest.mark.parametrize("kind", loop_devices.KINDS)
def test_a_cut_at_any_step_loses_nothing(tmp_path: Path, kind: str) -> None:
    """Promises 1, 2 and 7, on a real file system with a real journal, at sixty steps drawn by seed."""
    _able(kind)
    report = power_loss.campaign(60, seed=1, workdir=tmp_path, kinds=(kind,))
    assert not report.violations, report.violations
    assert report.trials >= 50
    assert report.details["results told before the cut"] > 10


@pytest.mark.parametrize("mutant", ["no file flush", "no folder flush at all"])
def test_the_campaign_sees_a_removed_flush(tmp_path: Path, mutant: str) -> None:
    """A campaign that cannot fail proves nothing; no kill ever shows these."""
    _able("ext4")
    assert power_loss.campaign(400, 1, tmp_path, (mutant,), kinds=("ext4",), stop_at=1).violations
