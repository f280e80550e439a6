"""Slots in files of locks: each day has one of its own, which others neither lock nor write."""

from __future__ import annotations

import ctypes
import datetime as dt
import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from state.errors import StorageError
from state.filesystem import file_locks
from state.filesystem.folder import InTheWay
from state.store.local import layout
from state.store.local.day_lock import HighWater, day_lock, read_mark, slot
from state.store.local.layout import SLOT
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tests.builders import DAY, DEADLINE, NAME, PROJECT, child, commit, fail, heard, lock_path, tell

pytestmark = pytest.mark.skipif(not file_locks.knows_ranges(), reason="locks on ranges of open files need Linux")

HOLD = """
import os, signal, sys
from pathlib import Path
from state.store.local.day_lock import day_lock
from state.store.local.root import find_store
root = find_store(Path(sys.argv[1]))
with day_lock(root.folder, ("totals", sys.argv[2]), 30):
    if os.fork() == 0:
        print("held", flush=True)
        signal.pause()
    sys.stdin.readline()
"""

TRY = """
import sys
from pathlib import Path
from state.errors import StorageError
from state.store.local.day_lock import day_lock
from state.store.local.root import find_store
root = find_store(Path(sys.argv[1]))
try:
    with day_lock(root.folder, ("totals", sys.argv[2]), 0):
        print("free", flush=True)
except StorageError:
    print("locked", flush=True)
"""

CHILD = """
import json, sys
from state.store.local.day_lock import day_lock
from state.store.local.store import LocalStore
store = LocalStore.from_handle(*json.loads(sys.argv[1]))
with day_lock(store.folder, ("totals", "2013-01-01"), 0):
    print(store.folder.lock_ranges, flush=True)
    sys.stdin.readline()
"""


class _Flock(ctypes.Structure):
    """``struct flock``, laid out by the rules of this machine's compiler."""

    _fields_ = (
        *(("l_type", ctypes.c_short), ("l_whence", ctypes.c_short)),
        *(("l_start", ctypes.c_longlong), ("l_len", ctypes.c_longlong), ("l_pid", ctypes.c_int)),
    )


def test_a_range_is_packed_as_the_kernel_reads_it() -> None:
    """A field at the wrong place would lock another range, or none, without an error."""
    packed = _Flock.from_buffer_copy(file_locks._RANGE.pack(fcntl.F_WRLCK, os.SEEK_SET, 640, SLOT, 0))
    assert file_locks._RANGE.size == ctypes.sizeof(_Flock)
    assert (packed.l_type, packed.l_whence, packed.l_start, packed.l_len, packed.l_pid) == (
        *(fcntl.F_WRLCK, os.SEEK_SET, 640, SLOT, 0),
    )


@pytest.mark.parametrize(
    ("day", "file", "at"),
    [
        ("2023-12-31", "2023", 364),
        ("2024-01-01", "2024", 0),
        ("2024-02-29", "2024", 59),
        ("2024-03-01", "2024", 60),
        ("2023-03-01", "2023", 59),
        ("2024-12-31", "2024", 365),
        ("2000-12-31", "2000", 365),
        ("1900-12-31", "1900", 364),
        ("0001-01-01", "0001", 0),
        ("9999-12-31", "9999", 364),
        ("0", "number-0", 0),
        ("511", "number-0", 511),
        ("512", "number-1", 0),
        ("2024", "number-3", 488),
        (str(10**18 - 1), "number-1953124999999999", 511),
    ],
)
def test_a_day_has_its_slot(day: str, file: str, at: int) -> None:
    """Where a day's mark lies is the same for every version from now on: another place would be another mark."""
    assert layout.lock_slot(NAME, day) == (f"_noonmark/locks/{NAME}/{file}.locks", at * SLOT)


