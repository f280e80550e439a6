"""Computing a day: never stale, never twice, and what is wrong with one result harms no other."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from state.inputs.files import read_contents
from state.inputs.root import InputRoot
from state.partition import Partition
from state.planner.decide import Item
from state.result.classify import Commit
from state.result.writing import rows_digest
from state.status import Reason
from state.store.base import Token
from state.store.local.day_lock import read_mark
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.source import Source
from tasks.compute import group as compute_module
from tasks.compute import job as jobs
from tasks.compute.context import AdaptiveBatchSize, RunContext, open_staged
from tasks.compute.evaluate import evaluate
from tasks.compute.group import ATTEMPTS, compute
from tasks.compute.outcomes import Committed, Failed, Outcome, Skipped
from tasks.inputs import run_listing
from tasks.inputs.listing import list_day
from tasks.inputs.run_listing import RunListing
from tasks.reading import day_input as intake
from tests.builders import DAY, NAME, commit, drafts, fail, kept, place

Function = Callable[..., pl.LazyFrame]
OLD, NEW = b"amount\n1\n2\n", b"amount\n8\n9\n"


@dataclass
class Shop:
    """An input, an output, and the times that a function was called."""

    input: Path
    root: LocalStore
    meddle: Callable[[], None] = lambda: None
    calls: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    source: Source = field(default_factory=lambda: Source("sales/{day}/*.csv"))

    def put(self, content: bytes = OLD, name: str = "a.csv") -> Path:
        """Write a raw file of the day."""
        file = self.input / "sales" / DAY / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def total(self, version: int = 1) -> Function:
        """An aggregation that meddles after its input was read, and before its result is written."""

        def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
            """The sum of all amounts."""
            result = sales.select(pl.col("amount").sum()).collect().lazy()
            self.calls += 1
            self.meddle()
            return result

        return aggregation(self.source, version=version)(totals)

    def run(
        self, *functions: Function, reason: Reason = "new", over: str = "", files: tuple[int, ...] = ()
    ) -> list[Outcome]:
        """Compute the day with these aggregations."""
        found = [one for function in functions if (one := declared(function))]
        run = RunContext({one.name: one for one in found}, InputRoot(self.input), self.root)
        token = LocalStore.token

        def counted(store: LocalStore, partition: Partition) -> Token:
            self.attempts[partition[0]] += 1  # an attempt begins with the token
            return token(store, partition)

        with patch.object(LocalStore, "token", counted):
            return list(compute(run, [Item(one.name, DAY, reason, over, files) for one in found]))

    def committed(self) -> Commit:
        """The commit that stands in the day's place, after its input's digest was seen to be that of the files now."""
        found = self.root.lookup((NAME, DAY))
        assert isinstance(found, Commit), found
        files = RunListing(InputRoot(self.input)).list_day(self.source, DAY).files
        (recorded,) = found.record.inputs.values()
        with InputRoot(self.input) as root:
            assert recorded.contents == read_contents(root.fd, files, keep=False).digest
        return found

    def amount(self) -> int:
        """What the committed result says."""
        amount: int = pq.read_table(place(self.root)).column("amount")[0].as_py()
        return amount


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A day of one file."""
    (tmp_path / "in").mkdir()
    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        made = Shop(tmp_path / "in", root)
        made.put()
        yield made
        assert drafts(root) == [], "a private file was left"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as old, so that their times prove something: an input that rests since yesterday."""
    monkeypatch.setattr(intake, "RECENT_NS", -(10**9))


def _once(shop: Shop, act: Callable[[], object]) -> None:
    def meddle() -> None:
        if shop.calls == 1:
            act()

    shop.meddle = meddle


def _file(shop: Shop) -> Path:
    return shop.input / "sales" / DAY / "a.csv"


def _grow(shop: Shop) -> None:
    with _file(shop).open("ab") as file:
        file.write(b"3\n")


def test_a_day_is_committed_with_what_it_was_computed_from(shop: Shop) -> None:
    """The record proves the result: files, bytes, rows and contents of its input, and the rows that came out."""
    shop.put(b"amount\n3\n", "b.csv")
    (outcome,) = shop.run(shop.total())
    assert isinstance(outcome, Committed)
    assert (outcome.aggregation, outcome.day, outcome.generation, outcome.rows, outcome.reason) == (
        *(NAME, DAY, 1, 1),
        "new",
    )
    record = shop.committed().record
    recorded = record.inputs["sales"]
    assert (recorded.files, recorded.bytes, recorded.rows) == (2, len(OLD) + len(b"amount\n3\n"), 3)
    assert (record.version, record.rows, shop.amount()) == (1, 1, 6)
    assert outcome.update.commit == shop.committed()
    assert outcome.update.predecessor == ""


def test_recent_times_are_not_recorded(shop: Shop) -> None:
    """A file of this second may change unseen: the next run must read it again, so no listing is recorded as proof."""
    shop.run(shop.total())
    assert shop.committed().record.inputs["sales"].stat is None


@pytest.mark.usefixtures("settled")
def test_old_times_are_recorded(shop: Shop) -> None:
    """A file that rests is told unchanged by its listing alone."""
    shop.run(shop.total())
    assert (
        shop.committed().record.inputs["sales"].stat
        == RunListing(InputRoot(shop.input)).list_day(shop.source, DAY).stat
    )


# Never stale


def _rewrite(file: Path) -> None:
    file.write_bytes(NEW)


def _edit_and_hide(file: Path) -> None:
    before = file.stat()
    file.write_bytes(NEW)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _replace_and_hide(file: Path) -> None:
    other = file.with_suffix(".new")
    other.write_bytes(NEW)
    shutil.copystat(file, other)
    other.rename(file)


def _split(file: Path) -> None:
    file.write_bytes(b"amount\n8\n")
    file.with_name("b.csv").write_bytes(b"amount\n9\n")


@pytest.mark.parametrize("change", [_rewrite, _edit_and_hide, _replace_and_hide, _split])
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_input_that_changes_meanwhile_is_computed_anew(
    shop: Shop, change: Callable[[Path], None], old: bool, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 3: a result of what the files were is never published: neither where polars read memory, nor files."""
    if old:
        monkeypatch.setattr(intake, "RECENT_NS", -(10**9))
    if own:
        shop.source = Source("sales/{day}/*.csv", read=pl.scan_csv)
    _once(shop, lambda: change(_file(shop)))
    (outcome,) = shop.run(shop.total())
    assert isinstance(outcome, Committed)
    assert (shop.calls, shop.amount(), outcome.generation) == (2, 17, 1)
    shop.committed()


