"""Cutting a plan into tasks, and what a task does with failing days: the others are committed, once more is tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import PanicException

from state.errors import StorageError
from state.index.best_effort import BestEffortIndex
from state.index.index import Index
from state.inputs.root import InputRoot
from state.partition import Partition
from state.planner.decide import Item
from state.store.base import Token
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.group import compute as compute_real
from tasks.compute.outcomes import Committed, Failed, Observer, Outcome, Skipped
from tasks.compute.runner import BatchFailed, BatchStopped, batches, compute_days, label_of
from tests import redis_servers
from tests.state.index import test_best_effort

server_url = redis_servers.server_url
client = redis_servers.client
index = redis_servers.index
told = test_best_effort.told
pytestmark = pytest.mark.usefixtures("told")


def planned(days: int, each: int = 1) -> list[Item]:
    """A plan of so many days with so many results each."""
    return [Item(f"a{number}", str(day), "new") for day in range(days) for number in range(each)]


def flat(cut: list[list[Item]]) -> list[Item]:
    """The items of all batches, in their order."""
    return [item for batch in cut for item in batch]


def _days(batch: list[Item]) -> list[str]:
    return list(dict.fromkeys(item.day for item in batch))


@pytest.mark.parametrize(
    ("days", "workers", "sizes"),
    [
        (0, 2, {}),
        (1, 2, {1: 1}),
        (50, 2, {1: 50}),
        (51, 2, {7: 7, 2: 1}),
        (365, 2, {30: 12, 5: 1}),
        (365, 16, {6: 60, 5: 1}),  # 30 tasks are the most, unless four for each worker are more
        (365, 8, {12: 30, 5: 1}),
        (3650, 2, {122: 29, 112: 1}),
        (10_000, 2, {334: 29, 314: 1}),
    ],
)
def test_the_sizes_of_batches(days: int, workers: int, sizes: dict[int, int]) -> None:
    """Up to 50 days a task each; beyond that a month each, but four tasks for each worker, and about 60 at most."""
    cut = list(batches(planned(days, 2), workers))
    assert Counter(len(_days(batch)) for batch in cut) == sizes
    assert flat(cut) == planned(days, 2)


@given(st.integers(0, 400), st.integers(1, 3), st.integers(1, 100), st.booleans())
def test_no_item_is_lost_and_batches_are_contiguous(days: int, each: int, workers: int, newest_first: bool) -> None:
    """Whatever the number of days: every item once, in the plan's order, all results of a day in one batch."""
    items = planned(days, each)
    if newest_first:
        items.sort(key=lambda item: -int(item.day))
    cut = list(batches(items, workers))
    assert flat(cut) == items
    assert len(cut) <= max(50, 4 * workers)
    grouped = [day for batch in cut for day in _days(batch)]
    assert len(set(grouped)) == len(grouped)


def test_a_batch_is_called_by_its_days() -> None:
    """What Prefect shows names the days: one, or the first and the last with their number."""
    assert [label_of(batch) for batch in batches(planned(2), 2)] == ["0", "1"]
    labels = [label_of(batch) for batch in batches(planned(365), 2)]
    assert (labels[0], labels[-1]) == ("0 to 29 (30 days)", "360 to 364 (5 days)")


