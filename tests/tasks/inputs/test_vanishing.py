"""Input that goes away in mid-run: no day is called done, or orphaned, because its files cannot be seen any more."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.project import Finished, Project, dates

pytestmark = pytest.mark.timeout(300)

NEW = 4
DAYS = dates(10 + NEW)
"""The ten of a finished project, all of which are changed, and new ones behind them."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is undone at the end."""
    with ExitStack() as undone:
        yield undone


def _mount(stack: ExitStack, *arguments: str | Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    done = subprocess.run(["mount", *map(str, arguments)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    stack.callback(subprocess.run, ["umount", "-l", str(arguments[-1])], check=False, capture_output=True)


def _rename(raw: Path, _: ExitStack) -> None:
    raw.rename(raw.with_name("elsewhere"))


def _replace_by_a_copy(raw: Path, stack: ExitStack) -> None:
    """A copy that holds half of the days: other data, under the same name."""
    _rename(raw, stack)
    for day in DAYS[::2]:
        shutil.copytree(raw.with_name("elsewhere") / "sales" / day, raw / "sales" / day)


def _unmount(raw: Path, _: ExitStack) -> None:
    subprocess.run(["umount", "-l", str(raw)], check=True)


def _mount_over(raw: Path, stack: ExitStack) -> None:
    _mount(stack, "-t", "tmpfs", "none", raw)


def _remove_the_source(raw: Path, _: ExitStack) -> None:
    (raw / "sales").rename(raw / "former")


@pytest.mark.parametrize(
    "goes",
    [
        _replace_by_a_copy,
        _unmount,
        _remove_the_source,
        *(pytest.param(one, marks=pytest.mark.slow) for one in (_rename, _mount_over)),
    ],
)
def test_days_whose_input_goes_in_mid_run_are_named(
    project: Project, tmp_path: Path, stack: ExitStack, goes: Callable[[Path, ExitStack], None]
) -> None:
    """New and changed days alike: the run ends with 1 and names each that it did not commit; the next run mends it."""
    if goes is _unmount:
        behind = tmp_path / "behind"
        shutil.move(project.raw, behind)
        project.raw.mkdir()
        _mount(stack, "--bind", behind, project.raw)
    for day in DAYS:
        project.sell(day, [("north", 5), ("east", 6), ("west", 7)])
    was = project.rows()
    run = project.start("--json", "--workers", "1", env={"PACE": "0.3"})
    run.until(lambda: project.rows() != was)
    goes(project.raw, stack)
    ended = run.finish()
    _assert_named(ended)
    committed = {(one["aggregation"], one["day"]) for one in ended.json["committed"]}
    stands = project.rows()
    assert {place: rows for place, rows in stands.items() if place not in committed} == {
        place: rows for place, rows in was.items() if place not in committed
    }
    stack.close()
    _bring_back(project.raw)
    if goes is _unmount:
        _mount(stack, "--bind", tmp_path / "behind", project.raw)
    again = project.run()
    assert set(again.committed) == {(name, day) for name in ("items_by_shop", "totals") for day in DAYS} - committed
    assert project.rows() == project.expected()


def _assert_named(ended: Finished) -> None:
    """Every planned result was committed or has failed, because its input went."""
    assert ended.code == 1, f"exit {ended.code}\n{ended.stdout}\n{ended.stderr}"
    committed = {(one["aggregation"], one["day"]) for one in ended.json["committed"]}
    failed = {(one["aggregation"], one["day"]): one for one in ended.json["failed"]}
    assert {*committed, *failed} == {(name, day) for name in ("items_by_shop", "totals") for day in DAYS}
    assert committed
    assert len(failed) >= NEW, "the run was over before the input went"
    assert {one["kind"] for one in failed.values()} == {"input"}
    assert "orphaned" not in ended.json["skipped"]


def _bring_back(raw: Path) -> None:
    if (was := raw.with_name("elsewhere")).exists():
        shutil.rmtree(raw, ignore_errors=True)
        was.rename(raw)
    if (raw / "former").exists():
        (raw / "former").rename(raw / "sales")


def test_one_day_that_goes_in_mid_run_is_named_alone(project: Project) -> None:
    """A new and a committed day lose their files while the run computes others: both fail, the others are committed.

    Where the files are gone for good the next run says so: the committed day is orphaned, the other is no day any more.
    """
    for day in DAYS[6:12]:
        project.sell(day, [("north", 5)])
    was = project.rows()
    run = project.start("--json", "--workers", "1", env={"PACE": "0.3"})
    run.until(lambda: project.rows() != was)
    for day in DAYS[9:11]:
        shutil.rmtree(project.raw / "sales" / day)
    ended = run.finish()
    assert ended.code == 1
    assert {one["day"] for one in ended.json["failed"]} == set(DAYS[9:11])
    assert "its files are gone since the plan was made" in ended.json["failed"][0]["error"]
    assert len(ended.json["committed"]) == 2 * 4
    again = project.run()
    assert again.committed == {}
    assert again.json["skipped"]["orphaned"] == 2
