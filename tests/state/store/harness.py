"""A store under test, with the hands of everybody who is not one: readers, people, other processes, and the device.

The conformance suite asks a ``Harness`` for what the protocol of stores does not have. Whoever adds a store writes one.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, Protocol

import pytest

from state.partition import Partition
from state.store.base import Store
from state.store.local import layout
from state.store.local.root import create_root
from state.store.local.store import LocalStore
from tests.memory_store import SET_ASIDE, STAGED, Blob, Bucket, Interfere, MemoryStore, data_key, undisturbed

Step = Literal["read", "stage", "flush", "publish", "flush published"]
"""A step of a store that can fail: reading a result, writing a staged one, making its content durable, publishing it,
and making that durable.
"""


class Killed(BaseException):
    """The process ends here."""


class _Hook(Protocol):
    """What a store stands on, which tells of every operation on an object before it is done.

    Operations are ``read``, ``write``, ``flush`` and ``move``; ``moved`` comes after a move. What is raised is the
    operation's answer.
    """

    interfere: Interfere


class Harness(ABC):
    """An empty output, and what others do to it."""

    store: Store
    hook: _Hook

    @abstractmethod
    def another(self) -> Store:
        """The same output, opened by another process."""

    @abstractmethod
    def content(self, partition: Partition) -> bytes | None:
        """What a reader gets who opens the place of a result."""

    @abstractmethod
    def overwrite(self, partition: Partition, content: bytes) -> None:
        """Put something there by a foreign hand, durably."""

    @abstractmethod
    def delete(self, partition: Partition) -> None:
        """Take a result away by a foreign hand, durably."""

    @abstractmethod
    def forget(self, partition: Partition) -> None:
        """As ``delete``, with whatever the store remembers of the partition."""

    @abstractmethod
    def readable(self) -> list[str]:
        """Whatever readers of all Parquet files below the output would read."""

    @abstractmethod
    def kept(self) -> list[bytes]:
        """What was set aside."""

    @abstractmethod
    def staged(self) -> int:
        """How many staged results lie there, whoever wrote them."""

    @abstractmethod
    def left_by_a_dead_writer(self) -> None:
        """Leave a staged result whose writer was killed."""

    @abstractmethod
    def lost_reply(self, *, landed: bool, meanwhile: Callable[[], object] = int) -> AbstractContextManager[object]:
        """Let the next publication have an error for an answer, whether it ``landed`` or not; ``meanwhile`` happens.

        May skip the test.
        """

    @abstractmethod
    def power_cut(self, *, names_stay: bool) -> None:
        """Lose all that was not flushed, and open ``store`` again.

        ``names_stay``: what was published stays visible, and content that was not flushed is gone from it.
        """

    @contextmanager
    def failing(self, step: Step, partition: Partition | None = None) -> Iterator[None]:
        """Let a step fail by an I/O error: of one partition where that is known, or of all."""
        operation = {"stage": "write", "publish": "move"}.get(step, step.split()[0])
        place = partition and data_key(partition)

        def interfere(done: str, key: str) -> None:
            private = key.startswith("_noonmark/")
            concerned = key.startswith(STAGED) if step in ("stage", "flush") else not private
            if done == operation and concerned and (not place or private or key in (place, os.path.dirname(place))):
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with self._interfering(interfere):
            yield

    @contextmanager
    def killed_after_publishing(self) -> Iterator[None]:
        """Let the process end, by ``Killed``, as soon as one result is visible."""

        def interfere(operation: str, key: str) -> None:
            if operation == "moved" and not key.startswith("_noonmark/"):
                raise Killed

        with self._interfering(interfere), pytest.raises(Killed):
            yield

    @contextmanager
    def meeting(self, call: Callable[[], object]) -> Iterator[None]:
        """At the last instant before a publication, let another thread begin ``call``, and give it time."""
        begun: list[threading.Thread] = []

        def interfere(operation: str, key: str) -> None:
            if operation == "move" and not begun and not key.startswith("_noonmark/"):
                begun.append(threading.Thread(target=call))
                begun[0].start()
                begun[0].join(0.2)  # a store may let it wait until it has published

        with self._interfering(interfere):
            yield
        begun[0].join()

    @contextmanager
    def _interfering(self, interfere: Callable[[str, str], None]) -> Iterator[None]:
        self.hook.interfere = interfere
        try:
            yield
        finally:
            self.hook.interfere = undisturbed


@contextmanager
def in_memory(make: Callable[[Bucket], Store] = MemoryStore, bucket: Bucket | None = None) -> Iterator[Harness]:
    """A store in memory, or a variant of one."""
    yield _InMemory(make, bucket or Bucket())


@contextmanager
def on_disk(folder: Path) -> Iterator[Harness]:
    """A store on a file system."""
    with pytest.MonkeyPatch.context() as patch:
        one = _OnDisk(folder, patch)
        try:
            yield one
        finally:
            one.close()


class _InMemory(Harness):
    def __init__(self, make: Callable[[Bucket], Store], bucket: Bucket) -> None:
        self._make = make
        self.bucket = self.hook = bucket
        self.store = self.another()

    def another(self) -> Store:
        return self._make(self.bucket)

    def content(self, partition: Partition) -> bytes | None:
        blob = self.bucket.objects.get(data_key(partition))
        return blob.content if blob else None

    def overwrite(self, partition: Partition, content: bytes) -> None:
        self.bucket.set(data_key(partition), Blob(content))
        self.bucket.flush(data_key(partition))

    def delete(self, partition: Partition) -> None:
        self.bucket.set(data_key(partition), None)
        self.bucket.flush(data_key(partition))

    def forget(self, partition: Partition) -> None:
        self.delete(partition)
        del self.bucket.versions[data_key(partition)], self.bucket.generations[data_key(partition)]

    def readable(self) -> list[str]:
        return [key for key in self.bucket.objects if key.endswith(".parquet")]

    def kept(self) -> list[bytes]:
        return [blob.content for key, blob in self.bucket.objects.items() if key.startswith(SET_ASIDE)]

    def staged(self) -> int:
        return sum(key.startswith(STAGED) for key in self.bucket.objects)

    def left_by_a_dead_writer(self) -> None:
        self.bucket.set(f"{STAGED}/{'a' * 32}", Blob(b"half a result"))

    @contextmanager
    def lost_reply(self, *, landed: bool, meanwhile: Callable[[], object] = int) -> Iterator[None]:
        def interfere(operation: str, key: str) -> None:
            if operation == ("moved" if landed else "move"):
                self.hook.interfere = undisturbed
                meanwhile()
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

        with self._interfering(interfere):
            yield

    def power_cut(self, *, names_stay: bool) -> None:
        self.bucket.power_cut(names_stay=names_stay)
        self.store = self.another()


class _OnDisk(Harness):
    """A store on a file system, whose device loses what nobody flushed."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self._root = root
        self._device = self.hook = _Device(root, patch)
        self._opened: list[LocalStore] = []
        self.store = self.another()

    def close(self) -> None:
        """Close what was opened."""
        for one in self._opened:
            with one:
                pass
        self._opened.clear()
        self._device.close()

    def another(self) -> LocalStore:
        self._opened.append(create_root(self._root))
        return self._opened[-1]

    def content(self, partition: Partition) -> bytes | None:
        path = self._root / data_key(partition)
        return path.read_bytes() if path.exists() else None

    def overwrite(self, partition: Partition, content: bytes) -> None:
        path = self._root / data_key(partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._device.flush_all()

    def delete(self, partition: Partition) -> None:
        (self._root / data_key(partition)).unlink()
        self._device.flush_all()

    def forget(self, partition: Partition) -> None:
        self.delete(partition)
        (self._root / layout.lock_file(*partition)).unlink()

    def readable(self) -> list[str]:
        return [str(path.relative_to(self._root)) for path in self._root.rglob("*.parquet")]

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in (self._root / layout.SET_ASIDE).iterdir()]

    def staged(self) -> int:
        return len(list((self._root / layout.DRAFTS).iterdir()))

    def left_by_a_dead_writer(self) -> None:
        (self._root / layout.temporary_file("a" * 32)).write_bytes(b"half a result")

    def lost_reply(self, *, landed: bool, meanwhile: Callable[[], object] = int) -> AbstractContextManager[object]:
        pytest.skip("a rename on a local disk has an answer")

    def power_cut(self, *, names_stay: bool) -> None:
        self.close()
        self._device.power_cut(names_stay=names_stay)
        self.store = self.another()


class _Device:
    """A file system below a folder, as its device has it: file contents and folders' names as they were last flushed.

    It stands in for functions of ``os``, and holds what was flushed open, so that no inode comes twice.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.interfere: Interfere = undisturbed
        self._root = root
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._held: list[int] = []
        self._pread, self._rename, self._write, self._fsync = os.pread, os.rename, os.write, os.fsync
        for name, instead in {
            "pread": self.pread,
            "rename": self.rename,
            "write": self.write,
            "fsync": self.fsync,
        }.items():
            patch.setattr(os, name, instead)
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
            with os.scandir(fd) as entries:
                self._names[status.st_ino] = {one.name: one.inode() for one in entries}
        else:
            self._contents[status.st_ino] = self._pread(fd, status.st_size, 0)

    def _tell(self, operation: str, fd: int, name: str = "") -> None:
        path = os.path.join(os.readlink(f"/proc/self/fd/{fd}"), name)
        if Path(path).is_relative_to(self._root):
            self.interfere(operation, os.path.relpath(path, self._root))
