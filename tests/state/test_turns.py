"""Turns of threads: one at a time, nobody waits long, and nothing depends on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from state import turns


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that no other test left its marks on."""
    monkeypatch.setattr(turns, "_turns", turns._Turns())


def has_turn() -> bool:
    """Whether this thread has the turn."""
    return turns._mine.has_turn


@contextmanager
def elsewhere() -> Iterator[threading.Event]:
    """Another thread that has the turn until the event is set."""
    entered, go_on = threading.Event(), threading.Event()

    def run() -> None:
        with turns.taken():
            entered.set()
            assert go_on.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(30)
    try:
        yield go_on
    finally:
        go_on.set()
        thread.join()


def test_one_thread_has_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one waits for it, and has it once it is free."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 30.0)
    with elsewhere() as go_on:
        threading.Timer(0.05, go_on.set).start()
        with turns.taken():
            assert go_on.is_set()
            assert has_turn()


def test_nobody_waits_long_and_then_does_not_ask_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the turn may be on a slow disk: others go on beside it, and do not wait again each time."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.001)
    with elsewhere():
        for _ in range(turns.PAUSE + 1):
            with turns.taken():
                assert not has_turn()
        assert turns._turns.to_skip == 0
    with turns.taken():
        assert has_turn()


def test_a_turn_that_is_left_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who computes without Python's lock lets others in, and takes its turn again behind them."""
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 30.0)
    with turns.taken():
        with turns.left(), elsewhere():
            assert not has_turn()
        assert has_turn()


def test_a_turn_within_a_turn_is_the_same() -> None:
    """A thread that has the turn goes on with it, and still has it afterwards."""
    with turns.taken():
        with turns.taken():
            assert has_turn()
        assert has_turn()
    assert not has_turn()
    assert not turns._turns.lock.locked()


def test_who_has_no_turn_leaves_none() -> None:
    """Outside a turn nothing is released, and nothing is taken."""
    with turns.left():
        assert not has_turn()
    assert not has_turn()
    assert not turns._turns.lock.locked()


def test_an_error_ends_the_turn() -> None:
    """Whatever is raised inside, the next one has the turn."""
    with pytest.raises(ValueError, match="inside"), turns.taken(), turns.left():
        raise ValueError("inside")
    assert not turns._turns.lock.locked()
