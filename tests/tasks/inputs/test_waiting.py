"""Days that are not ready wait, whatever else is true of them, and nothing is computed from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state import clock
from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Plan, Selection
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed, Outcome, Skipped
from tasks.inputs.waiting import require_ready
from tasks.reading import day_input as reading
from tasks.survey import survey
from tests.builders import fail
from tests.tasks.test_survey import count_of

NONE = BestEffortIndex(None, "none")
DAY, OTHER = "2024-01-05", "2024-01-06"
MARK = f"{DAY}/_SUCCESS"


@dataclass
class Yard:
    """An input and an output; ``now`` is what the clock says, in seconds after the files were written."""

    input: Path
    root: LocalStore
    catalog: Catalog = field(default_factory=dict)
    now: float = 0.0

    def declare(self, template: str, **rules: Any) -> None:
        """One aggregation that counts the rows of a source."""
        self.catalog = count_of(Source(template, **rules))

    def put(self, *paths: str, text: str = "x\n1\n") -> None:
        """Write raw files."""
        for path in paths:
            (self.input / path).parent.mkdir(parents=True, exist_ok=True)
            (self.input / path).write_text(text)

    def plan(self, **selection: Any) -> Plan:
        """What is to be computed now."""
        return survey(self.catalog, InputRoot(self.input), self.root, NONE, Selection(**selection), 1).plan

    def run(self) -> list[Outcome]:
        """Compute and commit what is planned."""
        plan = self.plan()
        return list(compute(RunContext(self.catalog, InputRoot(self.input), self.root), plan.items))

    def waiting(self, **selection: Any) -> dict[str, str]:
        """Day to what it waits for."""
        return self.plan(**selection).waiting.get("rows", {})

    def planned(self) -> dict[str, str]:
        """Day to its reason."""
        return {item.day: item.reason for item in self.plan().items}


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """An empty one, with a clock of its own; times prove what they say at once."""
    monkeypatch.setattr(reading, "RECENT_NS", -(10**18))
    (tmp_path / "in").mkdir()
    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        made = Yard(tmp_path / "in", root)
        real = clock.time_ns
        monkeypatch.setattr(clock, "time_ns", lambda: real() + int(made.now * 1e9))
        yield made


def test_a_day_waits_for_its_marker_which_is_no_input(yard: Yard) -> None:
    """Without it nothing is computed, with it the day is; the wildcard matches it, and it has no rows."""
    yard.declare("{day}/*", marker="_SUCCESS", read=_lines)
    yard.put(f"{DAY}/a.csv", f"{OTHER}/a.csv", f"{OTHER}/_SUCCESS")
    assert yard.waiting() == {DAY: f"its marker {MARK!r}"}
    [committed] = yard.run()
    assert isinstance(committed, Committed)
    assert (committed.day, committed.update.commit.record.inputs["sales"].files) == (OTHER, 1)
    yard.put(MARK)
    assert (yard.planned(), yard.waiting()) == ({DAY: "new"}, {})
    assert all(isinstance(one, Committed) for one in yard.run())
    assert yard.planned() == {}


def _lines(files: list[Path]) -> pl.LazyFrame:
    return pl.LazyFrame({"x": [len(files)]})


def test_every_folder_of_a_day_has_its_own_marker(yard: Yard) -> None:
    """Where a day lies in several folders, each that holds files of it says that it is whole."""
    yard.declare("shop=*/{day}/*.csv", marker="ok")
    yard.put(*(f"shop={shop}/{DAY}/{name}" for shop in "ab" for name in ("x.csv", "y.csv")), f"shop=a/{DAY}/ok")
    assert yard.waiting() == {DAY: f"its marker 'shop=b/{DAY}/ok'"}
    yard.put(f"shop=b/{DAY}/ok")
    assert yard.planned() == {DAY: "new"}


def test_a_marker_that_is_taken_away_changes_no_result(yard: Yard) -> None:
    """What is done stays done; once its input changes, the day waits with its old result, with --force too."""
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv", MARK)
    yard.run()
    (yard.input / MARK).unlink()
    assert (yard.planned(), yard.waiting()) == ({}, {})
    assert yard.waiting(force=True) == {DAY: f"its marker {MARK!r}"}
    yard.put(f"{DAY}/b.csv")
    assert (yard.planned(), list(yard.waiting())) == ({}, [DAY])
    yard.put(MARK)
    assert yard.planned() == {DAY: "changed"}


def test_a_touched_file_is_no_change_of_a_day_without_its_marker(yard: Yard) -> None:
    """Only the bytes can tell, so they are read: what is done stays done, and waits for nothing."""
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv", MARK)
    yard.run()
    (yard.input / MARK).unlink()
    os.utime(yard.input / DAY / "a.csv", (1, 1))
    plan = yard.plan()
    assert (plan.items, plan.waiting, plan.statuses["rows"]) == ([], {}, {"done": 1})
    yard.put(f"{DAY}/a.csv", text="x\n2\n")
    assert list(yard.waiting()) == [DAY]


def test_a_folder_in_a_markers_place_is_no_marker(yard: Yard) -> None:
    """The day waits, and is told why."""
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv")
    (yard.input / MARK).mkdir()
    assert "no file" in yard.waiting()[DAY]


def test_a_marker_that_cannot_be_looked_for_is_not_absent(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown is not absent: such a day is unreadable, which ends a run with 1, and does not wait for ever."""
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv", f"{OTHER}/a.csv", f"{OTHER}/_SUCCESS")
    fail(monkeypatch, "stat", lambda path, *_: str(path).endswith(MARK))
    plan = yard.plan()
    assert [(one.day, one.kind) for one in plan.blocked] == [(DAY, "unreadable")]
    assert "cannot be looked for: Input/output error" in plan.blocked[0].why
    assert [item.day for item in plan.items] == [OTHER]


