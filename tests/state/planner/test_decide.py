"""What is to be done about one day: every reason and status of the contract, and which comes first of several."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from state.inputs.files import DayFiles, FileStat
from state.planner.current import Declared
from state.planner.decide import Blocked, Facts, Item, decide
from state.planner.plan import Selection, plan
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable
from state.result.record import CommitRecord, SourceRecord
from state.status import Reason

DAY = "2013-01-01"


def _needed(declared: Declared, facts: Facts) -> set[tuple[str, str]]:
    return plan([declared], facts, Selection()).unread


def made_commit(
    aggregation: str = "departures",
    day: str = DAY,
    *,
    inputs: dict[str, SourceRecord] | None = None,
    version: int = 2,
    generation: int = 1,
    rows: int = 3,
    nonce: str = "0123456789abcdef0123456789abcdef",
    code: str = "code",
    size: int = 4321,
) -> Commit:
    """A commit as a scan finds it."""
    record = CommitRecord(
        aggregation=aggregation,
        version=version,
        code=code,
        day=day,
        generation=generation,
        rows=rows,
        inputs={"flights": recorded()} if inputs is None else inputs,
        result="result",
        libraries={},
        nonce=nonce,
        committed_at="2026-01-01T00:00:00.000+00:00",
    )
    return Commit(record, (size, 1_700_000_000_123_456_789))


def recorded(contents: str = "contents", stat: str | None = "stat", size: int = 10, files: int = 1) -> SourceRecord:
    """What a commit says of one source."""
    return SourceRecord(files=files, bytes=size, rows=3, contents=contents, stat=stat)


def listed(stat: str = "stat", size: int = 10, files: int = 1) -> DayFiles:
    """What a listing says of one source's day."""
    sizes = [size, *[0] * (files - 1)]
    return DayFiles(tuple(FileStat(f"{at}.csv", one, 1, 1, 1) for at, one in enumerate(sizes)), stat)


@dataclass
class Day:
    """One day of an aggregation at version 2 with one source, and everything that can be known of it."""

    found: Found | None = None
    files: DayFiles | None = field(default_factory=listed)
    contents: str | None = None
    remembered: bool = False
    unreadable: str = ""
    force: bool = False

    def decided(self) -> Item | Blocked | str:
        """The decision, with the contents read exactly where they are asked for."""
        declared = Declared("departures", 2, "code", {"flights": "flights/{day}/*.csv"})
        source = declared.sources["flights"]
        facts = Facts(
            inputs={source: {DAY: self.files} if self.files else {}},
            output={"departures": {DAY: self.found} if self.found else {}},
            unreadable={source: {DAY: self.unreadable} if self.unreadable else {}},
            index={"departures": {DAY} if self.remembered else set()},
        )
        asked = _needed(declared, facts)
        assert asked == ({(source, DAY)} if self.contents is not None else set())
        if self.contents is not None:
            facts = replace(facts, contents={(source, DAY): self.contents})
            assert _needed(declared, facts) == set()
        return decide(declared, DAY, facts, force=self.force)


def commit(**changes: Any) -> Commit:
    """A commit of that day at version 2, from the very input that is listed."""
    return made_commit(**changes)


REASONS = [
    pytest.param(Day(found=None), "new", id="input, no commit"),
    pytest.param(Day(found=None, remembered=True), "lost", id="the index has it, the output has not"),
    pytest.param(Day(found=Damaged("torn")), "corrupt", id="a damaged file"),
    pytest.param(Day(found=Damaged("torn"), remembered=True), "corrupt", id="corrupt before lost"),
    pytest.param(Day(found=commit(version=1)), "outdated", id="a lower version"),
    pytest.param(Day(found=commit(version=1), files=listed("b", 11)), "outdated", id="outdated before changed"),
    pytest.param(Day(found=commit(), files=listed("b", size=11)), "changed", id="another size"),
    pytest.param(Day(found=commit(), files=listed("b", files=2)), "changed", id="another number of files"),
    pytest.param(Day(found=commit(), files=listed("b"), contents="other"), "changed", id="other contents"),
    pytest.param(
        Day(found=commit(inputs={"flights": recorded(stat=None)}), contents="other"), "changed", id="unproven times"
    ),
    pytest.param(Day(found=commit(inputs={"old": recorded()})), "changed", id="a source renamed"),
    pytest.param(
        Day(found=commit(inputs={"flights": recorded(), "old": recorded()})), "changed", id="one source fewer"
    ),
    pytest.param(Day(found=commit(inputs={})), "changed", id="one source more"),
    pytest.param(Day(found=commit(), force=True), "forced", id="forced though done"),
    pytest.param(Day(found=Damaged("torn"), force=True), "forced", id="forced before corrupt"),
    pytest.param(Day(found=None, remembered=True, force=True), "forced", id="forced before lost"),
    pytest.param(Day(found=None, force=True), "forced", id="forced before new"),
    pytest.param(Day(found=commit(version=1), force=True), "forced", id="forced before outdated"),
]

