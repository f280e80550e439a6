"""The output root: one marker, made once, believed or refused; and a descriptor that no new mount can slip under."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from state.acceptance import Accepted
from state.errors import ConfigurationError, Refused, StorageError
from state.filesystem.durable import flush as flush_now
from state.store.accepted import read_accepted
from state.store.local import layout
from state.store.local.root import find_store, open_store
from tests.builders import NAME, child, commit, fail, heard, place, tell

CREATE = """
import sys
from pathlib import Path
from state.store.local.root import open_store
print("ready", flush=True)
sys.stdin.readline()
with open_store(Path(sys.argv[1]), create=True, remembered=False) as root:
    print(root.id, flush=True)
    sys.stdin.readline()
"""


def test_a_missing_root_is_made_with_its_parents(tmp_path: Path) -> None:
    """The first run needs no preparation; the second finds the same output."""
    path = tmp_path / "new/parents/out"
    with (
        open_store(path, create=True, remembered=False) as first,
        open_store(path, create=False, remembered=True) as again,
    ):
        assert first.id == again.id
        assert json.loads((path / layout.MARKER).read_text()) == {
            "format": 2,
            "root": first.id,
            "locks": "ranges",
        }
    assert os.listdir(path / layout.STAGING) == []


def test_first_runs_at_once_end_with_one_id(tmp_path: Path) -> None:
    """Two writers that both find no marker do not split the output: whoever comes second takes the first's."""
    for number in range(5):
        path = tmp_path / f"out{number}"
        with child(CREATE, path) as one, child(CREATE, path) as two:
            assert [heard(one), heard(two)] == ["ready", "ready"]
            tell(one)
            tell(two)
            ids = {heard(one), heard(two)}
        assert len(ids) == 1
        found = find_store(path)
        assert found is not None
        with found:
            assert ids == {found.id}


def test_a_marker_that_appears_in_between_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run may mark the root between the look and the marking: its marker is read back."""
    others: list[str] = []

    def flush(fd: int) -> None:
        monkeypatch.setattr("state.store.local.staging.flush", flush_now)
        with open_store(tmp_path / "out", create=True, remembered=False) as other:
            others.append(other.id)
        flush_now(fd)

    monkeypatch.setattr("state.store.local.staging.flush", flush)
    with open_store(tmp_path / "out", create=True, remembered=False) as mine:
        assert [mine.id] == others


def test_a_sweeper_does_not_disturb_a_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two first runs one may sweep while the other still marks: both end with one id, and neither fails."""
    others: list[str] = []

    def flush(fd: int) -> None:
        monkeypatch.setattr("state.store.local.staging.flush", flush_now)
        with open_store(tmp_path / "out", create=True, remembered=False) as other:
            others.append(other.id)
            other.remove_stale()
        flush_now(fd)

    monkeypatch.setattr("state.store.local.staging.flush", flush)
    with open_store(tmp_path / "out", create=True, remembered=False) as mine:
        assert [mine.id] == others


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"null", b"[]", b"{}", b'{"format": 1}', b"\xff", b'{"format": 2, "root": "x"}', b'{"root": "x"}'),
        b'{"format": 3, "root": "%s"}' % (b"0" * 32),
        b'{"format": 2, "root": "%s"}' % (b"0" * 32),
        b'{"format": 2, "root": "%s", "locks": "leases"}' % (b"0" * 32),
    ],
)
def test_a_marker_of_no_use_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    """A damaged or newer marker is nobody's to overwrite: the run refuses, and every byte stays."""
    with open_store(tmp_path / "out", create=True, remembered=False):
        pass
    marker = tmp_path / "out" / layout.MARKER
    marker.write_bytes(content)
    with pytest.raises(Refused):
        open_store(tmp_path / "out", create=True, remembered=False)
    with pytest.raises(Refused):
        find_store(tmp_path / "out")
    with pytest.raises(Refused):
        open_store(tmp_path / "out", create=True, remembered=False)
    assert marker.read_bytes() == content


def test_a_root_that_lost_its_marker_is_refused_where_commits_are_remembered(tmp_path: Path) -> None:
    """An unmounted output looks empty: with commits in memory nothing is made there, and the way out is named."""
    (tmp_path / "mountpoint").mkdir()
    for path in (tmp_path / "mountpoint", tmp_path / "missing"):
        with pytest.raises(Refused, match="the index remembers commits") as caught:
            open_store(path, create=True, remembered=True)
        assert "flows.repair --accept-output" in str(caught.value)
    assert os.listdir(tmp_path) == ["mountpoint"]
    assert os.listdir(tmp_path / "mountpoint") == []


def test_a_new_root_is_refused_where_none_is_to_be_made(tmp_path: Path) -> None:
    """In production NOONMARK_CREATE_OUTPUT=false: a wrong path makes nothing."""
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Refused, match="NOONMARK_CREATE_OUTPUT is false"):
            open_store(path, create=False, remembered=False)
    assert os.listdir(tmp_path) == []


