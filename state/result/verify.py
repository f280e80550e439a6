"""The deep check of a result's file: every byte against its seal, where ``classify`` reads its end alone."""

from __future__ import annotations

from state.result import classify
from state.result.classify import Commit, Damaged, Found, Newer
from state.result.record import bears_nonce
from state.result.seal import Torn, broken_seal, read_footer


def verify(fd: int, aggregation: str, day: str) -> Found:
    """What an open file is once every byte was checked. Raises OSError."""
    return verify_bytes(fd, classify.classify(fd, aggregation, day))


def verify_bytes(fd: int, found: Found) -> Found:
    """What an open file is that was classified as ``found``, once every byte was checked. Raises OSError."""
    if isinstance(found, Newer) and found.altered:
        return Damaged(f"the format of its commit record was altered to {found.format}")
    if isinstance(found, Commit) and (wrong := broken_seal(fd, found.stat[0])):
        return Damaged(wrong)
    return found


def is_still(fd: int, known: Commit) -> bool:
    """Whether an open file of a commit's size is, byte for byte, that commit. Raises OSError.

    Its seal covers every byte, and no other commit has its nonce. So its record need not be parsed, which takes three
    quarters of the time for a small result.
    """
    try:
        footer = read_footer(fd, known.stat[0])
    except Torn:
        return False
    return bears_nonce(footer, known.record.nonce) and broken_seal(fd, known.stat[0], footer) is None
