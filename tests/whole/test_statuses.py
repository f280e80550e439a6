"""Every status and every exit code of the contract, each produced on purpose by the real commands.

Of the daily command, test_daily.py produces 0, 1, 2 and 3, and test_interrupt.py 130 and 143; the status ``leased`` is
in test_leases.py.
"""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import pytest

from state.status import Status
from tests.flows.test_health import command, examined
from tests.project import SHOPS, Finished, Project, dates
from tests.redis_servers import client_of, started

DAYS = dates(10)
ALL_STATUSES = {*get_args(Status), "unrecoverable"}

OLD = '''

@aggregation(sales)
def old(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Declared no more later."""
    return sales.select(sales=pl.len())
'''

SLEEPS = (
    SHOPS
    + """

if "SLEEPS" in os.environ:
    Path(os.environ["SLEEPS"]).touch()
    time.sleep(60)
"""
)


@pytest.mark.timeout(400)
def test_every_status_is_counted(project: Project) -> None:
    """In one project: health and a run count the same, and only ``unrecoverable`` is a problem."""
    done, newer, gone, empty, lost, gap, waits = DAYS[:7]
    typed = SHOPS.replace('/*.csv"', '/*.csv", schema_overrides={"items": pl.Int64}')  # a day may have no row
    project.declare(typed.replace("version=1)\ndef totals", "version=20)\ndef totals") + OLD)
    assert len(project.run("--days", f"{done}..{newer}", "--only", "old").committed) == 2
    project.sell(empty, [])
    assert set(project.run("--days", newer, "--days", empty).committed.values()) == {"outdated", "changed", "new"}
    project.declare(typed.replace('/*.csv", ', '/*.csv", marker="_SUCCESS", '))  # what is done waits for nothing
    project.sell(waits, [("west", 1)])
    for day in (gone, lost, gap):
        shutil.rmtree(project.sales_file(day).parent)
    for name in ("items_by_shop", "totals"):
        shutil.rmtree(project.result(name, gap).parent)
    project.result("totals", lost).write_bytes(b"mine")

    with project.client() as client:
        for name in ("items_by_shop", "totals"):
            client.hdel(f"noonmark:{{{name}}}:commits", gap)
            client.srem(f"noonmark:{{{name}}}:processed_days", gap)
        client.set("noonmark:{totals}:lease:2024-01-01", "x", ex=60)  # says nothing of a day that is done
        health, run = command(project, "health", "--json").finish(), project.run()

    assert health.json["counts"] == {
        "items_by_shop": {"done": 5, "empty": 1, "orphaned": 2, "missing": 1, "waiting": 1},
        "totals": {"done": 4, "ahead": 2, "orphaned": 1, "unrecoverable": 1, "missing": 1, "waiting": 1},
        "old": {"retired": 3},
    }
    assert health.code == 1
    # The index remembers what is damaged now; a run says so first, and then forgets it.
    assert {one["kind"] for one in health.json["problems"]} == {"unrecoverable", "index"}
    assert run.code == 1
    assert [(one["kind"], one["day"]) for one in run.json["failed"]] == [("unrecoverable", lost)]
    skipped = {"done": 9, "empty": 1, "ahead": 2, "orphaned": 3, "missing": 2, "retired": 3, "waiting": 2}
    assert run.json["skipped"] == skipped
    counted = {status for counts in health.json["counts"].values() for status in counts}
    assert counted == ALL_STATUSES - {"leased"}


# Exit codes


@dataclass(frozen=True)
class Case:
    """A command that ends with ``code``: what is done to its project before, and its options and environment."""

    code: int
    name: str
    arguments: tuple[str, ...] = ()
    harm: Callable[[Project], object] = lambda _: None
    env: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    """Of the error on stdout."""


def _newer(project: Project) -> None:
    (project.output / "_noonmark/root.json").write_text('{"format": 3, "root": "r"}')


def _loop(project: Project) -> None:
    shutil.rmtree(project.output)
    project.output.symlink_to(project.output.name)


