"""Keeps what is damaged: it is moved out of the way of readers, and never destroyed.

Both movers need the day's lock: without it, a good commit that lands in between would be moved.
"""

from __future__ import annotations

import os
import uuid

from state import layout
from state.files import flush_folder, make_folders


def set_aside(root_fd: int, aggregation: str, day: str, identity: str) -> str:
    """Keep what stands in a day's place under a second name, durably; returns that name. Needs the day's lock.

    A file keeps its place too, until something is renamed over it. A folder cannot be linked and loses it.
    """
    make_folders(root_fd, layout.SET_ASIDE)
    source = layout.data_file(aggregation, day)
    kept = layout.set_aside_file(aggregation, day, f"{identity[:16]}-{uuid.uuid4().hex[:8]}")
    try:
        os.link(source, kept, src_dir_fd=root_fd, dst_dir_fd=root_fd, follow_symlinks=False)
    except OSError:  # a folder, or a file system without hard links
        os.rename(source, kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
    flush_folder(root_fd, layout.SET_ASIDE)
    return kept
