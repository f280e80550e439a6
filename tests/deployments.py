"""A Prefect server, its worker and the deployments of ``prefect.yaml``, as a person starts them: real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.project import CHECKOUT, DEADLINE, Project, wait_until
from tests.redis_servers import free_port

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
POOL = "noonmark"


class Server:
    """A Prefect server on a database of its own, which may be killed, stopped and started again."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOONMARK_", "PREFECT_"))}
        self.environment = (
            kept | {"HOME": str(home), "PREFECT_HOME": str(home), "PREFECT_API_URL": self.url} | environment
        )
        self.start()

    def start(self) -> None:
        """Start it, and return once it serves."""
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: self.process.poll() is not None or self._serves())
        assert self.process.poll() is None, (self.home / "server.log").read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and what belongs to it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def call(self, path: str, body: Mapping[str, Any] | None = None, method: str | None = None) -> Any:
        """Call the API; returns what it answers. Where its database is busy, call again. Raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method or ("POST" if data else "GET")
        )
        until = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > until:
                    raise

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``prefect`` in the project's folder, where nobody answers its questions."""
        return subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def deployments(self) -> dict[str, dict[str, Any]]:
        """Every deployment by its name, as the server has it."""
        return {one["name"]: one for one in self.call("/deployments/filter", {})}

    def run(self, name: str = "daily", parameters: Mapping[str, object] | None = None) -> str:
        """Start a run of a deployment, as the UI does; returns its id."""
        found = self.call(f"/deployments/name/{name}/{name}")
        run: str = self.call(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters or {}})["id"]
        return run

    def flow_run(self, run: str) -> dict[str, Any]:
        """A flow run."""
        found: dict[str, Any] = self.call(f"/flow_runs/{run}")
        return found

    def state(self, run: str) -> str:
        """The type of a flow run's state."""
        return str(self.flow_run(run)["state_type"])

    def ended(self, run: str, seconds: float = DEADLINE) -> str:
        """Wait for the end of a flow run; returns the type of its last state."""
        wait_until(lambda: self.state(run) in ENDED, seconds)
        return self.state(run)

    def task_states(self, run: str) -> dict[str, str]:
        """The state of each task run of a flow run, by the task run's name."""
        asked = {"flow_runs": {"id": {"any_": [run]}}}
        return {one["name"]: one["state_type"] for one in self.call("/task_runs/filter", asked)}

    def log(self, run: str) -> str:
        """What a flow run logged."""
        asked = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        return "\n".join(one["message"] for one in self.call("/logs/filter", asked))

    def _serves(self) -> bool:
        try:
            return bool(self.call("/health"))
        except OSError:
            return False


@dataclass
class Worker:
    """A worker that was started in another folder than the project's, with the project's settings."""

    server: Server
    project: Project
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.project.folder / "elsewhere"
        self.folder.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start it, and return once the pool has it."""
        seen = self._heartbeats()
        environment = self.project.environment(PREFECT_WORKER_QUERY_SECONDS="1", **self.environment)
        with (self.folder / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "prefect",
                    "worker",
                    "start",
                    "--pool",
                    POOL,
                    "--name",
                    self.project.folder.name,
                ],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: self.process.poll() is not None or self._heartbeats() != seen)
        assert self.process.poll() is None, self.log()

    def log(self) -> str:
        """What it printed, its runs too."""
        return (self.folder / "worker.log").read_text()

    def kill(self) -> None:
        """SIGKILL of the worker alone."""
        self.process.kill()
        self.process.wait()

    def runs(self) -> list[int]:
        """The processes of its flow runs, which live as long as they compute."""
        return [
            int(one.split()[0]) for one in self.project.processes() if "prefect" in one and "worker start" not in one
        ]

    def close(self) -> None:
        """End it and everything that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for one in self.project.processes():
            with suppress(ProcessLookupError):
                os.kill(int(one.split()[0]), signal.SIGKILL)

    def _heartbeats(self) -> list[tuple[str, str]]:
        found = self.server.call(f"/work_pools/{POOL}/workers/filter", {})
        return [(one["name"], one["last_heartbeat_time"]) for one in found if one["name"] == self.project.folder.name]


@contextmanager
def working(server: Server, project: Project, **environment: str) -> Iterator[Worker]:
    """A worker, gone afterwards with everything that it started."""
    worker = Worker(server, project, environment)
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[Server]:
    """A server with the deployments of ``prefect.yaml``, registered by the commands that docs/scheduling.md shows."""
    server = Server(home, **environment)
    try:
        for words in (["work-pool", "create", POOL, "--type", "process"], ["--no-prompt", "deploy", "--all"]):
            done = server.prefect(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield server
    finally:
        server.kill()


def pause_schedules(server: Server) -> None:
    """Pause every schedule, so that a test that is run at its time meets no run of it."""
    for one in server.deployments().values():
        for schedule in one["schedules"]:
            server.call(f"/deployments/{one['id']}/schedules/{schedule['id']}", {"active": False}, "PATCH")