@dataclass
class Shop:
    """Five days of two aggregations, one of which does what the test wants; and every call of it, by day."""

    input: Path
    root: LocalStore
    trouble: Callable[[str], None] = lambda _: None
    calls: list[str] = field(default_factory=list)

    def workshop(self) -> RunContext:
        """What a run shares."""
        source = Source("{day:int}.csv")

        def good(rows: pl.LazyFrame) -> pl.LazyFrame:
            """Rows."""
            return rows.select(pl.len())

        def risky(rows: pl.LazyFrame) -> pl.LazyFrame:
            """Rows, with trouble."""
            day = str(rows.collect().item())
            self.calls.append(day)
            self.trouble(day)
            return rows.select(pl.len())

        catalog = {}
        for function in (good, risky):
            one = declared(aggregation(source)(function))
            assert one is not None
            catalog[one.name] = one
        return RunContext(catalog, InputRoot(self.input), self.root)

    def items(self) -> list[Item]:
        """All of its days."""
        return [Item(name, str(day), "new") for day in range(8, 13) for name in ("good", "risky")]

    def run(self, index: BestEffortIndex | None = None) -> list[Outcome]:
        """The task's own code, without Prefect's engine."""
        return compute_days.fn("8 to 12", self.workshop(), index or BestEffortIndex(None, "none"), self.items())

    def committed(self) -> set[tuple[str, str]]:
        """What is in the output."""
        return {
            (path.parent.parent.name, path.parent.name.removeprefix("day="))
            for path in self.root.path.glob("*/day=*/data.parquet")
        }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Five days, each holding its own number."""
    (tmp_path / "in").mkdir()
    for day in range(8, 13):
        (tmp_path / "in" / f"{day}.csv").write_text(f"x\n{day}\n")
    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        yield Shop(tmp_path / "in", root)


ALL = {(name, str(day)) for name in ("good", "risky") for day in range(8, 13)}


def test_all_days_of_a_batch_are_committed(shop: Shop, client: redis.Redis, index: Index) -> None:
    """One task commits its days and tells the index of all of them."""
    outcomes = shop.run(BestEffortIndex(index))
    assert {(one.aggregation, one.day) for one in outcomes if isinstance(one, Committed)} == ALL == shop.committed()
    remembered = index.read(["good", "risky"])
    assert {(name, day) for name, one in remembered.items() for day in one.days()} == ALL
    assert client.get("noonmark:{risky}:last_processed_day") == b"12"


@pytest.mark.parametrize("error", [ValueError("no such carrier"), PanicException("index out of bounds")])
def test_a_bad_day_fails_the_task_and_no_other_day(
    shop: Shop, client: redis.Redis, index: Index, error: BaseException
) -> None:
    """The task fails naming the day; the others, and the day's other result, are committed and the index told."""

    def trouble(day: str) -> None:
        if day == "10":
            raise error

    shop.trouble = trouble
    with pytest.raises(BatchFailed) as caught:
        shop.run(BestEffortIndex(index))
    assert "1 results failed: risky 10: " in str(caught.value)
    assert str(error) in str(caught.value)
    [failed] = [one for one in caught.value.outcomes if isinstance(one, Failed)]
    assert (failed.aggregation, failed.day, failed.kind) == ("risky", "10", "aggregation")
    assert shop.committed() == ALL - {("risky", "10")}
    assert len(caught.value.outcomes) == 10
    assert index.read(["risky"])["risky"].days() == {"8", "9", "11", "12"}
    assert shop.calls.count("10") == 1, "what cannot pass on a second try is not tried again"


def test_many_failures_are_named_in_part() -> None:
    """The message of a task stays readable; its outcomes hold everything."""
    failed: list[Outcome] = [Failed("a", str(day), "input", "bad") for day in range(7)]
    message = str(BatchFailed(failed))
    assert message.startswith("7 results failed: a 0: bad; ")
    assert message.endswith("a 4: bad; …")


def _failing(monkeypatch: pytest.MonkeyPatch, times: int = 1) -> list[str]:
    """The first tokens of risky 9 and 11 cannot be read; returns the days of all that were asked for, in order."""
    real = LocalStore.token
    asked: list[str] = []
    failures = Counter({("risky", "9"): times, ("risky", "11"): times})

    def token(store: LocalStore, partition: Partition) -> Token:
        asked.append(partition[1])
        if failures[partition] > 0:
            failures[partition] -= 1
            raise StorageError("hiccup")
        return real(store, partition)

    monkeypatch.setattr(LocalStore, "token", token)
    return asked


def test_a_transient_failure_is_retried_after_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what failed and may pass is retried, once, and when it passes the task succeeds."""
    asked = _failing(monkeypatch)
    outcomes = shop.run()
    assert shop.committed() == ALL
    assert Counter(type(one) for one in outcomes) == Counter({Committed: 10})
    assert asked == [day for day in ("8", "9", "10", "11", "12") for _ in range(2)] + ["9", "11"]


def test_a_second_attempt_is_the_last(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails again has failed, once, in the outcomes; the run does not go on for ever."""
    asked = _failing(monkeypatch, times=9)
    with pytest.raises(BatchFailed) as caught:
        shop.run()
    assert [one.day for one in caught.value.outcomes if isinstance(one, Failed)] == ["9", "11"]
    assert len(caught.value.outcomes) == 10
    assert asked[10:] == ["9", "11"]


