"""Repair: the index is made equal to the output, damage is set aside, and a person's word is taken."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from flows.repair import repair_output
from flows.report.models import RepairReport
from flows.report.terminal import show_repair
from state.errors import IndexUnavailable, Refused
from state.index.index import ReconcileStats
from state.partition import Partition
from state.store.base import Broken
from state.store.local import layout
from state.store.local.set_aside import set_aside_damaged
from state.store.local.store import LocalStore
from tasks.deep_check import DeepCheck
from tasks.reading.edited import Edited
from tests.flows.test_health import at, command, examined, inside, kinds, mended
from tests.project import Project, dates, dump, wait_until
from tests.redis_servers import Server, client_of, started

DAYS = dates(10)
COMMITS, PROCESSED, LAST = (
    f"noonmark:{{totals}}:{name}" for name in ("commits", "processed_days", "last_processed_day")
)
NUMBERS = ("added", "updated", "removed", "unchanged")
MEMORY = Path("/dev/shm")
"""A file system that notices no store through mmap, which is what an edit without a trace is."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A Redis of the test's own."""
    with started() as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    """A client of it."""
    with client_of(server.url) as client:
        yield client


@pytest.fixture
def indexed(project: Project, server: Server) -> Project:
    """Ten committed days, remembered by the server."""
    return at(project, server.url)


def numbers(report: dict[str, object]) -> tuple[object, ...]:
    """Added, updated, removed and unchanged."""
    return tuple(report[name] for name in NUMBERS)


# The index


def test_every_difference_is_counted_and_mended_and_a_dry_run_only_counts(
    indexed: Project, client: redis.Redis
) -> None:
    """One entry missing, two wrong, two too many, the others right; afterwards the index is what it was."""
    good = dump(client)
    client.hdel(COMMITS, DAYS[0])
    client.hset(COMMITS, DAYS[1], b"\xff no entry")
    client.srem(PROCESSED, DAYS[2])
    client.hset(COMMITS, "2031-01-01", "{}")
    client.sadd(PROCESSED, "2032-01-01", "no day at all")
    client.set(LAST, "2032-01-01")
    harmed, tree = dump(client), indexed.tree()

    assert numbers(mended(indexed, dry_run=True)) == (1, 2, 3, 17)
    assert dump(client) == harmed
    assert indexed.tree() == tree
    report = examined(indexed)
    assert kinds(report) == {"index", "unrecoverable"}  # it remembers days of which nothing else is known
    [problem] = [one for one in report["problems"] if one["kind"] == "index"]
    assert "1 missing, 2 wrong, 3 too many" in problem["detail"]

    assert numbers(mended(indexed)) == (1, 2, 3, 17)
    assert dump(client) == good
    assert numbers(mended(indexed)) == (0, 0, 0, 20)
    assert examined(indexed)["healthy"]


@pytest.mark.parametrize("key", [COMMITS, PROCESSED, LAST])
def test_a_key_of_another_type_is_replaced(indexed: Project, client: redis.Redis, key: str) -> None:
    """Whoever wrote a list there: the key is ours by contract."""
    good = dump(client)
    client.delete(key)
    client.rpush(key, "mine")
    mended(indexed)
    assert dump(client) == good


def test_a_dry_run_starts_no_server_and_creates_no_output(finished: Project, tmp_path: Path) -> None:
    """Where nothing is, nothing is found, and nothing is there afterwards."""
    before = finished.tree()
    report = mended(finished, dry_run=True, deep=True)
    assert (numbers(report), report["set_aside"], report["edited"]) == ((0, 0, 0, 0), [], [])
    assert report["index"] == "unread"
    assert finished.tree() == before
    assert finished.processes() == []
    empty = Project.create(tmp_path / "empty", None, DAYS[:1])
    before = empty.tree()
    assert numbers(mended(empty, dry_run=True)) == (0, 0, 0, 0)
    assert empty.tree() == before


