"""What every command does alike as it starts, below what a whole run shows."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import polars as pl
import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.cli.command import collecting
from flows.cli.prefect_server import _without_heartbeats
from tests.project import CHECKOUT, SHOPS, Project, dates

COLLECTS = """
import gc

@aggregation(sales)
def collects(sales: pl.LazyFrame) -> pl.LazyFrame:
    '''Whether garbage is collected.'''
    return sales.select(pl.lit(gc.isenabled()).alias("collects"))
"""


@pytest.mark.parametrize("api_url", [None, "http://127.0.0.1:1/api"])
def test_a_server_that_stays_hears_that_a_run_is_alive(api_url: str | None) -> None:
    """An automation tells a crashed run by its silence. On a temporary server nobody listens, so none is sent."""
    with temporary_settings({PREFECT_API_URL: api_url}):
        usual = get_current_settings().flows.heartbeat_frequency
        assert usual
        with _without_heartbeats():
            assert get_current_settings().flows.heartbeat_frequency == (usual if api_url else None)


def test_garbage_is_collected_while_days_are_computed(api_url: str, tmp_path: Path) -> None:
    """A command looks for none while it starts, and takes that up again before it computes."""
    project = Project.create(tmp_path / "project", api_url, dates(2))
    project.declare(SHOPS + COLLECTS)
    assert project.run("--only", "collects").code == 0
    found = [pl.read_parquet(file)["collects"].to_list() for file in project.results() if "collects" in str(file)]
    assert found == [[True], [True]]


class Ring:
    """Garbage that only a collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_a_process_that_makes_many_runs_keeps_garbage_of_none() -> None:
    """Whoever serves deployments for months: what is frozen in each run would be looked through by no collection."""
    assert gc.isenabled()
    usual = gc.get_threshold()
    gc.set_threshold(100, 2, 2)
    rings = []
    try:
        for _ in range(3_000):
            with collecting():
                rings.append(weakref.ref(Ring()))
    finally:
        gc.set_threshold(*usual)
    assert sum(ring() is not None for ring in rings) < 1_000


def test_a_command_leaves_the_collector_as_it_found_it() -> None:
    """On inside, with nothing of what was there looked through, and off again after it."""
    gc.disable()
    try:
        with collecting():
            assert gc.isenabled()
            assert gc.get_freeze_count()
        assert not gc.isenabled()
        assert not gc.get_freeze_count()
    finally:
        gc.enable()


@pytest.mark.parametrize("given", [None, "64"])
def test_polars_gets_room_for_many_groups(given: str | None) -> None:
    """It is set before polars is imported, and what a person set is kept."""
    asks = "import flows, os, sys; assert 'polars' not in sys.modules; print(os.environ['POLARS_HOT_TABLE_SIZE'])"
    kept = {name: value for name, value in os.environ.items() if name != "POLARS_HOT_TABLE_SIZE"}
    environment = {**kept, **({"POLARS_HOT_TABLE_SIZE": given} if given else {})}
    words = [sys.executable, "-c", asks]
    told = subprocess.run(words, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert int(told.stdout) == int(given or 2_097_152)


def test_garbage_of_other_peoples_modules_is_collected(tmp_path: Path) -> None:
    """A package that imports a flow is started by its own ``python -m``, and nothing there turns the collector on."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("import flows\n")
    (tmp_path / "mine/serve.py").write_text("import gc\nprint(gc.isenabled())\n")
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{tmp_path}"}
    words = [sys.executable, "-m", "mine.serve"]
    assert subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout == "True\n"
