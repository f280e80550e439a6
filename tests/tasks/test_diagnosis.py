"""Each problem comes with the command that mends it: made on purpose, the command run as printed, looked at again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from state.index.index import ReconcileStats
from state.planner.decide import Blocked, Item
from state.planner.plan import Plan
from tasks.diagnosis import _DETAILS, Problem, causes_of, counts_of, problem_of_index, problems_of
from tests.flows.test_health import at, examined
from tests.project import CHECKOUT, DEADLINE, SHOPS, Project, dates
from tests.redis_servers import client_of, started

DAYS = dates(10)
DAY = DAYS[3]
Harm = Callable[[Project], object]


def _index(project: Project, *words: str) -> None:
    with client_of(project.redis_url) as client:
        client.execute_command(*words)


def _expire(project: Project) -> None:
    shutil.rmtree(project.sales_file(DAY).parent)


def _empty_raw(project: Project) -> None:
    shutil.rmtree(project.raw / "sales")
    (project.raw / "sales").mkdir()


def _nothing(_: Project) -> None:
    """The command alone mends it."""


@dataclass(frozen=True)
class Case:
    """A kind of problem: how it is made, what its detail says, and what a person mends by hand before the command."""

    kind: str
    harm: Harm
    detail: str
    by_hand: Harm = _nothing
    placed: bool = True
    """Whether the problem is one result's."""


def _both(*harms: Harm) -> Harm:
    return lambda project: [harm(project) for harm in harms]