def test_looking_writes_nothing(tmp_path: Path) -> None:
    """A dry run, health and readers look for the root: what is not there stays so."""
    assert find_store(tmp_path) is None
    assert find_store(tmp_path / "missing") is None
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["out", layout.MARKER])
def test_an_error_is_no_missing_marker(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: a root or marker that cannot be read is an error; no second marker is made over it."""
    path = tmp_path / "out"
    with open_store(path, create=True, remembered=False):
        pass
    content = (path / layout.MARKER).read_bytes()
    fail(monkeypatch, "open", lambda opened, *_: str(opened).endswith(name))
    with pytest.raises(StorageError, match="cannot be"):
        open_store(path, create=True, remembered=False)
    monkeypatch.undo()
    assert (path / layout.MARKER).read_bytes() == content


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    """A path that leads to a file is not an output that is missing."""
    (tmp_path / "out").touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        open_store(tmp_path / "out", create=True, remembered=False)


def test_a_folder_that_takes_no_marker_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full or fails while the marker is written leaves no marker and no private file."""
    fail(monkeypatch, "write", lambda *_: True, errno.ENOSPC)
    with pytest.raises(StorageError, match="No space left"):
        open_store(tmp_path / "out", create=True, remembered=False)
    monkeypatch.undo()
    assert find_store(tmp_path / "out") is None
    assert os.listdir(tmp_path / "out" / layout.STAGING) == []


def _flushed(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    real = os.fsync
    inodes: set[int] = set()

    def fsync(fd: int) -> None:
        inodes.add(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return inodes


def test_the_marker_and_its_folders_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the first commit must not leave results without the marker that proves them Noonmark's."""
    flushed = _flushed(monkeypatch)
    with open_store(tmp_path / "out", create=True, remembered=False) as made:
        paths = [made.path / layout.MARKER, made.path / layout.OWN, made.path, tmp_path]
    assert {path.stat().st_ino for path in paths} <= flushed


def test_every_created_parent_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 1: a name that a power cut takes away takes all days below it along."""
    flushed = _flushed(monkeypatch)
    with open_store(tmp_path / "new/parents/out", create=True, remembered=False):
        pass
    assert {path.stat().st_ino for path in (tmp_path, tmp_path / "new", tmp_path / "new/parents")} <= flushed


def test_a_root_that_a_killed_run_made_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The maker may have been killed before its flushes: who commits there next makes root and marker durable."""
    with open_store(tmp_path / "out", create=True, remembered=False):
        pass
    flushed = _flushed(monkeypatch)
    with open_store(tmp_path / "out", create=True, remembered=False) as opened:
        commit(opened)
    assert {path.stat().st_ino for path in (tmp_path, tmp_path / "out", tmp_path / "out" / layout.OWN)} <= flushed


def test_what_is_written_goes_to_the_root_that_was_opened(tmp_path: Path) -> None:
    """A root that is unmounted or replaced in mid-run: writes go to the old one, never beneath the new one's name."""
    with open_store(tmp_path / "out", create=True, remembered=False) as opened:
        commit(opened)
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "out").mkdir()
        token = commit(opened)
        assert token.generation == 3
        commit(opened, day="2013-01-02")
    assert os.listdir(tmp_path / "out") == []
    assert sorted(os.listdir(tmp_path / "moved" / NAME)) == ["day=2013-01-01", "day=2013-01-02"]


def test_a_root_that_was_removed_is_not_made_again(tmp_path: Path) -> None:
    """Promise 5: where the root is gone, publishing fails; it makes no new root at the path."""
    with open_store(tmp_path / "out", create=True, remembered=False) as opened:
        for folder in (layout.STAGING, layout.LOCKS, layout.SET_ASIDE):
            (opened.path / folder).rmdir()
        (opened.path / layout.MARKER).unlink()
        (opened.path / layout.OWN).rmdir()
        opened.path.rmdir()
        with pytest.raises(OSError, match="No such file"):
            commit(opened)
        assert not place(opened).exists()
    assert os.listdir(tmp_path) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [layout.MARKER, layout.note_file("accepted.json")])
def test_a_pipe_in_the_place_of_our_files_hangs_nobody(tmp_path: Path, name: str) -> None:
    """Promise 12: to open a pipe for reading is to wait for a writer, which may never come."""
    with open_store(tmp_path / "out", create=True, remembered=False) as root:
        if name == layout.MARKER:
            (root.path / name).unlink()
        os.mkfifo(root.path / name)
        if name == layout.MARKER:
            with pytest.raises(Refused, match="is a pipe; expected a file"):
                find_store(root.path)
        else:
            assert read_accepted(root) == Accepted()
