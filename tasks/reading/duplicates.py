"""Files of one day that are one file twice: the same day in two folders, a second download, a link to a file beside it.

Their rows would count twice. It is seen by the digests that are computed anyway, so that files of different sizes or
contents cost nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from state.inputs.files import FileStat
from state.words import counted, enumerated
from tasks.catalog.source import Source
from tasks.templates.near_names import without_copy_mark

log = logging.getLogger("noonmark")
_SHOWN = 3


class DuplicateFiles(Exception):
    """A day has a file twice, and its source does not say what that means; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file ``again`` that holds what another of the day holds, by their places among the day's files."""

    first: int
    again: int


def duplicates_of(files: Sequence[FileStat], digests: Sequence[bytes]) -> list[Duplicate]:
    """The files that come again after the first one, in the order of their paths.

    Equal bytes make a duplicate of a file that is called the same, but for what marks the name of a copy; and of one
    that is the same file by another way, whatever it is called. Empty files have nothing that could count twice.
    """
    by_name: dict[tuple[bytes, object], int] = {}
    found = []
    for at, (file, digest) in enumerate(zip(files, digests, strict=True)):
        if not file.size:
            continue
        name = without_copy_mark(os.path.basename(file.path))
        same_file = (file.inode, file.size, file.mtime_ns, file.ctime_ns)
        known = [by_name[key] for key in ((digest, name), (digest, same_file)) if key in by_name]
        if known:
            found.append(Duplicate(min(known), at))
        for key in ((digest, name), (digest, same_file)):
            by_name.setdefault(key, at)
    return found


def unused_files(
    source: Source, day: str, files: Sequence[FileStat], digests: Sequence[bytes], has_rows: Callable[[int], bool]
) -> frozenset[int]:
    """The places of those of a day's files that are not to be read, because they come again.

    ``has_rows`` tells of a file whether there is anything in it that could count twice: headers alone are often equal.
    Raises DuplicateFiles where there are any and the source does not say what to do.
    """
    if len(files) < 2 or source.duplicates == "allow":
        return frozenset()
    found = duplicates_of(files, digests)
    rowless = {first for first in {one.first for one in found} if not has_rows(first)}
    found = [one for one in found if one.first not in rowless]
    if not found:
        return frozenset()
    pairs = [f"{files[one.again].path!r} as in {files[one.first].path!r}" for one in found]
    if source.duplicates == "first":
        for pair in pairs:
            log.debug("%s, day %s: not read, for the same bytes are read already: %s", source, day, pair)
        return frozenset(one.again for one in found)
    raise DuplicateFiles(
        f"{source} would count {counted(len(found), 'file')} twice: the same bytes are in "
        f"{enumerated(pairs, '; ', _SHOWN)}; remove the copies, or declare duplicates='first' to read each once, or "
        "duplicates='allow' where equal files are meant to count"
    )
