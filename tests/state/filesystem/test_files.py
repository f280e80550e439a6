"""The durable steps: each reaches the device or raises, and none follows a path that was not asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.filesystem import durable as files
from state.filesystem.durable import flush_file_system, is_missing, read_whole, write_whole
from state.filesystem.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """An empty folder."""
    with Folder.open(tmp_path) as one:
        yield one


def test_folders_are_made_below_the_descriptor(tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """All missing parents are made, those that are there are kept, and the current folder plays no part."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/kept").touch()
    monkeypatch.chdir("/")
    for _ in range(2):
        folder.make("a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    assert (tmp_path / "a/kept").is_file()


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may write less than it was given; all of it is written in the end."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: real(fd, content[:3]))
    monkeypatch.setattr(files, "CHUNK", 4)
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        write_whole(fd, b"twenty-one characters")
        assert read_whole(fd) == b"twenty-one characters"
    finally:
        os.close(fd)


def test_only_certain_absence_is_absence() -> None:
    """Promise 5: of all errors two say that nothing is there; each other says that nobody knows."""
    absent = {number for number in errno.errorcode if is_missing(OSError(number, ""))}
    assert absent == {errno.ENOENT, errno.ENOTDIR}


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="flushes through fcntl there")
def test_a_failed_flush_of_a_folder_raises(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here takes a name for durable that the device refused, and no descriptor is left open."""
    (tmp_path / "folder").mkdir()
    seen: list[int] = []

    def fsync(fd: int) -> None:
        seen.append(fd)
        raise OSError(errno.EIO, "the disk is bad")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="the disk is bad"):
        folder.flush("folder")
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(seen[0])


def test_a_failed_flush_of_the_file_system_raises(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is about to call another's commits done hears of it where the device refuses."""
    folder.flush_file_system()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        flush_file_system(-1)
    synced: list[bool] = []
    monkeypatch.setattr(files, "_syncfs", lambda: None)
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    folder.flush_file_system()
    assert synced == [True]
