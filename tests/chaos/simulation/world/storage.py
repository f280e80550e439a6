"""Stands in for the module ``os`` in the modules that publish: each call is a step of the schedule, and may fail."""

from __future__ import annotations

import errno
import os as real_os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

from tests.chaos.simulation.world.disk import Disk, Node, Opened
from tests.chaos.simulation.world.scheduler import Process, Scheduler

ROOT_FD = 3
DATA = "data.parquet"


class Status:
    """What ``stat`` tells."""

    __slots__ = ("st_ctime_ns", "st_dev", "st_ino", "st_mode", "st_mtime_ns", "st_size")

    def __init__(self, node: Node) -> None:
        self.st_mode = stat.S_IFREG | 0o644 if node.entries is None else stat.S_IFDIR | 0o755
        self.st_ino = node.ino
        self.st_dev = 1
        self.st_size = len(node.content)
        self.st_mtime_ns = self.st_ctime_ns = node.mtime

    def __repr__(self) -> str:
        return f"file {self.st_ino} of {self.st_size} bytes"


class Reader:
    """What ``fdopen`` gives: enough to digest a damaged file."""

    def __init__(self, storage: Storage, fd: int) -> None:
        self._storage, self._fd, self._at = storage, fd, 0

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._storage.close(self._fd)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        piece = self._storage.pread(self._fd, size, self._at)
        self._at += len(piece)
        return piece


class Entry:
    """What ``scandir`` gives. There are no links here."""

    __slots__ = ("_folder", "name")

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self._folder = node.entries is not None

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """As ``os.DirEntry.is_dir``."""
        return self._folder

    def is_symlink(self) -> bool:
        """As ``os.DirEntry.is_symlink``."""
        return False


class Watcher(Protocol):
    """Who is told of what happens in the days' places, and may fail a call on purpose."""

    fault: str | None

    def failing(self, call: str, path: str) -> None:
        """Raise the OSError that was meant for this call."""

    def publishing(self, place: tuple[str, str], new: Node, old: Node | None) -> None:
        """A rename is about to put ``new`` in a day's place."""

    def leaving(self, place: tuple[str, str], node: Node, *, removed: bool) -> None:
        """What stands in a day's place is about to lose that name, to another name or to none."""

    def written(self, node: Node) -> None:
        """The bytes of a file changed."""


def place_of(path: str) -> tuple[str, str] | None:
    """The aggregation and the day that a path is the place of."""
    parts = path.split("/")
    if len(parts) == 3 and parts[2] == DATA:
        return parts[0], parts[1].removeprefix("day=")
    return None


