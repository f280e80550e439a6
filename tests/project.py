"""A throw-away project: raw files, aggregations, output, Redis folder and home in one temporary folder.

It runs the real command in the checkout and looks at nothing but files, exit codes and what was printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from redis import Redis

from state.embedded.server import EmbeddedServer

CHECKOUT = Path(__file__).resolve().parent.parent
DEADLINE = 90.0
"""Seconds that a run may take on a busy machine."""

SHOPS = '''"""Two aggregations over the sales of some shops, and three ways to meet them in the middle.

PACE is how many seconds each day takes; STUCK makes them hang; with MEET, they wait for those of another run.
"""

import os
import time
from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation

sales = Source("sales/{day}/*.csv")


def meet(folder):
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < until, "the other run did not come"
        time.sleep(0.01)


def hang(frame):
    Path(os.environ["HANGS"]).touch()
    time.sleep(60)
    return frame


@aggregation(sales, version=1)
def items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold in each shop."""
    if os.environ.get("STUCK") == "function":
        hang(sales)
    if os.environ.get("STUCK") == "query":
        sales = sales.map_batches(hang)
    return sales.group_by("shop").agg(pl.col("items").sum()).sort("shop")


@aggregation(sales, version=1)
def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Sales and items of the whole day."""
    if "MEET" in os.environ:
        meet(Path(os.environ["MEET"]))
    time.sleep(float(os.environ.get("PACE", "0")))
    return sales.select(sales=pl.len(), items=pl.col("items").sum())
'''

Key = tuple[str, str]
"""A result: its aggregation and its day."""


def dates(number: int) -> list[str]:
    """The first days of 2024 in the contract's form; 60 at most, February has its 29th."""
    return [f"2024-01-{day:02}" for day in range(1, 32)][:number] + [
        f"2024-02-{day:02}" for day in range(1, max(0, number - 31) + 1)
    ]


def wait_until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Return once ``condition`` holds, which it must in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.03)


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code, what it printed, and how long it took to end."""

    code: int
    stdout: str
    stderr: str
    seconds: float = 0.0

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; anything else there is an error."""
        lines = self.stdout.splitlines()
        assert len(lines) == 1, f"exit {self.code}, expected one line of JSON on stdout:\n{self.stdout}\n{self.stderr}"
        found = json.loads(lines[0])
        assert isinstance(found, dict)
        return found

    @property
    def committed(self) -> dict[Key, str]:
        """The reason of each result that was committed. The run must have gone well."""
        assert self.code == 0, f"exit {self.code}:\n{self.stdout}\n{self.stderr}"
        assert not self.json["failed"]
        return reasons(self.json["committed"])

    @property
    def planned(self) -> dict[Key, str]:
        """The reason of each result in the plan of a dry run."""
        assert self.code == 0, f"exit {self.code}:\n{self.stdout}\n{self.stderr}"
        return reasons(self.json["plan"])


def reasons(entries: Sequence[Mapping[str, Any]]) -> dict[Key, str]:
    """The reason of each entry of a JSON list; none may be there twice."""
    found = {(one["aggregation"], one["day"]): one["reason"] for one in entries}
    assert len(found) == len(entries), "a result is listed twice"
    return found


