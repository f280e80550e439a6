"""Events that come early and late, in files that come in any order: each lands in one day, and no day is computed twice
without a cause.
"""

from __future__ import annotations

import datetime as dt
import mmap
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from state.days import around
from state.errors import Refused
from state.index.best_effort import BestEffortIndex
from state.inputs.root import InputRoot
from state.planner.plan import Plan, Selection
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed
from tasks.diagnosis import problems_of
from tasks.reading import day_input as reading
from tasks.reading.edited import edited_inputs
from tasks.survey import survey

FIRST = dt.date(2024, 3, 27)
"""The clocks of Berlin are put forward on 31 March, amid the days."""
ZONE = ZoneInfo("Europe/Berlin")
MEMORY = Path("/dev/shm")
"""A file system that notices no store through mmap, which is what an edit without a trace is."""
SCHEMA = {"number": pl.Int64, "at": pl.Float64}
TEMPLATES = ["log/{day}.csv", "log/{day:%Y}/{day:%m%d}/*.csv"]


def _day(number: int) -> str:
    return (FIRST + dt.timedelta(days=number)).isoformat()


def _catalog(template: str, reach: tuple[int, int], meddle: Callable[[], object] = lambda: None) -> Catalog:
    """One aggregation over events; ``meddle`` is called while a day is computed."""
    source = Source(
        template,
        schema=SCHEMA,
        event_time=pl.from_epoch("at"),
        time_zone="Europe/Berlin",
        naive_time_zone="UTC",
        reach=reach,
    )

    @aggregation(source)
    def numbers(log: pl.LazyFrame) -> pl.LazyFrame:
        """The numbers of the day's events."""
        meddle()
        return log.select("number").sort("number")

    one = declared(numbers)
    assert one
    return {"numbers": one}


@dataclass
class Log:
    """A log in files by day, and what a run must make of it: known from the events alone."""

    input: Path
    root: LocalStore
    template: str
    reach: tuple[int, int]
    chance: random.Random
    files: dict[str, list[int]] = field(default_factory=dict)
    """The events of each file, by its day."""
    times: dict[int, float] = field(default_factory=dict)
    days: dict[int, str] = field(default_factory=dict)
    """The day of each event."""
    computed: dict[str, list[tuple[str, tuple[int, ...]]]] = field(default_factory=dict)
    """What each committed day was computed from: the files of each day, with their events."""
    catalog: Catalog = field(init=False)

    def __post_init__(self) -> None:
        self.catalog = _catalog(self.template, self.reach)

    def path(self, day: str) -> Path:
        """Where the file of a day lies."""
        date = dt.date.fromisoformat(day)
        return self.input / (f"log/{day}.csv" if "/*" not in self.template else f"log/{date:%Y/%m%d}/a.csv")

    def happen(self, day: str) -> int:
        """An event at any time of a local day, of 23 hours too."""
        date = dt.date.fromisoformat(day)
        begin = dt.datetime.combine(date, dt.time(), ZONE).timestamp()
        end = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), ZONE).timestamp()
        number = len(self.days)
        self.times[number] = self.chance.choice([begin, end - 1, self.chance.randrange(int(begin), int(end))])
        self.days[number] = day
        return number

    def write(self, day: str, events: list[int]) -> None:
        """Let the file of a day hold these events."""
        self.files[day] = events
        self.path(day).parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{number},{self.times[number]}\n" for number in events)
        self.path(day).write_text(f"number,at\n{lines}")

    def plan(self) -> Plan:
        """What a run would do."""
        return survey(
            self.catalog, InputRoot(self.input), self.root, BestEffortIndex(None, "none"), Selection(), 2
        ).plan

    def run(self) -> list[str]:
        """Compute what is planned; the days in their order."""
        run = RunContext(self.catalog, InputRoot(self.input), self.root)
        outcomes = list(compute(run, self.plan().items))
        assert all(isinstance(one, Committed) for one in outcomes), outcomes
        return sorted(one.day for one in outcomes)

    def expected(self) -> list[str]:
        """The days that a run must compute: those whose files are others, and that need not wait."""
        before, after = self.reach
        known = {day for file in self.files for day in around(file, after, before)}
        due = []
        for day in sorted(known):
            there = [(one, tuple(self.files[one])) for one in around(day, before, after) if one in self.files]
            waits = all(file < around(day, 0, after)[-1] for file in self.files)
            if not waits and self.computed.get(day) != there:
                self.computed[day] = there
                due.append(day)
        return due

    def results(self) -> dict[int, str]:
        """Event → the day whose result holds it. None may be in two."""
        found: list[tuple[int, str]] = []
        for path in sorted((self.input.parent / "out/numbers").glob("day=*/data.parquet")):
            numbers = pl.read_parquet(path.read_bytes(), hive_partitioning=False)["number"]
            found += [(number, path.parent.name.removeprefix("day=")) for number in numbers]
        assert max(Counter(number for number, _ in found).values(), default=1) == 1, "an event is in two results"
        return dict(found)


