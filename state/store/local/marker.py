"""The marker of an output, ``root.json``: which output it is, and how its days are locked.

How is chosen once, for all who write there must agree on it. Format 1 has a lock file for each day; format 2 says how.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from state.errors import ACCEPT, Refused, StorageError
from state.filesystem.durable import is_missing
from state.filesystem.folder import Folder, InTheWay
from state.result.record import is_token
from state.store.local import layout

FORMATS = (1, 2)
_RANGES = "ranges"
_NEWER = "use the newer code"


class Marker(NamedTuple):
    """What a marker says. ``lock_ranges``: the days are locked by ranges of shared files, and not by a file each."""

    id: str
    lock_ranges: bool

    def content(self) -> bytes:
        """The marker as a file."""
        fields = (
            {"format": 2, "root": self.id, "locks": _RANGES} if self.lock_ranges else {"format": 1, "root": self.id}
        )
        return json.dumps(fields).encode() + b"\n"


def read_marker(root: Folder) -> Marker | None:
    """The marker; None where there is none. Raises Refused where it is damaged or of newer code, StorageError."""
    path = root.path
    try:
        content = root.read(layout.MARKER)
    except InTheWay as error:
        if error.path != layout.MARKER:
            raise refused(path, error) from error
        raise Refused(
            f"{path / layout.MARKER} is {error.what}; expected a file with a JSON object",
            command=ACCEPT,
            hint=f"restore it from a backup, or mark the output again: {ACCEPT}",
        ) from error
    except OSError as error:
        if is_missing(error):
            return None
        raise StorageError(f"{path / layout.MARKER} cannot be read: {error.strerror}") from error
    try:
        marker = json.loads(content)
        number, identity, locks = marker["format"], marker["root"], marker.get("locks")
        if number in FORMATS and isinstance(identity, str) and not is_token(identity):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(
            f"{path / layout.MARKER} is damaged: expected a JSON object with format and root, found {content[:60]!r}",
            command=ACCEPT,
            hint=f"restore it from a backup, or mark the output again: {ACCEPT}",
        ) from error
    if number not in FORMATS or not isinstance(identity, str):
        known = " and ".join(map(str, FORMATS))
        raise Refused(f"{path / layout.MARKER} has format {number!r}, this code knows {known}: {_NEWER}")
    if number > 1 and locks != _RANGES:
        raise Refused(f"{path / layout.MARKER} has locks {locks!r}, this code knows {_RANGES!r}: {_NEWER}")
    return Marker(identity, number > 1)


def refused(path: Path, error: InTheWay) -> Refused:
    """The refusal of an output in which something else stands in the place of a folder."""
    return Refused(
        f"{path / error.path} is {error.what}; expected a folder, and no link is followed below the output root",
        hint=f"move it away, and put the folder in its place where it lies elsewhere: {path / error.path}",
    )
