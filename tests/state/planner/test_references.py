"""Files that serve every day make no days, and a change of them plans every day, or none where commits are to stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.acceptance import Accepted
from state.days import EVERY_DAY
from state.inputs.files import DayFiles
from state.planner import fewer_files
from state.planner.current import Declared
from state.planner.decide import Blocked, Facts, Item, decide
from state.planner.plan import Plan, Selection, known_days, plan
from state.result.record import SourceRecord
from tests.state.planner.test_decide import listed, made_commit, recorded

DAYS = ["2013-01-01", "2013-01-02", "2013-01-04"]
JOINED = Declared(
    "departures", 2, "code", {"flights": "f/{day}.csv", "airlines": "a.csv"}, references=frozenset({"airlines"})
)
KEPT = replace(JOINED, keeps_references=True)
BOTH = {"flights": recorded(), "airlines": recorded("table", "table")}


def facts(table: DayFiles | None, inputs: dict[str, SourceRecord] | None = None, days: int = 3) -> Facts:
    """Flights of some days with their commits, and a table of airlines."""
    return Facts(
        inputs={"f/{day}.csv": {day: listed() for day in DAYS[:days]}, "a.csv": {EVERY_DAY: table} if table else {}},
        output={"departures": {day: made_commit(day=day, inputs=inputs or BOTH) for day in DAYS[:days]}},
        unreadable={} if table else {"a.csv": {EVERY_DAY: "no file matches"}},
    )


def planned(declared: Declared, found: Facts) -> list[tuple[str, str]]:
    """Day and reason of each result that is planned."""
    return [(item.day, item.reason) for item in plan([declared], found, Selection()).items]


def test_it_makes_no_days_and_no_gaps() -> None:
    """The days are those of the sources."""
    found = replace(facts(listed("table")), output={})
    made = plan([JOINED], found, Selection())
    assert [item.day for item in made.items] == DAYS
    assert [item.files for item in made.items] == [(1, 1)] * 3
    assert [str(gap) for gap in made.gaps["departures"]] == ["2013-01-03"]
    assert known_days([JOINED], found) == set(DAYS)


@pytest.mark.parametrize("declared", [JOINED, KEPT])
def test_an_unchanged_one_plans_nothing(declared: Declared) -> None:
    """Names, sizes and times decide, as for sources."""
    assert planned(declared, facts(listed("table"))) == []


def test_a_changed_one_plans_every_day_once_its_contents_were_compared() -> None:
    """Its one listing, and its one digest, speak for all of them: a touched file plans none."""
    touched = facts(listed("touched"))
    made = plan([JOINED], touched, Selection())
    assert made.unread == {("a.csv", EVERY_DAY)}
    assert planned(JOINED, replace(touched, contents={("a.csv", EVERY_DAY): {"table"}})) == []
    changed = replace(touched, contents={("a.csv", EVERY_DAY): {"other"}})
    assert planned(JOINED, changed) == [(day, "changed") for day in DAYS]
    assert planned(JOINED, facts(listed("other", size=99))) == [(day, "changed") for day in DAYS]


def test_where_commits_stay_only_days_to_come_see_the_change() -> None:
    """It is recorded and not compared, whatever became of it."""
    changed = facts(listed("other", size=99))
    assert planned(KEPT, changed) == []
    assert plan([KEPT], changed, Selection()).unread == set()
    more = replace(changed, output={"departures": dict(list(changed.output["departures"].items())[:2])})
    assert planned(KEPT, more) == [(DAYS[2], "new")]
    forced = plan([KEPT], changed, Selection(force=True))
    assert {item.reason for item in forced.items} == {"forced"}


def test_a_source_that_changed_counts_as_ever_where_references_are_kept() -> None:
    """Only the references are not compared."""
    found = facts(listed("table"))
    late = {**found.inputs, "f/{day}.csv": {**found.inputs["f/{day}.csv"], DAYS[1]: listed("late", size=11)}}
    assert planned(KEPT, replace(found, inputs=late)) == [(DAYS[1], "changed")]


def test_a_new_reference_plans_every_day_unless_commits_are_to_stay() -> None:
    """A commit that was computed without it is another result. One with an input that is gone is so in any case."""
    without = facts(listed("table"), {"flights": recorded()})
    assert planned(JOINED, without) == [(day, "changed") for day in DAYS]
    assert planned(KEPT, without) == []
    other = facts(listed("table"), {"flights": recorded(), "planes": recorded()})
    assert planned(KEPT, other) == [(day, "changed") for day in DAYS]


def test_one_that_cannot_be_read_blocks_its_days_and_loses_no_result() -> None:
    """Unknown is not absent: no commit is called orphaned, and none is computed without it."""
    found = decide(JOINED, DAYS[0], facts(None), force=False)
    assert found == Blocked("departures", DAYS[0], "unreadable", "its input cannot be read: no file matches")
    assert decide(KEPT, DAYS[0], facts(None), force=False) == "done"
    blocked = decide(KEPT, DAYS[0], replace(facts(None), output={}), force=False)
    assert isinstance(blocked, Blocked)
    assert blocked.kind == "unreadable"
    assert isinstance(decide(KEPT, DAYS[0], facts(None), force=True), Blocked)


def test_its_change_makes_another_basis_for_results_that_failed() -> None:
    """What failed for the old table is tried again with the new one."""
    items = [decide(JOINED, DAYS[0], facts(listed(stat)), force=True) for stat in ("table", "other")]
    assert len({item.basis for item in items if isinstance(item, Item)}) == 2


def test_one_that_lost_files_is_told_as_many_days() -> None:
    """A mount of several is gone below a pattern: every day would be computed from what the others hold."""
    days = [f"2013-01-{number:02}" for number in range(1, 13)]
    both = {**BOTH, "airlines": recorded("table", "table", size=30, files=3)}
    found = Facts(
        inputs={"f/{day}.csv": {day: listed() for day in days}, "a.csv": {EVERY_DAY: listed("rest", size=20)}},
        output={"departures": {day: made_commit(day=day, inputs=both) for day in days}},
    )
    made: Plan = plan([JOINED], found, Selection())
    why = fewer_files.refusal([JOINED], found, made, Accepted())
    assert why is not None
    assert "would compute 12 of its 12 committed days from fewer files than before: source 'a.csv'" in why
    entries = fewer_files.acceptable([JOINED], found)
    assert fewer_files.refusal([JOINED], found, made, Accepted(fewer_files=entries)) is None
    assert not fewer_files.expired([JOINED], found, Accepted(fewer_files=entries))["a.csv"]
