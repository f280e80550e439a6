"""How Noonmark is run here: the real commands, in the checkout, with nothing of the caller's own settings."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figures import Bench
from benchmarks.timing import CHECKOUT, Command, nothing, run
from benchmarks.work import set_aside

START_SECONDS = 120.0
STOP_SECONDS = 30.0
_LOG_LINES = 20
"""How many lines of the server's log a failed start shows."""


def environment(bench: Bench) -> dict[str, str]:
    """The environment of every process: the caller's without what would steer Noonmark, Prefect or polars."""
    steering = ("NOONMARK_", "PREFECT_", "POLARS_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {
        **kept,
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(bench.work / "prefect"),
        **({"PREFECT_API_URL": bench.api_url} if bench.api_url else {}),
    }


def python(bench: Bench, *arguments: str | Path, before: Callable[[], object] = nothing) -> Command:
    """Python in the checkout, in Noonmark's own environment."""
    return Command((sys.executable, *map(str, arguments)), environment(bench), before=before)


@dataclass(frozen=True)
class Project:
    """An input with its aggregations, and ``folder``, where output and index lie."""

    bench: Bench
    input: Path
    folder: Path
    module: str
    threads: int

    @property
    def output(self) -> Path:
        """The output root."""
        return self.folder / "output"

    @property
    def redis(self) -> Path:
        """The folder of the embedded server."""
        return self.folder / "redis"

    def clear(self) -> None:
        """Back to a first run: no output and no index."""
        set_aside(self.bench.work, self.folder)

    def forget(self) -> None:
        """Lose the index."""
        shutil.rmtree(self.redis, ignore_errors=True)

    def empty_run(self, *arguments: str) -> Command:
        """A run with nothing to do: its days are committed now, before any timing."""
        self.clear()
        run(self.run("daily", *arguments))
        return self.run("daily", *arguments)

    def run(self, flow: str, *arguments: str, before: Callable[[], object] = nothing) -> Command:
        """``flows.…`` for this project."""
        ours = {
            "NOONMARK_AGGREGATIONS": self.module,
            "NOONMARK_INPUT": str(self.input),
            "NOONMARK_OUTPUT": str(self.output),
            "NOONMARK_REDIS_DIR": str(self.redis),
            "NOONMARK_WORKERS": str(self.threads),
        }
        words = (sys.executable, "-m", "benchmarks.unrounded", f"flows.{flow}", *arguments)
        return Command(words, environment(self.bench) | ours, before=before)


@contextlib.contextmanager
def prefect_server(bench: Bench) -> Iterator[Bench]:
    """The same with one Prefect server for all runs, with a home of its own, for as long as it is entered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    folder = bench.work / "prefect-server"
    folder.mkdir(parents=True, exist_ok=True)  # Prefect makes none above its own
    home = environment(bench) | {"PREFECT_HOME": str(folder)}
    start = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    url = f"http://127.0.0.1:{port}/api"
    log = folder / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(start, cwd=CHECKOUT, env=home, stdout=output, stderr=subprocess.STDOUT) as server,
    ):
        try:
            until = time.monotonic() + START_SECONDS
            while not _answers(f"{url}/health"):
                if server.poll() is not None or time.monotonic() > until:
                    last = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-_LOG_LINES:])
                    raise TimeoutError(f"the Prefect server did not start; {log} ends with:\n{last}")
                time.sleep(0.2)
            yield replace(bench, api_url=url)
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 our own server
            return bool(reply.status == 200)
    except OSError:
        return False
