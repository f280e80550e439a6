"""A run and the temporary Prefect server of its own: when one of the two is gone, the other is too, soon and told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.project import CHECKOUT, Finished, Project, Running, dates, wait_until

pytestmark = pytest.mark.timeout(300)  # whole runs, on machines that may be busy

SOON = 30.0
"""Seconds in which a run must end once its server is gone."""


def _signal(project: Project, words: str, number: signal.Signals) -> None:
    [found] = [one for one in project.processes() if words in one]
    os.kill(int(found.split()[0]), number)


def _kill_the_run(project: Project, run: Running) -> None:
    run.kill()


def _kill_the_server(project: Project, run: Running) -> None:
    _signal(project, "uvicorn", signal.SIGKILL)


def _stop_the_server(project: Project, run: Running) -> None:
    _signal(project, "uvicorn", signal.SIGSTOP)


def _kill_the_supervisor(project: Project, run: Running) -> None:
    _signal(project, "server_supervisor", signal.SIGKILL)


def _stop_the_supervisor(project: Project, run: Running) -> None:
    _signal(project, "server_supervisor", signal.SIGSTOP)


LOSSES: dict[str, Callable[[Project, Running], None]] = {
    "the server is killed": _kill_the_server,
    "the server is stopped": _stop_the_server,
    "its supervisor is killed": _kill_the_supervisor,
    "the run is killed": _kill_the_run,
}


@dataclass(frozen=True)
class Lost:
    """A run that lost its server in the middle, or the other way round, and the processes that stayed."""

    project: Project
    end: Finished
    seconds: float
    left: list[str]


def lose(folder: Path, act: Callable[[Project, Running], None]) -> Lost:
    """A run with a server of its own, and what becomes of both."""
    project = Project.create(folder, None, dates(60))
    run = project.start("--json", env={"PACE": "1"})
    run.until(lambda: len(project.results()) >= 4)
    began = time.monotonic()
    act(project, run)
    end = run.finish()
    seconds = time.monotonic() - began
    left: list[str] = []
    try:
        wait_until(lambda: not project.processes(), 10)
    except AssertionError:
        left = project.processes()
    return Lost(project, end, seconds, left)


def is_told(lost: Lost) -> None:
    """Exit 4 within seconds, with a JSON object; nothing half, and no process left behind."""
    assert lost.end.code == 4, lost.end.stderr
    assert lost.seconds < SOON
    assert lost.left == []
    error = lost.end.json["error"]
    assert error["kind"] == "prefect"
    assert error["message"].startswith("Prefect's temporary server was killed or stopped; every committed day is safe")
    assert error["command"] == "python -m flows.daily --json"
    assert f"noonmark: {error['message']}\n  → {error['command']}\n" in lost.end.stderr
    assert "Traceback" not in lost.end.stderr
    rows, expected = lost.project.rows(), lost.project.expected()
    assert 4 <= len(rows) < len(expected)
    assert rows == {key: expected[key] for key in rows}


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Lost]]]:
    """All of them, three at once: they mostly wait."""
    folder = tmp_path_factory.mktemp("losses")
    with ThreadPoolExecutor(3) as three:
        yield {loss: three.submit(lose, folder / loss.replace(" ", "-"), act) for loss, act in LOSSES.items()}


@pytest.mark.parametrize("loss", [one for one in LOSSES if one != "the run is killed"])
def test_a_run_that_loses_its_own_server_ends_soon_and_tells(losses: dict[str, Future[Lost]], loss: str) -> None:
    """Prefect would ask for it for minutes: at the end of the run, and again for what it has not sent yet."""
    is_told(losses[loss].result())


def test_the_port_of_a_temporary_server_is_nobody_elses_from_the_moment_it_is_chosen() -> None:
    """Of two runs that chose the same one, the first to start would answer the other, and take its runs with it."""
    code = """
from flows.cli.prefect_server import temporary_server
from prefect.server.api.server import SubprocessASGIServer
with temporary_server():
    server = SubprocessASGIServer()
    print(server.is_port_available(server.find_available_port()))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    words = [sys.executable, "-c", code]
    told = subprocess.run(words, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert told.stdout == "False\n"


@pytest.mark.slow
def test_a_supervisor_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """The run hears no more of it, and ends both."""
    is_told(lose(tmp_path / "project", _stop_the_supervisor))


def test_a_killed_run_leaves_no_server(losses: dict[str, Future[Lost]], api_url: str) -> None:
    """SIGKILL cannot be caught: the server's supervisor sees that its run is gone. The next run computes the rest."""
    one = losses["the run is killed"].result()
    assert one.left == []
    following = replace(one.project, api_url=api_url).run()
    assert following.code == 0, following.stderr
    assert one.project.rows() == one.project.expected()