def test_a_store_that_no_time_shows_is_found(shop: Shop) -> None:
    """A store into a mapped page that is dirty already changes no time at all: fresh files are read again instead."""
    file = _file(shop)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as page:
        page[:] = OLD
        before = file.stat()

        def store() -> None:
            page[:] = NEW

        _once(shop, store)
        (outcome,) = shop.run(shop.total())
        after = file.stat()
    assert isinstance(outcome, Committed)
    assert (shop.calls, shop.amount()) == (2, 17)
    shop.committed()
    if (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
        pytest.skip("this file system shows the store after all")


def test_a_file_that_changes_while_it_is_read_is_read_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the old and half of the new file is no input: the bytes that were digested were one file's."""
    real = os.fstat
    changed: list[bool] = []

    def fstat(fd: int) -> os.stat_result:
        status = real(fd)
        if not changed and status.st_ino == _file(shop).stat().st_ino:
            changed.append(True)
            _file(shop).write_bytes(NEW)
        return status

    monkeypatch.setattr(os, "fstat", fstat)
    (outcome,) = shop.run(shop.total())
    assert isinstance(outcome, Committed)
    assert changed
    assert shop.amount() == 17
    shop.committed()


def test_input_that_never_rests_is_given_up(shop: Shop) -> None:
    """A file that is written all the time costs a bounded number of attempts, and the old commit stays."""
    shop.run(shop.total())
    before = place(shop.root).read_bytes()
    shop.calls = 0
    shop.meddle = lambda: _grow(shop)
    shop.put(NEW)
    (outcome,) = shop.run(shop.total(), reason="changed")
    assert isinstance(outcome, Failed)
    assert outcome.kind == "unsettled"
    assert shop.calls == 2 * ATTEMPTS, "and as often once more, after the others"
    assert place(shop.root).read_bytes() == before


def test_input_that_never_rests_harms_no_result_of_another(shop: Shop) -> None:
    """Promise 10: a result whose own source rests is committed, whatever another source of the day does."""

    def steady(sales: pl.LazyFrame) -> pl.LazyFrame:
        """The sum of all amounts."""
        return sales.select(pl.col("amount").sum())

    calm = aggregation(Source("sales/{day}/b.csv"))(steady)
    shop.source = Source("sales/{day}/a.csv")
    shop.put(OLD, "b.csv")
    shop.meddle = lambda: _grow(shop)
    outcomes = {type(one): one.aggregation for one in shop.run(calm, shop.total())}
    assert outcomes == {Committed: "steady", Failed: NAME}


def test_a_file_that_is_half_written_is_no_bad_input(shop: Shop) -> None:
    """A reader that meets a file in the middle of its replacement fails; by then the file is another: begin anew."""

    def read(files: list[Path]) -> pl.LazyFrame:
        shop.calls += 1
        if shop.calls == 1:
            _file(shop).write_bytes(NEW)
            raise ValueError("torn")
        return pl.scan_csv(files)

    def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
        """The sum of all amounts."""
        return sales.select(pl.col("amount").sum())

    shop.source = Source("sales/{day}/*.csv", read=read)
    (outcome,) = shop.run(aggregation(shop.source)(totals))
    assert isinstance(outcome, Committed)
    assert shop.amount() == 17


@pytest.mark.parametrize("standing", [False, True])
def test_a_planned_day_whose_files_go_meanwhile_fails(shop: Shop, standing: bool) -> None:
    """Unmounted or expired, nobody knows: what was planned is named, computed from nothing, and what stands stands."""
    before = b""
    if standing:
        shop.run(shop.total())
        before = place(shop.root).read_bytes()
        shop.calls = 0
        _file(shop).write_bytes(NEW)
    _once(shop, lambda: _file(shop).unlink())
    (outcome,) = shop.run(shop.total(), reason="changed" if standing else "new")
    assert isinstance(outcome, Failed)
    assert outcome.kind == "input"
    assert shop.attempts[NAME] - standing == 3, "at once as it changed, and once more as they are gone"
    assert outcome.error == (
        "its files are gone since the plan was made: none matches "
        f"sales/{DAY}/*.csv below {shop.input}; expected 1, or a new run"
    )
    assert place(shop.root).read_bytes() == before if standing else not place(shop.root).exists()


def test_a_planned_day_that_loses_some_of_its_files_fails(shop: Shop) -> None:
    """One of several mounts goes in mid-run: half of the plan's files are not that day's input."""
    _file(shop).with_name("b.csv").write_bytes(NEW)
    one = shop.total()
    _once(shop, lambda: _file(shop).unlink())
    (outcome,) = shop.run(one, files=(2,))
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("1 of its 2 files are gone since the plan was made: 1 match sales/")
    assert not place(shop.root).exists()


def test_no_day_is_computed_once_the_root_is_another(shop: Shop) -> None:
    """The root renamed, and a copy in its place: the day fails at once, and no second try is worth it."""

    def replace() -> None:
        shop.input.rename(shop.input.with_name("elsewhere"))
        shutil.copytree(shop.input.with_name("elsewhere"), shop.input)

    one = shop.total()
    _once(shop, replace)
    (outcome,) = shop.run(one)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, shop.attempts[NAME], shop.calls) == ("input", 1, 1)
    assert "leads to another folder since the run began" in outcome.error
    assert not place(shop.root).exists()


