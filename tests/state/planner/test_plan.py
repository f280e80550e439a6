"""The planner's laws, over made-up outputs, inputs and indexes by the thousand."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.days import order, parse_range
from state.inputs.files import DayFiles
from state.planner.current import Declared
from state.planner.decide import Facts, Item
from state.planner.plan import Plan, Selection, plan
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable
from tasks.diagnosis import counts_of, problems_of
from tests.state.planner.test_decide import listed, made_commit, recorded

DAYS = [str(number) for number in range(7, 13)]  # over the step from 9 to 10
SIZES = {"x": 10, "y": 10, "z": 11}  # x and y can be told apart by their bytes alone
ALL = Selection()
Value = TypeVar("Value")


@dataclass(frozen=True)
class Raw:
    """A day's input: its contents, and the times that a listing shows with them."""

    contents: str
    times: str

    def listed(self) -> DayFiles:
        """What a listing shows of it."""
        return listed(f"{self.contents}-{self.times}", SIZES[self.contents])


@dataclass(frozen=True)
class World:
    """All that there is; ``raw[source][day]`` with its contents, which the planner only sees where it asks."""

    declared: tuple[Declared, ...]
    raw: Mapping[str, Mapping[str, Raw]]
    unreadable: Mapping[str, Collection[str]]
    output: Mapping[str, Mapping[str, Found]]
    index: Mapping[str, Collection[str]]

    def facts(self) -> Facts:
        """What a survey finds, before it reads any contents."""
        return Facts(
            inputs={name: {day: raw.listed() for day, raw in days.items()} for name, days in self.raw.items()},
            output=self.output,
            unreadable={name: dict.fromkeys(days, "EIO") for name, days in self.unreadable.items()},
            index=self.index,
        )

    def answered(self, selection: Selection = ALL) -> Facts:
        """What a survey finds, with the contents of exactly what the planner asks for."""
        facts = self.facts()
        asked = plan(self.declared, facts, selection).unread
        return replace(facts, contents={(name, day): self.raw[name][day].contents for name, day in asked})

    def plan(self, selection: Selection = ALL) -> Plan:
        """The plan of this world."""
        return plan(self.declared, self.answered(selection), selection)

    def after(self, done: Plan) -> World:
        """The world once every item of a plan was committed and the index told."""
        output = {name: dict(days) for name, days in self.output.items()}
        index = {name: set(days) for name, days in self.index.items()}
        by_name = {one.name: one for one in self.declared}
        for item in done.items:
            one = by_name[item.aggregation]
            inputs = {
                name: recorded(raw.contents, f"{raw.contents}-{raw.times}", SIZES[raw.contents])
                for name, raw in ((name, self.raw[source][item.day]) for name, source in one.sources.items())
            }
            output.setdefault(one.name, {})[item.day] = made_commit(
                one.name, item.day, inputs=inputs, version=one.version, code=one.code, nonce="after"
            )
            index.setdefault(one.name, set()).add(item.day)
        return replace(self, output=output, index=index)

    def known(self, one: Declared) -> set[str]:
        """The days that anything speaks of."""
        every = set.intersection(*(set(self.raw[source]) for source in one.sources.values()))
        unreadable = {day for source in one.sources.values() for day in self.unreadable[source]}
        return every | unreadable | set(self.output.get(one.name, ())) | set(self.index.get(one.name, ()))


RAW = st.builds(Raw, st.sampled_from("xyz"), st.sampled_from(["then", "now"]))
SOURCES = ("flights", "weather")


