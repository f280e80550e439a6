"""Flushes that overlap: each once, each with its own answer, and all before anything that must come after."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import threading
import time
from collections import Counter

import pytest

from state.filesystem.flushing import AT_ONCE, flush_each
from state.store.local.commit import _flush_published
from state.store.local.staging import StagedFile, staged_file
from state.store.local.store import LocalStore
from tests.builders import DAY, NAME, commit, fail, place, publish, written

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="flushes through fcntl there")


def test_flushes_wait_together() -> None:
    """As many as the device is asked at once are under way at the same time: none goes on before all have begun."""
    together = threading.Barrier(AT_ONCE, timeout=20)
    assert flush_each(lambda _: _wait(together), range(AT_ONCE)) == [None] * AT_ONCE


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait()


def test_each_flush_has_its_own_answer() -> None:
    """Errors stand where the things stood, and nothing is flushed twice: a second flush would not complain."""
    calls: Counter[int] = Counter()

    def flush(thing: int) -> None:
        calls[thing] += 1
        if thing % 5 == 3:
            raise OSError(errno.EIO, f"bad {thing}")

    errors = flush_each(flush, range(20))
    assert [number for number, error in enumerate(errors) if error] == [3, 8, 13, 18]
    assert {error.strerror for error in errors if error} == {"bad 3", "bad 8", "bad 13", "bad 18"}
    assert set(calls.values()) == {1}


def test_nothing_to_flush_is_no_error() -> None:
    """A group without results waits for nothing."""
    assert flush_each(lambda _: None, []) == []


def test_no_flush_is_under_way_once_the_answer_is_there() -> None:
    """Whoever asked closes the files next, even after an error that nobody foresaw: no descriptor may still be used."""
    first_failed, last_done = threading.Event(), threading.Event()

    def flush(thing: int) -> None:
        if thing == 0:
            first_failed.set()
            raise ValueError("unforeseen")
        assert first_failed.wait(20)
        if thing == AT_ONCE - 1:
            time.sleep(0.2)  # a slow device
            last_done.set()

    with pytest.raises(ValueError, match="unforeseen"):
        flush_each(flush, range(AT_ONCE))
    assert last_done.is_set()


def test_a_forked_child_flushes_with_threads_of_its_own() -> None:
    """A child has none of its parent's threads: it would wait for them for ever."""
    assert flush_each(lambda _: None, range(AT_ONCE)) == [None] * AT_ONCE
    if (child := os.fork()) == 0:
        signal.alarm(20)
        os._exit(flush_each(lambda _: None, range(AT_ONCE)) != [None] * AT_ONCE)
    assert os.waitpid(child, 0)[1] == 0


def test_one_draft_that_cannot_be_flushed_is_one(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel calls the lost pages clean: it is not tried again, and no other is harmed."""
    with staged_file(root.folder) as one, staged_file(root.folder) as two, staged_file(root.folder) as three:
        failed = fail(monkeypatch, "fsync", lambda fd: fd == two.fd)
        errors = flush_each(StagedFile.flush, [one, two, three])
    assert [bool(error) for error in errors] == [False, True, False]
    assert [one.flushed, two.flushed, three.flushed] == [True, False, True]
    assert len(failed) == 1


def test_the_last_bytes_are_written_before_the_flush(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 1: the seal is the last change to a result, and its flush comes after it."""
    flushed: list[bytes] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append(b"" if stat.S_ISDIR(os.fstat(fd).st_mode) else os.pread(fd, os.fstat(fd).st_size, 0))
        real(fd)

    token = commit(root)
    monkeypatch.setattr(os, "fsync", fsync)
    with written(root, token) as new:
        publish(root, new)
        assert flushed[0] == new.content() == place(root).read_bytes()


@pytest.mark.parametrize(("bad", "harmed"), [("day", [1]), ("aggregation", [0, 1]), ("root", [0, 1, 2])])
def test_a_folder_that_cannot_be_flushed_harms_what_lies_in_it(
    root: LocalStore, bad: str, harmed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 1: of days that are made durable together, each is told by its own folders, all the way up."""
    places = [(NAME, DAY), (NAME, "2024-02-02"), ("other", DAY)]
    for name, day in places:
        commit(root, name=name, day=day)
    file = place(root, *places[1])
    broken = {"day": file.parent, "aggregation": file.parent.parent, "root": root.path}[bad].stat().st_ino
    failed = fail(monkeypatch, "fsync", lambda fd: os.fstat(fd).st_ino == broken)
    errors = _flush_published(root.folder, places)
    assert [number for number, error in enumerate(errors) if error] == harmed
    assert len(failed) == 1, "a folder that days share is flushed once"
