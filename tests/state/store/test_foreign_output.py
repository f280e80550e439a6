"""What others leave in the output: links, folders, plain files, forged records. Told, kept, and harmless to others."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from flows.health import check_health
from flows.opening import opened_root, seen_root
from flows.repair import repair_output
from state import outputs
from state.errors import Refused, StorageError
from state.index.best_effort import BestEffortIndex
from state.store.local import layout
from tests.builders import fail
from tests.chaos.damage.foreign_files import sealed
from tests.flows.test_health import command, examined, inside, mended
from tests.project import Project, dates

DAYS = dates(10)


def _forged(project: Project, day: str, **fields: Any) -> None:
    """Put a result in the place of ``totals``' that is whole, sealed, and says what it is told to."""
    record = project.record("totals", day)
    told = {name: record[name] for name in ("version", "code", "generation", "nonce")}
    names = {"aggregation": "totals", "day": day, "inputs": {}, **told, **fields}
    sealed(project.result("totals", day), pl.DataFrame({"sales": [1], "items": [1]}), **names)


def test_a_forged_record_makes_one_damaged_day(project: Project) -> None:
    """Promise 10: a version that is a text or no number, or a nonce that is none, under a digest and a seal that fit:
    the others go on, and just that day is computed again. ``--deep`` ends well too.
    """
    odd: list[dict[str, Any]] = [{"version": "1"}, {"version": math.nan}, {"nonce": "\ud800"}, {"generation": 10**30}]
    for day, fields in zip(DAYS, odd, strict=False):
        _forged(project, day, **fields)
    project.sell("2024-01-11", [("north", 1)])
    run = project.run().committed
    corrupt = {("totals", day): "corrupt" for day in DAYS[: len(odd)]}
    new = dict.fromkeys([("totals", "2024-01-11"), ("items_by_shop", "2024-01-11")], "new")
    assert run == corrupt | new
    assert project.rows() == project.expected()

    _forged(project, DAYS[4], nonce=None)
    _forged(project, DAYS[5], version=[1])
    report = mended(project, deep=True)
    assert [(one["aggregation"], one["day"]) for one in report["set_aside"]] == [("totals", day) for day in DAYS[4:6]]
    assert {one["why"] for one in report["set_aside"]} == {"its commit record holds what no record of ours does"}


def _spark(folder: Path, rows: int = 1000) -> None:
    """A folder of Parquet files, as Spark and dask write one, with what else a folder may hold."""
    (folder / "nested.PARQUET/deep").mkdir(parents=True)
    for name in ("part-0.parquet", "nested.PARQUET/part-1.Parquet", "nested.PARQUET/deep/part-2.parquet"):
        pl.DataFrame({"sales": [1] * rows, "items": [1] * rows}).write_parquet(folder / name)
    (folder / ".part-0.parquet.crc").write_bytes(b"crc")
    (folder / ("n" * 240 + ".parquet")).write_bytes(b"long")
    os.mkfifo(folder / "pipe.parquet")


def _counted(project: Project) -> tuple[int, int]:
    """How many rows two readers of ``**/*.parquet`` count: DuckDB, and polars, which follows links."""
    everything = f"{project.output}/**/*.parquet"
    found = duckdb.sql(f"select count(*) from read_parquet('{everything}', union_by_name=true)")
    assert found is not None
    [[duck]] = found.fetchall()
    return duck, pl.scan_parquet(everything, missing_columns="insert", extra_columns="ignore").collect().height


