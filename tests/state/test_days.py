"""Day keys: what is one, in which order they stand, and what a range of them holds."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.days import DayRange, around, is_date, is_day, order, ordinal, parse_range
from state.errors import ConfigurationError

DATES = st.dates(dt.date(1, 1, 1)).map(dt.date.isoformat)
NUMBERS = st.integers(0, 10**18 - 1).map(str)


@pytest.mark.parametrize("day", ["0", "7", "10", "999999999999999999", "2013-01-01", "2012-02-29", "0001-01-01"])
def test_what_is_a_day(day: str) -> None:
    """Calendar dates and unpadded whole numbers are days."""
    assert is_day(day)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-1",
            "+1",
            "01",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "1\n",
            "1\n2",
            "\N{ARABIC-INDIC DIGIT THREE}",
            "1_000",
            "9" * 19,
        ),
        *("2013-02-29", "2013-13-01", "0000-01-01", "2013-1-1", "2013-01-01\n", "2013-W01-1", "13-01-01"),
        *("2013-01-01T00:00", "..", "../../etc", "day=1", "a", "\N{ARABIC-INDIC DIGIT TWO}013-01-01", "\x00"),
    ],
)
def test_what_is_no_day(text: str) -> None:
    """Nothing else is a day, however like one it looks: such names are never turned into a path or a key."""
    assert not is_day(text)
    assert not is_date(text)


@given(st.lists(st.integers(0, 10**17), unique=True))
def test_numbers_stand_in_the_order_of_their_value(numbers: list[int]) -> None:
    """10 comes after 9."""
    assert sorted(map(str, numbers), key=order) == list(map(str, sorted(numbers)))


@given(st.lists(st.dates(), unique=True))
def test_dates_stand_in_the_order_of_the_calendar(dates: list[dt.date]) -> None:
    """An ISO date sorts as its date does."""
    assert sorted(map(dt.date.isoformat, dates), key=order) == list(map(dt.date.isoformat, sorted(dates)))


@given(DATES | NUMBERS)
def test_neighbouring_days_have_neighbouring_ordinals(day: str) -> None:
    """The ordinal is the day's place in a row without gaps, over month ends and leap days too."""
    if is_date(day):
        date = dt.date.fromisoformat(day)
        if date < dt.date.max:
            assert ordinal((date + dt.timedelta(days=1)).isoformat()) == ordinal(day) + 1
    else:
        assert ordinal(str(int(day) + 1)) == ordinal(day) + 1 if is_day(str(int(day) + 1)) else True


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("2013-01-31", ["2013-01-31"], ["2013-01-30", "2013-02-01", "31"]),
        ("2013-01-30..2013-02-01", ["2013-01-30", "2013-01-31", "2013-02-01"], ["2013-01-29", "2013-02-02"]),
        ("2013-12-31..", ["2013-12-31", "2014-01-01", "9999-12-31"], ["2013-12-30", "99999999999999"]),
        ("..2013-12-31", ["0001-01-01", "2013-12-31"], ["2014-01-01", "0", "7"]),
        ("9..10", ["9", "10"], ["8", "11", "100", "2013-01-01"]),
        ("9..", ["9", "10", "100"], ["8", "2013-01-01"]),
        ("..10", ["0", "2", "10"], ["11", "2013-01-01"]),
        ("5..5", ["5"], ["4", "6", "50"]),
    ],
)
def test_a_range_holds_its_ends_and_days_of_its_own_kind(text: str, inside: list[str], outside: list[str]) -> None:
    """Ranges are inclusive, open where an end is left out, and never mix dates with numbers."""
    asked = parse_range(text)
    assert all(day in asked for day in inside)
    assert not any(day in asked for day in outside)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no day"),
        ("..", "names no day"),
        ("2013-02-30", "'2013-02-30' is not a day"),
        ("yesterday", "'yesterday' is not a day"),
        ("01..05", "'01' is not a day"),
        ("1...5", "'.5' is not a day"),
        ("1..2..3", "'2..3' is not a day"),
        ("-3..5", "'-3' is not a day"),
        ("10..9", "10 is after 9"),
        ("2013-02-01..2013-01-01", "is empty: "),
        ("1..2013-01-01", "is empty: "),
    ],
)
def test_a_range_that_cannot_be_meant_says_why(text: str, told: str) -> None:
    """A typing error in --days is an error that repeats what was typed, never an empty run."""
    with pytest.raises(ConfigurationError, match="--days") as caught:
        parse_range(text)
    assert told in str(caught.value)
    assert repr(text) in str(caught.value)
    assert caught.value.exit_code == 2


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_range_of_numbers_is_their_interval(one: str, other: str, day: str) -> None:
    """Membership is by value for numbers of any length."""
    first, last = sorted((one, other), key=int)
    assert (day in parse_range(f"{first}..{last}")) == (int(first) <= int(day) <= int(last))
    assert day in DayRange(None, None)


@pytest.mark.parametrize(
    ("day", "before", "after", "found"),
    [
        ("2024-03-01", 1, 1, ["2024-02-29", "2024-03-01", "2024-03-02"]),
        ("2024-12-31", 0, 1, ["2024-12-31", "2025-01-01"]),
        ("0001-01-02", 3, 0, ["0001-01-01", "0001-01-02"]),
        ("9999-12-31", 0, 3, ["9999-12-31"]),
        ("1", 3, 1, ["0", "1", "2"]),
    ],
)
def test_the_days_around_a_day_are_those_that_there_are(day: str, before: int, after: int, found: list[str]) -> None:
    """Of its kind, in order, and none beyond the ends of the calendar or below zero."""
    assert around(day, before, after) == found
