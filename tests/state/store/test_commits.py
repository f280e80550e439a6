"""Publishing on a file system: locks, marks, links, flushes. What holds of every store is in ``conformance``."""

from __future__ import annotations

import errno
import os
import resource
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from state.errors import StorageError
from state.filesystem import file_locks as flocks
from state.result.classify import Commit, Damaged
from state.store.base import Superseded, Token
from state.store.local import layout, lookup
from state.store.local.day_lock import day_lock, read_mark
from state.store.local.root import open_store
from state.store.local.staging import staged_file
from state.store.local.store import LocalStore
from tests.builders import (
    DAY,
    DEADLINE,
    NAME,
    child,
    commit,
    drafts,
    fail,
    heard,
    kept,
    lock_path,
    place,
    publish,
    rows_of,
    tell,
    whole_paths,
    written,
)

COMMIT = """
import sys
from pathlib import Path
from state.store.base import Superseded
from state.store.local.root import find_store
from tests.builders import DAY, NAME, publish, written
root = find_store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
done = superseded = 0
while done < 25:
    token = root.token((NAME, DAY))
    with written(root, token) as new:
        try:
            publish(root, new)
            done += 1
        except Superseded:
            superseded += 1
print(superseded, flush=True)
sys.stdin.readline()
"""

DRAFT = """
import sys
from pathlib import Path
from state.store.local.staging import staged_file
from state.store.local.root import find_store
root = find_store(Path(sys.argv[1]))
with staged_file(root.folder) as new:
    print(new.nonce, flush=True)
    sys.stdin.readline()
"""


def _token(root: LocalStore) -> Token:
    return root.token((NAME, DAY))


def _publish(root: LocalStore, token: Token, **fields: Any) -> None:
    with written(root, token, **fields) as new:
        publish(root, new)


def _assert_superseded(root: LocalStore, token: Token) -> None:
    before = place(root).read_bytes() if place(root).exists() else None
    aside = kept(root)
    with pytest.raises(Superseded):
        _publish(root, token, frame=pl.DataFrame({"stale": [1]}))
    assert (place(root).read_bytes() if place(root).exists() else None) == before
    assert kept(root) == aside
    assert drafts(root) == []


def _generation(root: LocalStore) -> int:
    found = root.lookup((NAME, DAY))
    assert isinstance(found, Commit), found
    return found.record.generation


# What a writer may publish over


def test_two_writers_lose_no_commit(root: LocalStore) -> None:
    """Two processes that publish as fast as they can: each success is one generation, and no number comes twice."""
    with child(COMMIT, root.path) as one, child(COMMIT, root.path) as two:
        assert [heard(one), heard(two)] == ["ready", "ready"]
        tell(one)
        tell(two)
        superseded = int(heard(one)) + int(heard(two))
    assert _generation(root) == 50
    assert superseded > 0
    assert drafts(root) == []


