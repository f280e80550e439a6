"""The short form of the campaign on inputs that move: what is committed is of the input as it is by then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.inputs.moving_inputs import MUTANTS, campaign

SEED = 5
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


def test_inputs_that_move_are_computed_as_they_are(tmp_path: Path) -> None:
    """Files and folders that come, go and change names before the plan, after the tokens, while polars computes."""
    report = campaign(18, SEED, tmp_path)
    assert report.violations == []
    assert report.trials == 18


@pytest.mark.parametrize("name", MUTANTS)
def test_a_missing_protection_is_caught(name: str, tmp_path: Path) -> None:
    """A campaign that cannot fail proves nothing."""
    with MUTANTS[name]():
        assert campaign(60, SEED, tmp_path, stop_at=1).violations
