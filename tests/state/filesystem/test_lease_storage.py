"""A Prefect server that is started again in the middle of deployed runs: none ends by it, and none is blocked."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deployments import Server, pause_schedules, serving, working
from tests.project import Project, dates, wait_until

# Real servers, workers and runs, on machines that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LEASE_SECONDS = 30
"""The shortest that Prefect takes for a lease of its server's; by default it is 300."""
RENEWS_OFTEN = """
import prefect.concurrency._leases

prefect.concurrency._leases._RENEWAL_FRACTION = 0.02
"""
"""Imported by the run's Python as it starts: it renews its lease every six seconds, and not every 225."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose leases are short, so that one runs out in the time of a test."""
    home = tmp_path_factory.mktemp("server")
    seconds = {"PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": str(LEASE_SECONDS)}
    with serving(home, **seconds) as server:
        pause_schedules(server)
        yield server


def test_a_run_outlives_a_restart_of_the_server(server: Server, tmp_path: Path) -> None:
    """It renews the lease that it had before; one that the server had forgotten would end it there."""
    project = Project.create(tmp_path / "project", server.url, dates(40))
    (project.code / "sitecustomize.py").write_text(RENEWS_OFTEN)
    with working(server, project, PACE="2") as worker:
        run = server.run()
        wait_until(lambda: len(project.results()) >= 4)
        server.kill()
        server.start()
        assert server.ended(run) == "COMPLETED", worker.log()
        assert project.rows() == project.expected()
        assert {project.record(*key)["generation"] for key in project.expected()} == {1}


def test_a_run_that_was_pending_when_everything_died_blocks_the_next_for_one_lease(
    server: Server, tmp_path: Path
) -> None:
    """As after a power cut. Nobody renews its lease, so the server takes the slot back."""
    project = Project.create(tmp_path / "project", server.url, dates(2))
    with working(server, project) as worker:
        run = server.run()
        wait_until(lambda: server.state(run) in ("PENDING", "RUNNING"))
        worker.kill()
        for process in worker.runs():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        server.kill()
        server.start()
        assert server.state(run) == "PENDING"
        worker.start()

        def completes() -> bool:
            return server.ended(server.run()) == "COMPLETED"

        wait_until(completes, 4 * LEASE_SECONDS + 60)
        assert project.rows() == project.expected()
