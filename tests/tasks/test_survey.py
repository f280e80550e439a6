"""The survey over real files: what is doubted is read, what is not is not, and the order of looking is safe."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

from state.acceptance import Accepted
from state.days import parse_range
from state.errors import ConfigurationError, Refused, StorageError
from state.index.best_effort import BestEffortIndex
from state.index.index import Index, IndexSnapshot
from state.inputs.files import DayFiles
from state.inputs.root import InputRoot
from state.planner.plan import Plan, Selection
from state.store import digest_cache as digests
from state.store.accepted import write_accepted
from state.store.cache_file import CacheFile
from state.store.local import layout
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks import survey as module
from tasks.caches import keep
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.group import compute
from tasks.compute.outcomes import Committed
from tasks.reading import day_input as intake
from tasks.reading.day_input import contents_digest
from tasks.survey import Survey, survey
from tests import redis_servers
from tests.builders import fail
from tests.state.index import test_best_effort

server_url = redis_servers.server_url
client = redis_servers.client
index = redis_servers.index
told = test_best_effort.told
pytestmark = pytest.mark.usefixtures("told")

NONE = BestEffortIndex(None, "none")
DAYS = ("8", "9", "10")


def count_of(source: Source, version: int = 1) -> Catalog:
    """One aggregation over one source."""

    def rows(sales: pl.LazyFrame) -> pl.LazyFrame:
        """How many rows."""
        return sales.select(pl.len())

    one = declared(aggregation(source, version=version)(rows))
    assert one is not None
    return {"rows": one}


@dataclass
class House:
    """An input of three days, an output, and the files whose contents were read to settle a doubt."""

    input: Path
    root: LocalStore
    catalog: Catalog = field(default_factory=lambda: count_of(Source("sales/{day:int}/**/*.csv")))
    read: list[str] = field(default_factory=list)

    def file(self, day: str, name: str = "a.csv") -> Path:
        """The path of a raw file."""
        return self.input / "sales" / day / name

    def put(self, day: str, text: str = "x\n1\n", name: str = "a.csv") -> None:
        """Write a raw file."""
        self.file(day, name).parent.mkdir(parents=True, exist_ok=True)
        self.file(day, name).write_text(text)

    def survey(self, index: BestEffortIndex = NONE, **selection: Any) -> Survey:
        """A survey of all this, of which nothing is kept."""
        self.read.clear()
        return survey(self.catalog, InputRoot(self.input), self.root, index, Selection(**selection), 2)

    def plan(self, index: BestEffortIndex = NONE, **selection: Any) -> Plan:
        """Its plan."""
        return self.survey(index, **selection).plan

    def reasons(self, index: BestEffortIndex = NONE) -> dict[str, str]:
        """The reason of each planned day."""
        return {item.day: item.reason for item in self.plan(index).items}

    def commit(self, index: BestEffortIndex = NONE) -> None:
        """Compute and commit everything that is planned."""
        run = RunContext(self.catalog, InputRoot(self.input), self.root)
        for item in self.plan().items:
            [outcome] = compute(run, [item])
            assert isinstance(outcome, Committed), outcome
            index.record_commits([outcome.update])


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Three days, not committed yet. Times prove what they say at once, though the files are new."""
    monkeypatch.setattr(intake, "RECENT_NS", -(10**9))
    (tmp_path / "in").mkdir()
    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        made = House(tmp_path / "in", root)
        for day in DAYS:
            made.put(day)
        real = contents_digest

        def counted(source: Source, input_root: InputRoot, files: DayFiles, **kind: Any) -> str | None:
            made.read.extend(file.path for file in files.files)
            return real(source, input_root, files, **kind)

        monkeypatch.setattr(module, "contents_digest", counted)
        yield made


def test_the_first_and_the_second_survey(house: House) -> None:
    """At first all days are new, in their order; once they are committed none is planned and no byte read."""
    assert [(item.day, item.reason) for item in house.plan().items] == [(day, "new") for day in DAYS]
    house.commit()
    found = house.plan()
    assert (found.items, found.blocked, found.statuses) == ([], [], {"rows": Counter(done=3)})
    assert house.read == []


