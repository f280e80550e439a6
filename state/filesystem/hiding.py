"""Keeps readers of ``**/*.parquet`` out of folders that hold no results.

What is set aside may be a folder of another program's files (Spark writes ``data.parquet/part-0.parquet``), or a link
to one, which some readers follow. Its files get names of another ending, and a link becomes a text.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import suppress

from state.filesystem.durable import flush, write_whole
from state.filesystem.folder import FOLDER, Folder

_LONGEST_NAME = 255
"""The longest name of a file, in bytes."""


def is_visible(name: str) -> bool:
    """Whether a reader of ``*.parquet`` would read a file of this name; some ignore case."""
    return name.lower().endswith(".parquet")


def visible_below(root: Folder, path: str, *, links_below: str) -> list[str]:
    """The paths below a folder that a reader of ``**/*.parquet`` would read or follow. Raises OSError.

    Links to folders count below ``links_below`` only.
    """
    found = set()
    for fd, folder in _folders(root, path):
        links = f"{folder}/".startswith(f"{links_below}/")
        with os.scandir(fd) as entries:
            found |= {
                f"{folder}/{one.name}"
                for one in entries
                if is_visible(one.name) or (links and one.is_symlink() and one.is_dir())
            }
    return sorted(found)


def hide_below(root: Folder, path: str, *, links: bool = True) -> list[str]:
    """Rename all that a reader would read below a folder; with ``links``, replace links by texts.

    Returns the paths as they were. Each step is one rename: nothing is lost where it stops half-way, and the next call
    continues. Raises OSError.
    """
    hidden = []
    for fd, folder in _folders(root, path):
        with os.scandir(fd) as entries:
            for one in entries:
                link = links and one.is_symlink()
                if link or is_visible(one.name):
                    new = _other_name(one.name)
                    if link:
                        _link_to_text(fd, one.name, fd, new)
                    else:
                        os.rename(one.name, new, src_dir_fd=fd, dst_dir_fd=fd)
                    hidden.append(f"{folder}/{one.name}")
        flush(fd)
    return hidden


def move_hidden(root: Folder, source: str, target: str) -> None:
    """Move whatever stands at a path to another path, where no reader of Parquet files sees any of it.

    The files in a folder are renamed before it is moved. Raises OSError.
    """
    mode = root.status(source).st_mode
    if stat.S_ISLNK(mode):
        (folder, _, name), (new_folder, _, new) = source.rpartition("/"), target.rpartition("/")
        fd, new_fd = root.open_folder(folder or "."), root.open_folder(new_folder or ".")
        try:
            _link_to_text(fd, name, new_fd, new)
        finally:
            os.close(fd)
            os.close(new_fd)
        return
    if stat.S_ISDIR(mode):
        hide_below(root, source)
    root.rename(source, target)


def _link_to_text(fd: int, name: str, new_fd: int, new: str) -> None:
    """Replace a link by a text, durably, that says where it leads."""
    target = os.fsencode(os.readlink(name, dir_fd=fd))
    kept = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=new_fd)
    try:
        write_whole(kept, b"link to " + target + b"\n")
        flush(kept)
    finally:
        os.close(kept)
    os.unlink(name, dir_fd=fd)


def _other_name(name: str) -> str:
    tag = f".{uuid.uuid4().hex[:8]}.damaged"
    return os.fsdecode(os.fsencode(name)[: _LONGEST_NAME - len(tag)]) + tag


def _folders(root: Folder, folder: str) -> Iterator[tuple[int, str]]:
    """A folder and all below it: each one's descriptor, valid until the next is asked for, and its path.

    No link is followed, and one folder is open at a time, however deep they are nested.
    """
    fd = root.open_folder(folder)
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
