"""Keeps what is damaged: it is moved out of the way of readers, and never destroyed.

Both movers need the day's lock: without it, a good commit that lands in between would be moved.
"""

from __future__ import annotations

import os
import stat
import uuid

from state import layout
from state.files import flush_folder, make_folders
from state.parquet_names import hide, write_link_down


def set_aside(root_fd: int, aggregation: str, day: str, identity: str) -> str:
    """Keep what stands in a day's place under a second name, durably; returns that name. Needs the day's lock.

    A file or a link keeps its place too, until something is renamed over it. A folder cannot be linked and loses it.
    """
    make_folders(root_fd, layout.SET_ASIDE)
    source = layout.data_file(aggregation, day)
    kept = layout.set_aside_file(aggregation, day, f"{identity[:16]}-{uuid.uuid4().hex[:8]}")
    kind = os.stat(source, dir_fd=root_fd, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        write_link_down(root_fd, source, root_fd, kept)
    elif stat.S_ISDIR(kind):
        move_aside(root_fd, source, kept)
    else:
        try:
            os.link(source, kept, src_dir_fd=root_fd, dst_dir_fd=root_fd, follow_symlinks=False)
        except OSError:  # a file system without hard links
            os.rename(source, kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
    flush_folder(root_fd, layout.SET_ASIDE)
    return kept


def move_aside(root_fd: int, source: str, kept: str) -> None:
    """Move whatever stands at a path to another one, where no reader of Parquet files counts any of it.

    The files of a folder get their other names before it is moved. Raises OSError.
    """
    kind = os.stat(source, dir_fd=root_fd, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        write_link_down(root_fd, source, root_fd, kept)
        os.unlink(source, dir_fd=root_fd)
        return
    if stat.S_ISDIR(kind):
        hide(root_fd, source)
    os.rename(source, kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