def _damage(project: Project) -> None:
    project.result("totals", DAYS[0]).write_bytes(b"mine")


def _closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/api"


NO_API = {"PREFECT_API_URL": _closed_port(), "PREFECT_CLIENT_MAX_RETRIES": "0"}
NO_REDIS = {"NOONMARK_REDIS_URL": "unix:///nowhere/at/all"}
CASES = [
    Case(0, "repair"),
    Case(0, "health"),
    Case(1, "repair", ("--deep",), _damage),
    Case(1, "repair", env=NO_REDIS),
    Case(1, "health", env=NO_REDIS),
    Case(1, "health", (), _damage),
    Case(2, "repair", ("--depe",), kind="configuration"),
    Case(2, "health", (), env={"NOONMARK_REDIS_ULR": "x"}, kind="configuration"),
    Case(3, "repair", (), _newer, kind="refused"),
    Case(3, "health", (), _newer, kind="refused"),
    Case(4, "repair", (), _loop, kind="storage"),
    Case(4, "daily", env=NO_API, kind="prefect"),
    Case(4, "repair", env=NO_API, kind="prefect"),
    Case(4, "health", env=NO_API, kind="prefect"),
]


@pytest.mark.timeout(400)  # fourteen commands
def test_each_command_ends_with_each_exit_code(project: Project, tmp_path: Path) -> None:
    """And with one JSON object on stdout: the report where it ran, the error where it did not."""
    projects = [project.copy(tmp_path / str(number)) for number in range(len(CASES))]
    for case, one in zip(CASES, projects, strict=True):
        case.harm(one)
    before = [one.tree(one.output) for one in projects]

    def run(number: int) -> Finished:
        case = CASES[number]
        return command(projects[number], case.name, "--json", *case.arguments, env=case.env).finish()

    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(run, range(len(CASES))))

    wrong = []
    for case, end in zip(CASES, ends, strict=True):
        error = end.json.get("error", {})
        fine = end.code == case.code and error.get("kind", "") == case.kind
        if not fine or (error and error["message"] not in end.stderr) or "Traceback" in end.stderr:
            wrong.append((case, end))
    assert wrong == []
    untouched = [number for number, case in enumerate(CASES) if case.code >= 2]
    assert [projects[n].tree(projects[n].output) for n in untouched] == [before[n] for n in untouched]
    assert [one.processes() for one in projects] == [[]] * len(projects)


@pytest.mark.parametrize("name", ["repair", "health"])
def test_an_interrupted_command_says_so_and_leaves_nothing_behind(project: Project, tmp_path: Path, name: str) -> None:
    """130 and 143, from the middle of the flow."""
    ends = {}
    projects = {number: project.copy(tmp_path / str(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    runs = {}
    for number, one in projects.items():
        one.declare(SLEEPS)
        runs[number] = command(one, name, "--json", env={"SLEEPS": str(one.folder / "asleep")})
    for number, run in runs.items():
        run.until((projects[number].folder / "asleep").exists)
        if number == signal.SIGINT:
            run.press_ctrl_c()
        else:
            run.terminate()
    ends = {number: run.finish() for number, run in runs.items()}
    assert {number: end.code for number, end in ends.items()} == {signal.SIGINT: 130, signal.SIGTERM: 143}
    for number, end in ends.items():
        assert "interrupted" in end.stderr
        assert end.stdout == ""
        assert projects[number].processes() == []


def test_a_leased_day_is_no_problem_of_health(project: Project) -> None:
    """A day that another run computes now is still new: health does not ask who is at work."""
    with started() as server, client_of(server.url) as client:
        project = replace(project, redis_url=server.url)
        project.sell("2024-01-11", [("north", 1)])
        client.set("noonmark:{totals}:lease:2024-01-11", "x", ex=60)
        report = examined(project)
    assert {one["kind"] for one in report["problems"]} == {"new", "index"}
    assert "leased" not in {key for counts in report["counts"].values() for key in counts}
