"""A file system whose device is watched: every operation can fail, and a power cut leaves what was flushed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bucket import Interfere, undisturbed


class Device:
    """A file system below a folder, as its device has it: file contents and folders' names as they were last flushed.

    It stands in for functions of ``os``, and holds what was flushed open, so that no inode comes twice.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.interfere: Interfere = undisturbed
        self._root = root
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._held: list[int] = []
        self._pread, self._rename, self._write, self._scandir = os.pread, os.rename, os.write, os.scandir
        for name in ("pread", "rename", "write", "scandir", "fsync"):
            patch.setattr(os, name, getattr(self, name))
        patch.setattr("state.filesystem.durable._syncfs", lambda: self.syncfs)

    def close(self) -> None:
        """Let go of what is held open."""
        for fd in self._held:
            os.close(fd)
        self._held.clear()

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """As ``os.pread``."""
        self._tell("read", fd)
        return self._pread(fd, length, offset)

    def scandir(self, path: Any = ".") -> Any:
        """As ``os.scandir``."""
        if isinstance(path, int):
            self._tell("list", path)
        return self._scandir(path)

    def write(self, fd: int, content: bytes) -> int:
        """As ``os.write``."""
        self._tell("write", fd)
        return self._write(fd, content)

    def rename(self, source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """As ``os.rename``."""
        self._tell("move", dst_dir_fd, target)
        self._rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._tell("moved", dst_dir_fd, target)

    def fsync(self, fd: int) -> None:
        """As ``os.fsync``, into this device alone."""
        self._tell("flush", fd)
        self._keep(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))

    def syncfs(self, fd: int) -> int:
        """As ``syncfs(2)``."""
        self.flush_all()
        return 0

    def flush_all(self) -> None:
        """Make everything durable as it is now."""
        for path in (self._root, *self._root.rglob("*")):
            self._keep(os.open(path, os.O_RDONLY))

    def power_cut(self, *, names_stay: bool) -> None:
        """Put the folder into the state in which it is found after a power cut."""
        left = dict(self._left_of_all() if names_stay else self._left(self._root.stat().st_ino, Path()))
        for path in self._root.iterdir():
            shutil.rmtree(path)
        for name, content in left.items():
            path = self._root / name
            path.mkdir() if content is None else path.write_bytes(content)
        self._contents.clear()
        self._names.clear()
        self.flush_all()

    def _left_of_all(self) -> Iterator[tuple[Path, bytes | None]]:
        for path in sorted(self._root.rglob("*")):
            status = path.stat()
            content = None if path.is_dir() else self._contents.get(status.st_ino, bytes(status.st_size))
            yield path.relative_to(self._root), content

    def _left(self, folder: int, path: Path) -> Iterator[tuple[Path, bytes | None]]:
        for name, inode in self._names.get(folder, {}).items():
            if inode in self._contents or "." in name:
                yield path / name, self._contents.get(inode, b"")
            else:
                yield path / name, None
                yield from self._left(inode, path / name)

    def _keep(self, fd: int) -> None:
        self._held.append(fd)
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            with self._scandir(fd) as entries:
                self._names[status.st_ino] = {one.name: one.inode() for one in entries}
        else:
            self._contents[status.st_ino] = self._pread(fd, status.st_size, 0)

    def _tell(self, operation: str, fd: int, name: str = "") -> None:
        path = os.path.join(os.readlink(f"/proc/self/fd/{fd}"), name)
        if Path(path).is_relative_to(self._root):
            self.interfere(operation, os.path.relpath(path, self._root))