class Storage:
    """Stands in for ``os``: the calls that the product makes, each a step of the schedule."""

    O_RDONLY, O_RDWR, O_CREAT, O_EXCL = real_os.O_RDONLY, real_os.O_RDWR, real_os.O_CREAT, real_os.O_EXCL
    SEEK_SET = real_os.SEEK_SET
    O_WRONLY, O_APPEND = real_os.O_WRONLY, real_os.O_APPEND
    O_CLOEXEC, O_DIRECTORY = real_os.O_CLOEXEC, real_os.O_DIRECTORY
    O_NOFOLLOW, O_NONBLOCK = real_os.O_NOFOLLOW, real_os.O_NONBLOCK
    path, strerror, fsencode, PathLike = real_os.path, real_os.strerror, real_os.fsencode, real_os.PathLike

    def __init__(self) -> None:
        self.scheduler: Scheduler
        self.watch: Watcher
        self.disk: Disk
        self.table: dict[int, Opened]
        self.names: dict[int, str]

    def reset(self, scheduler: Scheduler, watch: Watcher, tick_ns: int) -> None:
        """An empty disk and no open file but the root. Its times tick as coarsely as ``tick_ns``."""
        self._tick = tick_ns
        self.scheduler, self.watch = scheduler, watch
        self.disk = Disk()
        self.table = {ROOT_FD: Opened(self.disk.root, ".")}
        self._next = 10

    def now(self) -> int:
        """The time that a file gets, in nanoseconds."""
        return self.scheduler.now // self._tick * self._tick

    def step(self, call: str, path: str) -> None:
        """A call begins: others may come first, and it may fail."""
        scheduler = self.scheduler
        scheduler.steps += 1
        if scheduler.steps >= scheduler.stop:
            scheduler.give_way()
        if self.watch.fault is not None:
            self.watch.failing(call, path)

    def _give(self, opened: Opened) -> int:
        self._next += 1
        self.table[self._next] = opened
        self.scheduler.current.descriptors.add(self._next)
        return self._next

    def full(self, path: str, dir_fd: int | None) -> str:
        """A path from the root on. Folders are never moved here, so a descriptor of one stands for its path."""
        if dir_fd is None or dir_fd == ROOT_FD:
            return path
        return real_os.path.normpath(f"{self.table[dir_fd].path}/{path}")

    def open(self, path: str, flags: int, mode: int = 0o666, dir_fd: int | None = None) -> int:
        """As ``os.open``."""
        path = self.full(path, dir_fd)
        self.step("open", path)
        if not flags & real_os.O_CREAT:
            node = self.disk.walk(path)
        else:
            entries, name = self.disk.parent(path)
            found = entries.get(name)
            if found is not None and flags & real_os.O_EXCL:
                raise FileExistsError(errno.EEXIST, "File exists", path)
            if found is None:
                found = entries[name] = self.disk.new(folder=False)
                found.mtime = self.now()
            node = found
        if flags & real_os.O_DIRECTORY and node.entries is None:
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
        return self._give(Opened(node, path, appending=bool(flags & real_os.O_APPEND)))

    def dup(self, fd: int) -> int:
        """As ``os.dup``."""
        opened = self.table[fd]
        opened.count += 1
        return self._give(opened)

    def fdopen(self, fd: int, mode: str) -> Reader:
        """As ``os.fdopen``, for reading."""
        return Reader(self, fd)

    def close(self, fd: int) -> None:
        """As ``os.close``; what dies has closed already."""
        if fd == ROOT_FD or fd not in self.scheduler.current.descriptors:
            return
        self.scheduler.current.descriptors.remove(fd)
        opened = self.table.pop(fd)
        opened.count -= 1
        if not opened.count:
            opened.node.free(opened)

    def close_all(self, process: Process) -> None:
        """What the kernel does for a process that ends."""
        self.scheduler.current = process
        for fd in list(process.descriptors):
            self.close(fd)

    def listdir(self, fd: int) -> list[str]:
        """As ``os.listdir``."""
        self.step("listdir", self.table[fd].path)
        return list(self.table[fd].node.entries or ())

    @contextmanager
    def scandir(self, fd: int) -> Iterator[list[Entry]]:
        """As ``os.scandir``."""
        self.step("listdir", "")
        yield [Entry(name, node) for name, node in (self.table[fd].node.entries or {}).items()]

    def fstat(self, fd: int) -> Status:
        """As ``os.fstat``."""
        return Status(self.table[fd].node)

    def stat(self, path: str, dir_fd: int | None = None, follow_symlinks: bool = True) -> Status:
        """As ``os.stat``."""
        path = self.full(path, dir_fd)
        self.step("stat", path)
        return Status(self.disk.walk(path))

    def lstat(self, path: str, dir_fd: int | None = None) -> Status:
        """As ``os.lstat``."""
        return self.stat(path, dir_fd)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """As ``os.pread``."""
        self.step("pread", self.table[fd].path)
        return self.table[fd].node.content[offset : offset + size]

    def write(self, fd: int, content: bytes | memoryview) -> int:
        """As ``os.write``, sometimes short."""
        opened = self.table[fd]
        if opened.appending:
            opened.position = len(opened.node.content)
        size = len(content) if self.scheduler.current.rng.random() < 0.8 else max(1, len(content) // 2)
        self.pwrite(fd, bytes(content[:size]), opened.position)
        opened.position += size
        return size

    def pwrite(self, fd: int, content: bytes, offset: int) -> int:
        """As ``os.pwrite``."""
        self.step("write", "")
        node = self.table[fd].node
        node.content = node.content[:offset].ljust(offset, b"\0") + content + node.content[offset + len(content) :]
        node.mtime = self.now()
        self.watch.written(node)
        return len(content)

    def fsync(self, fd: int) -> None:
        """As ``os.fsync``."""
        self.step("fsync", "")
        self.table[fd].node.flush()

    def sync(self) -> None:
        """As ``os.sync``."""
        self.step("sync", "")
        self.disk.flush_all()

    def CDLL(self, _: None, **__: object) -> Storage:  # noqa: N802 its name in ``ctypes``
        """The C library, of which ``syncfs`` alone is called."""
        return self

    def syncfs(self, fd: int) -> int:
        """As ``syncfs`` of the C library."""
        self.sync()
        return 0

    def mkdir(self, path: str, mode: int = 0o777, dir_fd: int | None = None) -> None:
        """As ``os.mkdir``."""
        path = self.full(path, dir_fd)
        self.step("mkdir", path)
        entries, name = self.disk.parent(path)
        if name in entries:
            raise FileExistsError(errno.EEXIST, "File exists", path)
        entries[name] = self.disk.new(folder=True)

    def unlink(self, path: str, dir_fd: int | None = None) -> None:
        """As ``os.unlink``."""
        path = self.full(path, dir_fd)
        self.step("unlink", path)
        node = self.disk.walk(path)
        if (place := place_of(path)) is not None:
            self.watch.leaving(place, node, removed=True)
        entries, name = self.disk.parent(path)
        node.moved = False
        del entries[name]

    def link(
        self,
        source: str,
        target: str,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """As ``os.link``."""
        source, target = self.full(source, src_dir_fd), self.full(target, dst_dir_fd)
        self.step("link", target)
        node = self.disk.walk(source)
        if node.entries is not None:
            raise PermissionError(errno.EPERM, "Operation not permitted", source)
        entries, name = self.disk.parent(target)
        if name in entries:
            raise FileExistsError(errno.EEXIST, "File exists", target)
        entries[name] = node

    def rename(self, source: str, target: str, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        """As ``os.rename``."""
        source, target = self.full(source, src_dir_fd), self.full(target, dst_dir_fd)
        self.step("rename", target)
        node = self.disk.walk(source)
        entries, name = self.disk.parent(target)
        old = entries.get(name)
        if old is not None and old.entries is not None and node.entries is None:
            raise IsADirectoryError(errno.EISDIR, "Is a directory", target)
        if (place := place_of(target)) is not None:
            self.watch.publishing(place, node, old)
        if (place := place_of(source)) is not None:
            self.watch.leaving(place, node, removed=False)
        left, was = self.disk.parent(source)
        del left[was]
        entries[name] = node
        node.moved = True
