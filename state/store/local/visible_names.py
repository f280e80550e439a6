"""Keeps readers of ``**/*.parquet`` out of ``_noonmark/``: nothing below it has a name that they would count.

What is set aside may be a folder of another program's files (Spark writes ``data.parquet/part-0.parquet``), or a link
to one, which some readers follow. Its files get names of another ending, and a link becomes a text.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress

from state.filesystem.durable import flush, write_whole
from state.filesystem.folder import FOLDER, open_folder
from state.store.local import layout

_LONGEST_NAME = 255
"""How long a name may be, in bytes."""


def counted(root_fd: int) -> list[str]:
    """The paths below ``_noonmark/`` that a reader of ``**/*.parquet`` counts or follows. Raises OSError."""
    found = set()
    for fd, path in _folders(root_fd, layout.OWN):
        kept = f"{path}/".startswith(f"{layout.SET_ASIDE}/")
        with os.scandir(fd) as entries:
            found |= {
                f"{path}/{one.name}"
                for one in entries
                if is_counted(one.name) or (kept and one.is_symlink() and one.is_dir())
            }
    return sorted(found)


def is_counted(name: str) -> bool:
    """Whether a reader of ``*.parquet`` would count a file of this name; some match in any case."""
    return name.lower().endswith(".parquet")


def hide(root_fd: int, folder: str, *, links: bool = True) -> list[str]:
    """Give all below a folder that would be counted another name; with ``links``, make texts of links.

    Returns the paths as they were. Each step is one rename: where it ends half-way nothing is lost, and the next call
    goes on. Raises OSError.
    """
    hidden = []
    for fd, path in _folders(root_fd, folder):
        with os.scandir(fd) as entries:
            for one in entries:
                link = links and one.is_symlink()
                if link or is_counted(one.name):
                    new = _other_name(one.name)
                    if link:
                        write_link_down(fd, one.name, fd, new)
                        os.unlink(one.name, dir_fd=fd)
                    else:
                        os.rename(one.name, new, src_dir_fd=fd, dst_dir_fd=fd)
                    hidden.append(f"{path}/{one.name}")
        flush(fd)
    return hidden


def write_link_down(fd: int, name: str, new_fd: int, new: str) -> None:
    """Keep where a link leads in a text, durably: a link is followed by some readers. Raises OSError."""
    target = os.fsencode(os.readlink(name, dir_fd=fd))
    kept = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=new_fd)
    try:
        write_whole(kept, b"link to " + target + b"\n")
        flush(kept)
    finally:
        os.close(kept)


def _other_name(name: str) -> str:
    tag = f".{uuid.uuid4().hex[:8]}.damaged"
    return os.fsdecode(os.fsencode(name)[: _LONGEST_NAME - len(tag)]) + tag


def _folders(root_fd: int, folder: str) -> Iterator[tuple[int, str]]:
    """A folder and all below it: the descriptor of each while it is the turn of that, and its path.

    No link is followed, and one folder is open at a time, however deep they lie in each other.
    """
    fd = open_folder(root_fd, folder)
    try:
        names, above, waiting = [folder], [os.fstat(fd)], []
        while True:
            yield fd, "/".join(names)
            waiting.append(_below(fd))
            name = ""
            while not name:
                while not waiting[-1]:
                    waiting.pop()
                    names.pop()
                    above.pop()
                    if not waiting:
                        return
                    fd = _go(fd, "..")
                    if not os.path.samestat(os.fstat(fd), above[-1]):
                        raise OSError(errno.ESTALE, "another process moves it away meanwhile", "/".join(names))
                below = waiting[-1].pop()
                with suppress(FileNotFoundError, NotADirectoryError):
                    fd = _go(fd, below)
                    name = below
            names.append(name)
            above.append(os.fstat(fd))
    finally:
        os.close(fd)


def _below(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [one.name for one in entries if one.is_dir(follow_symlinks=False)]


def _go(fd: int, name: str) -> int:
    there = os.open(name, FOLDER, dir_fd=fd)
    os.close(fd)
    return there
