"""Outputs of earlier versions, whose days have a lock file each: their marks move into slots, at once or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from state.errors import Refused, StorageError
from state.filesystem import file_locks
from state.filesystem.folder import InTheWay
from state.store.local import layout, takeover
from state.store.local.day_lock import day_lock, read_mark
from state.store.local.root import accept_store, find_store, open_store, preview_store
from state.store.local.staging import staged_file
from state.store.local.store import LocalStore
from tests.builders import DAY, NAME, child, commit, fail, heard, no_range_locks

pytestmark = pytest.mark.skipif(not file_locks.knows_ranges(), reason="locks on ranges of open files need Linux")

DAYS = (DAY, "2013-12-31", "2012-12-31", "2014-01-01")
NUMBERED = ("0", "511", "512", str(10**18 - 1))
OTHER = "others"
PLACES = [(NAME, day) for day in DAYS] + [(OTHER, day) for day in NUMBERED]

OPEN = """
import sys
from pathlib import Path
from state.store.local.root import open_store
with open_store(Path(sys.argv[1]), create=False, remembered=True) as root:
    print(root.folder.lock_ranges, flush=True)
    sys.stdin.readline()
"""
KILLED = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from state.store.local.root import open_store
source, left = Path(sys.argv[1]), 0
def dying(real):
    def call(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **options)
    return call
for left in itertools.count():
    copy = source.with_name(f"killed-{left}")
    shutil.copytree(source, copy, symlinks=True)
    if (pid := os.fork()) == 0:
        for name in ("open", "write", "pwrite", "fsync", "rename", "unlink", "mkdir"):
            setattr(os, name, dying(getattr(os, name)))
        with open_store(copy, create=False, remembered=True) as root:
            os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        break
print(left, flush=True)
"""
IN_DAY = """
import sys
from pathlib import Path
from state.store.local.day_lock import day_lock
from state.store.local.root import open_store
with open_store(Path(sys.argv[1]), create=False, remembered=True) as root:
    with day_lock(root.folder, ("totals", sys.argv[2])):
        print(root.folder.lock_ranges, flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An output of an earlier version, with marks of dates and numbered days; one of them is above its commit."""
    path = tmp_path / "out"
    with no_range_locks(), open_store(path, create=True, remembered=False) as root:
        for name, day in PLACES:
            commit(root, name=name, day=day)
        commit(root)
        with day_lock(root.folder, (NAME, DAYS[1]), 0) as lock:
            lock.raise_mark(9)
    assert json.loads((path / layout.MARKER).read_text())["format"] == 1
    return path


def _reopened(path: Path) -> LocalStore:
    return open_store(path, create=False, remembered=True)


def _marks(root: LocalStore) -> dict[tuple[str, str], tuple[int, int]]:
    marks = {place: read_mark(root.folder, place) for place in PLACES}
    return {place: (mark.generation, mark.published) for place, mark in marks.items()}


def _seen(path: Path) -> dict[tuple[str, str], tuple[int, int]]:
    found = find_store(path)
    assert found is not None
    with found:
        return _marks(found)


def _lock_files(path: Path) -> list[str]:
    return sorted(one.name for one in (path / layout.LOCKS).rglob("*.lock"))


EXPECTED = dict.fromkeys(PLACES, (1, 1)) | {(NAME, DAYS[0]): (2, 2), (NAME, DAYS[1]): (9, 1)}


def test_marks_move_into_slots(old: Path) -> None:
    """What a mark protects is protected afterwards: generations go on from it, and what was published is known."""
    assert _seen(old) == EXPECTED
    identity = json.loads((old / layout.MARKER).read_text())["root"]
    with _reopened(old) as root:
        assert root.folder.lock_ranges
        assert root.id == identity
        assert _marks(root) == EXPECTED
        assert commit(root, day=DAYS[1]).high_water == 10
    assert _seen(old)[NAME, DAYS[1]] == (10, 10)
    assert _lock_files(old) == []
    assert json.loads((old / layout.MARKER).read_text()) == {"format": 2, "root": identity, "locks": "ranges"}
    assert os.listdir(old / layout.STAGING) == []


def test_looking_takes_nothing_over(old: Path) -> None:
    """A dry run, health and readers write nothing, and read the marks as they lie."""
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    looked = preview_store(old, create=False, remembered=True)
    assert looked is not None
    with looked:
        assert not looked.folder.lock_ranges
        assert _marks(looked) == EXPECTED
        with _reopened(old):
            assert (
                looked.published_generation((NAME, DAY)) == 0
            )  # its lock file is gone: nothing is known, nothing fails
    assert {path for path in before if path.suffix != ".lock"} <= set(old.rglob("*"))


