"""Schedules of the simulation come again exactly, and one that fails becomes a small file that a person can read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.simulation.mutants import MUTANTS
from tests.chaos.simulation.play import Play
from tests.chaos.simulation.replay import replay
from tests.chaos.simulation.schedule import Schedule, draw
from tests.chaos.simulation.shrink import shrunk, signature, without_parts
from tests.chaos.simulation.stage import Stage, staged
from tests.chaos.simulation.story import FAILURES, load, save

SAVED = sorted(FAILURES.glob("*.json"))


def _play(stage: Stage, schedule: Schedule) -> tuple[list[str], int, int, Play]:
    play = Play(stage, schedule)
    return play.run(), play.scheduler.steps, play.scheduler.now, play


def _first_failing(stage: Stage) -> tuple[Schedule, list[str]]:
    for number in range(1_000):
        if broken := Play(stage, draw(number)).run():
            return draw(number), broken
    raise AssertionError("no schedule failed")


def test_a_schedule_comes_again_exactly() -> None:
    """A violation that cannot be looked at again helps nobody."""
    first: list[str] = []
    second: list[str] = []
    replay("11", first.append, every_call=True)
    replay("11", second.append, every_call=True)
    assert first == second
    assert len(first) > 100


def test_recorded_turns_play_as_they_were_drawn() -> None:
    """What a schedule's number draws can be written down: then parts of it can be left out."""
    with staged() as stage:
        for number in range(100):
            schedule = draw(number)
            *drawn, play = _play(stage, schedule)
            *followed, _ = _play(stage, replace(schedule, turns=tuple(play.scheduler.turns)))
            assert followed == drawn, number


@pytest.mark.parametrize(
    ("mutant", "workers"),
    [("no high-water mark", 1), ("no lock", 2), ("set-aside without re-check", 2), ("index set without compare", 2)],
)
def test_a_failing_schedule_is_shrunk_saved_and_replayed(mutant: str, workers: int, tmp_path: Path) -> None:
    """What is left needs no more workers and events than the fault does, and fails alike from its file alone."""
    with MUTANTS[mutant](), staged() as stage:
        schedule, broken = _first_failing(stage)
        least = shrunk(stage, schedule, 60)
        path = save(stage, least, tmp_path)
    assert len(least.workers) == workers
    assert len(least.events) <= 2
    assert len(least.turns or ()) <= 20
    assert load(path) == least
    with MUTANTS[mutant]():
        again = replay(str(path), lambda _: None)
    assert again == json.loads(path.read_text())["broken"]
    assert signature(again) == signature(broken)
    assert replay(str(path), lambda _: None) == [], "with the protection, the same schedule passes"


def test_a_saved_file_is_read_as_a_story(tmp_path: Path) -> None:
    """It says what there was in the beginning, who did what at which step, what happened between, and what broke."""
    with MUTANTS["no high-water mark"](), staged() as stage:
        path = save(stage, shrunk(stage, _first_failing(stage)[0]), tmp_path)
    story = json.loads(path.read_text())["story"]
    assert len(story) < 200
    assert story[1] == "day 1: nothing in its place" or story[1].endswith("result in its place")
    assert [line for line in story if "has read the token of alpha 1" in line]
    assert [line for line in story if "rename _noonmark/tmp/" in line and "to alpha/day=1/data.parquet" in line]
    assert [line for line in story if line.strip().startswith("--- ")]
    assert story[-1].startswith("BROKEN: promise 3: ")


@pytest.mark.parametrize("path", SAVED or [pytest.param(None, marks=pytest.mark.skip("no campaign left a failure"))])
def test_what_once_failed_does_not_fail_again(path: Path) -> None:
    """Files that stay here are of faults that were found and corrected."""
    assert replay(str(path), lambda _: None) == []


def test_parts_are_left_out_down_to_single_ones() -> None:
    """Only what is needed together remains."""
    assert without_parts(range(100), lambda some: {3, 50, 51} <= set(some)) == (3, 50, 51)
    assert without_parts("abc", lambda _: True) == ()
    assert without_parts("abc", lambda _: False) == ("a", "b", "c")
