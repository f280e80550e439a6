"""Quick tasks stay on the caller's thread, slow ones overlap, and the answers keep their order either way."""

from __future__ import annotations

import threading

import pytest

from state import threads
from state.threads import map_in_threads


@pytest.mark.parametrize("number", [0, 1, 2, 3, 250])
def test_quick_tasks_are_done_in_turn(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Handing them over would take longer than they do."""
    monkeypatch.setattr(threads, "WORTH_A_THREAD_SECONDS", 60.0)
    here = threading.get_ident()
    found = list(map_in_threads(lambda thing: (thing, threading.get_ident()), range(number), 4))
    assert found == [(thing, here) for thing in range(number)]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 250])
def test_slow_tasks_overlap(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """After the first few, which show that they are slow, two are done at the same time; none twice, none never."""
    monkeypatch.setattr(threads, "WORTH_A_THREAD_SECONDS", 1e-12)
    monkeypatch.setattr(threads, "PART_SECONDS", 0.0)
    both = threading.Barrier(2)
    here = threading.get_ident()
    asked = []

    def ask(thing: int) -> int:
        if threading.get_ident() != here and thing in (20, 21):
            both.wait(30)
        asked.append(thing)
        return -thing

    assert list(map_in_threads(ask, range(number), 2)) == [-thing for thing in range(number)]
    assert sorted(asked) == list(range(number))
    assert not both.broken


def test_one_pause_does_not_bring_threads_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of garbage in the midst of quick tasks: threads would double the time of all that are left."""
    monkeypatch.setattr(threads, "WORTH_A_THREAD_SECONDS", 0.05)
    here = threading.get_ident()
    pause = threading.Event()

    def ask(thing: int) -> int:
        if thing == 7:
            pause.wait(0.3)
        return threading.get_ident()

    assert set(map_in_threads(ask, range(100), 2)) == {here}


def test_some_slow_tasks_among_quick_ones_bring_threads_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third day is large: nearly all of the time goes into those."""
    monkeypatch.setattr(threads, "WORTH_A_THREAD_SECONDS", 0.002)
    here, pause = threading.get_ident(), threading.Event()

    def ask(thing: int) -> int:
        if thing % 3 == 0:
            pause.wait(0.02)
        return threading.get_ident()

    asked = list(map_in_threads(ask, range(90), 2))
    assert sum(where == here for where in asked) <= 11


def test_threads_are_left_again_where_tasks_became_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first files came from a cold device: a stretch later it is looked at again."""
    monkeypatch.setattr(threads, "STRETCH", 20)
    here, pause = threading.get_ident(), threading.Event()

    def ask(thing: int) -> int:
        if thing < 20:
            pause.wait(0.01)
        return threading.get_ident()

    monkeypatch.setattr(threads, "WORTH_A_THREAD_SECONDS", 0.005)
    asked = list(map_in_threads(ask, range(200), 2))
    assert here not in asked[6:26]
    assert set(asked[26:]) == {here}


def test_an_error_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn or in threads, what a task raises ends the whole."""
    for worth in (1e-12, 60.0):
        monkeypatch.setattr(threads, "WORTH_A_THREAD_SECONDS", worth)
        with pytest.raises(ZeroDivisionError):
            list(map_in_threads(lambda thing: 1 / (thing - 9), range(20), 2))