def test_who_opens_first_decides_for_both(old: Path) -> None:
    """Two runs at once lock days alike: the second takes the way of the first, whichever that is."""
    with no_range_locks():
        first = _reopened(old)
    with child(OPEN, old) as second:
        with first:
            assert heard(second) == "False"
        with _reopened(old) as third:  # the second still writes in the old way
            assert not third.folder.lock_ranges
        assert _lock_files(old) != []
    with child(OPEN, old) as fourth, child(OPEN, old) as fifth:
        assert [heard(fourth), heard(fifth)] == ["True", "True"]
    assert _seen(old) == EXPECTED


def test_two_ways_are_never_inside_one_day(old: Path) -> None:
    """A run that opened before the takeover and one that opened after it exclude each other, for they lock alike."""
    with no_range_locks():
        first = _reopened(old)
    with first, child(IN_DAY, old, DAY) as other:
        assert heard(other) == "False"
        with pytest.raises(StorageError, match="stayed locked"), day_lock(first.folder, (NAME, DAY), 0):
            pass


@pytest.mark.parametrize("ending", [layout.temporary_file, layout.run_note])
def test_a_run_of_an_earlier_version_is_noticed(old: Path, ending: Callable[[str], str]) -> None:
    """Earlier versions hold no lock on the output; while one computes, its private files say that it does."""
    found = find_store(old)
    assert found is not None
    with found, staged_file(found.folder, ending), _reopened(old) as root:
        assert not root.folder.lock_ranges
    (old / ending("a" * 32)).write_bytes(b"left by a run that died")
    with _reopened(old) as root:
        assert root.folder.lock_ranges
    assert _seen(old) == EXPECTED


def test_a_kill_at_any_step_lowers_no_mark(old: Path) -> None:
    """Promise 7: killed anywhere, the next run ends the takeover; no mark is lowered, and no lock file is left."""
    with child(KILLED, old) as process:
        kills = int(heard(process))
    assert kills > 40
    formats = []
    for at in range(kills + 1):
        copy = old.with_name(f"killed-{at}")
        formats.append(json.loads((copy / layout.MARKER).read_text())["format"])
        assert _seen(copy) == EXPECTED
        with _reopened(copy) as root:
            assert root.folder.lock_ranges
            assert _marks(root) == EXPECTED
            root.remove_stale()
        assert (_lock_files(copy), os.listdir(copy / layout.STAGING)) == ([], [])
    assert formats == sorted(formats)
    assert set(formats) == {1, 2}