def test_without_redis_nothing_is_called_repaired(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The damage is still set aside; of the index it is said that it was not there."""
    project.result("totals", DAYS[0]).write_bytes(b"mine")
    lost = replace(project, redis_url="unix:///nowhere/at/all")
    with inside(lost) as (settings, catalog):
        report = repair_output(settings, catalog, deep=True, accept=False, dry_run=False)
        show_repair(report, settings)
    assert "not available" in capsys.readouterr().out
    assert [one["day"] for one in report.to_json()["set_aside"]] == [DAYS[0]]
    assert report.to_json()["index"] == "unread"
    assert "the index was not repaired" in str(report.failure())


# Every byte


def test_damage_is_set_aside_and_rebuilt(indexed: Project, client: redis.Redis) -> None:
    """Two flipped bits, one in a data page: found by --deep alone, kept as they are, exit 1, rebuilt by the next."""
    good = indexed.rows()
    page, foreign = indexed.result("totals", DAYS[3]), indexed.result("items_by_shop", DAYS[4])
    content = bytearray(page.read_bytes())
    content[9] ^= 4
    page.write_bytes(content)
    foreign.write_bytes(b"mine")
    os.utime(page, (1, 1))
    assert mended(indexed)["set_aside"] == []
    assert kinds(examined(indexed)) == {"corrupt"}  # the foreign file; of the page nobody but --deep knows

    tree = indexed.tree(indexed.output)
    told = mended(indexed, deep=True, dry_run=True)
    assert {(one["aggregation"], one["day"]) for one in told["set_aside"]} == {
        ("totals", DAYS[3]),
        ("items_by_shop", DAYS[4]),
    }
    assert indexed.tree(indexed.output) == tree

    end = command(indexed, "repair", "--deep", "--json").finish()
    assert end.code == 1
    assert numbers(end.json) == (0, 0, 1, 18)
    kept = {one["day"]: (indexed.output / one["kept"]).read_bytes() for one in end.json["set_aside"]}
    assert kept == {DAYS[3]: bytes(content), DAYS[4]: b"mine"}
    assert DAYS[3].encode() not in client.hgetall(COMMITS)

    run = indexed.run()
    assert set(run.committed) == {("totals", DAYS[3]), ("items_by_shop", DAYS[4])}
    assert indexed.rows() == good
    assert {one["day"]: (indexed.output / one["kept"]).read_bytes() for one in end.json["set_aside"]} == kept
    report = mended(indexed, deep=True)
    assert (numbers(report), report["set_aside"], report["edited"]) == ((0, 0, 0, 20), [], [])


def test_one_result_that_cannot_be_set_aside_hides_no_other(indexed: Project) -> None:
    """It is told as unreadable, the next one is set aside, and the index is repaired."""
    for day in DAYS[3:5]:
        indexed.result("totals", day).write_bytes(b"torn")
    path, slot = layout.lock_slot("totals", DAYS[3])
    with (indexed.output / path).open("r+b") as lock:
        lock.seek(slot)
        lock.write(b"somebody's")
    report = mended(indexed, deep=True)
    assert [one["day"] for one in report["set_aside"]] == [DAYS[4]]
    assert [one["day"] for one in report["unreadable"]] == [DAYS[3]]
    assert "it cannot be set aside" in report["unreadable"][0]["why"]


def test_a_commit_that_lands_during_the_deep_look_is_indexed(
    indexed: Project, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run rebuilt a damaged day and died before it told the index: repair goes by what stands there last."""
    good, result = dump(client), indexed.result("totals", DAYS[3])
    rebuilt = result.rename(result.with_name("rebuilt"))
    client.hdel(COMMITS, DAYS[3])
    result.write_bytes(b"torn")

    def rebuild_first(root: LocalStore, partition: Partition) -> Broken | None:
        rebuilt.rename(result)
        return set_aside_damaged(root.folder, partition)

    monkeypatch.setattr(LocalStore, "set_aside_damaged", rebuild_first)
    report = mended(indexed, deep=True)
    assert (report["set_aside"], numbers(report)) == ([], (1, 0, 0, 19))
    assert dump(client) == good


def test_a_foreign_file_among_the_results_is_named(indexed: Project) -> None:
    """A reader of folders would count it with the results: --deep names it, and it is a person's to move away. What
    has a day's name and is no folder is set aside like any damage.
    """
    beside = indexed.result("totals", DAYS[3]).with_name("copy.parquet")
    alone = indexed.output / "totals/day=2031-01-01/data.csv"
    above = indexed.output / "totals/notes.parquet"
    alone.parent.mkdir()
    instead = indexed.output / "totals/day=2031-01-02"
    for path in (beside, alone, above, instead, indexed.output / "README"):
        path.write_text("mine")
    end = command(indexed, "repair", "--deep").finish()
    assert end.code == 1
    named = [str(path.relative_to(indexed.output)) for path in (beside, alone, above)]
    assert "totals 2031-01-02 is damaged: its folder is a file, not a folder" in end.stdout
    assert not instead.exists()
    assert all(f"{name} is not Noonmark's" in end.stdout for name in named)
    assert "README" not in end.stdout
    assert mended(indexed, deep=True)["foreign"] == sorted(named)
    assert beside.read_text() == "mine"


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no file system here hides a store through mmap")
def test_an_input_that_was_edited_without_a_trace_is_found(api_url: str) -> None:
    """Same name, size, inode, mtime and ctime, other bytes: every run believes the listing, --deep reads.

    The command that it prints computes the day anew.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        project = Project.create(Path(folder) / "project", api_url, DAYS[:2])
        path = project.sales_file(DAYS[0])
        begun = path.stat().st_ctime
        wait_until(lambda: time.time() > begun + 2.5)  # younger times prove nothing, and are not trusted
        assert len(project.run().committed) == 4
        before = path.stat()
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            at = view.find(b"north,10")
            view[at : at + 8] = b"north,90"
        after = path.stat()
        if (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
            pytest.skip("this file system notices a store through mmap")
        assert project.rows() != project.expected()
        assert examined(project)["healthy"]

        found = mended(project, deep=True)
        assert {(one["aggregation"], one["day"]) for one in found["edited"]} == {
            ("items_by_shop", DAYS[0]),
            ("totals", DAYS[0]),
        }
        assert found["set_aside"] == []
        end = command(project, "daily", "--json", "--force", "--days", DAYS[0]).finish()
        assert set(end.committed.values()) == {"forced"}
        assert project.rows() == project.expected()
        assert mended(project, deep=True)["edited"] == []


def test_a_person_reads_what_to_do(finished: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found, where it is kept, and the command for it."""
    damaged = Broken("totals", DAYS[0], "torn", "_noonmark/set_aside/x")
    deep = DeepCheck(set_aside=(damaged,), edited=(Edited("totals", DAYS[1], "s"),))
    report = RepairReport(ReconcileStats(1, 0, 1200, 3), absence=None, index_required=True, deep=deep)
    with inside(finished) as (settings, _):
        show_repair(report, settings)
    told = capsys.readouterr().out
    assert "1 added, 1,200 removed" in told
    assert "moved to _noonmark/set_aside/x" in told
    assert "python -m flows.daily\n" in told
    assert f"python -m flows.daily --force --days {DAYS[1]} --only totals" in told


# A person's word


def test_an_output_without_its_marker_is_accepted_as_a_new_one(indexed: Project, client: redis.Redis) -> None:
    """Refused until then, by a dry run too; the index forgets the old output and belongs to the new one."""
    shutil.rmtree(indexed.output)
    keys = dump(client)
    for dry_run in (True, False):
        with pytest.raises(Refused, match="index remembers"):
            mended(indexed, dry_run=dry_run)
    assert not indexed.output.exists()
    mended(indexed, accept=True, dry_run=True)
    assert not indexed.output.exists()
    assert dump(client) == keys

    assert numbers(mended(indexed, accept=True)) == (0, 0, 0, 0)
    identity = json.loads((indexed.output / "_noonmark/root.json").read_text())["root"]
    assert dump(client) == {"noonmark:root": identity.encode()}
    assert kinds(examined(indexed)) == {"new"}


def test_an_output_without_its_marker_but_with_its_results_keeps_them(indexed: Project, client: redis.Redis) -> None:
    """A marker that was deleted by hand: the results are whole, and are remembered anew."""
    rows = indexed.rows()
    (indexed.output / "_noonmark/root.json").unlink()
    assert kinds(examined(indexed)) == {"refused"}
    assert numbers(mended(indexed, accept=True)) == (20, 0, 0, 0)
    assert examined(indexed)["healthy"]
    assert indexed.rows() == rows


def test_a_damaged_marker_is_kept_and_replaced(indexed: Project) -> None:
    """Set aside where a person finds it; the output is marked anew and its results are remembered."""
    marker = indexed.output / "_noonmark/root.json"
    marker.write_bytes(b'{"format": 1, "ro')
    with pytest.raises(Refused, match="damaged"):
        mended(indexed)
    assert kinds(examined(indexed)) == {"refused"}
    assert numbers(mended(indexed, accept=True)) == (20, 0, 0, 0)
    [kept] = (indexed.output / "_noonmark/set_aside").iterdir()
    assert kept.read_bytes() == b'{"format": 1, "ro'
    assert examined(indexed)["healthy"]


def test_a_foreign_index_is_left_alone_until_it_is_bound_anew(indexed: Project, client: redis.Redis) -> None:
    """A run and a repair change nothing in it; health is red; one word binds it, and what it held is gone."""
    client.set("noonmark:root", "another output")
    client.hset(COMMITS, "2031-01-01", "theirs")
    theirs = dump(client)
    assert numbers(mended(indexed)) == (0, 0, 0, 0)
    assert dump(client) == theirs
    report = examined(indexed)
    assert kinds(report) == {"foreign_index"}
    assert numbers(mended(indexed, accept=True)) == (20, 0, 0, 0)
    assert examined(indexed)["healthy"]
    assert b"2031-01-01" not in client.hgetall(COMMITS)


def test_the_absence_of_an_input_is_accepted_until_it_comes_back(indexed: Project) -> None:
    """Raw files expire. Every run says what was accepted, and the next time that they vanish it is a question again."""
    files = indexed.raw / "sales"
    files.rename(indexed.raw / "elsewhere")
    files.mkdir()
    assert kinds(examined(indexed)) == {"refused"}
    mended(indexed)
    assert kinds(examined(indexed)) == {"refused"}  # a repair without the word accepts nothing
    mended(indexed, accept=True)
    report = examined(indexed)
    assert report["healthy"]
    told = command(indexed, "daily").finish()
    accepted = "source 'sales/{day}/*.csv': still no file, as was accepted with --accept-output"
    assert (told.code, told.stderr) == (0, f"{accepted}: {files} is empty, expected '{{day}}' there\n")
    assert report["counts"] == {"items_by_shop": {"orphaned": 10}, "totals": {"orphaned": 10}}
    assert len(indexed.results()) == 20

    files.rmdir()
    (indexed.raw / "elsewhere").rename(files)
    assert indexed.run().json["skipped"] == {"done": 20}
    files.rename(indexed.raw / "elsewhere")
    files.mkdir()
    report = examined(indexed)
    assert kinds(report) == {"refused"}
    assert "no file matches source 'sales/{day}/*.csv'" in report["problems"][0]["detail"]


def test_an_unreadable_input_is_not_accepted_as_vanished(indexed: Project) -> None:
    """Promise 5: what cannot be read is not known to be gone."""
    for day in DAYS:
        indexed.sales_file(day).unlink()
        indexed.sales_file(day).symlink_to("nowhere")
    mended(indexed, accept=True)
    assert json.loads((indexed.output / "_noonmark/accepted.json").read_text()) == {"empty_sources": []}
    assert kinds(examined(indexed)) == {"unreadable"}


def test_the_word_for_an_input_needs_no_redis(indexed: Project) -> None:
    """Without Redis the index cannot be bound anew, which is an error; the input's absence is accepted all the same."""
    shutil.rmtree(indexed.raw / "sales")
    (indexed.raw / "sales").mkdir()
    lost = replace(indexed, redis_url="unix:///nowhere/at/all")
    with pytest.raises(IndexUnavailable):
        mended(lost, accept=True)
    assert examined(indexed)["healthy"]


def test_a_dry_run_says_what_would_be_accepted(indexed: Project) -> None:
    """To accept is the riskiest of all commands: a person can read first what it would accept, and nothing is."""
    shutil.rmtree(indexed.raw / "sales")
    told = command(indexed, "repair", "--accept-output", "--dry-run").finish().stdout
    assert "Would accept: no file matches source 'sales/{day}/*.csv' any more" in told
    assert kinds(examined(indexed)) == {"refused"}
