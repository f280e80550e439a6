"""The day's lock: one holder at a time among threads and processes, and a mark that outlives the day.

Both where days are locked by ranges of shared files, and where each has a lock file of its own.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from state.errors import StorageError
from state.filesystem.folder import InTheWay
from state.store.local.day_lock import HighWater, day_lock, read_mark
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tests.builders import DAY, DEADLINE, NAME, child, fail, heard, lock_path, no_range_locks, tell

HOLD = """
import os, signal, sys
from pathlib import Path
from state.store.local.day_lock import day_lock
from state.store.local.root import find_store
root = find_store(Path(sys.argv[1]))
with day_lock(root.folder, (sys.argv[2], sys.argv[3]), 30):
    if len(sys.argv) > 4 and os.fork() == 0:
        os.execlp("sleep", "sleep", "600") if sys.argv[4] == "exec" else signal.pause()
        os._exit(0)
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(params=["ranges", "files"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalStore]:
    """An empty output, whose days are locked in this way."""
    with ExitStack() as stack:
        if request.param == "files":
            stack.enter_context(no_range_locks())
        made = stack.enter_context(open_store(tmp_path / "out", create=True, remembered=False))
        assert made.folder.lock_ranges == (request.param == "ranges")
        yield made


def _is_free(root: LocalStore, seconds: float = 0) -> bool:
    try:
        with day_lock(root.folder, (NAME, DAY), seconds):
            return True
    except StorageError:
        return False


def test_one_thread_at_a_time(root: LocalStore) -> None:
    """Many threads that each read, wait and write a number lose no step: they were never in it together."""
    numbers = [0]

    def count() -> None:
        for _ in range(10):
            with day_lock(root.folder, (NAME, DAY), DEADLINE):
                seen = numbers[0]
                time.sleep(0.0005)
                numbers[0] = seen + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [40]


def test_a_second_holder_in_one_process_is_kept_out(root: LocalStore) -> None:
    """A lock that belonged to the process (lockf) would let a second thread in, and would go with any close."""
    with day_lock(root.folder, (NAME, DAY), 0):
        assert not _is_free(root)
        assert not _is_free(root)
    assert _is_free(root)


def test_a_process_keeps_others_out_until_it_dies(root: LocalStore) -> None:
    """A living holder excludes; SIGKILL frees at once, and no one has to clean up."""
    with child(HOLD, root.path, NAME, DAY) as holder:
        assert heard(holder) == "held"
        assert not _is_free(root, 0.02)
        holder.kill()
        assert _is_free(root, DEADLINE)


def test_other_days_are_free(root: LocalStore) -> None:
    """A lock is one day's of one aggregation: no other day waits for it."""
    with (
        day_lock(root.folder, (NAME, DAY), 0),
        day_lock(root.folder, (NAME, "2013-01-02"), 0),
        day_lock(root.folder, ("others", DAY), 0),
    ):
        assert not _is_free(root)


def test_the_wait_ends_and_names_the_lock(root: LocalStore) -> None:
    """Promise 12: a holder that hangs delays another by the deadline, who then says what it waited for."""
    with day_lock(root.folder, (NAME, DAY), 0):
        began = time.monotonic()
        with (
            pytest.raises(
                StorageError, match=f"{NAME} {DAY} stayed locked by .* in {lock_path(root).relative_to(root.path)}"
            ),
            day_lock(root.folder, (NAME, DAY), 0.1),
        ):
            pass
        assert 0.1 <= time.monotonic() - began < DEADLINE


def test_the_deadline_bounds_the_wait_and_not_the_hold(root: LocalStore) -> None:
    """A lock that were given up while its rename hangs could see that rename land after a successor's."""
    with day_lock(root.folder, (NAME, DAY), 0.01):
        assert not _is_free(root, 0.05)


def test_a_started_program_does_not_keep_the_lock(root: LocalStore) -> None:
    """What a user's function starts may outlive the holder; the lock is free nevertheless."""
    with day_lock(root.folder, (NAME, DAY), 0):
        sleeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert _is_free(root)
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize(
    "way",
    [
        "exec",
        "fork",
    ],
)
def test_a_forked_child_does_not_keep_a_released_lock(root: LocalStore, way: str) -> None:
    """A user's function in another thread may fork a pool while a day is published; the next writer gets the lock."""
    with child(HOLD, root.path, NAME, DAY, way) as holder:
        assert heard(holder) == "held"
        tell(holder)
        assert heard(holder) == "released"
        assert _is_free(root, 0.5)


def test_a_forked_child_does_not_keep_a_dead_holders_lock(root: LocalStore) -> None:
    """Convergence: after a SIGKILL the day can be published, though a child of the dead lives on."""
    with child(HOLD, root.path, NAME, DAY, "fork") as holder:
        assert heard(holder) == "held"
        holder.send_signal(signal.SIGKILL)
        holder.wait(DEADLINE)
        assert _is_free(root, 0.5)


def test_the_lock_file_is_never_unlinked(root: LocalStore) -> None:
    """A name that came and went would have two holders: one of the old file, one of the new."""
    with day_lock(root.folder, (NAME, DAY), 0):
        first = lock_path(root).stat().st_ino
    with pytest.raises(ValueError, match="inside"), day_lock(root.folder, (NAME, DAY), 0):
        raise ValueError("inside")
    with day_lock(root.folder, (NAME, DAY), 0):
        assert lock_path(root).stat().st_ino == first
    assert lock_path(root).stat().st_ino == first


def test_no_descriptor_is_left(root: LocalStore) -> None:
    """Ten thousand days need no more descriptors than one, whether the lock was had or not."""
    _is_free(root)
    before = len(os.listdir("/proc/self/fd")) if os.path.lexists("/proc/self/fd") else 0
    for _ in range(5):
        assert _is_free(root)
        with day_lock(root.folder, (NAME, DAY), 0):
            assert not _is_free(root)
    after = len(os.listdir("/proc/self/fd")) if os.path.lexists("/proc/self/fd") else 0
    assert before == after


def test_the_mark_outlives_the_lock(root: LocalStore) -> None:
    """The highest generation is read with and without the lock, and one of any length overwrites another whole."""
    assert read_mark(root.folder, (NAME, DAY)).content == b""
    for generation in (1, 9, 10, 10**19, 3):
        with day_lock(root.folder, (NAME, DAY), 0) as lock:
            before = lock.mark
            assert before == read_mark(root.folder, (NAME, DAY)).content
            lock.raise_mark(generation)
        assert read_mark(root.folder, (NAME, DAY)).generation == generation
        assert read_mark(root.folder, (NAME, DAY)).content != before


def test_what_was_published_is_noted_behind_the_mark(root: LocalStore) -> None:
    """A mark alone may be of a writer that was killed before its rename: what surely stood there has its own line."""
    with day_lock(root.folder, (NAME, DAY), 0) as lock:
        lock.raise_mark(4)
    assert read_mark(root.folder, (NAME, DAY)).published == 0
    with day_lock(root.folder, (NAME, DAY), 0) as lock:
        lock.raise_mark(5)
        lock.note_published(5)
    with day_lock(root.folder, (NAME, DAY), 0) as lock:
        lock.raise_mark(7)
        mark = HighWater(lock.mark)
    assert (mark.generation, mark.published) == (5, 5)
    mark = read_mark(root.folder, (NAME, DAY))
    assert (mark.generation, mark.published) == (7, 5)


def test_a_lock_file_of_one_line_is_read_as_before(tmp_path: Path) -> None:
    """What earlier versions wrote: a mark, and no word of what was published."""
    with no_range_locks(), open_store(tmp_path / "out", create=True, remembered=False) as root:
        with day_lock(root.folder, (NAME, DAY), 0):
            lock_path(root).write_bytes(b"%020d\n" % 12)
        mark = read_mark(root.folder, (NAME, DAY))
        assert (mark.generation, mark.published) == (12, 0)


def test_a_note_that_cannot_be_written_is_no_failure(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day was published; that a later loss of it goes unseen is no reason to call it a failure."""
    with day_lock(root.folder, (NAME, DAY), 0) as lock:
        lock.raise_mark(5)
        fail(monkeypatch, "pwrite", lambda *_: True, errno.EIO)
        lock.note_published(5)


@pytest.mark.parametrize("torn", [b"", b"\0" * 21, b"\n", b"x" * 21, b"-0000000000000000001\n", b"9" * 64])
def test_a_torn_mark_states_nothing(torn: bytes) -> None:
    """A power cut may leave a mark unwritten: then the commit's own generation counts, and nothing raises."""
    assert (HighWater(torn).generation, HighWater(torn).published) == (0, 0)
    assert HighWater(b"%020d\n" % 3 + torn).published == 0


def test_an_error_is_no_empty_mark(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: a mark that cannot be read is not one that was never written."""
    assert _is_free(root)
    fail(monkeypatch, "open", lambda path, *_: ".lock" in str(path), errno.EACCES)
    with pytest.raises(PermissionError):
        read_mark(root.folder, (NAME, DAY))


def test_an_error_of_locking_is_no_lock(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks raises at once: it neither waits for the deadline nor goes on unlocked."""

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_lock)
    monkeypatch.setattr("fcntl.fcntl", no_lock)
    with pytest.raises(OSError, match="No locks available"), day_lock(root.folder, (NAME, DAY), DEADLINE):
        pass


@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_a_lock_file_hangs_nobody(root: LocalStore) -> None:
    """Promise 12: the mark cannot be read, and that is said."""
    path = lock_path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(InTheWay, match="is a pipe, expected a file: move it away"):
        read_mark(root.folder, (NAME, DAY))