def test_an_error_at_any_write_leaves_one_way(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full or failing disk: the run goes on as before or fails as a whole, and marks are as they were."""
    for call in ("pwrite", "fsync", "write", "rename"):
        for nth in range(12):
            copy = tmp_path / f"{call}-{nth}"
            shutil.copytree(old, copy)
            with monkeypatch.context() as patch, ExitStack() as opened:
                count = iter(range(10**6))
                fail(patch, call, lambda *_: next(count) == nth)  # noqa: B023 called within this turn
                try:
                    opened.enter_context(_reopened(copy))
                except StorageError:
                    assert call == "fsync"
            assert _seen(copy) == EXPECTED
            with _reopened(copy) as root:
                assert root.folder.lock_ranges
                assert _marks(root) == EXPECTED


def test_marks_are_durable_before_the_marker_is_replaced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the marker's rename must not leave slots that were never written."""
    steps: list[str] = []
    names: dict[int, str] = {path.stat().st_ino: str(path.relative_to(old)) for path in old.rglob("*")}

    def noting(name: str, path_of: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            steps.append(f"{name} {path_of(*arguments)}")
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    def of(fd: int, *_: object) -> str:
        status = os.fstat(fd)
        return names.get(status.st_ino, "a new file" if stat.S_ISREG(status.st_mode) else "a new folder")

    noting("fsync", of)
    noting("rename", lambda _, target: str(target))
    noting("unlink", str)
    with _reopened(old):
        pass
    replaced = steps.index("rename root.json")
    assert steps[:replaced].count("fsync a new file") == 6 + 1  # three years, three files of numbers, and the marker
    assert {f"fsync {layout.LOCKS}", f"fsync {layout.LOCKS}/{NAME}", f"fsync {layout.LOCKS}/{OTHER}"} <= {
        *steps[:replaced]
    }
    removed = next(at for at, step in enumerate(steps) if step.endswith(".lock"))
    assert f"fsync {layout.OWN}" in steps[replaced:removed]


def test_higher_slots_stay(old: Path) -> None:
    """A marker of format 1 that came back from a backup lowers nothing that was marked since."""
    marker = (old / layout.MARKER).read_bytes()
    with _reopened(old) as root:
        for _ in range(3):
            commit(root)
    (old / layout.MARKER).write_bytes(marker)
    (old / layout.lock_file(NAME, DAY)).write_bytes(b"%020d\n%020d\n" % (2, 2))
    with _reopened(old) as root:
        assert _marks(root) == EXPECTED | {(NAME, DAY): (5, 5)}


@pytest.mark.parametrize("where", ["lock file", "slots"])
@pytest.mark.parametrize("what", ["a text", "a link", "a folder", "a pipe"])
def test_what_is_in_the_way_keeps_the_old_way(old: Path, where: str, what: str) -> None:
    """A foreign lock file fails its day, as it did, and no other; once it is moved away, the output is taken over."""
    path = old / (layout.lock_file(NAME, DAY) if where == "lock file" else layout.lock_slot(NAME, DAY)[0])
    mark = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    put: dict[str, Callable[[], object]] = {
        "a text": lambda: path.write_bytes(b"dear somebody"),
        "a link": lambda: path.symlink_to("nowhere"),
        "a folder": path.mkdir,
        "a pipe": lambda: os.mkfifo(path),
    }
    put[what]()
    with _reopened(old) as root:
        assert not root.folder.lock_ranges
        if where == "lock file":
            with pytest.raises(InTheWay, match="move it away"), day_lock(root.folder, (NAME, DAY), 0):
                pass
        commit(root, day=DAYS[1])
    path.rmdir() if what == "a folder" else path.unlink()
    if mark is not None:
        path.write_bytes(mark)
    with _reopened(old) as root:
        assert root.folder.lock_ranges
        assert _marks(root) == EXPECTED | {(NAME, DAYS[1]): (10, 10)}


def test_foreign_names_among_the_locks_stay(old: Path) -> None:
    """Only lock files of days are removed: a folder, a link or a text of another name is somebody's."""
    locks = old / layout.LOCKS
    (locks / "mine.lock").write_bytes(b"1\n")
    (locks / NAME / "mine.lock").write_bytes(b"1\n")
    (locks / NAME / "2024-02-30.lock").write_bytes(b"1\n")
    (locks / "no name of an aggregation").mkdir()
    (locks / "linked").symlink_to(old / layout.STAGING)
    with _reopened(old) as root:
        assert root.folder.lock_ranges
    (locks / NAME / f"{DAY}.lock").write_bytes(b"dear somebody")
    (locks / NAME / f"{DAYS[1]}.lock").mkdir()
    (locks / NAME / f"{DAYS[2]}.lock").write_bytes(b"%020d\n" % 99)
    with _reopened(old) as root:
        assert _marks(root) == EXPECTED
    left = [f"{DAY}.lock", f"{DAYS[1]}.lock", "2024-02-30.lock", "mine.lock", "mine.lock"]
    assert _lock_files(old) == sorted(left)


def test_a_lost_marker_loses_no_marks(old: Path) -> None:
    """An output of an earlier version that is marked anew has its lock files, which are then taken over."""
    (old / layout.MARKER).write_bytes(b"torn")
    with accept_store(old) as root:
        assert _marks(root) == EXPECTED
    with accept_store(old) as root:
        assert root.folder.lock_ranges
        assert _marks(root) == EXPECTED


def test_a_file_system_without_ranges_has_lock_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ranges are refused, or do not exclude, an output is as it always was, and stays that."""

    def refused(*_: object) -> bytes:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    for at, answer in enumerate((refused, lambda *_: b"")):
        with monkeypatch.context() as patch:
            patch.setattr("fcntl.fcntl", answer)
            for _ in range(2):
                with open_store(tmp_path / str(at), create=True, remembered=False) as root:
                    assert not root.folder.lock_ranges
                    commit(root)
        assert json.loads((tmp_path / str(at) / layout.MARKER).read_text())["format"] == 1


def test_ranges_are_needed_where_an_output_has_them(tmp_path: Path) -> None:
    """On a system without them its days could not be locked: it is read, and not written."""
    with open_store(tmp_path, create=True, remembered=False) as root:
        commit(root)
    with no_range_locks():
        for again in (_reopened, accept_store):
            with pytest.raises(Refused, match="locked by ranges of files, which this system cannot"):
                again(tmp_path)
        assert _seen(tmp_path)[NAME, DAY] == (1, 1)


def test_a_takeover_that_hangs_delays_by_the_deadline(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 12: a run does not wait for ever for one that was stopped while it took the output over."""
    monkeypatch.setattr(takeover, "DEADLINE_SECONDS", 0.05)
    alone = file_locks.open_lockable(old / layout.OWN, os.O_RDONLY)
    assert file_locks.try_lock(alone)
    with pytest.raises(StorageError, match=r"_noonmark stayed locked for 0\.05 s"):
        _reopened(old)
    file_locks.close_lockable(alone)
    with _reopened(old) as root:
        assert root.folder.lock_ranges


def test_no_descriptor_is_left(old: Path) -> None:
    """Opening and closing an output leaves nothing open, whether it was taken over or not."""
    before = sorted(os.listdir("/proc/self/fd"))
    with no_range_locks(), _reopened(old):
        pass
    for _ in range(2):
        with _reopened(old):
            pass
    assert sorted(os.listdir("/proc/self/fd")) == before