def test_a_day_waits_until_its_files_have_rested(yard: Yard) -> None:
    """By the later of both times: a file that keeps its old mtime has just come all the same. An old result stays."""
    yard.declare("{day}.csv", settle="15m")
    yard.put(f"{DAY}.csv")
    os.utime(yard.input / f"{DAY}.csv", (1, 1))
    assert "to rest for 15m (it was touched" in yard.waiting()[DAY]
    yard.now = 899.0
    assert list(yard.waiting()) == [DAY]
    yard.now = 901.0
    assert (yard.planned(), yard.waiting()) == ({DAY: "new"}, {})
    yard.run()
    yard.now = 0.0
    assert (yard.planned(), yard.waiting()) == ({}, {})  # it is done, and nothing is to be waited for
    yard.put(f"{DAY}.csv", text="x\n1\n2\n")
    assert (yard.planned(), list(yard.waiting())) == ({}, [DAY])
    yard.now = 901.0
    assert yard.planned() == {DAY: "changed"}


def test_a_file_that_is_touched_while_its_day_waits_begins_anew(yard: Yard) -> None:
    """One file of many is enough."""
    yard.declare("{day}/*.csv", settle="15m")
    yard.put(f"{DAY}/a.csv", f"{DAY}/b.csv")
    later = clock.time_ns() + 600 * 10**9
    os.utime(yard.input / DAY / "b.csv", ns=(later, later))
    yard.now = 1000.0
    assert f"'{DAY}/b.csv' to rest" in yard.waiting()[DAY]
    yard.now = 1501.0
    assert yard.planned() == {DAY: "new"}


def test_a_time_in_the_future_is_said(yard: Yard) -> None:
    """A wrong clock, here or where the file came from, would keep a day waiting without a word."""
    yard.declare("{day}.csv", settle="15m")
    yard.put(f"{DAY}.csv")
    later = clock.time_ns() + 3 * 86400 * 10**9
    os.utime(yard.input / f"{DAY}.csv", ns=(later, later))
    yard.now = 3600.0
    assert "2d in the future, so a clock is wrong" in yard.waiting()[DAY]


def test_a_day_that_is_ready_no_more_when_its_turn_comes_is_left_alone(yard: Yard) -> None:
    """Between plan and computation its writer came back: nothing is computed, and nothing has failed."""
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv", MARK)
    items = yard.plan().items
    (yard.input / MARK).unlink()
    outcomes = list(compute(RunContext(yard.catalog, InputRoot(yard.input), yard.root), items))
    assert outcomes == [Skipped("rows", DAY, "waiting")]


def test_a_file_that_comes_with_its_marker_is_not_missed(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files were listed before the marker was looked for: what came in between is found before publishing."""
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv", MARK)
    items = yard.plan().items
    once: list[Callable[[], None]] = [lambda: yard.put(f"{DAY}/b.csv")]
    real = require_ready

    def late(*given: Any) -> None:
        if once:
            once.pop()()
        real(*given)

    monkeypatch.setattr(reading, "require_ready", late)
    [outcome] = compute(RunContext(yard.catalog, InputRoot(yard.input), yard.root), items)
    assert isinstance(outcome, Committed)
    assert outcome.update.commit.record.inputs["sales"].files == 2


def test_a_writer_who_comes_back_while_a_day_is_computed_is_seen(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marker away, then half a file, the moment after the marker was seen. Listed after that, the half would be read
    as whole, and nothing would change any more before it is published.
    """
    yard.declare("{day}/*.csv", marker="_SUCCESS")
    yard.put(f"{DAY}/a.csv", MARK)
    items = yard.plan().items
    real = require_ready

    def early(*given: Any) -> None:
        real(*given)
        (yard.input / MARK).unlink()
        yard.put(f"{DAY}/b.csv")

    monkeypatch.setattr(reading, "require_ready", early)
    [outcome] = compute(RunContext(yard.catalog, InputRoot(yard.input), yard.root), items)
    assert outcome == Skipped("rows", DAY, "waiting")
    assert list(yard.waiting()) == [DAY]


def test_sources_with_and_without_rules_are_ready_apart(yard: Yard) -> None:
    """Over the same files, one waits and the other is computed."""
    waits = count_of(Source("{day}/*.csv", marker="_SUCCESS"))["rows"]
    goes = count_of(Source("{day}/*.csv"))["rows"]
    yard.catalog = {"rows": waits, "goes": type(goes)("goes", goes.function, 1, goes.sources)}
    yard.put(f"{DAY}/a.csv")
    assert [(item.aggregation, item.day) for item in yard.plan().items] == [("goes", DAY)]
    assert list(yard.waiting()) == [DAY]
