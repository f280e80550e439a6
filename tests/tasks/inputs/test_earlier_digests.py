"""Commits of large files that have their SHA-256, as earlier code wrote it: current for as long as the files are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs import files as inputs
from state.inputs.files import FileStat
from state.store.local.root import open_store
from tasks.catalog import Source
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.deep_check import check_deep
from tests.builders import DAY
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene


def _read(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_csv(files)


SOURCES = [Source("f/{day}.csv"), Source("f/{day}.csv", read=_read), Source("*/{day}.csv", read=_read)]


def _stat(path: str, status: os.stat_result) -> FileStat:
    """A listing that shows no edit which puts size and mtime back."""
    return FileStat(path, status.st_size, status.st_mtime_ns, 0, 0)


@pytest.fixture(params=SOURCES, ids=["declared", "read=", "a folder of a wildcard"])
def catalog(request: pytest.FixtureRequest) -> Catalog:
    """One aggregation."""

    @aggregation(request.param)
    def rows(frame: pl.LazyFrame) -> pl.LazyFrame:
        """All rows."""
        return frame

    one = declared(rows)
    assert one
    return {one.name: one}


@pytest.fixture
def scene(tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A day that earlier code committed. Its file is large to this code, and its times count as old at once."""
    for name in ("state.store.footer_cache", "state.store.digest_cache", "tasks.reading.day_input"):
        monkeypatch.setattr(f"{name}.RECENT_NS", -(10**12))
    monkeypatch.setattr(FileStat, "of", staticmethod(_stat))
    made = Scene(tmp_path / "raw", tmp_path / "output")
    (made.raw / "f").mkdir(parents=True)
    _file(made).write_text("a\n1\n")
    assert _committed(made, catalog) == 1
    monkeypatch.setattr(inputs, "LARGE", 1)
    return made


def _file(scene: Scene) -> Path:
    return scene.raw / "f" / f"{DAY}.csv"


def _committed(scene: Scene, catalog: Catalog) -> int:
    found: list[Any] = run(scene, catalog=lambda _: catalog).to_json()["committed"]
    return len(found)


def _edited(scene: Scene, catalog: Catalog) -> int:
    with open_store(scene.output, create=False, remembered=True) as root:
        return len(check_deep(catalog, scene.raw, root, threads=1, dry_run=True)[1].edited)


def test_a_touched_file_is_no_change(scene: Scene, catalog: Catalog) -> None:
    """Nothing is computed again, by this run or by the next one."""
    os.utime(_file(scene), ns=(10**18, 10**18))
    assert [_committed(scene, catalog), _committed(scene, catalog)] == [0, 0]


def test_an_edited_file_is_one(scene: Scene, catalog: Catalog) -> None:
    """The commit that follows has the digest of this code, and stays."""
    _file(scene).write_text("a\n2\n")
    os.utime(_file(scene), ns=(10**18, 10**18))
    assert [_committed(scene, catalog), _committed(scene, catalog)] == [1, 0]
    os.utime(_file(scene), ns=(10**18 + 1, 10**18 + 1))
    assert _committed(scene, catalog) == 0


def test_the_deep_check_finds_just_what_was_edited(scene: Scene, catalog: Catalog) -> None:
    """By the digest that the commit has."""
    assert _edited(scene, catalog) == 0
    before = _file(scene).stat()
    _file(scene).write_text("a\n2\n")
    os.utime(_file(scene), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _edited(scene, catalog) == 1
