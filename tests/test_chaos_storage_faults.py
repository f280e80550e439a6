"""Storage that fails, fills up or goes away harms nothing that is there, and is never taken for an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.harness import tracing
from tests.chaos.storage import storage_errors

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(tracing.lacking() is not None, reason=str(tracing.lacking())),
]


def test_no_fault_of_storage_tears_or_loses_a_result(tmp_path: Path) -> None:
    """Promises 2, 5, 7, 9, 10 and 12: errors, full disks, vanishing mounts and changing inputs, drawn by seed."""
    report = storage_errors.campaign(60, seed=1, workdir=tmp_path)
    assert not report.violations, report.violations
    assert report.trials >= 50
    assert report.details["errors"] + report.details["failed days"] > 0


@pytest.mark.parametrize(
    "mutant",
    [
        "EIO as corrupt",
        "listing error as empty",
        "only Exception caught",
        "recent times trusted",
        "polars maps the input",
    ],
)
def test_the_campaign_sees_a_removed_protection(tmp_path: Path, mutant: str) -> None:
    """A campaign that cannot fail proves nothing."""
    report = storage_errors.campaign(5, 1, tmp_path, (mutant,), stop_at=1)
    assert report.violations
