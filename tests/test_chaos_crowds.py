"""Writers that meet, stop and wake at any point never put older results over newer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.concurrency import concurrent_runs, races
from tests.chaos.concurrency.successors import OUTPUTS, VARIANTS
from tests.chaos.harness import tracing
from tests.chaos.harness.situations import bases

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(tracing.lacking() is not None, reason=str(tracing.lacking())),
]


@pytest.mark.parametrize(("trials", "with_redis"), [(14, True), (27, False)], ids=["redis", "without-redis"])
def test_a_stopped_writer_never_replaces_newer_by_older(tmp_path: Path, trials: int, with_redis: bool) -> None:
    """Promises 3, 4, 7 and 8: threads, leases, eight at once, two versions, and stops of longer than a lease."""
    report = concurrent_runs.campaign(trials, seed=1, workdir=tmp_path, with_redis=with_redis)
    assert not report.violations, report.violations
    assert report.trials >= trials // 2  # a run that is shorter than the one that was listed ends before its stop


@pytest.mark.parametrize("mutant", ["no lock", "number-only token", 'version "differs"'])
def test_the_campaign_sees_a_removed_protection(tmp_path: Path, mutant: str) -> None:
    """A campaign that cannot fail proves nothing."""
    chosen = [one for one in VARIANTS if one.name == "deleted and published again"]
    report = concurrent_runs.campaign(150, 1, tmp_path, (mutant,), with_redis=False, variants=chosen, stop_at=1)
    assert report.violations


@pytest.mark.parametrize("mutant", ["hanging holder waited for", "renewal without progress"])
def test_the_campaign_sees_a_holder_that_hangs_for_ever(tmp_path: Path, mutant: str) -> None:
    """Promise 4: whoever leases and hangs delays others by a lifetime, and its leases end."""
    with bases(tmp_path, [one for one in OUTPUTS if one.name == "changed day"]) as built:
        assert races.hanging_holder(built, (mutant,))