def test_input_that_cannot_be_listed_is_a_failure(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: before or after the computation, an error of listing publishes nothing and may pass."""

    def break_disk() -> None:
        fail(monkeypatch, "scandir", lambda folder: isinstance(folder, int), errno.EIO)

    shop.meddle = break_disk
    for attempts in (2, 4):
        (outcome,) = shop.run(shop.total())
        assert isinstance(outcome, Failed)
        assert (outcome.kind, shop.attempts[NAME], shop.calls) == ("input", attempts, 1)
    assert not place(shop.root).exists()


# Never twice, never backwards


def test_what_another_run_committed_meanwhile_is_done(shop: Shop) -> None:
    """Promise 8: the plan is old when its turn comes; a day that is done is neither computed nor published again."""
    shop.run(shop.total())
    before = place(shop.root).read_bytes()
    assert shop.run(shop.total()) == [Skipped(NAME, DAY, "done")]
    assert shop.calls == 1
    assert place(shop.root).read_bytes() == before


@pytest.mark.usefixtures("settled")
def test_what_another_run_committed_from_old_files_is_done_without_reading(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the listing proves that nothing changed, the input is not even read."""
    shop.run(shop.total())
    fail(monkeypatch, "open", lambda path, *_: str(path).endswith(".csv"))
    assert shop.run(shop.total()) == [Skipped(NAME, DAY, "done")]


def test_a_commit_that_lands_in_mid_computation_is_not_replaced(shop: Shop) -> None:
    """Two runs compute a day at once: one publishes, the other finds its place taken and the day done."""
    _once(shop, lambda: shop.run(shop.total()))
    assert shop.run(shop.total()) == [Skipped(NAME, DAY, "done")]
    assert shop.committed().record.generation == 1


def test_a_commit_of_older_input_is_replaced(shop: Shop) -> None:
    """What another committed meanwhile counts only where it is of the input as it is now."""
    _once(shop, lambda: commit(shop.root, pl.DataFrame({"amount": [99]})))
    (outcome,) = shop.run(shop.total())
    assert isinstance(outcome, Committed)
    assert (outcome.generation, shop.amount(), shop.calls) == (2, 3, 2)


def test_an_empty_result_that_is_done_is_called_empty(shop: Shop) -> None:
    """Done with no rows is told apart."""

    def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
        """No rows."""
        return sales.filter(pl.col("amount") > 100)

    nothing = aggregation(shop.source)(totals)
    (outcome,) = shop.run(nothing)
    assert isinstance(outcome, Committed)
    assert outcome.rows == 0
    assert shop.run(nothing) == [Skipped(NAME, DAY, "empty")]


def test_force_computes_what_was_seen_and_nothing_newer(shop: Shop) -> None:
    """A forced day is computed anew once; where another run has just done so, it is done."""
    shop.run(shop.total())
    seen = shop.committed().record.nonce
    (outcome,) = shop.run(shop.total(), reason="forced", over=seen)
    assert isinstance(outcome, Committed)
    assert outcome.update.predecessor == seen
    assert shop.run(shop.total(), reason="forced", over=seen) == [Skipped(NAME, DAY, "done")]
    assert shop.calls == 2


@pytest.mark.parametrize("reason", ["new", "changed", "forced"])
def test_a_higher_version_is_never_overwritten(shop: Shop, reason: Reason) -> None:
    """Promise 3: old code leaves what newer code committed, by force too: two deployments do not take turns."""
    shop.run(shop.total(version=2))
    before = place(shop.root).read_bytes()
    nonce = shop.committed().record.nonce
    shop.put(NEW)
    assert shop.run(shop.total(version=1), reason=reason, over=nonce) == [Skipped(NAME, DAY, "ahead")]
    assert place(shop.root).read_bytes() == before
    assert shop.calls == 1


def test_a_higher_version_that_lands_in_mid_computation_stays(shop: Shop) -> None:
    """Old code that was computing while newer code committed gives way."""
    _once(shop, lambda: shop.run(shop.total(version=2)))
    assert shop.run(shop.total(version=1)) == [Skipped(NAME, DAY, "ahead")]
    assert shop.committed().record.version == 2


def test_a_lower_version_is_replaced(shop: Shop) -> None:
    """A raised version recomputes the day, though its input is the same."""
    shop.run(shop.total(version=1))
    (outcome,) = shop.run(shop.total(version=2), reason="outdated")
    assert isinstance(outcome, Committed)
    assert shop.committed().record.version == 2


def test_damage_is_kept_and_rebuilt(shop: Shop) -> None:
    """Promise 6, for a whole day: the torn file is set aside, the day computed, the numbering goes on."""
    shop.run(shop.total())
    place(shop.root).write_bytes(b"torn")
    (outcome,) = shop.run(shop.total(), reason="corrupt")
    assert isinstance(outcome, Committed)
    assert (outcome.generation, shop.amount()) == (2, 3)
    assert list(kept(shop.root).values()) == [b"torn"]


# One bad result harms one


def _raising(sales: pl.LazyFrame) -> pl.LazyFrame:
    raise ValueError("no such thing")


def _panicking(sales: pl.LazyFrame) -> pl.LazyFrame:
    raise pl.exceptions.PanicException("polars panicked")


def _without_result(sales: pl.LazyFrame) -> Any:
    return None


def _with_day(sales: pl.LazyFrame) -> pl.LazyFrame:
    return sales.with_columns(day=pl.lit(DAY))


def _unknown_to_parquet(sales: pl.LazyFrame) -> pl.LazyFrame:
    return sales.select(pl.col("amount").cast(pl.Int128))


@pytest.mark.parametrize("body", [_raising, _panicking, _without_result, _with_day, _unknown_to_parquet])
def test_one_bad_result_leaves_the_others_committed(shop: Shop, body: Function) -> None:
    """Promise 10: the good ones before and after it are committed; the bad one is named, and its old commit stays."""

    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Misbehaves."""
        return body(sales)

    def others(sales: pl.LazyFrame) -> pl.LazyFrame:
        """The largest amount."""
        return sales.select(pl.col("amount").max())

    old = commit(shop.root, name="bad")
    outcomes = {
        one.aggregation: one
        for one in shop.run(shop.total(), aggregation(shop.source)(bad), aggregation(shop.source)(others))
    }
    failed = outcomes.pop("bad")
    assert isinstance(failed, Failed)
    assert (failed.kind, shop.attempts["bad"]) == ("aggregation", 1)
    assert [type(one) for one in outcomes.values()] == [Committed, Committed]
    found = shop.root.lookup(("bad", DAY))
    assert isinstance(found, Commit)
    assert found.record.nonce == old.identity


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_disk_that_fails_is_told_and_leaves_the_old_commit(
    shop: Shop, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 9: what cannot be written is a failure that may pass, and it costs no day that was there."""
    shop.run(shop.total())
    before = place(shop.root).read_bytes()
    shop.put(NEW)
    fail(monkeypatch, step, lambda *_, **__: True)
    (outcome,) = shop.run(shop.total(), reason="changed")
    assert isinstance(outcome, Failed)
    assert (outcome.kind, shop.attempts[NAME]) == ("storage", 3), "of which one was before"
    assert place(shop.root).read_bytes() == before


def test_a_place_that_cannot_be_read_is_left_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: an error is no token: nothing is computed over what nobody knows."""
    shop.run(shop.total())
    fail(monkeypatch, "open", lambda path, *_: str(path).endswith("data.parquet"))
    (outcome,) = shop.run(shop.total(), reason="changed")
    assert isinstance(outcome, Failed)
    assert (outcome.kind, shop.attempts[NAME], shop.calls) == ("storage", 3, 1)


def test_the_token_is_read_before_the_input(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a writer saw of the place must be older than what it saw of the input: else it replaces newer by older."""
    order: list[str] = []

    def noted(word: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            order.append(word)
            return real(*arguments)

        return call

    monkeypatch.setattr("state.store.local.commit.read_mark", noted("token", read_mark))
    monkeypatch.setattr(run_listing, "list_day", noted("input", list_day))
    shop.run(shop.total())
    assert order[0] == "token"
    assert order.count("token") == 1
    assert order[-1] == "input"


def test_an_error_of_this_code_is_one_days(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 10: a bug that one day's data brings out is that day's failure; the run goes on and names it."""

    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("tasks.compute.group.evaluate", broken)
    (outcome,) = shop.run(shop.total())
    assert isinstance(outcome, Failed)
    assert outcome.kind == "broken"
    assert "a bug" in outcome.error


# Days together


DAYS = ("2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04")


def _together(shop: Shop, *functions: Function) -> list[Outcome]:
    """Compute four days in one group, of which the third holds no number."""
    for number, day in enumerate(DAYS):
        folder = shop.input / "sales" / day
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(b"amount\nx\n" if number == 2 else b"amount\n%d\n" % number)
    found = [one for function in functions if (one := declared(function))]
    run = RunContext({one.name: one for one in found}, InputRoot(shop.input), shop.root)
    run.batch_size.results = 100
    return list(compute(run, [Item(one.name, day, "new") for day in DAYS for one in found]))


def _strict(shop: Shop) -> Function:
    @aggregation(Source("sales/{day}/*.csv", schema={"amount": pl.Int64}))
    def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
        """The sum of all amounts."""
        return sales.select(pl.col("amount").sum())

    return totals


def test_a_bad_day_harms_no_other_of_its_group(shop: Shop) -> None:
    """Promise 10: days that are computed in one call of polars fail each for itself."""
    outcomes = _together(shop, _strict(shop))
    assert [(one.day, type(one)) for one in outcomes if not isinstance(one, Skipped)] == [
        (day, Failed if day == DAYS[2] else Committed) for day in DAYS
    ]
    assert [pq.read_table(place(shop.root, "totals", day)).to_pylist() for day in DAYS if day != DAYS[2]] == [
        [{"amount": number}] for number in (0, 1, 3)
    ]


def _break_second_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second result that is written bring a bug out."""
    calls = []

    def digest(table: pa.Table) -> str:
        calls.append(table)
        if len(calls) == 2:
            raise KeyError("a bug")
        return rows_digest(table)

    monkeypatch.setattr(jobs, "rows_digest", digest)


def test_what_breaks_one_day_of_a_group_breaks_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 10: a bug that one day brings out while its result is written is that day's."""
    _break_second_result(monkeypatch)
    outcomes = _together(shop, _strict(shop))
    assert [getattr(one, "kind", "") for one in outcomes] == ["", "broken", "input", ""]


def test_what_breaks_a_day_leaves_each_of_its_results_one_outcome(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far each result of the day had come, it is named once, and what breaks one breaks no other."""

    @aggregation(shop.source)
    def bad(sales: pl.LazyFrame) -> pl.LazyFrame:
        """It has no such column."""
        return sales.select("nothing")

    @aggregation(shop.source)
    def last(sales: pl.LazyFrame) -> pl.LazyFrame:
        """Everything."""
        return sales

    _break_second_result(monkeypatch)
    outcomes = shop.run(bad, shop.total(), last)
    assert {one.aggregation: getattr(one, "kind", "") for one in outcomes} == {
        "bad": "aggregation",
        "totals": "",
        "last": "broken",
    }
    assert len(outcomes) == 3


def test_no_day_is_published_before_all_of_its_group_are_flushed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 1: flushes of drafts, then renames, then flushes of folders; and one that fails keeps its day back."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def flush(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "draft")
        if steps.count("draft") == 1 and steps[-1] == "draft":
            raise OSError(errno.EIO, "the disk is bad")
        fsync(fd)

    def renamed(*arguments: Any, **options: Any) -> None:
        steps.append("rename")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", renamed)
    outcomes = _together(shop, _strict(shop))
    first, second = [("draft", 3), ("rename", 2), ("folder", 4)], [("draft", 1), ("rename", 1), ("folder", 3)]
    assert [(step, len(list(group))) for step, group in groupby(steps)] == first + second
    assert sorted(getattr(one, "kind", "") for one in outcomes) == ["", "", "", "input"]


def test_a_day_that_changes_is_begun_anew_alone(shop: Shop) -> None:
    """A group goes on without the day that changed under it, which is computed again from what is there now."""
    touched: list[str] = []

    @aggregation(Source("sales/{day}/*.csv"))
    def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
        """The sum of all amounts, while the second day is rewritten once."""
        if not touched:
            touched.append(DAYS[1])
            (shop.input / "sales" / DAYS[1] / "a.csv").write_bytes(b"amount\n77\n")
        return sales.select(pl.col("amount").cast(pl.Int64, strict=False).sum())

    outcomes = _together(shop, totals)
    assert {one.day: one.generation for one in outcomes if isinstance(one, Committed)} == dict.fromkeys(DAYS, 1)
    assert pq.read_table(place(shop.root, "totals", DAYS[1])).to_pylist() == [{"amount": 77}]


def test_a_group_is_no_longer_than_its_pace_and_its_bytes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done together is bounded: by results, so that an early end drops little, and by bytes in memory."""
    groups: list[int] = []

    def evaluate_counted(days: Any) -> Any:
        groups.append(len(days))
        return evaluate(days)

    monkeypatch.setattr(compute_module, "evaluate", evaluate_counted)
    monkeypatch.setattr(compute_module, "TOGETHER_BYTES", 18)
    _together(shop, _strict(shop))
    assert groups == [2, 2], "18 bytes fill a group"


def test_the_pace_follows_the_time_that_groups_take() -> None:
    """Quick groups grow up to a bound that leaves the process its files; slow ones shrink to a single result."""
    pace = AdaptiveBatchSize(workers=4)
    for _ in range(20):
        pace.took(pace.results, 0.01)
    assert pace.results == open_staged() // 8
    for _ in range(20):
        pace.took(pace.results, 5.0)
    assert pace.results == 1
    pace.took(1, 0.4)
    assert pace.results == 1