def test_no_two_days_share_a_slot() -> None:
    """Every date of some years, those with a leap day and those without, and numbers: each slot is one day's."""
    first = dt.date(1896, 1, 1).toordinal()
    days = [dt.date.fromordinal(first + number).isoformat() for number in range(366 * 10)]
    days += [str(number) for number in range(3 * 512)]
    slots = {layout.lock_slot(NAME, day) for day in days}
    assert len(slots) == len(days)
    assert max(at for _, at in slots) + SLOT <= layout.LONGEST_LOCKS


def test_neighbours_do_not_wait_for_one_another(root: LocalStore) -> None:
    """Days of one file are locked by different processes at once; the same day is not."""
    with child(HOLD, root.path, "2024-01-02") as holder:
        assert heard(holder) == "held"
        for day in ("2024-01-01", "2024-01-03", "2024-12-31"):
            with day_lock(root.folder, (NAME, day), 0) as lock:
                lock.raise_mark(7)
        with pytest.raises(StorageError), day_lock(root.folder, (NAME, "2024-01-02"), 0):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(DEADLINE)
        with day_lock(root.folder, (NAME, "2024-01-02"), 0.5) as lock:
            assert lock.mark == b""


def test_closing_another_descriptor_frees_nothing(root: LocalStore) -> None:
    """Locks of POSIX go when the process closes any descriptor of the file, such as one that read a mark."""
    with day_lock(root.folder, (NAME, DAY), 0):
        read_mark(root.folder, (NAME, DAY))
        with day_lock(root.folder, (NAME, "2013-01-02"), 0):
            pass
        with child(TRY, root.path, DAY) as other:
            assert heard(other) == "locked"
    with child(TRY, root.path, DAY) as other:
        assert heard(other) == "free"


def test_marks_are_written_beside_one_another(root: LocalStore) -> None:
    """A mark takes its own bytes of the file; those of other days are as they were, and a hole is no mark."""
    days = ["2024-12-31", "2024-01-01", "2024-01-03"]
    for number, day in enumerate(days, 1):
        with day_lock(root.folder, (NAME, day), 0) as lock:
            lock.raise_mark(number)
            lock.note_published(number)
    for number, day in enumerate(days, 1):
        mark = read_mark(root.folder, (NAME, day))
        assert (mark.generation, mark.published) == (number, number)
    assert read_mark(root.folder, (NAME, "2024-01-02")) == HighWater(b"")
    assert read_mark(root.folder, (NAME, "2025-01-02")) == HighWater(b"")
    assert lock_path(root, day=days[0]).stat().st_size == 366 * SLOT
    assert lock_path(root, day=days[0]).read_bytes().replace(b"\0", b"").isascii()


@pytest.mark.parametrize(
    "torn",
    [
        slot(12, 12)[:30].ljust(SLOT, b"\0"),
        slot(200, 200)[:19] + slot(199, 199)[19:],
        slot(3, 3)[:-1] + b" ",
        b"\0" * 63 + b"\n",
        b"0" * SLOT,
    ],
)
def test_a_torn_slot_states_nothing(root: LocalStore, torn: bytes) -> None:
    """Half of one mark and half of another would be a number that never was; the token still compares its bytes."""
    with day_lock(root.folder, (NAME, DAY), 0):
        lock_path(root).write_bytes(torn)
    mark = read_mark(root.folder, (NAME, DAY))
    assert (mark.generation, mark.published, mark.content) == (0, 0, torn)
    with day_lock(root.folder, (NAME, DAY), 0) as lock:
        assert lock.mark == torn
        lock.raise_mark(4)
    mark = read_mark(root.folder, (NAME, DAY))
    assert (mark.generation, mark.published) == (4, 0)


def test_a_file_that_ends_within_a_slot_is_torn(root: LocalStore) -> None:
    """A power cut may leave the file shorter than it was; what is missing reads as zeros."""
    with day_lock(root.folder, (NAME, DAY), 0):
        lock_path(root).write_bytes(slot(12, 12)[:19])
    mark = read_mark(root.folder, (NAME, DAY))
    assert (mark.generation, len(mark.content)) == (0, SLOT)


