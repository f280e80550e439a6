"""Whether what a ``read=`` function made of a day has room in memory, where small days take half the time.

Nothing tells how much a function's own reading unpacks, or what it scans beside the files that it was given. Where that
is not certain to be moderate, polars streams it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from tasks.user_code import Raised, guarded_call

_SCAN = re.compile(r"(\w+) SCAN \[(.*)\]$", re.MULTILINE)
"""A scan in polars' text of a plan: what it reads, with ``... 2 other sources`` for all but the first."""
_OTHERS = re.compile(r", \.\.\. (\d+) other sources$")
_IN_MEMORY = re.compile(r"\d+ in-mem bytes")
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", b"\x04\x22\x4d\x18", b"PK", b"7z\xbc\xaf", b"PAR1")
"""gzip, zstd, bzip2, xz, lz4, zip, 7z, Parquet."""


def plain_size(contents: Sequence[bytes]) -> int | None:
    """The size of files that are plain text; None where one may hold more than it is long."""
    if any(content.startswith(_PACKED) or b"\0" in content for content in contents):
        return None
    return sum(map(len, contents))


def has_room(made: pl.LazyFrame | pl.DataFrame, paths: Sequence[str], plain: int | None, most: int) -> bool:
    """Whether a frame that was made of the files at ``paths`` takes moderate memory; ``plain`` is their plain size."""
    if isinstance(made, pl.DataFrame):
        return made.estimated_size() <= most
    if plain is None or plain > most:
        return False
    plan = guarded_call(lambda: made.explain(optimized=False))
    if isinstance(plan, Raised):  # it fails when it is collected too
        return False
    return all(_is_given(kind, read, paths) for kind, read in _SCAN.findall(plan))


def _is_given(kind: str, read: str, paths: Sequence[str]) -> bool:
    if kind == "PYTHON":
        return False
    others = _OTHERS.search(read)
    if others and int(others[1]) >= len(paths):
        return False
    first = read[: others.start()] if others else read
    return all(_IN_MEMORY.fullmatch(one) or one in paths for one in first.split(", "))