@contextmanager
def _log(folder: Path, template: str, reach: tuple[int, int], seed: int = 0) -> Iterator[Log]:
    (folder / "in").mkdir()
    with open_store(folder / "out", create=True, remembered=False) as root:
        yield Log(folder / "in", root, template, reach, random.Random(seed))


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as old, as an input that rests since yesterday."""
    monkeypatch.setattr(reading, "RECENT_NS", -(10**9))


@pytest.mark.parametrize("seed", range(8))
def test_events_early_and_late_and_files_in_any_order(tmp_path: Path, seed: int) -> None:
    """After every arrival and revision a run computes just the days that the file can touch or that waited for it; in
    the end each event is in the result of its own day and in no other.
    """
    chance = random.Random(seed)
    reach = chance.choice([(1, 1), (1, 1), (0, 1), (1, 0), (2, 1), (0, 0)])
    with _log(tmp_path, TEMPLATES[seed % 2], reach, seed) as log:
        arriving = chance.sample([_day(number) for number in range(9)], 7)
        arriving += chance.sample(arriving, 3)  # come again, with more
        waited: set[str] = set()
        for day in arriving:
            more = [log.happen(chance.choice(around(day, reach[1], reach[0]))) for _ in range(chance.randrange(6))]
            log.write(day, log.files.get(day, []) + more)
            expected = log.expected()
            assert log.run() == expected
            assert {*expected} <= {*around(day, reach[1], reach[0])} | waited
            waited = {*log.plan().waiting.get("numbers", ())}
            assert not log.run()
        log.write(_day(20), [])
        assert log.run() == log.expected()
        assert log.results() == log.days


def test_a_late_file_in_a_gap_is_noted_and_mended(tmp_path: Path) -> None:
    """Nothing waits for it; the records of its neighbours say that it was absent, and once it is there no more."""

    def absent() -> dict[str, int]:
        found = log.root.scan().days["numbers"]
        return {day: one.record.inputs["log"].absent for day, one in sorted(found.items())}  # type: ignore[union-attr]

    with _log(tmp_path, TEMPLATES[0], (1, 1)) as log:
        for number in (1, 2, 4, 5):
            log.write(_day(number), [log.happen(_day(number)), log.happen(_day(number + 1))])
        assert log.run() == [_day(number) for number in range(5)]
        assert absent() == {_day(0): 2, _day(1): 1, _day(2): 1, _day(3): 1, _day(4): 1}
        assert list(log.plan().waiting["numbers"]) == [_day(5), _day(6)]
        log.write(_day(3), [log.happen(_day(2))])
        assert log.run() == [_day(number) for number in (2, 3, 4)]
        assert absent() == {_day(0): 2, _day(1): 1, _day(2): 0, _day(3): 0, _day(4): 0}


def test_a_day_whose_files_go_leaves_the_results_that_were_made_of_them(tmp_path: Path) -> None:
    """What is left would make another result, so each day that read them is orphaned, and follows no change of the
    rest; a gap that never was filled holds up nothing, and files that come back are compared as ever.
    """
    with _log(tmp_path, TEMPLATES[0], (1, 1)) as log:
        for number in (0, 2, 3, 4, 5, 6, 7):
            log.write(_day(number), [log.happen(_day(number))])
        assert len(log.run()) == 8
        before, kept = log.results(), log.files[_day(3)]
        log.path(_day(3)).unlink()
        log.write(_day(2), [*log.files[_day(2)], log.happen(_day(1))])
        assert log.run() == [_day(1)]
        assert [str(one) for one in log.plan().orphaned["numbers"]] == [f"{_day(2)}..{_day(4)}"]
        assert {number: day for number, day in log.results().items() if number < 7} == before
        log.write(_day(3), kept)
        assert log.run() == [_day(2), _day(3)]
        log.path(_day(7)).unlink()
        assert log.run() == []
        assert list(log.plan().waiting["numbers"]) == [_day(7)]
        assert log.results() == before | {7: _day(1)}


def test_files_that_move_to_another_folder_or_are_touched_are_no_change(tmp_path: Path) -> None:
    """Names, contents and days are what counts."""
    with _log(tmp_path, "log/**/{day}.csv", (1, 1)) as log:
        log.template = TEMPLATES[0]
        for number in range(1, 4):
            log.write(_day(number), [log.happen(_day(number))])
        assert len(log.run()) == 3
        (tmp_path / "in/log").rename(tmp_path / "in/old")
        (tmp_path / "in/log").mkdir()
        (tmp_path / "in/old").rename(tmp_path / "in/log/old")
        assert log.run() == []
        (tmp_path / f"in/log/old/{_day(2)}.csv").touch()
        assert log.run() == []


def test_a_neighbour_that_changes_while_a_day_is_computed_counts(tmp_path: Path) -> None:
    """The day is computed again at once, and what is published has the event that came meanwhile."""
    with _log(tmp_path, TEMPLATES[0], (1, 1)) as log:
        for number in (1, 2, 3):
            log.write(_day(number), [log.happen(_day(number))])
        late = [log.happen(_day(1))]

        def meddle() -> None:
            if late:
                log.write(_day(2), [*log.files[_day(2)], late.pop()])

        log.catalog = _catalog(log.template, log.reach, meddle)
        assert log.run() == log.expected() == [_day(0), _day(1), _day(2)]
        assert log.results() == {number: day for number, day in log.days.items() if number != 2}
        assert log.run() == []


def test_a_result_that_is_gone_is_not_made_of_what_its_neighbours_files_left(tmp_path: Path) -> None:
    """Where a commit shows that the missing file was there; beside a gap that never was filled it is."""
    with _log(tmp_path, TEMPLATES[0], (1, 1)) as log:
        for number in (0, 2, 3, 4, 5, 6, 7):
            log.write(_day(number), [log.happen(_day(number))])
        log.run()
        for number in (1, 3, 5):
            shutil.rmtree(log.root.path / f"numbers/day={_day(number)}")
        assert log.run() == [_day(1), _day(3), _day(5)]
        log.path(_day(4)).unlink()
        for number in (1, 3):
            shutil.rmtree(log.root.path / f"numbers/day={_day(number)}")
        (log.root.path / f"numbers/day={_day(5)}/data.parquet").write_bytes(b"rot")
        assert log.run() == [_day(1)]
        blocked = {one.day: one for one in log.plan().blocked}
        assert set(blocked) == {_day(3), _day(5)}
        assert f"it has no result and the files of {_day(4)} are gone" in blocked[_day(3)].why
        assert "damaged (" in blocked[_day(5)].why
        assert all(one.kind == "unrecoverable" and one.partial for one in blocked.values())
        [told] = [one for one in problems_of(log.plan()) if one.day == _day(3)]
        assert told.command == f"python -m flows.daily --force --days {_day(3)} --only numbers"
        assert told.hint == "restore the files; or compute it from what is left"
        forced = survey(
            log.catalog, InputRoot(log.input), log.root, BestEffortIndex(None, "none"), Selection(force=True), 2
        )
        assert {_day(3), _day(5)} <= {item.day for item in forced.plan.items}


def test_many_days_that_lost_some_of_the_files_of_neighbours_are_refused(tmp_path: Path) -> None:
    """As those that lost files of their own: a part of the input may be unmounted. Days that lost all are kept."""
    with _log(tmp_path, TEMPLATES[1], (1, 1)) as log:
        for number in range(20):
            log.write(_day(number), [])
            log.path(_day(number)).with_name("b.csv").write_text("number,at\n")
        assert len(log.run()) == 20
        for number in (2, 8, 13):
            log.path(_day(number)).unlink()
        assert len(log.plan().items) == 9
        log.path(_day(17)).unlink()
        with pytest.raises(Refused, match=r"would compute 12 of its 20 committed days from fewer files than before"):
            log.plan()
        for number in (2, 8, 13, 17):
            log.path(_day(number)).with_name("b.csv").unlink()
        assert log.run() == []
        assert log.plan().skipped()["orphaned"] == 12


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no file system here hides a store through mmap")
def test_an_edit_without_a_trace_concerns_every_day_that_reads_the_file() -> None:
    """Only reading finds it, and each of the days is named."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, _log(Path(folder), TEMPLATES[0], (1, 1)) as log:
        for number in range(1, 6):
            log.write(_day(number), [log.happen(_day(number))])
        assert len(log.run()) == 5

        def edited() -> list[str]:
            found = list(edited_inputs(log.catalog, InputRoot(log.input), log.root.scan(), 2))
            return sorted(one.day for one in found)

        assert edited() == []
        before = log.path(_day(3)).stat()
        with log.path(_day(3)).open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            view[-3:-2] = b"1" if view[-3:-2] != b"1" else b"2"
        if log.path(_day(3)).stat().st_ctime_ns != before.st_ctime_ns:
            pytest.skip("this file system notices a store through mmap")
        assert edited() == [_day(2), _day(3), _day(4)]
