"""What all tests share: one real Prefect server for the session, and a project whose days are committed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadfile import LoadFileScheduling

from tests.project import CHECKOUT, Finished, Project, dates, wait_until

GUARD = """
import os, signal, subprocess, sys
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
sys.stdin.read()
server.send_signal(signal.SIGINT)
try:
    server.wait(15)
finally:
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class _ByFileAndCampaign(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """``--dist loadfile``, but the one file about all campaigns is cut into campaigns: each is as long as a file."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        campaign, _, form = test.partition("[")[2].partition(":")
        return f"{file} {campaign}" if form and file.endswith("/test_campaigns.py") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Choose how many files ``-n auto`` runs at once: three for two cores, since tests wait for what they started."""
    cores = len(os.sched_getaffinity(0))
    return cores + cores // 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Choose who distributes the tests over the workers."""
    return _ByFileAndCampaign(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(scope="session")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a Prefect server of this session: with it a run takes seconds less than with one of its own.

    It ends when its guard's stdin does: with this fixture, or with the tests' process, however that one ends.
    """
    home = tmp_path_factory.mktemp("prefect")
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"HOME": str(home), "PREFECT_HOME": str(home)}
    serve = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARD, *serve],
            cwd=CHECKOUT,  # where prefect.toml lies
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert guard.stdin
    with guard, guard.stdin:
        wait_until(lambda: guard.poll() is not None or _answers(f"{url}/health"))
        assert guard.poll() is None, (home / "server.log").read_text()
        yield url


@pytest.fixture(scope="session")
def _first(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Finished]:
    project = Project.create(tmp_path_factory.mktemp("finished") / "project", api_url, dates(10))
    return project, project.run()


@pytest.fixture
def first_run(_first: tuple[Project, Finished]) -> Finished:
    """What the run that made ``finished`` gave."""
    return _first[1]


@pytest.fixture
def finished(_first: tuple[Project, Finished]) -> Project:
    """Ten days, committed by one run. Not to be changed: tests that change something take ``project``."""
    assert len(_first[1].committed) == 20
    return _first[0]


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A project of ten days that are all committed."""
    return finished.copy(tmp_path / "project")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
