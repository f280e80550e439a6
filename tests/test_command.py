"""What every command does alike, below what a whole run shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.command import _without_heartbeats
from tests.project import CHECKOUT

LOOKS = """
import gc, sys
from flows.command import Parser, run_command
before = gc.isenabled()
told = lambda *_: {"before": before, "in": gc.isenabled()}
run_command(Parser(prog="looks", description=""), told, None, ["--json"])
"""


@pytest.mark.parametrize("api_url", [None, "http://127.0.0.1:1/api"])
def test_a_server_that_stays_hears_that_a_run_is_alive(api_url: str | None) -> None:
    """An automation tells a crashed run by its silence. On a temporary server nobody listens, so none is sent."""
    with temporary_settings({PREFECT_API_URL: api_url}):
        usual = get_current_settings().flows.heartbeat_frequency
        assert usual
        with _without_heartbeats():
            assert get_current_settings().flows.heartbeat_frequency == (usual if api_url else None)


def test_garbage_is_collected_while_a_command_works(tmp_path: Path) -> None:
    """Not while it starts, for nothing that it imports is garbage; and again once it computes."""
    (tmp_path / "looks.py").write_text(LOOKS)
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{tmp_path}"}
    starts = f"import sys; sys.argv[0] = '-m'; import flows, runpy; runpy.run_path({str(tmp_path / 'looks.py')!r})"
    ended = subprocess.run([sys.executable, "-c", starts], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == {"before": False, "in": True}