@st.composite
def found(draw: st.DrawFn, name: str, day: str) -> Found:
    """Anything that can stand in a day's place, commits above all."""
    kind = draw(st.sampled_from(["commit"] * 6 + ["damaged", "newer", "unreadable"]))
    if kind == "damaged":
        return Damaged("torn")
    if kind == "newer":
        return Newer(2)
    if kind == "unreadable":
        return Unreadable("cannot be read: EIO")
    inputs = {}
    for source in draw(st.sampled_from([("flights",), ("weather",), SOURCES])):
        raw = draw(RAW)
        stat = draw(st.sampled_from([f"{raw.contents}-{raw.times}", None]))
        inputs[source] = recorded(raw.contents, stat, SIZES[raw.contents])
    return made_commit(
        name,
        day,
        inputs=inputs,
        version=draw(st.integers(1, 3)),
        rows=draw(st.integers(0, 1)),
        nonce=draw(st.sampled_from(["n1", "n2"])),
        code=draw(st.sampled_from(["code", "other"])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any world at all, sensible or not."""
    names = draw(st.lists(st.sampled_from(["b", "a", "B2", "z"]), min_size=1, max_size=3, unique=True))
    declared = tuple(
        Declared(
            name,
            draw(st.integers(1, 3)),
            "code",
            {source: source for source in draw(st.sampled_from([("flights",), ("weather",), SOURCES]))},
        )
        for name in names
    )
    some_days = st.sets(st.sampled_from(DAYS))
    unreadable = {source: draw(some_days) if draw(st.booleans()) else set() for source in SOURCES}
    raw = {source: {day: draw(RAW) for day in draw(some_days) if day not in unreadable[source]} for source in SOURCES}
    output = {
        name: {day: draw(found(name, day)) for day in draw(some_days)}
        for name in [*names, "gone"]
        if draw(st.booleans())
    }
    index = {name: draw(st.sets(st.sampled_from([*DAYS, "99"]))) for name in names if draw(st.booleans())}
    return World(declared, raw, unreadable, output, index)


def expected(world: World, one: Declared, day: str) -> str:
    """The contract's word on a day, from the true contents; written without a look at the planner."""
    place = world.output.get(one.name, {}).get(day)
    if isinstance(place, Unreadable) or any(day in world.unreadable[source] for source in one.sources.values()):
        return "unreadable"
    if isinstance(place, Newer) or (isinstance(place, Commit) and place.record.version > one.version):
        return "ahead"
    if not all(day in world.raw[source] for source in one.sources.values()):
        return "orphaned" if isinstance(place, Commit) else "unrecoverable"
    if isinstance(place, Damaged):
        return "corrupt"
    if place is None:
        return "lost" if day in world.index.get(one.name, ()) else "new"
    if place.record.version < one.version:
        return "outdated"
    now = {name: world.raw[source][day].contents for name, source in one.sources.items()}
    if now != {name: source.contents for name, source in place.record.inputs.items()}:
        return "changed"
    return "done" if place.record.rows else "empty"


def said(found_plan: Plan) -> tuple[list[Item], list[tuple[str, str, str]], dict[str, Counter[str]]]:
    """A plan as plain values."""
    troubles = [(one.aggregation, one.day, one.kind) for one in found_plan.blocked]
    return found_plan.items, troubles, {name: +counts for name, counts in found_plan.statuses.items()}


@given(worlds())
@settings(max_examples=120)
def test_every_known_day_is_exactly_once_an_item_a_trouble_or_a_status(world: World) -> None:
    """Nothing is forgotten and nothing counted twice, and each has the contract's word for it."""
    made = world.plan()
    words: dict[str, Counter[str]] = {}
    for one in world.declared:
        named: list[tuple[str, str]] = [(item.day, item.reason) for item in made.items if item.aggregation == one.name]
        named += [(trouble.day, trouble.kind) for trouble in made.blocked if trouble.aggregation == one.name]
        assert len({day for day, _ in named}) == len(named)
        assert dict(named) == {day: expected(world, one, day) for day in {day for day, _ in named}}
        words[one.name] = Counter(expected(world, one, day) for day in world.known(one))
        told = Counter(word for _, word in named) + made.statuses[one.name]
        del told["missing"]  # days that nothing speaks of
        assert told == words[one.name]


@given(worlds(), st.booleans(), st.booleans())
@settings(max_examples=40)
def test_the_plan_is_a_pure_function_of_its_facts(world: World, force: bool, newest_first: bool) -> None:
    """Equal facts give equal plans, in whatever order they were found, and the facts stay as they were."""
    selection = Selection(force=force, newest_first=newest_first)
    before = copy.deepcopy(world)
    first = world.plan(selection)
    assert world == before
    turned = World(
        world.declared,
        {name: _turned(world.raw[name]) for name in reversed(SOURCES)},
        world.unreadable,
        {name: _turned(world.output[name]) for name in reversed(list(world.output))},
        {name: sorted(days) for name, days in world.index.items()},
    )
    assert said(turned.plan(selection)) == said(first)
    assert said(replace(world, declared=world.declared[::-1]).plan(selection))[0] == first.items


@given(worlds())
@settings(max_examples=70)
def test_a_second_run_has_nothing_to_do(world: World) -> None:
    """After everything planned was committed, the plan is empty: no day is computed for ever."""
    again = world.after(world.plan()).plan()
    assert again.items == []


@given(worlds(), st.sampled_from(DAYS), st.sampled_from(SOURCES))
@settings(max_examples=70)
def test_one_late_file_plans_exactly_the_aggregations_of_its_day(world: World, day: str, source: str) -> None:
    """Once all is settled, another input of one day touches that day alone, in the aggregations that read it."""
    settled = world.after(world.plan())
    raw = {name: dict(days) for name, days in settled.raw.items()}
    before = raw[source].get(day)
    raw[source][day] = Raw("z" if before is None or before.contents != "z" else "x", "late")
    unreadable = {name: set(days) - ({day} if name == source else set()) for name, days in settled.unreadable.items()}
    after = replace(settled, raw=raw, unreadable=unreadable).plan()
    may = {(one.name, day) for one in world.declared if source in one.sources.values()}
    planned = {(item.aggregation, item.day) for item in after.items}
    assert planned <= may
    for one in world.declared:
        readable = all(day in raw[name] and day not in unreadable[name] for name in one.sources.values())
        place = settled.output.get(one.name, {}).get(day)
        fixed = isinstance(place, Newer | Unreadable) or (
            isinstance(place, Commit) and place.record.version > one.version
        )
        if (one.name, day) in may and readable and not fixed:
            then = place.record.inputs.get(source) if isinstance(place, Commit) else None
            same = then is not None and then.contents == raw[source][day].contents
            assert ((one.name, day) in planned) or (same and set(place.record.inputs) == set(one.sources))  # type: ignore[union-attr]


def _turned(days: Mapping[str, Value]) -> dict[str, Value]:
    return {day: days[day] for day in reversed(list(days))}


INDEX_DAYS = st.sets(st.sampled_from([*DAYS, "99", "0", "2013-01-01"]) | st.integers(0, 10**12).map(str))


@given(worlds(), st.dictionaries(st.sampled_from(["a", "b", "B2", "z", "gone", "foreign"]), INDEX_DAYS))
@settings(max_examples=120)
def test_no_index_removes_an_item_or_calls_a_day_done(world: World, index: dict[str, set[str]]) -> None:
    """Whatever Redis holds, it only tells lost from new, and may speak of days that are lost for good."""
    without = replace(world, index={}).plan()
    with_it = replace(world, index=index).plan()
    assert [(one.aggregation, one.day, one.over) for one in with_it.items] == [
        (one.aggregation, one.day, one.over) for one in without.items
    ]
    for one, other in zip(without.items, with_it.items, strict=True):
        lost = other.day in index.get(other.aggregation, ())
        assert other.reason == ("lost" if one.reason == "new" and lost else one.reason)
    added = [one for one in with_it.blocked if one not in without.blocked]
    assert all(one in with_it.blocked for one in without.blocked)
    assert all(one.kind == "unrecoverable" and one.day in index[one.aggregation] for one in added)
    assert with_it.statuses == without.statuses


@given(worlds(), st.booleans(), st.integers(1, 8))
@settings(max_examples=70)
def test_a_limit_counts_days_and_takes_the_first_of_the_order(world: World, newest_first: bool, limit: int) -> None:
    """A limited run does whole days, the oldest first or the newest first, and several of them reach the end."""
    whole = world.plan(Selection(newest_first=newest_first)).items
    days = list(dict.fromkeys(item.day for item in whole))
    assert days == sorted(days, key=order, reverse=newest_first)
    for day in days:
        names = [item.aggregation for item in whole if item.day == day]
        assert names == sorted(names)
    some = world.plan(Selection(newest_first=newest_first, limit=limit)).items
    assert some == [item for item in whole if item.day in days[:limit]]


@given(worlds())
@settings(max_examples=40)
def test_force_computes_what_can_be_computed_and_nothing_ahead(world: World) -> None:
    """Every day with readable input is forced, but a commit of newer code or format stays."""
    made = world.plan(Selection(force=True))
    assert {item.reason for item in made.items} <= {"forced"}
    computable = {
        (one.name, day)
        for one in world.declared
        for day in world.known(one)
        if expected(world, one, day) not in ("unreadable", "ahead", "orphaned", "unrecoverable")
    }
    assert {(item.aggregation, item.day) for item in made.items} == computable


@given(worlds(), st.sampled_from(["8..10", "9", "10..", "..9"]))
@settings(max_examples=40)
def test_a_narrowed_run_plans_and_reads_nothing_outside(world: World, text: str) -> None:
    """--days leaves the other days alone: unplanned, uncounted and unread; what is inside is as in a whole run."""
    asked = parse_range(text)
    selection = Selection(days=(asked,))
    narrow, whole = world.plan(selection), world.plan()
    assert all(day in asked for _, day in plan(world.declared, world.facts(), selection).unread)
    assert narrow.items == [item for item in whole.items if item.day in asked]
    assert narrow.blocked == [one for one in whole.blocked if one.day in asked]
    inside = sum(len({day for day in world.known(one) if day in asked}) for one in world.declared)
    statuses = sum(sum(narrow.statuses[one.name].values()) for one in world.declared)
    declared = {one.name for one in world.declared}
    troubles = sum(one.aggregation in declared for one in narrow.blocked)
    assert len(narrow.items) + troubles + statuses == inside


def _settled(days: list[str]) -> World:
    """Every day committed, from the input that is there."""
    raw = Raw("x", "then")
    inputs = {"flights": recorded("x", "x-then", SIZES["x"])}
    commits: dict[str, Found] = {
        day: made_commit("departures", day, inputs=inputs, version=1, code="code") for day in days
    }
    declared = (Declared("departures", 1, "code", {"flights": "flights"}),)
    return World(
        declared, {"flights": dict.fromkeys(days, raw)}, {"flights": ()}, {"departures": commits}, {"departures": days}
    )


def test_one_late_file_among_many_days() -> None:
    """Promise 8: one day is planned, and no byte of any other is read."""
    world = _settled([str(number) for number in range(1000)])
    assert world.plan().items == []
    assert plan(world.declared, world.facts(), ALL).unread == set()
    late = replace(world, raw={"flights": {**world.raw["flights"], "999": Raw("z", "now")}})
    assert [(item.day, item.reason) for item in late.plan().items] == [("999", "changed")]
    touched = replace(world, raw={"flights": {**world.raw["flights"], "10": Raw("x", "now")}})
    assert plan(touched.declared, touched.facts(), ALL).unread == {("flights", "10")}
    assert touched.plan().items == []


def test_a_limit_hides_no_day_whose_contents_must_be_read() -> None:
    """A touched day that turns out unchanged leaves its place among ``--limit`` days to one that needs it."""
    world = _settled([str(number) for number in range(10)])
    raw = {**world.raw["flights"], "2": Raw("x", "now"), "3": Raw("y", "now")}
    touched = replace(world, raw={"flights": raw})
    assert [item.day for item in touched.plan(Selection(limit=1)).items] == ["3"]


def test_planning_ten_thousand_days_takes_a_moment() -> None:
    """The time to plan grows with the number of days, not with its square: this plan is a tenth of a second's work."""
    world = _settled([str(number) for number in range(10_000)])
    facts = world.answered()
    began = time.thread_time()
    assert plan(world.declared, facts, ALL).items == []
    assert time.thread_time() - began < 1.5


@pytest.mark.parametrize(
    ("flights", "weather", "committed", "missing"),
    [
        (["7", "8", "9"], ["7", "8", "9"], [], 0),
        (["7", "10"], ["7", "10"], [], 2),
        (["0", "1000000000000"], ["0"], [], 10**12),  # counted at once, though nobody could enumerate them
        (["7", "10"], ["7", "10"], ["9"], 1),  # a commit whose input is gone is orphaned, and no gap
        (["7", "8", "9"], ["7", "9"], [], 1),  # one of the two sources lacks it
        (["7", "8"], ["8", "9"], [], 2),  # counted between the first and the last day that any source has
        (["7"], ["7"], ["3", "12"], 0),  # a commit makes no gap outside
        ([], [], ["3", "12"], 0),
    ],
)
def test_a_gap_is_told_and_nothing_invented_for_it(
    flights: list[str], weather: list[str], committed: list[str], missing: int
) -> None:
    """Counted are the days between the sources' first and last that nothing has."""
    declared = Declared("a", 2, "code", {"flights": "f", "weather": "w"})
    raw = {"f": dict.fromkeys(flights, Raw("x", "then")), "w": dict.fromkeys(weather, Raw("x", "then"))}
    world = World((declared,), raw, {"f": (), "w": ()}, {"a": {day: made_commit("a", day) for day in committed}}, {})
    made = world.plan()
    assert made.statuses["a"]["missing"] == missing
    known = {*flights, *weather}
    assert all(gap.first and gap.last and order(gap.first) <= order(gap.last) for gap in made.gaps.get("a", ()))
    assert not any(day in gap for gap in made.gaps.get("a", ()) for day in (set(flights) & set(weather)) | {*committed})
    assert sum(gap.length for gap in made.gaps.get("a", ())) == missing
    assert not known or missing == 0 or made.gaps["a"]
    assert {item.day for item in made.items} == set(flights) & set(weather)
    unreadable = replace(world, raw={"f": {}, "w": raw["w"]}, unreadable={"f": flights, "w": ()})
    assert unreadable.plan().statuses["a"]["missing"] == missing, "an unreadable day is not a missing one"


def test_the_days_of_a_gap_are_named() -> None:
    """Dates too, over the end of a month, and at either end where one source begins later or ends sooner."""
    declared = Declared("a", 2, "code", {"flights": "f", "weather": "w"})
    flights = ["2024-02-27", "2024-02-28", "2024-03-02", "2024-03-03"]
    raw = {"f": dict.fromkeys(flights, Raw("x", "then")), "w": dict.fromkeys(flights[1:3], Raw("x", "then"))}
    world = World((declared,), raw, {"f": (), "w": ()}, {}, {})
    assert [str(gap) for gap in world.plan().gaps["a"]] == ["2024-02-27", "2024-02-29..2024-03-01", "2024-03-03"]
    assert world.plan(Selection(days=(parse_range("2024-02-27.."),))).gaps == {}


def test_what_a_limit_leaves_is_counted() -> None:
    """In days, as the limit; a run without one leaves none."""
    world = replace(_settled([str(number) for number in range(5)]), output={}, index={})
    assert (world.plan().left, world.plan(Selection(limit=5)).left, world.plan(Selection(limit=2)).left) == (0, 0, 3)


def test_results_of_what_is_no_longer_declared_are_retired() -> None:
    """A removed aggregation's results are counted, not computed; a run for one name does not speak of others."""
    world = replace(_settled(["7"]), output={"departures": {}, "old": {"7": made_commit("old", "7"), "8": Newer(2)}})
    assert world.plan().statuses["old"] == Counter(retired=2)
    assert "old" not in world.plan(Selection(only={"departures"})).statuses
    assert all(item.aggregation == "departures" for item in world.plan().items)


def test_damage_is_found_where_nobody_would_rebuild_it() -> None:
    """A torn or unreadable result of a removed aggregation is trouble in every run; its other days are retired."""
    old: dict[str, Found] = {"7": made_commit("old", "7"), "8": Damaged("torn"), "9": Unreadable("cannot be read: EIO")}
    world = replace(_settled(["7"]), output={"departures": {}, "old": old})
    plan = world.plan()
    assert plan.statuses["old"] == Counter(retired=1)
    assert [(one.aggregation, one.day, one.kind) for one in plan.blocked] == [
        ("old", "8", "unrecoverable"),
        ("old", "9", "unreadable"),
    ]
    assert plan.blocked[0].why == "its result is damaged (torn) and its aggregation is no longer declared"
    assert world.plan(Selection(only={"departures"})).blocked == []
    alone = replace(world, output={"departures": {}, "old": {"8": Damaged("torn")}}).plan()
    assert counts_of(alone)["old"] == {"unrecoverable": 1}
    assert [(one.kind, one.command) for one in problems_of(plan) if one.aggregation == "old"] == [
        ("unrecoverable", "python -m flows.repair --deep"),
        ("unreadable", "python -m flows.health"),  # no run would take its name
    ]


def test_changed_code_is_counted_and_recomputes_nothing() -> None:
    """Where the code changed and the version did not, the plan warns, with a number; it is the user's to decide."""
    world = _settled(["7", "8", "9"])
    assert world.plan().changed_code == {}
    edited = replace(world, declared=(replace(world.declared[0], code="edited"),))
    assert edited.plan().changed_code == {"departures": 3}
    assert edited.plan().items == []
    raised = replace(world, declared=(replace(world.declared[0], code="edited", version=2),))
    assert raised.plan().changed_code == {}
    assert raised.plan().counts() == Counter(outdated=3)


def test_a_fingerprint_of_another_kind_is_no_changed_code() -> None:
    """An upgrade that makes fingerprints in another way warns nobody: commits before it say nothing of the code now."""
    world = _settled(["7", "8", "9"])
    upgraded = replace(world, declared=(replace(world.declared[0], code="2:code"),))
    assert upgraded.plan().changed_code == {}
    assert upgraded.plan().items == []
