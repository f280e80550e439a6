"""User code that raises, exits or kills its process harms its own day: the campaign's short form, and its mutants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.inputs import user_code

pytestmark = pytest.mark.timeout(300)


def test_no_way_to_end_harms_another_day(tmp_path: Path) -> None:
    """Promises 7 and 10: whatever a day's code does, all other days are committed, and the bad ones are named."""
    report = user_code.campaign(7, 1, tmp_path)
    assert not report.violations, report.violations
    assert report.trials == 7


@pytest.mark.parametrize("mutant", user_code.CAUGHT)
def test_the_campaign_sees_a_removed_protection(tmp_path: Path, mutant: str) -> None:
    """A campaign that cannot fail proves nothing."""
    assert user_code.campaign(60, 1, tmp_path, (mutant,), stop_at=1).violations
