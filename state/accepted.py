"""What a person accepted: sources that match no file although their aggregations have commits.

Without this word such a source is an unmounted or wrong input, and a run refuses. ``flows.repair`` writes it down; the
next run that sees files of the source again takes it back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection

from state import layout
from state.drafts import draft
from state.errors import StorageError
from state.files import exists_not, flush, flush_folder, read_whole, write_whole
from state.root import OutputRoot


def read_accepted(root: OutputRoot) -> frozenset[str]:
    """The templates of the accepted sources. A file that is no such list accepts nothing. Raises StorageError."""
    try:
        fd = os.open(layout.ACCEPTED, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root.fd)
        try:
            content = read_whole(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if exists_not(error):
            return frozenset()
        raise StorageError(f"{root.path / layout.ACCEPTED} cannot be read: {error.strerror}") from error
    try:
        accepted = json.loads(content)["empty_sources"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()
    return frozenset(name for name in accepted if isinstance(name, str)) if isinstance(accepted, list) else frozenset()


def take_back(root: OutputRoot, present: Collection[str]) -> None:
    """Accept no longer the absence of sources that match files again. Raises StorageError, OSError."""
    accepted = read_accepted(root)
    if accepted.intersection(present):
        write_accepted(root, accepted.difference(present))


def write_accepted(root: OutputRoot, templates: Collection[str]) -> None:
    """Replace the list of accepted sources, durably. Raises OSError."""
    with draft(root.fd) as new:
        write_whole(new.fd, json.dumps({"empty_sources": sorted(templates)}).encode() + b"\n")
        flush(new.fd)
        place = layout.temporary_file(new.nonce)
        os.rename(place, layout.ACCEPTED, src_dir_fd=root.fd, dst_dir_fd=root.fd)
        new.published = True
    flush_folder(root.fd, layout.OWN)
