"""The short form of the campaign about schemas: one version never has two, and whatever differs fails by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.inputs import schema_changes

SEED = 20261126
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


def test_one_version_has_one_schema_whatever_types_arrive(tmp_path: Path) -> None:
    """Promises 9 and 10: days change their type, runs are forced, versions raised; what differs fails, and no other."""
    report = schema_changes.campaign(10, SEED, tmp_path)
    assert report.violations == []
    assert min(report.details["results committed"], report.details["results refused"]) > 10


@pytest.mark.parametrize("name", schema_changes.MUTANTS)
def test_a_removed_protection_is_noticed(name: str, tmp_path: Path) -> None:
    """A campaign that cannot fail proves nothing."""
    with schema_changes.MUTANTS[name]():
        assert schema_changes.campaign(60, SEED, tmp_path, stop_at=1).violations