def test_an_error_is_no_token(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: a place that cannot be read is neither absent nor damaged: there is no token, and no publishing."""
    commit(root)
    token = _token(root)
    before = place(root).read_bytes()
    for call, broken in (("open", lambda path, *_: str(path).endswith(layout.DATA)), ("pread", lambda *_: True)):
        with monkeypatch.context() as patch:
            fail(patch, call, broken)
            with pytest.raises(StorageError, match="cannot be"):
                _token(root)
    with written(root, token) as new:
        fail(monkeypatch, "open", lambda path, *_: str(path).endswith(layout.DATA))
        with pytest.raises(StorageError, match="nothing is done to it"):
            publish(root, new)
    assert place(root).read_bytes() == before
    assert kept(root) == {}


# The lock


def test_nothing_is_published_without_the_lock(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another holds the day's lock, perhaps for good: publishing gives up and leaves the place and no private file."""
    commit(root)
    before = place(root).read_bytes()
    monkeypatch.setattr("state.store.local.day_lock.LOCK_DEADLINE_SECONDS", 0.05)
    token = _token(root)
    with day_lock(root.folder, (NAME, DAY), 0), pytest.raises(StorageError, match="stayed locked"):
        _publish(root, token)
    assert place(root).read_bytes() == before
    assert drafts(root) == []


def test_lock_and_mark_come_before_the_rename(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held until the rename returned, and the mark already states the generation that it publishes."""
    real = os.rename
    seen: list[int] = []

    def rename(*arguments: Any, **options: Any) -> None:
        with pytest.raises(StorageError), day_lock(root.folder, (NAME, DAY), 0):
            pass
        real(*arguments, **options)
        with pytest.raises(StorageError), day_lock(root.folder, (NAME, DAY), 0):
            pass
        seen.append(read_mark(root.folder, (NAME, DAY)).generation)

    monkeypatch.setattr(os, "rename", rename)
    commit(root)
    commit(root)
    assert seen == [1, 2]


def test_what_was_never_renamed_is_not_noted_as_published(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that dies between mark and rename leaves a mark above the commit that stands, and no loss."""
    commit(root)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            commit(root)
    mark = read_mark(root.folder, (NAME, DAY))
    assert (mark.generation, mark.published, _generation(root)) == (2, 1, 1)
    commit(root)
    mark = read_mark(root.folder, (NAME, DAY))
    assert (mark.generation, mark.published, _generation(root)) == (3, 3, 3)


def test_publishing_keeps_the_lock_file(root: LocalStore) -> None:
    """The lock's file stays the same file for ever, over commits, deletions and failures."""
    commit(root)
    path = lock_path(root)
    inode = path.stat().st_ino
    paused = _token(root)
    commit(root)
    _assert_superseded(root, paused)
    place(root).unlink()
    commit(root)
    assert path.stat().st_ino == inode


# Damage is kept


def _as_file(path: Path) -> None:
    path.write_bytes(b"not a result")


def _as_folder(path: Path) -> None:
    path.mkdir()
    (path / "within").write_bytes(b"somebody's")


def _as_link(path: Path) -> None:
    (path.parent.parent / "elsewhere").write_bytes(b"somebody's")
    path.symlink_to(path.parent.parent / "elsewhere")


def _as_broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def _as_pipe(path: Path) -> None:
    os.mkfifo(path)


def _as_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    "make",
    [
        _as_file,
        _as_folder,
        _as_link,
        _as_broken_link,
        _as_pipe,
        _as_socket,
    ],
)
def test_what_is_no_result_is_set_aside_and_replaced(root: LocalStore, make: Callable[[Path], None]) -> None:
    """Promise 6: whatever stands in a day's place is kept as it is, and never read through or waited for. Of a link is
    kept where it led: as a link, some readers would follow it.
    """
    place(root).parent.mkdir(parents=True)
    make(place(root))
    before = place(root).lstat()
    target = os.readlink(place(root)) if place(root).is_symlink() else None
    assert isinstance(root.lookup((NAME, DAY)), Damaged)
    commit(root)
    assert _generation(root) == 1
    assert not place(root).is_symlink()
    (aside,) = (root.path / layout.SET_ASIDE).iterdir()
    if target is not None:
        assert aside.read_text() == f"link to {target}\n"
    else:
        assert (aside.lstat().st_ino, aside.lstat().st_mode) == (before.st_ino, before.st_mode)
    if make is _as_folder:
        assert (aside / "within").read_bytes() == b"somebody's"
    if make is _as_link:
        assert (place(root).parent.parent / "elsewhere").read_bytes() == b"somebody's"


def test_a_reader_never_finds_the_place_empty_while_damage_is_set_aside(
    root: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damaged file gets a second name before the rename replaces it: a kill in between loses nothing."""
    commit(root)
    place(root).write_bytes(b"damaged")
    real = os.rename
    before: list[tuple[bytes, set[bytes]]] = []

    def rename(*arguments: Any, **options: Any) -> None:
        before.append((place(root).read_bytes(), set(kept(root).values())))
        if len(before) == 1:
            raise OSError(errno.EIO, "killed here")
        real(*arguments, **options)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="killed here"):
        commit(root)
    commit(root)
    assert before == [(b"damaged", {b"damaged"})] * 2
    assert set(kept(root).values()) == {b"damaged"}
    assert _generation(root) == 3


def test_damage_that_cannot_be_kept_is_not_overwritten(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set aside or left in place, never destroyed: where keeping fails, publishing fails."""
    commit(root)
    place(root).write_bytes(b"damaged")
    fail(monkeypatch, "link", lambda *_: True, errno.ENOSPC)
    fail(monkeypatch, "rename", lambda _, target, **__: "set_aside" in str(target), errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        commit(root)
    assert place(root).read_bytes() == b"damaged"


def test_without_hard_links_damage_is_moved(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links keeps damage by a rename, under the lock."""
    commit(root)
    place(root).write_bytes(b"damaged")
    fail(monkeypatch, "link", lambda *_: True, errno.EPERM)
    commit(root)
    assert list(kept(root).values()) == [b"damaged"]
    assert _generation(root) == 2


# Private files


def test_a_private_file_is_nobody_elses(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a name ever come twice, the second writer fails; it does not write into the first's file."""
    other = root.path / layout.temporary_file("a" * 32)
    other.write_bytes(b"another writer's")
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID("a" * 32))
    with pytest.raises(FileExistsError), staged_file(root.folder):
        pass
    assert other.read_bytes() == b"another writer's"


def test_a_living_writers_file_is_kept_and_a_dead_ones_swept(root: LocalStore) -> None:
    """Who sweeps needs no clock and no list of processes: the lock tells, and SIGKILL lets it go."""
    with child(DRAFT, root.path) as writer:
        name = f"{heard(writer)}.tmp"
        assert root.remove_stale() == 0
        assert drafts(root) == [name]
        writer.kill()
        writer.wait(DEADLINE)
        assert root.remove_stale() == 1
    assert drafts(root) == []
    assert root.remove_stale() == 0


def test_a_thread_does_not_sweep_its_own_processs_files(root: LocalStore) -> None:
    """A second flow in the same process leaves the first one's files alone, and what is published stays."""
    with staged_file(root.folder) as new:
        assert root.remove_stale() == 0
        assert drafts(root) == [f"{new.nonce}.tmp"]
    commit(root)
    assert root.remove_stale() == 0
    assert _generation(root) == 1


def test_damage_that_is_taken_away_while_it_is_looked_at_is_gone(
    root: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair may set it aside between the look and the digest: then the place is empty, and no day fails of it."""
    path = place(root)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"torn")
    digest = lookup._digest

    def digest_too_late(*arguments: Any) -> str:
        path.unlink()
        return digest(*arguments)

    monkeypatch.setattr(lookup, "_digest", digest_too_late)
    assert root.token((NAME, DAY)).identity == ""
    monkeypatch.undo()
    assert commit(root).generation == 2


def test_a_draft_that_cannot_be_removed_does_not_stay_locked(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One I/O error would otherwise leave a file that no sweep may take for as long as the process lives."""
    failed = fail(monkeypatch, "unlink", lambda path, *_: str(path).endswith(".tmp"))
    with pytest.raises(OSError, match="Input/output error"), staged_file(root.folder):
        pass
    assert failed
    monkeypatch.undo()
    assert len(drafts(root)) == 1
    assert root.remove_stale() == 1
    assert drafts(root) == []


def test_a_sweeper_between_creation_and_lock_harms_nothing(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is not locked for an instant after it is created: a writer that loses it then begins another."""
    real = flocks.try_lock
    swept: list[int] = []

    def try_lock(fd: int) -> bool:
        monkeypatch.setattr("state.filesystem.folder.try_lock", real)
        swept.append(root.remove_stale())
        return real(fd)

    monkeypatch.setattr("state.filesystem.folder.try_lock", try_lock)
    commit(root)
    assert swept == [1]
    assert _generation(root) == 1


def test_what_is_no_file_stops_no_sweep(root: LocalStore) -> None:
    """A pipe or a link that somebody left among the private files is not waited for and not followed."""
    target = root.path / "elsewhere"
    target.touch()
    os.mkfifo(root.path / layout.STAGING / "pipe")
    (root.path / layout.STAGING / "link").symlink_to(target)
    root.remove_stale()
    assert target.exists()


def test_a_folder_stops_no_sweep(root: LocalStore) -> None:
    """A folder or a file that somebody made among the private files is left there, and the others are swept."""
    for name in ("folder", f"{'0' * 32}.tmp"):
        (root.path / layout.STAGING / name).mkdir()
    for name in ("mine.tmp", f"{'1' * 32}.parquet"):
        (root.path / layout.STAGING / name).touch()
    (root.path / layout.temporary_file("2" * 32)).touch()
    assert root.remove_stale() == 1
    assert len(drafts(root)) == 4


def test_a_writer_that_fails_leaves_no_file_and_no_descriptor(root: LocalStore) -> None:
    """Whatever ends a computation, its private file goes with it."""
    fds: list[int] = []

    def compute(error: type[BaseException]) -> None:
        with staged_file(root.folder) as new:
            fds.append(new.fd)
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            compute(error)
    assert drafts(root) == []
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(fds[0])


# Durability


def _steps(monkeypatch: pytest.MonkeyPatch, root: LocalStore) -> list[str]:
    """The durable steps as they come: what is flushed (by the name it has then), linked and renamed."""
    steps: list[str] = []
    whole = whole_paths(monkeypatch)
    real = {name: getattr(os, name) for name in ("fsync", "rename", "link")}

    def named(inode: int) -> str:
        for path in [root.path, *root.path.rglob("*")]:
            if path.lstat().st_ino == inode:
                return "draft" if path.suffix == ".tmp" else str(path.relative_to(root.path))
        return "elsewhere"

    def fsync(fd: int) -> None:
        steps.append(f"flush {named(os.fstat(fd).st_ino)}")
        real["fsync"](fd)

    def rename(source: str, target: str, **options: Any) -> None:
        real["rename"](source, target, **options)
        steps.append(f"rename {whole(source, target, **options)[1]}")

    def link(source: str, target: str, **options: Any) -> None:
        real["link"](source, target, **options)
        steps.append("link")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "link", link)
    return steps


@pytest.mark.skipif(sys.platform == "darwin", reason="flushes through fcntl there")
@pytest.mark.parametrize("before", ["nothing", "a commit", "damage"])
def test_the_order_of_the_durable_steps(root: LocalStore, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 1: the file is flushed before it gets its name, its folder and every parent after; damage before both.

    The parents are flushed for an old day too: who made them may have been killed before it flushed them.
    """
    folder = layout.day_folder(NAME, DAY)
    if before != "nothing":
        commit(root)
    if before == "damage":
        place(root).write_bytes(b"damaged")
    steps = _steps(monkeypatch, root)
    commit(root)
    assert steps[:-3] == [
        "flush draft",
        *(["link", f"flush {layout.SET_ASIDE}"] if before == "damage" else []),
        f"rename {folder}/{layout.DATA}",
    ]
    assert sorted(steps[-3:]) == sorted([f"flush {folder}", f"flush {NAME}", "flush ."])


@pytest.mark.skipif(sys.platform == "darwin", reason="flushes through fcntl there")
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_that_cannot_be_flushed_is_told(root: LocalStore, depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day whose name may not survive a power cut is not reported as committed, though all see it whole."""
    commit(root)
    bad = [place(root).parent, place(root).parent.parent, root.path][depth].stat().st_ino
    failed = fail(monkeypatch, "fsync", lambda fd: os.fstat(fd).st_ino == bad)
    with pytest.raises(OSError, match="Input/output"):
        commit(root)
    assert len(failed) == 1
    assert _generation(root) == 2


def test_a_status_that_cannot_be_read_is_one_results_error(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 10: what was published beside it is answered as committed."""
    days = [DAY, "2013-01-02"]
    with ExitStack() as scope:
        staged = [scope.enter_context(written(root, root.token((NAME, day)), day=day)) for day in days]
        statuses = iter([OSError(errno.EIO, "Input/output error")])

        def status_of(fd: int) -> os.stat_result:
            if error := next(statuses, None):
                raise error
            return os.fstat(fd)

        monkeypatch.setattr("state.store.local.commit.status_of", status_of)
        bad, good = root.commit(staged, lambda _: None)
    assert isinstance(bad, OSError)
    assert isinstance(good, Commit)
    assert good.record.day == days[1]


def test_a_full_disk_leaves_the_old_commit_and_no_file(root: LocalStore) -> None:
    """Promise 9, on a disk that is full: pyarrow and polars by path would have destroyed the old result."""
    commit(root)
    before = place(root).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            commit(root, rows_of(2, 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert place(root).read_bytes() == before
    assert drafts(root) == []
    commit(root)
    assert _generation(root) == 2


def test_an_open_reader_keeps_its_whole_generation(root: LocalStore) -> None:
    """Promise 2: a result is replaced, never rewritten: who opened it reads on in what it opened."""
    commit(root)
    with place(root).open("rb") as opened:
        opened.read(100)
        commit(root, rows_of(2, 1000))
        assert pq.read_table(opened).column("generation").to_pylist() == [1] * 3
    assert _generation(root) == 2


def test_a_day_holds_one_file(root: LocalStore) -> None:
    """Dataset readers take whatever lies in a day's folder: at no time is there anything but the result."""
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            if place(root).parent.exists():
                seen.update(os.listdir(place(root).parent))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(20):
            commit(root)
    finally:
        stop.set()
        watcher.join()
    assert seen == {layout.DATA}
    assert not list((root.path / layout.OWN).rglob("*.parquet"))


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_modes_follow_the_umask(tmp_path: Path, mask: int) -> None:
    """A group that shares an output reads and writes it as its umask says: results, locks and folders alike."""
    before = os.umask(mask)
    try:
        with open_store(tmp_path / "out", create=True, remembered=False) as root:
            commit(root)
            place(root).write_bytes(b"damaged")
            commit(root)
            paths = [root.path, *root.path.rglob("*")]
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o666 & ~mask}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o777 & ~mask}
