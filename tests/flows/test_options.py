"""The options that narrow a run: checked against each other and the catalog, with messages that help."""

from __future__ import annotations

import pytest

from flows.cli.arguments import Arguments, CommandLine
from flows.cli.options import selection_of
from flows.daily import daily
from state.days import DayRange
from state.errors import ConfigurationError
from state.planner.plan import Selection

CATALOG = {"departures_by_carrier", "delays_by_hour"}


def parsed(*words: str) -> Selection:
    """What a command line with these words selects."""
    arguments = CommandLine("python -m flows.daily", daily.fn, ()).parse(words)
    assert isinstance(arguments, Arguments)
    return selection_of(CATALOG, **arguments.given)


def test_no_option_selects_everything() -> None:
    """A schedule's run has no options: all days of all aggregations, oldest first."""
    assert parsed() == Selection(days=(), only=frozenset(), force=False, limit=None, newest_first=False)
    assert selection_of(CATALOG) == parsed()


def test_every_option_reaches_the_planner() -> None:
    """Each option has its effect, and --days and --only repeat."""
    found = parsed(
        *("--days", "2013-01-01..2013-01-31", "--days", "2014-01-01", "--days", "..2010-12-31"),
        *("--only", "delays_by_hour", "--only", "departures_by_carrier"),
        *("--force", "--limit", "5", "--newest-first"),
    )
    assert found == parsed(
        *(
            "--days",
            "2013-01-01..2013-01-31, 2014-01-01,..2010-12-31",
            "--only",
            "delays_by_hour,departures_by_carrier",
        ),
        *("--force", "--limit", "5", "--newest-first"),
    )
    assert found == Selection(
        days=(
            DayRange("2013-01-01", "2013-01-31"),
            DayRange("2014-01-01", "2014-01-01"),
            DayRange(None, "2010-12-31"),
        ),
        only=frozenset(CATALOG),
        force=True,
        limit=5,
        newest_first=True,
    )
    assert found.covers("2013-01-15")
    assert found.covers("1999-01-01")
    assert not found.covers("2013-06-01")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "delays_by_hours"], "--only delays_by_hours: there is no such aggregation; did you mean delays_by"),
        (["--only", "x"], "declared are delays_by_hour, departures_by_carrier"),
        (["--force"], "--force would recompute every day of every aggregation; say which with --days or --only"),
        (["--force", "--limit", "5"], "--force would recompute"),
        (["--days", "tomorrow"], "'tomorrow' is not a day"),
        (["--days", "2013-02-01..2013-01-01"], "is empty: 2013-02-01 is after 2013-01-01"),
        (["--limit", "0"], "--limit 0: expected a whole number from 1"),
        (["--limit", "-1"], "--limit"),
        (["--limit", "many"], "--limit many: expected a whole number from 1"),
        (["--dayz", "2013-01-01"], "there is no option --dayz; did you mean --days?"),
        (["--day=2013-01-01"], "there is no option --day; did you mean --days?"),
        (["--newest"], "there is no option --newest; did you mean --newest-first?"),
        (
            ["--xyz"],
            "there is no option --xyz; expected one of --days, --dry-run, --force, --help, --json, --limit",
        ),
        (["2013-01-01"], "found '2013-01-01', expected an option before it; a list is written with commas: --days A,B"),
        (["--days", "2013-01-01,"], "--days '2013-01-01,' has an empty entry"),
        (["--only", ",delays_by_hour"], "--only ',delays_by_hour' has an empty entry"),
        (["--days", ""], "--days '' is empty"),
        (
            ["--days", "1:2"],
            "'1:2' is not a day; expected a date such as 2013-01-31, or a number such as 12, or a range",
        ),
    ],
)
def test_what_cannot_be_meant_is_an_error(words: list[str], told: str) -> None:
    """Exit 2, with the option's name and what was expected; nothing is guessed."""
    with pytest.raises(ConfigurationError) as caught:
        parsed(*words)
    assert told in caught.value.message
    assert caught.value.exit_code == 2


def test_the_advice_for_a_misspelt_name_leaves_the_other_options_alone() -> None:
    """It names what is to be typed in the place of the names: as a whole command it could turn a look into a run."""
    with pytest.raises(ConfigurationError) as caught:
        parsed("--only", "delays_by_hour,delays_by_hours", "--days", "2013-01-01")
    assert (caught.value.command, caught.value.hint) == (None, "type the command again with --only delays_by_hour")


@pytest.mark.parametrize("words", [["--force", "--days", "2013-01-01"], ["--force", "--only", "delays_by_hour"]])
def test_force_with_a_word_on_what(words: list[str]) -> None:
    """--force is fine with either of the two."""
    assert parsed(*words).force
