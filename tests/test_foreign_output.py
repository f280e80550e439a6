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

from tests.builders import fail
from tests.chaos.foreign import sealed
from tests.project import Project, dates
from tests.test_health import command, examined, mended

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
    here = os.open(place, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("sub.parquet", dir_fd=here)
        below = os.open("sub.parquet", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("last.parquet", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    report = mended(project, deep=True)
    assert [one["day"] for one in report["set_aside"]] == [DAYS[0]]
    assert report["foreign"] == []
    subprocess.run(["rm", "-rf", project.output], check=True)  # Python's own way out recurses
