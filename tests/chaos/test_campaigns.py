"""Each campaign is clean in its short forms, and notices each mutant: a campaign that cannot fail proves nothing.

How long a short form is, and in how many trials a mutant must be caught, stands beside each campaign.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign import Campaign, Hunt, Report, Short
from tests.chaos.campaigns import CAMPAIGNS

pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


def _case(campaign: Campaign, form: Short | Hunt, name: str, timeout: int) -> Any:
    """A test's parameters. Tests of one campaign run in one process (tests/conftest.py reads that off their names)."""
    marks = [pytest.mark.timeout(timeout), *([pytest.mark.slow] if form.slow else [])]
    return pytest.param(campaign, form if isinstance(form, Short) else name, id=f"{campaign.name}: {name}", marks=marks)


def _short_forms() -> Iterator[Any]:
    for one in CAMPAIGNS:
        for name, form in one.shorts.items():
            yield _case(one, form, name or "short", form.timeout or one.timeout)


def _mutants() -> Iterator[Any]:
    for one in CAMPAIGNS:
        for name, hunt in one.mutants.items():
            yield _case(one, hunt, name, one.timeout)


def _skip_if_impossible(report: Report) -> None:
    if report.skipped and not report.trials:
        pytest.skip(next(iter(report.skipped)))


@pytest.mark.parametrize(("campaign", "form"), [*_short_forms()])
def test_a_campaign_is_clean(campaign: Campaign, form: Short, tmp_path: Path) -> None:
    """No trial breaks a promise, and the form met enough of what it is about."""
    report = campaign.run(form.trials, campaign.seed, tmp_path, **form.options)
    _skip_if_impossible(report)
    assert report.violations == []
    assert form.lacking(report) == []


@pytest.mark.parametrize(("campaign", "mutant"), [*_mutants()])
def test_a_mutant_is_caught(campaign: Campaign, mutant: str, tmp_path: Path) -> None:
    """A protection is taken away, and the campaign says so."""
    hunt = campaign.mutants[mutant]
    report = campaign.hunt(mutant, hunt.short, campaign.seed, tmp_path, **hunt.tests_options)
    _skip_if_impossible(report)
    assert report.violations, f"not noticed in {report.trials} trials"
