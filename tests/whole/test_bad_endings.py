"""Deployed runs that end badly, and a schedule through good and bad days: what was committed is right, and it goes on.

How a run is shown after its end is Prefect's; that the next one takes up the rest at once is Noonmark's.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deployments import Server, Worker, pause_schedules, serving, working
from tests.project import Key, Project, dates, wait_until
from tests.redis_servers import client_of, started

# Real servers, workers and runs, on machines that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENT = {"PACE": "0.5", "NOONMARK_LEASE_SECONDS": "600"}
"""Days that take a while, and leases that outlast every deadline here: a run that waited for one would be seen."""

SECONDS_TO_NOTICE = 180
"""Within which a dead run is no longer ``Running``: the automation of ``automations.yaml`` waits for 90."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows the deployments, without their schedules, and the automation that finds dead runs."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        pause_schedules(server)
        created = server.prefect("automation", "create", "--from-file", "automations.yaml")
        assert created.returncode == 0, created.stdout + created.stderr
        yield server


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Project:
    """Ten days, not computed yet."""
    return Project.create(tmp_path / "project", server.url, dates(10))


def _kill_the_process(worker: Worker, run: str) -> None:
    for process in worker.runs():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _kill_the_worker(worker: Worker, run: str) -> None:
    worker.kill()
    wait_until(lambda: not worker.runs())  # it cannot speak to its worker any more, and ends
    worker.start()


def _cancel(worker: Worker, run: str) -> None:
    worker.server.call(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})


def _end_the_worker(worker: Worker, run: str) -> None:
    """SIGTERM. Prefect's worker kills its runs then, and may leave them ``Running``: for the automation to find."""
    worker.process.terminate()
    worker.process.wait(60)
    wait_until(lambda: not worker.runs())
    worker.start()


def _kill_both(worker: Worker, run: str) -> None:
    """As when the machine goes down. Nobody is left to tell Prefect: mended by hand, as the runbook says."""
    worker.kill()
    _kill_the_process(worker, run)
    state = '{"state": {"type": "CRASHED"}, "force": true}'
    mended = worker.server.prefect("api", "POST", f"/flow_runs/{run}/set_state", "--data", state)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    worker.start()


def _kill_the_server(worker: Worker, run: str) -> None:
    worker.server.kill()
    seen = len(worker.project.results())
    wait_until(lambda: not worker.runs() or len(worker.project.results()) >= min(20, seen + 4))
    worker.server.start()


ENDINGS: dict[str, tuple[Callable[[Worker, str], None], set[str]]] = {
    "its process is killed": (_kill_the_process, {"CRASHED"}),
    "its worker is killed": (_kill_the_worker, {"CRASHED"}),
    "it is cancelled": (_cancel, {"CANCELLED"}),
    "its worker is told to end": (_end_the_worker, {"CRASHED"}),
    "worker and process are killed": (_kill_both, {"CRASHED"}),
    "the API is gone for a while": (_kill_the_server, {"COMPLETED", "CRASHED", "FAILED"}),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_after_a_bad_end_the_next_run_goes_on_at_once(server: Server, project: Project, ending: str) -> None:
    """Nothing is half, nothing stays ``Running``, no lease is waited for, and no day is computed a second time."""
    act, states = ENDINGS[ending]
    with working(server, project, **PATIENT) as worker:
        run = server.run()
        wait_until(lambda: len(project.results()) >= 4)
        act(worker, run)
        assert server.ended(run, SECONDS_TO_NOTICE) in states, worker.log()
        wait_until(lambda: not worker.runs())
        expected, rows = project.expected(), project.rows()
        assert rows == {key: expected[key] for key in rows}

        following = server.run()
        assert server.ended(following) == "COMPLETED", worker.log()
        assert project.rows() == expected
        assert {project.record(*key)["generation"] for key in expected} == {1}
        wait_until(lambda: set(server.task_states(following).values()) <= {"COMPLETED"})
        assert project.drafts == []
    days = project.index()["noonmark:{totals}:processed_days"]
    assert days == {day.encode() for day in dates(10)}


def test_a_schedule_through_a_killed_worker_and_a_flushed_redis(server: Server, tmp_path: Path) -> None:
    """Files arrive between its runs. In the end the output is one from scratch, and each day was computed once.

    The one day that got a late file was computed twice, and so were no others.
    """
    days = dates(20)
    with started(binary=shutil.which("redis-server")) as redis, client_of(redis.url) as client:
        project = Project.create(tmp_path / "project", server.url, days[:4], redis_url=redis.url)
        with working(server, project, PACE="0.2", PREFECT_WORKER_PREFETCH_SECONDS="0") as worker:
            created = server.prefect("deployment", "schedule", "create", "daily/daily", "--interval", "4")
            assert created.returncode == 0, created.stdout + created.stderr
            try:
                _wait_for_results(project)
                _arrive(project, days[4:8])
                _wait_for_results(project)

                client.flushall()
                _arrive(project, days[8:12])
                _wait_for_results(project)

                seen = len(project.results())
                _arrive(project, days[12:16])
                wait_until(lambda: len(project.results()) > seen)
                worker.kill()
                _arrive(project, days[16:])
                worker.start()
                _wait_for_results(project)

                late = project.sales_file(days[2]).with_name("late.csv")
                late.write_text("shop,items\nwest,5\n")
                wait_until(lambda: project.rows() == project.expected())
                done = len(_completed(server))
                wait_until(lambda: len(_completed(server)) >= max(5, done + 1))  # and one that has nothing to do
            finally:
                pause_schedules(server)
        generations = {key: project.record(*key)["generation"] for key in project.expected()}
        assert {key for key, one in generations.items() if one != 1} == {
            (name, days[2]) for name in _names(generations)
        }
        assert set(generations.values()) == {1, 2}
        assert client.scard("noonmark:{totals}:processed_days") == 20

    scratch = replace(project, folder=tmp_path / "scratch", redis_url="none")
    shutil.copytree(project.raw, scratch.raw)
    shutil.copytree(project.code, scratch.code)
    scratch.home.mkdir()
    assert len(scratch.run().committed) == 40
    assert scratch.rows() == project.rows()


def _wait_for_results(project: Project) -> None:
    wait_until(lambda: len(project.results()) == len(project.expected()))


def _arrive(project: Project, days: list[str]) -> None:
    """Deliver files whole, as a careful sender does."""
    incoming = project.folder / "incoming"
    for number, day in enumerate(days):
        (incoming / day).mkdir(parents=True)
        (incoming / day / "sales.csv").write_text(f"shop,items\nnorth,{number}\nsouth,{number + 7}\n")
        (incoming / day).rename(project.raw / "sales" / day)


def _names(generations: dict[Key, int]) -> set[str]:
    return {name for name, _ in generations}


def _completed(server: Server) -> list[str]:
    """The runs that a schedule started and that completed."""
    asked = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}, "limit": 200}
    return [one["id"] for one in server.call("/flow_runs/filter", asked) if one["auto_scheduled"]]
