"""A folder that is held open: every path is resolved from its descriptor, folder by folder, and through no link.

A path that starts at ``/`` could lead beneath a mount point whose file system went away. A path that is opened in one
call follows whatever link stands in place of its folders: to another day's result, or out of the output.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from state.filesystem.durable import flush, flush_file_system, read_whole
from state.filesystem.file_locks import close_lockable, open_lockable, try_lock

READ = os.O_RDONLY
READ_OR_CREATE = os.O_RDWR | os.O_CREAT
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not block


class InTheWay(OSError):
    """Something else stands where a folder or a file should be. It was not touched.

    ``path`` says where, ``what`` what it is. It proves nothing about the file that should be there.
    """

    def __init__(self, path: str, what: str, expected: str, number: int = errno.ELOOP) -> None:
        super().__init__(number, f"{path} is {what}, expected {expected}: move it away", path)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return str(self.strerror)


class Folder:
    """An open folder, such as the output root. All paths are relative to it. Every method raises OSError.

    ``path`` is where it was opened, for messages only. ``lock_ranges``: what is locked below it is locked by ranges of
    files, and not by files.
    """

    __slots__ = ("fd", "lock_ranges", "path")

    def __init__(self, fd: int, path: Path, *, lock_ranges: bool = False) -> None:
        self.fd = fd
        self.path = path
        self.lock_ranges = lock_ranges

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Open a folder by its path; here links are followed."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)

    def open_file(self, path: str, flags: int = READ, *, lockable: bool = False) -> int:
        """Open a regular file. Raises InTheWay where something else stands there.

        Close it by ``close_lockable`` where it is ``lockable``, or else by ``durable.close``.
        """
        with _Parent(self.fd, path) as (folder, name):
            try:
                fd = (open_lockable if lockable else os.open)(name, flags | FILE, 0o666, dir_fd=folder)
            except OSError as error:
                raise _in_the_way(folder, name, path, "a file", error) from error
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise InTheWay(path, kind_of(mode), "a file")
        except BaseException:
            (close_lockable if lockable else os.close)(fd)
            raise
        return fd

    def create_locked(self, path: str) -> int | None:
        """Create a file and lock it; None where another process got the lock in between, or removed the file.

        Close it by ``close_lockable``.
        """
        with _Parent(self.fd, path) as (folder, name):
            fd = open_lockable(name, CREATE | FILE, dir_fd=folder)
            try:
                if try_lock(fd) and _is_at(folder, name, fd):
                    return fd
            except BaseException:
                close_lockable(fd)
                raise
        close_lockable(fd)
        return None

    def open_anything(self, path: str) -> int:
        """Open what stands at a path for reading: a file, a folder or a pipe, but no link."""
        with _Parent(self.fd, path) as (folder, name):
            return os.open(name, READ | FILE, dir_fd=folder)

    def open_folder(self, path: str) -> int:
        """Open a folder below this one. Raises InTheWay where something else stands there, or on the way."""
        return _open_folder(self.fd, path)

    def open_lockable_folder(self, path: str) -> int:
        """As ``open_folder``, for locking it. Close it by ``close_lockable``."""
        with _Parent(self.fd, path) as (folder, name):
            try:
                return open_lockable(name, FOLDER, dir_fd=folder)
            except OSError as error:
                raise _in_the_way(folder, name, path, "a folder", error) from error

    def make(self, path: str) -> None:
        """Create a folder and its missing parents. The caller makes them durable: another may have created them."""
        os.close(_open_folder(self.fd, path, create=True))

    def require(self, path: str) -> None:
        """Raise InTheWay where something else stands in the place of a folder, FileNotFoundError for nothing."""
        os.close(_open_folder(self.fd, path))

    def read(self, path: str) -> bytes:
        """The whole content of a regular file."""
        fd = self.open_file(path)
        try:
            return read_whole(fd)
        finally:
            os.close(fd)

    def status(self, path: str = ".") -> os.stat_result:
        """The status of what stands at a path; of a link itself, not of its target."""
        with _Parent(self.fd, path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def status_unguarded(self, path: str) -> os.stat_result:
        """As ``status`` in one call, for a path whose folders are known to be no links."""
        return os.stat(path, dir_fd=self.fd, follow_symlinks=False)

    def is_at(self, path: str, fd: int) -> bool:
        """Whether a path still leads to this open file."""
        with _Parent(self.fd, path) as (folder, name):
            return _is_at(folder, name, fd)

    def names(self, path: str) -> list[str]:
        """The names in a folder."""
        fd = _open_folder(self.fd, path)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def entries(self, path: str) -> tuple[list[str], set[str]]:
        """The names in a folder, sorted, and those of them that are not folders; a link is not a folder."""
        names, odd = [], set()
        fd = _open_folder(self.fd, path)
        try:
            with os.scandir(fd) as entries:
                for one in entries:
                    names.append(one.name)
                    if not one.is_dir(follow_symlinks=False):
                        odd.add(one.name)
        finally:
            os.close(fd)
        return sorted(names), odd

    def rename(self, source: str, target: str) -> None:
        """Move what stands at a path to another path, replacing a file there."""
        with _Parent(self.fd, source) as (folder, name), _Parent(self.fd, target) as (new_folder, new):
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=new_folder)

    def link(self, source: str, target: str) -> None:
        """Give a file a second name. Raises FileExistsError where the name is taken."""
        with _Parent(self.fd, source) as (folder, name), _Parent(self.fd, target) as (new_folder, new):
            os.link(name, new, src_dir_fd=folder, dst_dir_fd=new_folder, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Remove a file or a link; nothing to do where none is there."""
        with suppress(FileNotFoundError), _Parent(self.fd, path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def flush(self, path: str = ".") -> None:
        """Make the names in a folder durable."""
        fd = _open_folder(self.fd, path)
        try:
            flush(fd)
        finally:
            os.close(fd)

    def flush_file_system(self) -> None:
        """Make everything on this folder's file system durable."""
        flush_file_system(self.fd)


def kind_of(mode: int) -> str:
    """What a file's mode says it is."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket"}
    return {**kinds, stat.S_IFIFO: "a pipe"}.get(stat.S_IFMT(mode), "a device")


class _Parent:
    """The folder that a path lies in, open while it is entered; gives its descriptor and the path's last name."""

    __slots__ = ("_close", "_fd", "_folder", "_name")

    def __init__(self, root_fd: int, path: str) -> None:
        self._folder, _, self._name = path.rpartition("/")
        self._fd = root_fd

    def __enter__(self) -> tuple[int, str]:
        self._close = bool(self._folder)
        if self._close:
            self._fd = _open_folder(self._fd, self._folder)
        return self._fd, self._name

    def __exit__(self, *_: object) -> None:
        if self._close:
            os.close(self._fd)


def _open_folder(root_fd: int, path: str, *, create: bool = False) -> int:
    fd = root_fd
    names = path.split("/")
    try:
        for at, name in enumerate(names):
            try:
                below = os.open(name, FOLDER, dir_fd=fd)
            except FileNotFoundError:
                if not create:
                    raise
                below = _made(fd, name)
            except OSError as error:
                raise _in_the_way(fd, name, "/".join(names[: at + 1]), "a folder", error) from error
            if fd != root_fd:
                os.close(fd)
            fd = below
    except BaseException:
        if fd != root_fd:
            os.close(fd)
        raise
    return fd


def _made(fd: int, name: str) -> int:
    with suppress(FileExistsError):  # another process made it just now
        os.mkdir(name, dir_fd=fd)
    return os.open(name, FOLDER, dir_fd=fd)


def _is_at(folder: int, name: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def _in_the_way(fd: int, name: str, path: str, expected: str, error: OSError) -> OSError:
    """InTheWay, where what stands there is why it cannot be opened; or else the error itself."""
    try:
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    except OSError:
        return error
    if kind_of(mode) == expected:
        return error
    what = f"a link to {os.readlink(name, dir_fd=fd)!r}" if stat.S_ISLNK(mode) else kind_of(mode)
    return InTheWay(path, what, expected)
