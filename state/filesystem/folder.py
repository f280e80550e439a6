"""Opens what lies below the output root, one folder after the other, and follows no link on the way.

A path that is opened in one step leads through whatever stands in the place of its folders: a day that is a link to
another one would be written in both, and a link that leads out of the output to somebody else's files.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no pipe hangs us


class InTheWay(OSError):
    """Something else stands where a folder or a file of the output should be, and was not touched.

    ``path`` says where, ``what`` what it is. It says nothing of what should be there: unknown is not absent.
    """

    def __init__(self, path: str, what: str, expected: str, number: int = errno.ELOOP) -> None:
        super().__init__(number, f"{path} is {what}, expected {expected}: move it away", path)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return str(self.strerror)


class Parent:
    """The folder that a path lies in, open while it is entered; gives its descriptor and the path's last name."""

    __slots__ = ("_close", "_fd", "_folder", "_name")

    def __init__(self, root_fd: int, path: str) -> None:
        self._folder, _, self._name = path.rpartition("/")
        self._fd = root_fd

    def __enter__(self) -> tuple[int, str]:
        self._close = bool(self._folder)
        if self._close:
            self._fd = open_folder(self._fd, self._folder)
        return self._fd, self._name

    def __exit__(self, *_: object) -> None:
        if self._close:
            os.close(self._fd)


def open_folder(root_fd: int, path: str, *, create: bool = False) -> int:
    """Open a folder below the root. ``create``: make it and its parents where they are missing, for others may too.

    Their durability is the caller's. Raises InTheWay, and other OSErrors.
    """
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
                raise in_the_way(fd, name, "/".join(names[: at + 1]), "a folder", error) from error
            if fd != root_fd:
                os.close(fd)
            fd = below
    except BaseException:
        if fd != root_fd:
            os.close(fd)
        raise
    return fd


def open_file(root_fd: int, path: str, flags: int, mode: int = 0o666) -> int:
    """Open a file below the root that has to be a regular one. Raises InTheWay, and other OSErrors."""
    with Parent(root_fd, path) as (folder, name):
        try:
            fd = os.open(name, flags | FILE, mode, dir_fd=folder)
        except OSError as error:
            raise in_the_way(folder, name, path, "a file", error) from error
    try:
        require_file(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def require_file(fd: int, path: str) -> None:
    """Raise InTheWay where an open file is no regular one."""
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        raise InTheWay(path, kind_of(mode), "a file")


def status(root_fd: int, path: str) -> os.stat_result:
    """What stands at a path below the root, and not where a link leads. Raises OSError."""
    with Parent(root_fd, path) as (folder, name):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)


def rename(root_fd: int, source: str, target: str) -> None:
    """Move what stands at a path below the root to another one. Raises OSError."""
    with Parent(root_fd, source) as (folder, name), Parent(root_fd, target) as (new_folder, new):
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=new_folder)


def unlink(root_fd: int, path: str) -> None:
    """Remove a file or a link below the root. Raises OSError."""
    with Parent(root_fd, path) as (folder, name):
        os.unlink(name, dir_fd=folder)


def kind_of(mode: int) -> str:
    """What a file's mode says it is."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket"}
    return {**kinds, stat.S_IFIFO: "a pipe"}.get(stat.S_IFMT(mode), "a device")


def _made(fd: int, name: str) -> int:
    with suppress(FileExistsError):  # another made it just now
        os.mkdir(name, dir_fd=fd)
    return os.open(name, FOLDER, dir_fd=fd)


def in_the_way(fd: int, name: str, path: str, expected: str, error: OSError) -> OSError:
    """InTheWay, where what stands there is why it cannot be opened; or else the error itself."""
    try:
        mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    except OSError:
        return error
    if kind_of(mode) == expected:
        return error
    what = f"a link to {os.readlink(name, dir_fd=fd)!r}" if stat.S_ISLNK(mode) else kind_of(mode)
    return InTheWay(path, what, expected)
