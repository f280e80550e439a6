"""The short form of the campaign on inputs that go away in mid-run: nothing is called done that was not computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.inputs.vanishing_inputs import MUTANTS, campaign

SEED = 8
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


def test_inputs_that_go_away_are_named(tmp_path: Path) -> None:
    """Roots renamed, replaced and unmounted, regions and sources gone, at every call of a run; older backups."""
    report = campaign(21, SEED, tmp_path)
    assert report.violations == []
    assert report.trials >= 15
    assert report.details["failed days"]


@pytest.mark.parametrize("name", MUTANTS)
def test_a_missing_protection_is_caught(name: str, tmp_path: Path) -> None:
    """A campaign that cannot fail proves nothing."""
    with MUTANTS[name]():
        assert campaign(150, SEED, tmp_path, stop_at=1).violations