@pytest.mark.parametrize(
    ("content", "blocked"),
    [
        (b"dear somebody", ["2024-01-01", "2024-01-02", "2024-12-31"]),
        (b"\0" * 33_000, ["2024-01-01", "2024-01-02", "2024-12-31"]),
        (slot(1, 1) + b"dear somebody", ["2024-01-02"]),
        (b"dear somebody".ljust(SLOT) + slot(1, 1), ["2024-01-01"]),
    ],
)
def test_a_foreign_file_is_not_written(root: LocalStore, content: bytes, blocked: list[str]) -> None:
    """What is somebody else's as a whole blocks its days; foreign bytes in one slot block that day alone."""
    path = lock_path(root, day="2024-01-01")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for day in ("2024-01-01", "2024-01-02", "2024-12-31"):
        whole = len(blocked) > 1
        expected = "is a file of something else, expected a file of locks: move it away" if whole else "dd if=/dev/zero"
        error = InTheWay if whole else StorageError
        foreign = pytest.raises(error, match=rf"2024\.locks .*{expected}") if day in blocked else nullcontext()
        with foreign, day_lock(root.folder, (NAME, day), 0):
            pass
    assert path.read_bytes() == content


def test_the_advice_for_a_foreign_slot_mends_it_alone(root: LocalStore) -> None:
    """The command that the message ends with, as it stands there, gives up that day's mark and no other."""
    path = lock_path(root, day="2024-01-01")
    path.parent.mkdir(parents=True)
    path.write_bytes(slot(7, 7) + b"dear somebody".ljust(SLOT) + slot(8, 8))
    with pytest.raises(StorageError, match="dd if=") as told, day_lock(root.folder, (NAME, "2024-01-02"), 0):
        pass
    command = told.value.message[told.value.message.index("dd if=") :]
    subprocess.run(command.split(), check=True, stderr=subprocess.DEVNULL)
    with day_lock(root.folder, (NAME, "2024-01-02"), 0) as lock:
        assert lock.mark == b""
    assert [read_mark(root.folder, (NAME, f"2024-01-0{day}")).generation for day in (1, 2, 3)] == [7, 0, 8]


def test_an_error_while_a_mark_is_raised_leaves_the_last_good_commit(
    root: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that cannot be written is no mark: nothing is published after it."""
    before = commit(root)
    with monkeypatch.context() as patch:
        fail(patch, "pwrite", lambda *_: True)
        with pytest.raises(OSError, match="Input/output"):
            commit(root)
    assert root.token((NAME, DAY)).identity == before.identity


def test_a_commit_costs_two_inodes_and_a_slot(root: LocalStore) -> None:
    """A result is a folder and a file. Beside it lie 64 bytes, however many days there are."""
    first = dt.date(2024, 1, 1).toordinal()
    days = [dt.date.fromordinal(first + number).isoformat() for number in range(200)]
    for day in days:
        commit(root, day=day)
    inside = [path for path in root.path.rglob("*") if layout.OWN not in path.parts]
    assert len(inside) == 1 + 2 * len(days)
    locks = list((root.path / layout.LOCKS / NAME).iterdir())
    assert [path.name for path in locks] == ["2024.locks"]
    assert sum(path.stat().st_size for path in locks) <= len(days) * SLOT


def test_a_child_of_the_run_still_writes(tmp_path: Path) -> None:
    """A process that computes isolated days knows how they are locked, and keeps the output as it is while it lives."""
    with open_store(tmp_path, create=True, remembered=False) as root:
        descriptors, handle = root.handle()
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(handle)],
            pass_fds=descriptors,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        assert heard(process) == "True"
        with pytest.raises(StorageError), day_lock(root.folder, (NAME, DAY), 0):
            pass
    alone = file_locks.open_lockable(tmp_path / layout.OWN, os.O_RDONLY)
    with process:
        assert not file_locks.try_lock(alone)
        tell(process)
        process.wait(DEADLINE)
    assert file_locks.try_lock(alone)
    file_locks.close_lockable(alone)