def test_what_waits_for_its_second_attempt_has_failed_where_the_run_ends(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is told to end makes no second attempt, and names what the first one ended with."""
    asked = _failing(monkeypatch, times=9)
    run = shop.workshop()
    shop.trouble = lambda day: run.stopping.set() if day == "12" else None
    with pytest.raises(BatchFailed) as caught:
        compute_days.fn("8 to 12", run, BestEffortIndex(None, "none"), shop.items())
    assert [one.error for one in caught.value.outcomes if isinstance(one, Failed)] == ["hiccup", "hiccup"]
    assert asked.count("11") == 2, "once for each of its results"


class _Leases(BestEffortIndex):
    """Notes which leases were given up, and when."""

    def __init__(self) -> None:
        super().__init__(None, "none")
        self.steps: list[tuple[str, Partition]] = []

    def finish(self, partition: Partition) -> None:
        """One result has its outcome."""
        self.steps.append(("finish", partition))


def test_a_lease_is_held_until_the_second_attempt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else begins a day that this run is about to try again; and observers hear of it once, at its end."""
    _failing(monkeypatch)
    leases, heard = _Leases(), []

    class Noting(Observer):
        def on(self, outcome: Outcome) -> None:
            heard.append(outcome.partition)

    run = replace(shop.workshop(), observer=Noting())
    compute_days.fn("8 to 12", run, leases, shop.items())
    finished = [partition for _, partition in leases.steps]
    assert finished == heard
    assert finished[8:] == [("risky", "9"), ("risky", "11")]
    assert len(set(finished)) == 10


def test_a_run_that_is_told_to_end_begins_no_day(shop: Shop, index: Index) -> None:
    """The day at hand is finished and told of, the others are left for the next run, and the task fails naming them."""
    workshop = shop.workshop()
    shop.trouble = lambda day: workshop.stopping.set() if day == "9" else None
    with pytest.raises(BatchStopped, match="ended before 6 results were computed: good 10, good 11, good 12") as caught:
        compute_days.fn("8 to 12", workshop, BestEffortIndex(index), shop.items())
    assert shop.committed() == {(name, day) for name in ("good", "risky") for day in ("8", "9")}
    assert len(caught.value.outcomes) == 4
    assert index.read(["good"])["good"].days() == {"8", "9"}


def test_the_index_hears_of_commits_even_where_the_task_breaks(
    shop: Shop, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends a task in the middle, what it committed before is remembered."""
    real = compute_real

    def compute(run: RunContext, items: Sequence[Item]) -> Iterator[Outcome]:
        for item in items:
            if item.day == "10":
                raise KeyboardInterrupt
            yield from real(run, [item])

    monkeypatch.setattr("tasks.compute.group.compute", compute)
    with pytest.raises(KeyboardInterrupt):
        shop.run(BestEffortIndex(index))
    assert index.read(["risky"])["risky"].days() == {"8", "9"}


def test_days_that_are_done_meanwhile_fail_nothing(shop: Shop) -> None:
    """A second task over the same days finds them done."""
    shop.run()
    outcomes = shop.run()
    assert Counter((type(one), getattr(one, "status", "")) for one in outcomes) == Counter({(Skipped, "done"): 10})


def test_two_sources_of_one_template_are_read_each_in_its_own_way(tmp_path: Path) -> None:
    """Options belong to the source, not to its files: aggregations of one day may read the same files differently."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "7.csv").write_text("x\nNA\n2\n")
    catalog = {}
    for name, source in (
        ("plain", Source("{day:int}.csv")),
        ("with_nulls", Source("{day:int}.csv", null_values=["NA"])),
        (
            "by_itself",
            Source("{day:int}.csv", read=lambda files: pl.scan_csv(files, null_values=["NA", "2"], glob=False)),
        ),
    ):

        def nulls(rows: pl.LazyFrame) -> pl.LazyFrame:
            """How many nulls."""
            return rows.select(pl.col("x").null_count())

        nulls.__name__ = name
        one = declared(aggregation(source)(nulls))
        assert one is not None
        catalog[name] = one
    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        items = [Item(name, "7", "new") for name in catalog]
        compute_days.fn(
            "7", RunContext(catalog, InputRoot(tmp_path / "in"), root), BestEffortIndex(None, "none"), items
        )
        counts = {
            name: pl.read_parquet(tmp_path / "out" / name / "day=7" / "data.parquet").item(0, "x") for name in catalog
        }
    assert counts == {"plain": 0, "with_nulls": 1, "by_itself": 2}