class Running:
    """A command that runs in a process group of its own, as a terminal starts it."""

    def __init__(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._streams = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]  # noqa: SIM115 closed when it has ended
        self._finished: Finished | None = None
        self.process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self._streams[0],
            stderr=self._streams[1],
            start_new_session=True,
        )

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, which must come true before the end."""
        wait_until(lambda: condition() or self.over)
        assert condition(), f"it ended too early: {self.finish()}"

    def finish(self) -> Finished:
        """Wait for the end, in time."""
        if self._finished is None:
            began = time.monotonic()
            try:
                self.process.wait(DEADLINE)
            finally:
                self.kill()
            seconds = time.monotonic() - began
            texts = []
            for stream in self._streams:
                with stream:
                    stream.seek(0)
                    texts.append(stream.read().decode())
            self._finished = Finished(self.process.returncode, texts[0], texts[1], seconds)
        return self._finished

    def press_ctrl_c(self) -> None:
        """SIGINT to the process group, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM to the process alone, as a service manager sends it."""
        self.process.terminate()

    def kill(self) -> None:
        """SIGKILL; nothing where it has ended."""
        if not self.over:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Project:
    """A project in ``folder``. ``api_url`` is a Prefect server, or None for the temporary one of each run."""

    folder: Path
    api_url: str | None
    checkout: Path = CHECKOUT
    redis_url: str = ""

    @classmethod
    def create(cls, folder: Path, api_url: str | None, days: Sequence[str] = (), **options: Any) -> Project:
        """A project whose aggregations are SHOPS, with a file of sales for each of ``days`` and no output yet."""
        project = cls(folder, api_url, **options)
        for path in (project.raw, project.home, project.code):
            path.mkdir(parents=True)
        project.declare(SHOPS)
        for number, day in enumerate(days):
            project.sell(day, [("north", number), ("south", 2 * number + 1), ("north", 10)])
        return project

    def copy(self, folder: Path) -> Project:
        """The same project elsewhere: equal bytes and times, but new inodes, as after a restore from a backup."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    @property
    def raw(self) -> Path:
        """The input root."""
        return self.folder / "raw"

    @property
    def output(self) -> Path:
        """The output root."""
        return self.folder / "output"

    @property
    def redis(self) -> Path:
        """The folder of the embedded server."""
        return self.folder / "redis"

    @property
    def home(self) -> Path:
        """The home directory of its runs."""
        return self.folder / "home"

    @property
    def code(self) -> Path:
        """Where the user's module lies."""
        return self.folder / "code"

    @property
    def drafts(self) -> list[str]:
        """What lies under ``_noonmark/tmp/``."""
        return os.listdir(self.output / "_noonmark/tmp")

    def declare(self, module: str) -> None:
        """Write the module with the user's aggregations."""
        (self.code / "shops.py").write_text(module, encoding="utf-8")

    def sales_file(self, day: str) -> Path:
        """The first raw file of a day."""
        return self.raw / "sales" / day / "sales.csv"

    def sell(self, day: str, sales: Sequence[tuple[str, int]]) -> None:
        """Write the raw file of a day: (shop, items) of each sale."""
        path = self.sales_file(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("shop,items\n" + "".join(f"{shop},{items}\n" for shop, items in sales), encoding="utf-8")

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of its runs: nothing of Noonmark's or Prefect's comes from outside."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOONMARK_", "PREFECT_"))}
        prefect = {"PREFECT_API_URL": self.api_url} if self.api_url else {}
        return {
            **kept,
            **prefect,
            "HOME": str(self.home),
            "PYTHONPATH": str(self.code),
            "NOONMARK_INPUT": str(self.raw),
            "NOONMARK_OUTPUT": str(self.output),
            "NOONMARK_CREATE_OUTPUT": "true",
            "NOONMARK_AGGREGATIONS": "shops",
            "NOONMARK_REDIS_URL": self.redis_url,
            "NOONMARK_REDIS_DIR": str(self.redis),
            "NOONMARK_NAMESPACE": "noonmark",
            "NOONMARK_WORKERS": "2",
            **extra,
        }

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Running:
        """Start ``python -m flows.daily``."""
        return Running(
            [sys.executable, "-m", "flows.daily", *arguments], self.checkout, self.environment(**(env or {}))
        )

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Finished:
        """Run ``python -m flows.daily --json`` to its end."""
        return self.start("--json", *arguments, env=env).finish()

    def rows(self) -> dict[Key, list[tuple[Any, ...]]]:
        """The rows of every committed result, each file read by itself."""
        return {
            (path.parent.parent.name, path.parent.name.removeprefix("day=")): pl.read_parquet(
                path.read_bytes(), hive_partitioning=False
            ).rows()
            for path in self.results()
        }

    def results(self) -> list[Path]:
        """The files of all committed results."""
        return sorted(self.output.glob("*/day=*/data.parquet"))

    def expected(self) -> dict[Key, list[tuple[Any, ...]]]:
        """What ``rows`` must give for SHOPS, counted from the raw files without polars."""
        expected: dict[Key, list[tuple[Any, ...]]] = {}
        for folder in sorted((self.raw / "sales").iterdir()):
            lines = [line for path in sorted(folder.glob("*.csv")) for line in path.read_text().splitlines()[1:]]
            sold = [(shop, int(items)) for shop, _, items in (line.partition(",") for line in lines)]
            shops = sorted({shop for shop, _ in sold})
            expected["items_by_shop", folder.name] = [
                (shop, sum(items for other, items in sold if other == shop)) for shop in shops
            ]
            expected["totals", folder.name] = [(len(sold), sum(items for _, items in sold))]
        return expected

    def result(self, aggregation: str, day: str) -> Path:
        """The file of one result."""
        return self.output / aggregation / f"day={day}" / "data.parquet"

    def record(self, aggregation: str, day: str) -> dict[str, Any]:
        """The commit record of a result."""
        found = json.loads(pq.read_metadata(self.result(aggregation, day)).metadata[b"noonmark"])
        assert isinstance(found, dict)
        return found

    def tree(self, folder: Path | None = None) -> dict[str, bytes | None]:
        """Every path of the project or of one of its folders, with the content of each file; Prefect's own apart."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
            for path in sorted((folder or self.folder).rglob("*"))
            if not path.is_relative_to(self.home) and "__pycache__" not in path.parts
        }

    @contextlib.contextmanager
    def client(self) -> Iterator[Redis]:
        """The project's embedded server, kept running meanwhile."""
        with EmbeddedServer(self.redis) as server, Redis.from_url(server.url, socket_timeout=10) as client:
            yield client

    def index(self) -> dict[str, object]:
        """Every key of the index with its value."""
        with self.client() as client:
            return dump(client)

    def processes(self) -> list[str]:
        """The processes that belong to this project: by its home, which they inherit, or by where they stand.

        Only Linux tells; elsewhere there seem to be none.
        """
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended just now, or is another user's
                where = Path(os.readlink(process / "cwd"))
                environment = (process / "environ").read_bytes().split(b"\0")
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"HOME={self.home}".encode() in environment or where.is_relative_to(self.folder):
                    found.append(f"{process.name} {words}")
        return found


def dump(client: Redis) -> dict[str, object]:
    """Every key of a Redis with its value."""
    found: dict[str, object] = {}
    for key in sorted(client.scan_iter()):
        kind = client.type(key)
        if kind == b"hash":
            found[key.decode()] = client.hgetall(key)
        elif kind == b"set":
            found[key.decode()] = client.smembers(key)
        else:
            found[key.decode()] = client.get(key)
    return found