def test_a_folder_in_a_results_place_is_kept_where_no_reader_counts_it(project: Project) -> None:
    """Nothing below ``_noonmark/`` ends in .parquet, whatever is set aside, and all of it is kept: folders of files,
    and links to them. What an earlier version left there is told by health and by ``--deep``, which mends it.
    """
    good = _counted(project)
    spark, elsewhere = project.result("totals", DAYS[0]), project.folder / "elsewhere"
    linked = project.result("totals", DAYS[1])
    spark.unlink()
    linked.unlink()
    _spark(spark)
    _spark(elsewhere)
    linked.symlink_to(elsewhere)
    (spark / "link").symlink_to(elsewhere)
    outside = project.tree(elsewhere)
    held = sorted(path.read_bytes() for path in spark.rglob("*") if path.is_file() and not path.is_symlink())
    assert project.run().committed == {("totals", day): "corrupt" for day in DAYS[:2]}
    assert project.rows() == project.expected()
    aside = project.output / "_noonmark/set_aside"
    assert _counted(project) == good
    assert project.tree(elsewhere) == outside
    [folder] = [path for path in aside.iterdir() if path.is_dir()]
    kept = sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    told = f"link to {elsewhere}\n".encode()
    assert kept == sorted([*held, told])
    assert [path.read_bytes() for path in aside.iterdir() if path.is_file()] == [told]

    # As an earlier version did it, and as somebody may do it
    _spark(aside / "totals.2024-01-03.x.damaged")
    (aside / "totals.2024-01-04.y.damaged").symlink_to(elsewhere)
    shutil.copyfile(linked, project.output / "_noonmark/mine.parquet")
    problems = [one for one in examined(project)["problems"] if one["kind"] == "foreign"]
    assert {one["command"] for one in problems} == {"python -m flows.repair --deep"}
    assert len(problems) == 8
    looked = mended(project, deep=True, dry_run=True)
    assert len(looked["foreign"]) == 8
    finished = command(project, "repair", "--deep", "--json").finish()
    assert (finished.code, len(finished.json["renamed"]), finished.json["foreign"]) == (0, 8, [])
    assert _counted(project) == good
    assert project.tree(elsewhere) == outside
    assert examined(project)["healthy"]


@pytest.mark.parametrize("steps", range(1, 12, 3))
def test_what_was_set_aside_half_way_is_set_aside_by_the_next_run(
    project: Project, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run killed while it gives a folder's files their names has lost nothing, and the next one goes on."""
    place = project.result("totals", DAYS[0])
    place.unlink()
    _spark(place, 10)
    held = sorted(path.read_bytes() for path in place.rglob("*") if path.is_file())
    with monkeypatch.context() as patch:
        calls = iter(range(steps))
        fail(patch, "rename", lambda *_: next(calls, None) is None)
        mended(project, deep=True)
    mended(project, deep=True)
    [folder] = (project.output / "_noonmark/set_aside").iterdir()
    assert sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file()) == held
    assert not [path for path in (project.output / "_noonmark").rglob("*") if path.name.lower().endswith(".parquet")]
    assert not place.exists()


def test_a_folder_of_any_depth_is_set_aside(project: Project) -> None:
    """Folders in folders, more than a process may have open, and too deep for one path."""
    place = project.result("totals", DAYS[0])
    place.unlink()
    place.mkdir()
    try:
        _nest(place, 1500)
        report = mended(project, deep=True)
    finally:
        subprocess.run(["rm", "-rf", project.output], check=True)  # Python's own way out recurses
    assert [one["day"] for one in report["set_aside"]] == [DAYS[0]]
    assert report["foreign"] == []


