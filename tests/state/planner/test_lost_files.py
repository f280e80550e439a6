"""Commits of events keep their result where days that they were computed from have lost their files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.planner.current import Declared
from state.planner.decide import Blocked, Facts, Item, decide
from tests.state.planner.test_decide import DAY, listed, made_commit, recorded

EVENTS = Declared("departures", 2, "code", {"flights": "f (reach)"})


def facts(absent: int, then: int = 0, files: int = 2, version: int = 2, code: str = "code") -> Facts:
    """A commit that was computed from three files while ``then`` days had none, and what is there now."""
    record = recorded(files=3)._replace(absent=then)
    return Facts(
        inputs={"f (reach)": {DAY: listed("now", size=9, files=files)}},
        output={"departures": {DAY: made_commit(inputs={"flights": record}, version=version, code=code)}},
        absent={"f (reach)": {DAY: absent}} if absent else {},
    )


def decided(found: Facts, *, force: bool = False) -> str:
    """A status, or the reason of an item."""
    one = decide(EVENTS, DAY, found, force=force)
    assert not isinstance(one, Blocked)
    return one.reason if isinstance(one, Item) else one


@pytest.mark.parametrize("version", [1, 2])
def test_what_lost_the_files_of_a_day_is_kept(version: int) -> None:
    """Whatever else changed, the version too: what is left makes another result."""
    assert decided(facts(1, version=version)) == "orphaned"
    assert decided(facts(2, then=1, version=version)) == "orphaned"


def test_what_never_was_there_is_not_lost() -> None:
    """A gap, and the day before the first one, are computed anew as any other when their files change."""
    assert decided(facts(0)) == "changed"
    assert decided(facts(1, then=1)) == "changed"
    assert decided(facts(1, then=2, files=4)) == "changed"
    assert decided(facts(1, then=1, version=1)) == "outdated"


def test_more_files_beside_the_lost_ones_change_nothing() -> None:
    """A part that came late to one day makes up for no other day."""
    assert decided(facts(1, files=4)) == "orphaned"


def test_a_wider_reach_loses_nothing() -> None:
    """Other code may read more days than the commit's did, and some of them never had files."""
    assert decided(facts(2, then=1, files=4, version=1, code="narrower")) == "outdated"
    assert decided(facts(1, files=3, code="without events")) == "changed"
    assert decided(facts(2, then=1, version=1, code="other")) == "orphaned"


def test_force_computes_what_is_left() -> None:
    """A person who asks for it by name gets it."""
    assert decided(facts(1), force=True) == "forced"


def test_input_that_cannot_be_read_comes_first_and_waiting_last() -> None:
    """Unknown is not lost; and nothing is awaited for a result that stays."""
    assert decided(replace(facts(1), waiting={"f (reach)": {DAY: "a file"}})) == "orphaned"
    found = decide(EVENTS, DAY, replace(facts(1), unreadable={"f (reach)": {DAY: "no"}}), force=False)
    assert isinstance(found, Blocked)
    assert found.kind == "unreadable"


def test_an_older_result_in_the_place_of_a_lost_one_is_told() -> None:
    """No run can make the newer one again."""
    found = decide(EVENTS, DAY, replace(facts(1), published={("departures", DAY): 4}), force=False)
    assert isinstance(found, Blocked)
    assert found.kind == "unrecoverable"
    assert "a part of its input is gone" in found.why
