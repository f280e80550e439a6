"""What a user's code does to a run, by the real command: its own day fails, and all others are committed."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterStartTime
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings

from state.errors import error_text
from tests.project import Project, dates, wait_until

ODD = '''"""Totals of sales, with something odd on some days: ODD maps a day to a statement."""

import asyncio, ctypes, json, os, signal, subprocess, sys, threading, time, traceback
from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation

ODD = json.loads(os.environ.get("ODD", "{}"))


def main_thread_is_in(function):
    frame = sys._current_frames()[threading.main_thread().ident]
    return function in {one.name for one in traceback.extract_stack(frame)}


def act(files):
    day = Path(files[0]).parent.name
    if day in ODD:
        exec(ODD[day])
    return pl.scan_csv(files)


@aggregation(Source("sales/{day}/*.csv", read=act))
def totals(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Sales and items of the whole day."""
    return sales.select(sales=pl.len(), items=pl.col("items").sum())
'''


@pytest.fixture
def odd(api_url: str, tmp_path: Path) -> Project:
    """Twenty days of one aggregation, not computed yet."""
    project = Project.create(tmp_path / "project", api_url, dates(20))
    project.declare(ODD)
    return project


def doing(**days: str) -> dict[str, str]:
    """The environment in which the module does these things: ``d03="…"`` on the third day."""
    return {"ODD": json.dumps({f"2024-01-{day[1:]}": statement for day, statement in days.items()})}


def named(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Kind and error of each failed day."""
    return {one["day"]: (one["kind"], one["error"]) for one in report["failed"]}


def committed(project: Project) -> list[str]:
    """The days that have a result."""
    return [day for _, day in project.rows()]


def test_what_user_code_raises_is_its_own_days_failure(odd: Project) -> None:
    """``sys.exit``, a cancellation, an interrupt or ``os._exit`` ends nothing but its day; standard output is JSON."""
    ended = odd.run(
        env=doing(
            d01="sys.exit(0)",
            d02="sys.exit(3)",
            d03="raise asyncio.CancelledError('stop')",
            d04="raise GeneratorExit",
            d05="raise KeyboardInterrupt",
            d06="os._exit(0)",
        )
    )
    assert ended.code == 1
    failed = named(ended.json)
    assert sorted(failed) == dates(6)
    assert {kind for kind, _ in failed.values()} == {"input"}
    for word, day in zip(
        ("SystemExit: 0", "SystemExit: 3", "CancelledError: stop", "GeneratorExit", "KeyboardInterrupt", "ProcessExit"),
        dates(6),
        strict=True,
    ):
        assert word in failed[day][1]
    assert committed(odd) == dates(20)[6:]
    assert "interrupted" not in ended.stderr
    assert odd.processes() == []


def test_a_day_that_takes_every_file_harms_no_other(odd: Project) -> None:
    """Descriptors and memory that failed code held are let go of, and the run waits for nothing that cannot start.

    A child that the code forks and lets come back computes nothing on; it ends.
    """
    hold = """
def hold():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    held = []
    while True:
        held.append(open(__file__))
hold()
"""
    ended = odd.run(env=doing(d03=hold, d05="os.fork()"))
    assert ended.code == 1
    [(day, (kind, error))] = named(ended.json).items()
    assert (day, kind) == ("2024-01-03", "input")
    assert "Too many open files" in error
    assert committed(odd) == [one for one in dates(20) if one != day]
    wait_until(lambda: odd.processes() == [])


def test_an_error_is_told_whatever_it_is() -> None:
    """Its text may raise, its type may have no name, it may be long or move a terminal's cursor."""
    nameless = type("Meta", (type,), {"__name__": property(lambda _: 1 / 0)})(
        "Own", (Exception,), {"__str__": lambda _: 1 / 0}
    )
    assert error_text(nameless()) == "Own: its text cannot be read"
    assert error_text(ValueError("a\x1b[2J\udcff\nb")) == "ValueError: a\\x1b[2J\\udcff"
    assert len(error_text(ValueError("x" * 10_000_000))) < 300


def test_a_day_that_kills_its_process_is_named_by_the_next_run_and_holds_nothing_up(odd: Project) -> None:
    """The run that dies leaves a note; the next one commits all other days, and computes that one last, in a child.

    What the code has left behind, such as a process that holds all that its parent had open, is waited for by nobody.
    """
    env = doing(d01="ctypes.string_at(0)", d02="os.fork() or time.sleep(600)\nos.kill(os.getpid(), signal.SIGKILL)")
    assert odd.run(env=env).code in (-signal.SIGSEGV, -signal.SIGKILL)
    ended = odd.run(env=env)
    assert ended.code == 1
    failed = named(ended.json)
    assert sorted(failed) == dates(2)
    assert {kind for kind, _ in failed.values()} == {"died"}
    assert "killed by SIGSEGV (its peak memory was" in failed["2024-01-01"][1]
    assert "killed by SIGKILL, as the system does where memory runs out" in failed["2024-01-02"][1]
    assert committed(odd) == dates(20)[2:]
    assert "an earlier run died while it computed" in ended.stderr
    records = {path.name: json.loads(path.read_text()) for path in (odd.output / "_noonmark/failed").iterdir()}
    assert sorted(records) == ["totals.2024-01-01.json", "totals.2024-01-02.json"]
    shown = odd.index()["noonmark:{totals}:failures"]
    assert isinstance(shown, dict)
    assert {day.decode(): json.loads(text) for day, text in shown.items()} == {
        one["day"]: one for one in records.values()
    }

    for day in ("2024-01-21", "2024-01-22"):
        odd.sell(day, [("north", 1)])
    assert odd.run("--limit", "2", env=env).code == 0, "days that failed come after those that did not"
    assert committed(odd) == dates(22)[2:]
    again = odd.run()
    assert again.code == 0
    assert sorted(one["day"] for one in again.json["committed"]) == dates(2)
    assert list((odd.output / "_noonmark/failed").iterdir()) == []
    assert "noonmark:{totals}:failures" not in odd.index()
    assert odd.drafts == []
    for process in odd.processes():
        os.kill(int(process.split()[0]), signal.SIGKILL)


def test_days_that_failed_keep_a_limited_run_from_nothing(odd: Project) -> None:
    """Three bad oldest days and ``--limit 3``: the first run fails, the next ones commit three other days each."""
    env = doing(d01="1 / 0", d02="1 / 0", d03="1 / 0")
    assert sorted(named(odd.run("--limit", "3", env=env).json)) == dates(3)
    for number in (1, 2):
        assert odd.run("--limit", "3", env=env).code == 0
        assert committed(odd) == dates(20)[3 : 3 + 3 * number]


def test_a_task_run_that_was_ended_is_not_shown_as_completed(odd: Project) -> None:
    """A signal in the middle of a batch: what its task had not computed is named, and it is not ``Completed``."""
    first = dt.date.fromisoformat(dates(1)[0])
    days = [str(first + dt.timedelta(at)) for at in range(60)]  # fifteen a task, at first computed by fours
    for day in days[20:]:
        odd.sell(day, [("north", 1)])
    label = f"{days[0]} to {days[14]} (15 days)"
    # The second day is done once the run has told its tasks to stop, and waits for them.
    stops = "while not main_thread_is_in('shutdown'): time.sleep(0.05)"
    running = odd.start("--workers", "1", env=doing(d02=stops))
    running.until(lambda: dict(_task_states(odd)).get(label) == "RUNNING")
    running.terminate()
    assert running.finish().code == 143
    assert committed(odd) == days[:4]
    states: dict[str, str] = {}

    def recorded() -> bool:
        states.update(_task_states(odd))
        return not {"RUNNING", "PENDING"} & {*states.values()}

    wait_until(recorded, 30)
    assert states[label] != "COMPLETED"
    assert "COMPLETED" not in states.values()


def _task_states(project: Project) -> Iterator[tuple[str, str]]:
    """The type of state of each task run of the flow run that was started last, by its name."""

    async def ask() -> list[tuple[str, str]]:
        async with get_client() as client:
            started = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))  # others may be scheduled
            newest = await client.read_flow_runs(flow_run_filter=started, sort=FlowRunSort.START_TIME_DESC, limit=1)
            names = FlowRunFilterName(any_=[flow.name for flow in newest])
            tasks = await client.read_task_runs(flow_run_filter=FlowRunFilter(name=names), limit=200)
            return [(one.name, one.state.type.value if one.state else "RUNNING") for one in tasks]

    with temporary_settings({PREFECT_API_URL: project.api_url}):
        yield from asyncio.run(ask())