def _nest(folder: Path, depth: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("sub.parquet", dir_fd=here)
        below = os.open("sub.parquet", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("last.parquet", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_a_link_or_a_file_in_the_place_of_a_days_folder_is_set_aside(project: Project) -> None:
    """Promise 6: no link is followed, on reading and on writing. A day linked to another one is no day twice,
    somebody's files are not replaced, and a plain file keeps nobody from computing the day. Then nothing is to be done.
    """
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "data.parquet").write_bytes(b"somebody's")
    folders = [project.result("totals", day).parent for day in DAYS[:4]]
    for folder in folders[1:]:
        shutil.rmtree(folder)
    folders[1].symlink_to(folders[0].name)
    folders[2].symlink_to(elsewhere)
    folders[3].write_bytes(b"a plain file")
    first = folders[0].joinpath("data.parquet").read_bytes()
    run = project.run()
    assert run.committed == {("totals", day): "corrupt" for day in DAYS[1:4]}
    assert project.rows() == project.expected()
    assert folders[0].joinpath("data.parquet").read_bytes() == first
    assert project.tree(elsewhere) == {"elsewhere/data.parquet": b"somebody's"}
    kept = sorted(path.read_bytes() for path in (project.output / "_noonmark/set_aside").iterdir())
    assert kept == sorted([f"link to {elsewhere}\n".encode(), b"link to day=2024-01-01\n", b"a plain file"])
    assert project.run().committed == {}


def test_what_is_in_the_way_of_a_lock_or_an_aggregation_fails_its_days_by_name(project: Project) -> None:
    """Promise 10: where nothing can be set aside safely, the days say what is in the way; the others are computed, what
    the links lead to is not touched, and the index forgets nothing. Once it is moved away, one run has nothing to do.
    """
    elsewhere = project.folder / "elsewhere"
    victim = project.folder / "letter.txt"
    victim.write_bytes(b"dear somebody, this is as long as the mark".ljust(layout.SLOT))
    lock = project.output / layout.lock_slot("totals", DAYS[0])[0]
    locks = lock.read_bytes()
    lock.write_bytes(victim.read_bytes() + locks[layout.SLOT :])
    (project.output / "items_by_shop").rename(elsewhere)
    (project.output / "items_by_shop").symlink_to(elsewhere)
    outside = project.tree(elsewhere)
    index = project.index()
    for number, day in enumerate(DAYS[:3]):
        project.sell(day, [("north", 50 + number)])

    run = project.run()
    failed = {(one["aggregation"], one["day"]): (one["kind"], one["error"]) for one in run.json["failed"]}
    assert run.code == 1
    assert set(failed) == {("totals", DAYS[0])} | {("items_by_shop", day) for day in DAYS}
    assert failed["totals", DAYS[0]][0] == "storage"
    assert f"dd if=/dev/zero of={lock}" in failed["totals", DAYS[0]][1]
    assert failed["items_by_shop", DAYS[0]][0] == "unreadable"
    assert f"items_by_shop is a link to '{elsewhere}', expected a folder" in failed["items_by_shop", DAYS[0]][1]
    assert [one["day"] for one in run.json["committed"]] == DAYS[1:3]
    assert project.tree(elsewhere) == outside
    assert lock.read_bytes().startswith(victim.read_bytes())
    remembered = "noonmark:{items_by_shop}:commits"
    assert project.index()[remembered] == index[remembered]
    assert {one["day"] for one in examined(project)["problems"] if one["aggregation"] == "items_by_shop"} == set(DAYS)
    repaired = mended(project)
    assert [(one["aggregation"], one["day"]) for one in repaired["unreadable"]] == [("items_by_shop", "")]
    assert project.index()[remembered] == index[remembered]
    with pytest.raises(StorageError, match="items_by_shop is a link"):
        outputs.scan("items_by_shop", output=project.output)

    lock.unlink()
    lock.symlink_to(victim)
    project.sell(DAYS[3], [("north", 60)])
    failed = {(one["aggregation"], one["day"]): one["error"] for one in project.run().json["failed"]}
    for day in (DAYS[0], DAYS[3]):
        assert f"2024.locks is a link to '{victim}', expected a file: move it away" in failed["totals", day]
    assert victim.read_bytes().startswith(b"dear")

    lock.unlink()
    lock.write_bytes(bytes(layout.SLOT) + locks[layout.SLOT :])
    (project.output / "items_by_shop").unlink()
    elsewhere.rename(project.output / "items_by_shop")
    assert set(project.run().committed) == {("totals", day) for day in (DAYS[0], DAYS[3])} | {
        ("items_by_shop", day) for day in DAYS[:4]
    }
    assert project.rows() == project.expected()


@pytest.mark.parametrize("folder", ["_noonmark", "_noonmark/tmp", "_noonmark/locks", "_noonmark/set_aside"])
def test_a_link_in_the_place_of_our_own_folders_is_refused_by_name(project: Project, folder: str) -> None:
    """What no run can do without is not followed elsewhere, nor made anew over a person's link: nothing is touched."""
    elsewhere = project.folder / "elsewhere"
    (project.output / folder).rename(elsewhere)
    (project.output / folder).symlink_to(elsewhere)
    before = project.tree()
    with inside(project) as (settings, catalog):
        for command in (
            lambda: seen_root(settings, catalog, BestEffortIndex(None)),
            lambda: opened_root(settings, catalog, BestEffortIndex(None)),
            lambda: repair_output(settings, catalog, deep=False, accept=True, dry_run=False),
        ):
            with pytest.raises(Refused, match=f"{folder} is a link to") as refused:
                command()
            assert refused.value.exit_code == 3
        [problem] = check_health(settings, catalog).to_json()["problems"]
    assert problem["kind"] == "refused"
    assert {path: content for path, content in project.tree().items() if not path.startswith("redis")} == {
        path: content for path, content in before.items() if not path.startswith("redis")
    }
    (project.output / folder).unlink()
    elsewhere.rename(project.output / folder)
    assert examined(project)["healthy"]