@pytest.mark.parametrize(
    "touch",
    [
        os.utime,
        lambda file: file.write_text(file.read_text()),
        lambda file: os.replace(shutil.copy2(file, file.with_suffix(".new")), file),
        lambda file: os.chmod(file, 0o600),
    ],
    ids=["touched", "written again", "replaced by its copy", "mode changed"],
)
def test_a_touched_but_unchanged_file_is_no_change(house: House, touch: Callable[[Path], object]) -> None:
    """Its bytes are read, those of that day alone, and nothing is planned."""
    house.commit()
    touch(house.file("9"))
    assert house.reasons() == {}
    assert house.read == ["sales/9/a.csv"]


def test_an_edit_that_keeps_size_and_mtime_is_found(house: House) -> None:
    """``cp -p`` of another file over the old one: ctime tells that there is something to look at."""
    house.commit()
    file = house.file("9")
    before = file.stat()
    other = house.input / "other"
    other.write_text("x\n2\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copy2(other, file)
    after = file.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    assert house.reasons() == {"9": "changed"}
    house.commit()
    other.write_text("x\n3\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, file)
    assert house.reasons() == {"9": "changed"}


def test_a_larger_file_is_a_change_without_reading(house: House) -> None:
    """Sizes and numbers of files settle it: no byte is read to plan."""
    house.commit()
    house.put("9", "x\n1\n2\n")
    house.put("10", name="b.csv")
    assert house.reasons() == {"9": "changed", "10": "changed"}
    assert house.read == []


def test_files_moved_to_another_folder_under_their_names_are_no_change(house: House) -> None:
    """The day's files in another subfolder are the same input."""
    house.commit()
    house.file("9", "moved").mkdir()
    house.file("9").rename(house.file("9", "moved") / "a.csv")
    assert house.reasons() == {}
    house.file("10").rename(house.file("10", "b.csv"))
    assert house.reasons() == {"10": "changed"}, "another name is another input"


def test_times_that_prove_nothing_are_settled_by_the_bytes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit of files that were written in the last seconds is compared by contents, and found done."""
    monkeypatch.setattr(intake, "RECENT_NS", 3600 * 10**9)
    house.commit()
    assert house.reasons() == {}
    assert sorted(house.read) == sorted(f"sales/{day}/a.csv" for day in DAYS)
    assert house.plan(force=True).counts() == Counter(forced=3)
    assert house.read == [], "force needs no comparison"


def test_what_was_touched_once_is_read_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run keeps the digests of files whose listing settles nothing: the next one reads none of them. What is touched
    again is read again, an edit is found, and times of this moment prove nothing.
    """
    house.commit()
    for day in DAYS:
        os.utime(house.file(day))
    keep(house.survey().digests, of="inputs")
    assert house.reasons() == {}
    assert sorted(house.read) == sorted(f"sales/{day}/a.csv" for day in DAYS), "times of this moment"
    monkeypatch.setattr(digests, "RECENT_NS", -(10**9))
    keep(house.survey().digests, of="inputs")
    assert len(house.read) == 3
    assert house.reasons() == {}
    assert house.read == []
    os.utime(house.file("9"))
    before = house.file("10").stat()
    house.file("10").write_text("x\n8\n")
    os.utime(house.file("10"), ns=(before.st_atime_ns, before.st_mtime_ns))
    found = house.survey()
    assert [(item.day, item.reason) for item in found.plan.items] == [("10", "changed")]
    assert sorted(house.read) == ["sales/10/a.csv", "sales/9/a.csv"]
    keep(found.digests, of="inputs")
    assert house.reasons() == {"10": "changed"}
    assert house.read == []


@pytest.mark.parametrize("harm", ["empty", "cut", "noise", "folder", "other entries", "full"])
def test_what_is_wrong_with_the_kept_digests_costs_time_alone(
    house: House, harm: str, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    """They are a cache: whatever stands in their place, the plan is right."""
    monkeypatch.setattr(digests, "RECENT_NS", -(10**9))
    house.commit()
    for day in DAYS:
        os.utime(house.file(day))
    if harm == "full":
        with monkeypatch.context() as disk:
            fail(disk, "write", lambda *_: True)
            keep(house.survey().digests, of="inputs")
        assert any("what was read of the inputs cannot be kept" in message for message in told.messages)
    else:
        keep(house.survey().digests, of="inputs")
        file = house.root.path / layout.note_file("cache/digests")
        content = file.read_bytes()
        if harm == "folder":
            file.unlink()
            file.mkdir()
        elif harm == "other entries":
            CacheFile(house.root, digests.NAME, digests._FORM).save([], [["a", 1], 7, None, "text"])
        else:
            file.write_bytes({"empty": b"", "cut": content[:-3], "noise": b"\0" * 99}[harm])
    assert house.reasons() == {}
    assert len(house.read) == (0 if harm == "other entries" else 3)
    if harm != "folder":
        keep(house.survey().digests, of="inputs")
        assert house.reasons() == {}
        assert house.read == []


def test_a_doubt_that_cannot_be_settled_is_trouble(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that fails while it is compared makes its day unreadable: neither changed nor done; the others go on."""
    house.commit()
    for day in ("9", "10"):
        os.utime(house.file(day))
    real = contents_digest

    def failing(source: Source, input_root: InputRoot, files: DayFiles, **kind: Any) -> str | None:
        if files.files[0].path.startswith("sales/9/"):
            raise StorageError("a.csv cannot be read: Input/output error")
        return real(source, input_root, files, **kind)

    monkeypatch.setattr(module, "contents_digest", failing)
    found = house.plan()
    assert found.items == []
    assert [(one.day, one.kind) for one in found.blocked] == [("9", "unreadable")]
    assert "Input/output error" in found.blocked[0].why
    assert found.statuses["rows"] == Counter(done=2)


def test_a_source_that_vanished_is_refused(house: House) -> None:
    """No file at all, while there are commits: an unmounted input. Nothing is decided until a person accepts it."""
    house.commit()
    house.input.rename(house.input.with_name("elsewhere"))
    with pytest.raises(Refused) as caught:
        house.survey()
    assert caught.value.exit_code == 3
    assert "no file matches source 'sales/{day:int}/**/*.csv'" in caught.value.message
    assert "rows has 3 committed days" in caught.value.message
    assert caught.value.command == "python -m flows.repair --accept-output"
    assert (caught.value.hint or "").startswith("mount it, or correct NOONMARK_INPUT or the template; ")
    write_accepted(house.root, Accepted(frozenset({"sales/{day:int}/**/*.csv"})))
    assert house.plan().statuses["rows"] == Counter(orphaned=3)


def test_a_source_without_files_or_commits_is_told_and_not_refused(house: House) -> None:
    """Before the first file came there is nothing to refuse."""
    (house.input / "sales").rename(house.input / "sale")
    found = house.survey()
    assert found.plan.items == []
    why = f"nothing in {house.input} matches 'sales'; did you mean 'sale'?"
    assert found.unmatched == {"sales/{day:int}/**/*.csv": why}
    write_accepted(house.root, Accepted(frozenset(found.unmatched)))
    assert house.survey().unmatched == {}, "a person said that it is gone for good"


def test_a_selection_without_a_known_day_is_an_error(house: House, told: pytest.LogCaptureFixture) -> None:
    """Not "nothing to do". Of several ranges those without a day are named, and the others computed."""
    for text in ("20130102", "1000..", "2013-01-01"):
        with pytest.raises(ConfigurationError) as caught:
            house.plan(days=(parse_range(text),))
        first, last = DAYS[0], DAYS[-1]
        assert (
            caught.value.message == f"--days {text} has no day with input or a result; there are 3, {first} to {last}"
        )
        assert caught.value.command == "python -m flows.daily --dry-run"
    two = house.plan(days=(parse_range("1000.."), parse_range(DAYS[1])))
    assert [item.day for item in two.items] == [DAYS[1]]
    assert told.messages == [f"--days 1000.. has no day with input or a result; there are 3, {DAYS[0]} to {DAYS[-1]}"]


@pytest.mark.parametrize("found", ["does not exist", "is a file"])
def test_an_input_root_that_is_no_folder_is_a_wrong_setting(house: House, found: str) -> None:
    """Without commits nothing speaks of an unmounted input: the setting is named, and what it was taken for."""
    shutil.rmtree(house.input)
    if found == "is a file":
        house.input.touch()
    with pytest.raises(ConfigurationError) as caught:
        house.survey()
    assert f"the input root {house.input} {found}" in caught.value.message
    assert "NOONMARK_INPUT" in (caught.value.hint or "")


def test_without_an_output_every_day_is_new(house: House) -> None:
    """A dry run before the first run plans everything and writes nothing."""
    found = survey(house.catalog, InputRoot(house.input), None, NONE, Selection(), 1)
    assert found.plan.counts() == Counter(new=3)
    assert found.output.days == {}


def test_only_the_named_aggregations_are_surveyed(house: House) -> None:
    """--only does not list the sources of others, so a broken one of those does no harm."""
    extra = declared(aggregation(Source("gone/{day:int}.csv"))(other))
    assert extra is not None
    house.catalog = {**house.catalog, "other": extra}
    house.commit()
    assert {item.aggregation for item in house.plan(only={"rows"}).items} == set()
    assert set(house.plan(only={"rows"}).statuses) == {"rows"}


def other(gone: pl.LazyFrame) -> pl.LazyFrame:
    """Another result."""
    return gone


def test_the_index_tells_lost_from_new_and_nothing_else(house: House, client: redis.Redis, index: Index) -> None:
    """A result that vanished is lost where Redis remembers it; what Redis makes up changes no plan."""
    best_effort = BestEffortIndex(index)
    house.commit(best_effort)
    shutil.rmtree(house.root.path / "rows" / "day=9")
    assert house.reasons(best_effort) == {"9": "lost"}
    assert house.reasons() == {"9": "new"}
    client.hset("noonmark:{rows}:commits", "9", "made up")
    client.sadd("noonmark:{rows}:processed_days", "9", "10", "10000", "2013-01-01", "x")
    assert house.reasons(best_effort) == {"9": "lost"}
    client.flushall()
    assert house.reasons(best_effort) == {"9": "new"}


class _Committing(BestEffortIndex):
    """While the index is being read, another run commits a day: before the answer, or right after it."""

    def __init__(self, index: Index, act: Callable[[BestEffortIndex], None], *, before: bool) -> None:
        super().__init__(index)
        self._act = act
        self._before = before

    def read(self, aggregations: Sequence[str]) -> dict[str, IndexSnapshot]:
        if self._before:
            self._act(self)
        found = super().read(aggregations)
        if not self._before:
            self._act(self)
        return found


@pytest.mark.parametrize("before", [True, False])
def test_a_commit_that_comes_in_between_is_neither_lost_nor_forgotten(
    house: House, client: redis.Redis, index: Index, before: bool
) -> None:
    """The index is read first and the output afterwards, so the repair that follows takes nothing back."""
    acted: list[int] = []

    def act(best_effort: BestEffortIndex) -> None:
        if not acted:
            acted.append(1)
            house.commit(best_effort)

    best_effort = _Committing(index, act, before=before)
    found = survey(house.catalog, InputRoot(house.input), house.root, best_effort, Selection(), 2)
    assert found.plan.items == []
    assert set(found.output.days["rows"]) == set(DAYS)
    best_effort.reconcile(found.remembered, found.output.days)
    assert client.smembers("noonmark:{rows}:processed_days") == {day.encode() for day in DAYS}


def test_a_redis_that_fails_changes_no_plan(house: House) -> None:
    """Without its index a survey plans the same days, as new."""
    house.commit()
    house.put("11")
    index = test_best_effort.failing()
    began = time.monotonic()
    assert house.reasons(index) == {"11": "new"}
    assert index.unavailable_reason
    assert time.monotonic() - began < 5


def test_a_file_that_changes_while_it_is_doubted_is_planned(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows yet what it will be: the day is looked at anew as it is computed, and no day fails of it."""
    house.commit()
    os.utime(house.file("9"))
    monkeypatch.setattr(module, "contents_digest", lambda *_, **__: None)
    found = house.plan()
    assert [(item.day, item.reason) for item in found.items] == [("9", "changed")]
    assert found.blocked == []
