"""The short forms of the campaigns about damage: what is harmed is not served, is found, kept and mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.damage import damaged_bytes, damaged_results
from tests.chaos.damage.mutants import MUTANTS

BY_JUDGEMENT = ("no record digest", "no seal")
SEED = 20261123
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


def test_no_harmed_result_is_served_and_the_deep_check_finds_each(tmp_path: Path) -> None:
    """Cut at every length and harmed at random: every cut is found by every run, all else by --deep at the latest."""
    report = damaged_bytes.campaign(2000, SEED, tmp_path)
    assert report.violations == []
    assert report.details["cut, found by every run"] > 1000
    assert not [what for what in report.details if what.endswith("by nobody") or what == "cut, found by --deep alone"]


def test_what_is_harmed_is_kept_and_mended(tmp_path: Path) -> None:
    """Harm of every kind in the place of a result, the marker or an input: a look, a run, and all is well again."""
    report = damaged_results.campaign(36, SEED, tmp_path)
    assert report.violations == []
    assert report.trials >= 36


@pytest.mark.parametrize("name", BY_JUDGEMENT)
def test_the_judges_mutants_are_caught(name: str, tmp_path: Path) -> None:
    """Without the seal, or without the record's own digest, harm goes unnoticed: the campaign can fail."""
    with MUTANTS[name]():
        assert damaged_bytes.campaign(4000, SEED, tmp_path, stop_at=1).violations


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MUTANTS.keys() - BY_JUDGEMENT))
def test_the_keepers_mutants_are_caught(name: str, tmp_path: Path) -> None:
    """Without one protection of what is damaged, it is destroyed, served or never mended: the campaign can fail."""
    with MUTANTS[name]():
        assert damaged_results.campaign(64, SEED, tmp_path).violations


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_times(tmp_path: Path) -> None:
    """The long form of the same."""
    for part in ("bytes", "whole"):
        (tmp_path / part).mkdir()
    assert damaged_bytes.campaign(100_000, SEED, tmp_path / "bytes").violations == []
    assert damaged_results.campaign(1000, SEED, tmp_path / "whole").violations == []
