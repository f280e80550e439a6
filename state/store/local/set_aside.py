"""Keeps what is damaged: it is moved out of the way of readers, and never destroyed.

Both movers need the day's lock: without it, a good commit that lands in between would be moved.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable

from state.filesystem.durable import flush_folder, make_folders, read_whole
from state.filesystem.folder import InTheWay, Parent, open_file, rename, status
from state.result.classify import damaged_path
from state.store.local import layout
from state.store.local.visible_names import hide, write_link_down


def set_aside(root_fd: int, aggregation: str, day: str, identity: str) -> str:
    """Keep what stands in a day's place under a second name, durably; returns that name. Needs the day's lock.

    A file keeps its place too, until something is renamed over it. All else loses it: what cannot be linked, and what
    stands there instead of the day's folder.
    """
    make_folders(root_fd, layout.SET_ASIDE)
    source = damaged_path(root_fd, aggregation, day)
    kept = layout.set_aside_file(aggregation, day, f"{identity[:16]}-{uuid.uuid4().hex[:8]}")
    if source != layout.data_file(aggregation, day) or not _linked(root_fd, source, kept):
        move_aside(root_fd, source, kept)
    flush_folder(root_fd, layout.SET_ASIDE)
    return kept


def _linked(root_fd: int, source: str, kept: str) -> bool:
    """Give a file a second name; False for what cannot have one, or where the file system knows none."""
    with Parent(root_fd, source) as (folder, name), Parent(root_fd, kept) as (new_folder, new):
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return False
        try:
            os.link(name, new, src_dir_fd=folder, dst_dir_fd=new_folder, follow_symlinks=False)
        except OSError:
            return False
    return True


def clear_place(root_fd: int, path: str, is_ours: Callable[[bytes], bool]) -> None:
    """Move away what stands where a small file of Noonmark's own is about to be put, unless it is one. Raises OSError.

    A file that a power cut left unwritten is taken for one.
    """
    try:
        fd = open_file(root_fd, path, os.O_RDONLY)
        try:
            content = read_whole(fd)
        finally:
            os.close(fd)
        if not content.strip(b"\0") or is_ours(content):
            return
    except FileNotFoundError:
        return
    except InTheWay as error:
        if error.path != path:
            raise
    move_aside(root_fd, path, f"{layout.SET_ASIDE}/{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.damaged")


def move_aside(root_fd: int, source: str, kept: str) -> None:
    """Move whatever stands at a path to another one, where no reader of Parquet files counts any of it.

    The files of a folder get their other names before it is moved. Raises OSError.
    """
    kind = status(root_fd, source).st_mode
    if stat.S_ISLNK(kind):
        with Parent(root_fd, source) as (folder, name), Parent(root_fd, kept) as (new_folder, new):
            write_link_down(folder, name, new_folder, new)
            os.unlink(name, dir_fd=folder)
        return
    if stat.S_ISDIR(kind):
        hide(root_fd, source)
    rename(root_fd, source, kept)