CASES = {
    "new": Case("new", lambda p: p.sell("2024-01-11", [("north", 1)]), "has no result yet"),
    "changed": Case("changed", lambda p: p.sell(DAY, [("north", 1)]), "input changed"),
    "outdated": Case(
        "outdated",
        lambda p: p.declare(SHOPS.replace("version=1)\ndef totals", "version=20)\ndef totals")),
        "lower version",
    ),
    "corrupt": Case("corrupt", lambda p: p.result("totals", DAY).write_bytes(b"mine"), "damaged"),
    "lost": Case("lost", lambda p: p.result("totals", DAY).unlink(), "committed and is gone"),
    "unreadable input": Case(
        "unreadable",
        lambda p: p.sales_file(DAY).with_name("late.csv").symlink_to("nowhere"),
        "its input cannot be read",
        lambda p: p.sales_file(DAY).with_name("late.csv").unlink(),
    ),
    "damaged, input gone": Case(
        "unrecoverable",
        _both(_expire, lambda p: p.result("totals", DAY).write_bytes(b"mine")),
        "its result is damaged (",
    ),
    "lost, input gone": Case(
        "unrecoverable",
        _both(_expire, lambda p: p.result("totals", DAY).unlink()),
        "its result is lost and its input is",
    ),
    "index": Case(
        "index",
        lambda p: _index(p, "HDEL", "noonmark:{totals}:commits", DAY),
        "differs from the output: 1 missing",
        placed=False,
    ),
    "foreign index": Case(
        "foreign_index", lambda p: _index(p, "SET", "noonmark:root", "other"), "belongs to another output", placed=False
    ),
    "no marker": Case(
        "refused", lambda p: p.output.rename(p.folder / "gone"), "but the index remembers commits", placed=False
    ),
    "damaged marker": Case(
        "refused", lambda p: (p.output / "_noonmark/root.json").write_text("?"), "root.json is damaged", placed=False
    ),
    "vanished input": Case("refused", _empty_raw, "no file matches source", placed=False),
}


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis with a database for each case."""
    with started("--databases", "40") as server:
        yield server.url


def carry_out(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a person types it in the project's folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        shell=True,
        cwd=CHECKOUT,
        env=project.environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def _of(case: Case, report: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in report["problems"] if one["kind"] == case.kind]


@pytest.mark.timeout(400)  # seven commands: seconds here, minutes on a machine that does other work too
@pytest.mark.parametrize("placed", [True, False], ids=["of a result", "of the whole"])
def test_each_problem_is_gone_after_its_own_command(
    project: Project, tmp_path: Path, redis_url: str, placed: bool
) -> None:
    """One project a kind. That very problem is gone, others of its kind stand, and no command does more."""
    cases = {name: case for name, case in CASES.items() if case.placed is placed}
    projects, before, first = {}, {}, {}
    for number, (name, case) in enumerate(cases.items(), 20 * placed):
        one = projects[name] = at(project.copy(tmp_path / str(number)), redis_url, number)
        assert examined(one)["healthy"]
        case.harm(one)
        report = examined(one)
        assert not report["healthy"]
        before[name] = _of(case, report)
        assert before[name], (name, report)
        first[name] = problem = before[name][0]
        assert case.detail in problem["detail"]
        assert bool(problem["aggregation"] and problem["day"]) == placed
        assert problem["command"].startswith("python -m flows.")
        case.by_hand(one)

    with ThreadPoolExecutor(3) as pool:
        runs = pool.map(lambda name: carry_out(projects[name], first[name]["command"]), cases)
        ends = dict(zip(cases, runs, strict=True))

    wrong, healthy = {}, set()
    for name, case in cases.items():
        report = examined(projects[name])
        others = [one for one in before[name][1:] if case.by_hand is _nothing]
        if _of(case, report) != others or "Traceback" in ends[name].stderr:
            wrong[name] = (first[name], ends[name], report)
        if report["healthy"]:
            healthy.add(name)
    assert wrong == {}
    # What is set aside is a problem found, though it is mended; and one day's command is no other day's.
    assert {name: end.returncode for name, end in ends.items() if end.returncode} == (
        {"damaged, input gone": 1} if placed else {}
    )
    assert set(cases) - healthy == ({"outdated", "new", "changed"} if placed else {"no marker"})


def test_a_redis_that_does_not_serve_is_a_problem_and_none_at_all_is_not(project: Project, redis_url: str) -> None:
    """A URL says that one is meant. Its password is not shown; corrected, health is green again."""
    served = at(project, redis_url, 39)
    wrong = replace(project, redis_url="redis://:hush@127.0.0.1:1/0")
    report = examined(wrong)
    [problem] = report["problems"]
    assert (problem["kind"], problem["command"]) == ("redis", "python -m flows.health")
    assert "NOONMARK_REDIS_URL" in problem["detail"]
    assert "hush" not in str(report)
    assert carry_out(served, problem["command"]).returncode == 0
    assert examined(replace(project, redis_url="none"))["healthy"]


def test_every_kind_that_the_planner_can_give_has_its_words() -> None:
    """Pure: reasons, troubles and differences become problems, each result by its name."""
    plan = Plan(
        items=[Item("totals", day, reason) for day, reason in zip(DAYS, _DETAILS, strict=False)],
        statuses={},
        blocked=[Blocked("totals", "10", "unreadable", "why"), Blocked("totals", "11", "unrecoverable", "why")],
    )
    found = list(problems_of(plan))
    assert [one.kind for one in found] == [*_DETAILS, "unreadable", "unrecoverable"]
    assert all(one.detail and one.command for one in found)
    assert {case.kind for case in CASES.values()} >= {one.kind for one in found}
    assert found[0].command == f"python -m flows.daily --days {DAYS[0]} --only totals"


def test_counts_add_statuses_reasons_and_troubles() -> None:
    """Every known day of an aggregation counts once."""
    plan = Plan(
        items=[Item("totals", "1", "new"), Item("totals", "2", "new")],
        blocked=[Blocked("totals", "3", "unreadable", "why")],
    )
    plan.statuses = {"totals": Counter(done=4), "old": Counter(retired=2)}
    assert counts_of(plan) == {"totals": {"done": 4, "new": 2, "unreadable": 1}, "old": {"retired": 2}}


def test_an_index_that_equals_the_output_is_no_problem() -> None:
    """However many entries were looked at."""
    assert problem_of_index(ReconcileStats(unchanged=10)) is None
    problem = problem_of_index(ReconcileStats(added=1, updated=2000, removed=3))
    assert problem is not None
    assert "1 missing, 2,000 wrong, 3 too many" in problem.detail


def test_problems_of_one_cause_are_told_together_with_one_command() -> None:
    """One changed file makes five problems and one cause. What must be settled first comes first."""
    problems = [
        *(Problem("changed", name, "2024-01-02", "its input changed", f"daily {name}") for name in ("a", "b", "c")),
        *(
            Problem("new", "a", f"2024-01-{day:02}", "its input has no result yet", f"daily {day}")
            for day in range(1, 13)
        ),
        *(Problem("schema", "a", day, f"it lacks {day}", f"daily --force {day}") for day in ("9", "10")),
        Problem("unmatched", "", "", "no file matches source 's'", "daily --dry-run"),
    ]
    assert [(str(one), one.command) for one in causes_of(problems)] == [
        ("unmatched: no file matches source 's'", "daily --dry-run"),
        ("schema: 2 results of 9, 10: it lacks 9", "python -m flows.daily --force --days 9,10 --only a"),
        ("changed: 3 results of 2024-01-02: its input changed", "python -m flows.daily --days 2024-01-02"),
        (
            f"new: 12 results of {', '.join(dates(5))} and 7 more: its input has no result yet",
            "python -m flows.daily",
        ),
    ]
