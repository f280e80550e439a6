"""Failures by their cause, as a terminal, health and a flow's state tell them."""

from __future__ import annotations

from flows.report.causes import failures_by_cause
from flows.report.models import DailyReport
from state.failure import Failure
from state.planner.decide import Item
from state.planner.plan import Plan
from tasks.compute.outcomes import Failed
from tasks.diagnosis import causes_of, counts_of, problems_of

RAGGED = "a row has another number of fields than the header"


def ragged(day: str, name: str = "totals") -> Failed:
    """A day whose own file has a row of another length."""
    return Failed(name, day, "input", f"sales/{day}.csv, line 7: 3 fields, expected 2", RAGGED)


def test_days_that_failed_of_one_cause_are_told_as_one() -> None:
    """However many days there are, a person reads one line for a cause: how many, the first, and what it said."""
    failed = [ragged(f"2013-01-{day:02}") for day in range(9, 0, -1)]
    failed += [Failed("means", day, "aggregation", "mean is not supported for text") for day in ("10", "9")]
    assert [str(one) for one in failures_by_cause(failed)] == [
        "totals, 9 days, first 2013-01-01 (input): sales/2013-01-01.csv, line 7: 3 fields, expected 2",
        "means, 2 days, first 9 (aggregation): mean is not supported for text",
    ]


def test_one_day_is_told_with_its_own_error() -> None:
    """A single day has no summary before its error, and names every aggregation that failed on it."""
    failed = [ragged("2013-01-01", "totals"), ragged("2013-01-01", "items")]
    [one] = failures_by_cause(failed)
    assert str(one) == "items, totals 2013-01-01 (input): sales/2013-01-01.csv, line 7: 3 fields, expected 2"


def test_the_state_of_a_flow_run_tells_causes() -> None:
    """Prefect shows this message: 394 failed days must not hide a second cause behind them."""
    failed = (*(ragged(f"2013-{day // 28 + 1:02}-{day % 28 + 1:02}") for day in range(300)), ragged("9", "others"))
    other = Failed("means", "2013-01-01", "aggregation", "mean is not supported for text")
    message = DailyReport(failed=(*failed, other)).failure()
    assert message
    assert message.startswith("302 results failed, 0 committed: others, totals, 301 days, first 9 (input): sales/9.csv")
    assert message.endswith("means 2013-01-01 (aggregation): mean is not supported for text")


def test_health_tells_the_last_error_of_a_failed_day() -> None:
    """Such a day is no new one: health says what it failed on, once for all days of one cause, and counts it so."""
    items = []
    for day in ("2013-01-01", "2013-01-02"):
        error = ragged(day)
        failure = Failure("totals", day, error.kind, error.error, "basis", 1, "", error.summary)
        items.append(Item("totals", day, "new", basis="basis", failure=failure))
    plan = Plan(items=items)
    [cause] = causes_of(problems_of(plan))
    assert str(cause) == (
        "failed: 2 results of 2013-01-01, 2013-01-02: when it was last computed it failed (input): "
        "sales/2013-01-01.csv, line 7: 3 fields, expected 2"
    )
    assert cause.steps[0] == "correct that first: neither the input nor the code changed since"
    assert counts_of(plan) == {"totals": {"failed": 2}}


def test_a_day_that_failed_on_other_input_is_new() -> None:
    """Its file was mended since: a run may well succeed, so that its last failure says nothing."""
    failure = Failure("totals", "1", "input", "torn", "before", 1, "")
    plan = Plan(items=[Item("totals", "1", "changed", basis="after", failure=failure)])
    assert [one.kind for one in problems_of(plan)] == ["changed"]
