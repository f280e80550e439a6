"""What every command does alike as it starts, below what a whole run shows."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.cli import prefect_server
from flows.cli.garbage import collecting
from tests.project import CHECKOUT, SHOPS, Project, dates

COLLECTS = """
import gc

@aggregation(sales)
def collects(sales: pl.LazyFrame) -> pl.LazyFrame:
    '''Whether garbage is collected.'''
    return sales.select(pl.lit(gc.isenabled()).alias("collects"))
"""


def test_a_temporary_server_hears_no_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """An automation tells a crashed run by its silence. On a temporary server nobody listens, so none is sent."""
    monkeypatch.setattr(prefect_server, "_supervise", lambda: None)
    usual = get_current_settings().flows.heartbeat_frequency
    assert usual
    with prefect_server.temporary_server():
        assert get_current_settings().flows.heartbeat_frequency is None
    assert get_current_settings().flows.heartbeat_frequency == usual


@pytest.mark.parametrize("api_url", [None, "", "http://127.0.0.1:1/api"])
def test_a_server_is_configured_by_its_url(api_url: str | None) -> None:
    """It then sees every run, with work or without; without one, only what computes needs a temporary server."""
    with temporary_settings({PREFECT_API_URL: api_url}):
        assert prefect_server.is_configured() == bool(api_url)


def test_garbage_is_collected_while_days_are_computed(api_url: str, tmp_path: Path) -> None:
    """A command turns the collector off while it starts and plans, and on for the computation."""
    project = Project.create(tmp_path / "project", api_url, dates(2))
    project.declare(SHOPS + COLLECTS)
    assert project.run("--only", "collects").code == 0
    found = [pl.read_parquet(file)["collects"].to_list() for file in project.results() if "collects" in str(file)]
    assert found == [[True], [True]]


def test_a_command_collects_what_comes_and_leaves_the_collector_as_it_was() -> None:
    """What was there before is frozen meanwhile: with 100,000 commits a look through it takes 0.4 s."""
    usual = gc.get_threshold()
    gc.disable()
    try:
        with collecting():
            assert gc.isenabled()
            assert gc.get_freeze_count()
            assert gc.get_threshold()[0] == 50_000
        assert not gc.isenabled()
        assert not gc.get_freeze_count()
        assert gc.get_threshold() == usual
    finally:
        gc.enable()


def test_a_process_that_collects_freezes_nothing() -> None:
    """Whoever serves deployments for months: what is frozen in each run would be traversed by no collection."""
    assert gc.isenabled()
    with collecting():
        assert gc.isenabled()
        assert not gc.get_freeze_count()
    assert gc.isenabled()


@pytest.mark.parametrize("given", [None, "64"])
def test_polars_gets_room_for_many_groups(given: str | None) -> None:
    """It is set before polars is imported, and what a person set is kept."""
    asks = "import flows, os, sys; assert 'polars' not in sys.modules; print(os.environ['POLARS_HOT_TABLE_SIZE'])"
    kept = {name: value for name, value in os.environ.items() if name != "POLARS_HOT_TABLE_SIZE"}
    environment = {**kept, **({"POLARS_HOT_TABLE_SIZE": given} if given else {})}
    words = [sys.executable, "-c", asks]
    told = subprocess.run(words, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert int(told.stdout) == int(given or 2_097_152)


def test_garbage_of_other_peoples_processes_is_collected(tmp_path: Path) -> None:
    """Whoever imports a flow and serves it for months: nothing is frozen there, and the collector is on."""
    (tmp_path / "mine").mkdir()
    # Python 3.12 begins with some objects frozen.
    (tmp_path / "mine/__init__.py").write_text("import gc\nbefore = gc.get_freeze_count()\nimport flows.daily\n")
    (tmp_path / "mine/serve.py").write_text(
        "import gc, signal\nimport mine\nprint(gc.isenabled(), gc.get_freeze_count() - mine.before)\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{tmp_path}"}
    words = [sys.executable, "-m", "mine.serve"]
    assert subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout == "True 0\n"
