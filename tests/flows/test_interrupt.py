"""Runs that are killed, interrupted or told to end, at any moment: nothing is left behind, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project import Finished, Project, Running, dates, wait_until

pytestmark = pytest.mark.timeout(300)  # whole runs, on machines that may be busy

DAYS = dates(10)
PACE = {"PACE": "0.1"}
SOON = 20.0
"""Seconds in which an interrupted run must end: five of grace, five for Prefect's server, the rest for busy machines.

What hangs would hang for a minute.
"""

Moment = Callable[[Project], object]


@dataclass(frozen=True)
class Interrupted:
    """An interrupted run, and the processes of its project that still lived a moment later."""

    project: Project
    end: Finished
    left: list[str]


def _early(project: Project) -> object:
    return (project.redis / "users.lock").exists()


def _middle(project: Project) -> object:
    return len(project.results()) >= 7


def _late(project: Project) -> object:
    return len(project.results()) == 20


def _hanging(project: Project) -> object:
    return (project.folder / "hangs").exists()


def _serving(project: Project) -> object:
    return any("uvicorn" in words for words in project.processes())


MOMENTS: dict[str, tuple[Moment, dict[str, str]]] = {
    "while it opens the index": (_early, {}),
    "in the middle": (_middle, PACE),
    "after the last commit": (_late, PACE),
    "in a function that hangs": (_hanging, {"STUCK": "function"}),
    "in a query that hangs": (_hanging, {"STUCK": "query"}),
    "while its own server starts": (_serving, {}),
    "in the middle, with its own server": (_middle, PACE),
}
WAYS: dict[str, tuple[Callable[[Running], None], int]] = {
    "Ctrl-C": (Running.press_ctrl_c, 130),
    "SIGTERM": (Running.terminate, 143),
    "a terminal that closes": (lambda run: os.killpg(run.process.pid, signal.SIGHUP), 129),
    "Ctrl-backslash": (lambda run: os.killpg(run.process.pid, signal.SIGQUIT), 131),
}
CASES = [
    ("Ctrl-C", "while it opens the index"),
    ("SIGTERM", "while it opens the index"),
    ("Ctrl-C", "in the middle"),
    ("SIGTERM", "in the middle"),
    ("Ctrl-C", "after the last commit"),
    ("SIGTERM", "in a function that hangs"),
    ("Ctrl-C", "in a query that hangs"),
    ("Ctrl-C", "while its own server starts"),
    ("Ctrl-C", "in the middle, with its own server"),
    ("SIGTERM", "in the middle, with its own server"),
    ("a terminal that closes", "in the middle, with its own server"),
    ("Ctrl-backslash", "while its own server starts"),
]


@pytest.fixture(scope="module")
def interrupted(
    api_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Future[Interrupted]]]:
    """All cases, three at once: they mostly wait."""
    folder = tmp_path_factory.mktemp("interrupted")

    def interrupt(number: int, way: str, moment: str) -> Interrupted:
        come, environment = MOMENTS[moment]
        project = Project.create(folder / str(number), None if "its own server" in moment else api_url, DAYS)
        run = project.start(env={**environment, "HANGS": str(project.folder / "hangs")})
        run.until(lambda: come(project))
        WAYS[way][0](run)
        end = run.finish()
        gone: list[str] = []
        try:
            wait_until(lambda: not project.processes(), 5)
        except AssertionError:
            gone = project.processes()
        return Interrupted(project, end, gone)

    with ThreadPoolExecutor(3) as three:
        yield {case: three.submit(interrupt, number, *case) for number, case in enumerate(CASES)}


@pytest.mark.parametrize(("way", "moment"), CASES, ids=lambda words: words.replace(" ", "-"))
def test_an_interrupted_run_ends_soon_and_leaves_no_process(
    interrupted: dict[tuple[str, str], Future[Interrupted]], way: str, moment: str
) -> None:
    """Valkey, its supervisor, Prefect's own server and threads that hang are all gone, and the exit code tells why."""
    one = interrupted[way, moment].result()
    assert one.end.code == WAYS[way][1], one.end.stderr
    assert one.end.seconds < SOON
    assert one.left == []
    assert one.end.stdout == ""
    noise = [line for line in one.end.stderr.splitlines() if not line.startswith(("planned", "noonmark: interrupted"))]
    assert noise == []
    assert one.end.stderr.count("noonmark: interrupted") == 1
    expected = one.project.expected()
    assert all(expected[key] == rows for key, rows in one.project.rows().items())


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM"])
def test_the_next_run_goes_on_where_an_interrupted_one_was(
    interrupted: dict[tuple[str, str], Future[Interrupted]], way: str
) -> None:
    """Promise 7: what was committed is not computed again, what was not is, and drafts of the dead are swept."""
    project = interrupted[way, "in the middle"].result().project
    before = set(project.rows())
    assert 7 <= len(before) < 20
    assert set(project.run().committed) == set(project.expected()) - before
    assert project.rows() == project.expected()
    assert project.drafts == []


def test_ten_runs_killed_at_random_harm_nothing(api_url: str, tmp_path: Path) -> None:
    """Promises 1, 2 and 7: after SIGKILL at any moment every file is whole, and one run reaches the undisturbed state.

    Of the ten, some are killed while they compute days for the first time, most while they replace what is there.
    """
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown where the test fails
    projects = [Project.create(tmp_path / name, api_url, dates(20)) for name in ("one", "other")]
    with ThreadPoolExecutor(2) as two:
        list(two.map(_kill_five_runs, projects, (f"{seed} {project.folder.name}" for project in projects)))


def _kill_five_runs(project: Project, seed: str) -> None:
    chance = random.Random(seed)
    for options in ([], [], *[["--force", "--only", "totals", "--only", "items_by_shop"]] * 3):
        before = _inodes(project)
        run = project.start(*options, env={"PACE": "0.03"})
        _wait_for_new(project, run, before, chance.randint(1, 8))
        time.sleep(chance.uniform(0, 0.05))  # a random moment is what this test is about
        run.kill()
        assert run.finish().code == -9
        expected = project.expected()
        assert all(expected[key] == rows for key, rows in project.rows().items())
    wait_until(lambda: not project.processes(), 15)

    last = project.run()

    assert last.code == 0, last.stderr
    assert project.rows() == project.expected()
    assert project.drafts == []
    assert project.processes() == []
    index = project.index()
    for name in ("totals", "items_by_shop"):
        assert index[f"noonmark:{{{name}}}:processed_days"] == {day.encode() for day in dates(20)}


def _wait_for_new(project: Project, run: Running, before: set[int], number: int) -> None:
    run.until(lambda: len(_inodes(project) - before) >= number)


def _inodes(project: Project) -> set[int]:
    return {path.stat().st_ino for path in project.results()}
