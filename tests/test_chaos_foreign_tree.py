"""The short form of the campaign that puts links, folders and foreign files at every place of the output's tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.damage.foreign_objects import MUTANTS, campaign

SEED = 20261126
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


def test_whatever_stands_in_the_tree_harms_its_own_place_alone(tmp_path: Path) -> None:
    """What lies outside stays as it is, what is in the way is named or kept, no other result suffers, and all heals."""
    report = campaign(38, SEED, tmp_path)
    assert report.violations == []
    assert report.trials == 38
    assert len(report.details) == 19, "each kind of place was met"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if "folders" in name else pytest.mark.slow) for name in MUTANTS]
)
def test_a_link_that_is_followed_is_noticed(name: str, tmp_path: Path) -> None:
    """Where results, locks or folders may be links, somebody's file is written: the campaign can fail."""
    with MUTANTS[name]():
        assert campaign(400, SEED, tmp_path, stop_at=1).violations