STATUSES = [
    pytest.param(Day(found=commit()), "done", id="done"),
    pytest.param(Day(found=commit(), remembered=True), "done", id="done and remembered"),
    pytest.param(Day(found=commit(rows=0)), "empty", id="no row"),
    pytest.param(Day(found=commit(), files=listed("touched"), contents="contents"), "done", id="touched only"),
    pytest.param(Day(found=commit(code="other code")), "done", id="code alone is a warning"),
    pytest.param(Day(found=commit(version=3)), "ahead", id="a higher version"),
    pytest.param(Day(found=commit(version=3), files=listed("b", 11)), "ahead", id="ahead before changed"),
    pytest.param(Day(found=commit(version=3), force=True), "ahead", id="ahead before forced"),
    pytest.param(Day(found=commit(version=3), files=None), "ahead", id="ahead before orphaned"),
    pytest.param(Day(found=Newer(2)), "ahead", id="a record of a later format"),
    pytest.param(Day(found=Newer(2), force=True), "ahead", id="a later format, forced"),
    pytest.param(Day(found=Newer(2), files=None), "ahead", id="a later format, input gone"),
    pytest.param(Day(found=commit(), files=None), "orphaned", id="commit, no input"),
    pytest.param(Day(found=commit(), files=None, remembered=True), "orphaned", id="orphaned is not lost"),
    pytest.param(Day(found=commit(version=1), files=None), "orphaned", id="orphaned before outdated"),
    pytest.param(Day(found=commit(), files=None, force=True), "orphaned", id="nothing to force it from"),
]

TROUBLES = [
    pytest.param(Day(files=None, remembered=True), "unrecoverable", "lost and its input is gone", id="lost"),
    pytest.param(Day(Damaged("torn"), files=None), "unrecoverable", "damaged (torn) and its input", id="damaged"),
    pytest.param(Day(Damaged("torn"), files=None, force=True), "unrecoverable", "input is gone", id="forced"),
    pytest.param(Day(Unreadable("cannot be read: EIO")), "unreadable", "its result cannot be read: EIO", id="result"),
    pytest.param(Day(Unreadable("cannot be read: EIO"), force=True), "unreadable", "EIO", id="result, forced"),
    pytest.param(Day(Unreadable("is odd"), files=None), "unreadable", "its result is odd", id="result, input gone"),
    pytest.param(Day(files=None, unreadable="x: EACCES"), "unreadable", "its input cannot be read: x", id="input"),
    pytest.param(Day(commit(), None, unreadable="EIO"), "unreadable", "EIO", id="unreadable before orphaned"),
    pytest.param(Day(commit(version=3), None, unreadable="EIO"), "unreadable", "EIO", id="unreadable before ahead"),
    pytest.param(Day(None, None, remembered=True, unreadable="EIO"), "unreadable", "EIO", id="never unrecoverable"),
    pytest.param(Day(Damaged("torn"), None, unreadable="EIO"), "unreadable", "EIO", id="unreadable before corrupt"),
]


@pytest.mark.parametrize(("day", "reason"), REASONS)
def test_a_planned_day_has_the_first_reason_that_holds(day: Day, reason: Reason) -> None:
    """forced, corrupt, lost, new, outdated, changed: in this order. The plan remembers how many files there were."""
    over = day.found.record.nonce if isinstance(day.found, Commit) else ""
    assert day.files is not None
    assert day.decided() == Item("departures", DAY, reason, over, files=(len(day.files.files),))


@pytest.mark.parametrize(("day", "status"), STATUSES)
def test_a_day_that_needs_nothing_has_a_status(day: Day, status: str) -> None:
    """done, empty, ahead, orphaned: none of them is computed, by force neither where that could only harm."""
    assert day.decided() == status


@pytest.mark.parametrize(("day", "kind", "why"), TROUBLES)
def test_a_day_in_trouble_is_neither_planned_nor_done(day: Day, kind: str, why: str) -> None:
    """Unknown is not absent, and what cannot be computed again is said, with the cause."""
    found = day.decided()
    assert isinstance(found, Blocked)
    assert (found.aggregation, found.day, found.kind) == ("departures", DAY, kind)
    assert why in found.why


def test_one_source_that_lacks_the_day_makes_it_no_day() -> None:
    """An aggregation's days are those that every source has: a commit whose second input went is orphaned."""
    declared = Declared("departures", 2, "code", {"flights": "f", "weather": "w"})
    found = commit(inputs={"flights": recorded(), "weather": recorded()})
    facts = Facts(inputs={"f": {DAY: listed()}, "w": {}}, output={"departures": {DAY: found}})
    assert decide(declared, DAY, facts, force=False) == "orphaned"


def test_each_source_is_compared_with_its_own_record() -> None:
    """Of two sources the changed one is noticed, whichever it is, and doubt asks for that one alone."""
    declared = Declared("departures", 2, "code", {"flights": "f", "weather": "w"})
    found = commit(inputs={"flights": recorded(), "weather": recorded("rain")})
    for touched in ("f", "w"):
        inputs = {source: {DAY: listed("touched" if source == touched else "stat")} for source in ("f", "w")}
        facts = Facts(inputs=inputs, output={"departures": {DAY: found}})
        assert _needed(declared, facts) == {(touched, DAY)}
        for contents, expected in (("contents" if touched == "f" else "rain", "done"), ("other", None)):
            answered = Facts(inputs=inputs, output=facts.output, contents={(touched, DAY): contents})
            outcome = decide(declared, DAY, answered, force=False)
            assert outcome == expected or (isinstance(outcome, Item) and outcome.reason == "changed" and not expected)


def test_contents_are_read_only_where_they_can_decide() -> None:
    """No byte is read of a day whose version, size or number of files settles it."""
    declared = Declared("departures", 2, "code", {"flights": "f"})
    settled: list[tuple[Found, DayFiles]] = [
        (commit(), listed()),
        (commit(version=1), listed("touched")),
        (commit(version=3), listed("touched")),
        (commit(), listed("touched", size=11)),
        (commit(), listed("touched", files=2)),
        (Damaged("torn"), listed("touched")),
        (Newer(2), listed("touched")),
    ]
    for found, files in settled:
        assert _needed(declared, Facts({"f": {DAY: files}}, {"departures": {DAY: found}})) == set()
    touched = Facts({"f": {DAY: listed("touched")}}, {"departures": {DAY: commit()}})
    assert _needed(declared, touched) == {("f", DAY)}
