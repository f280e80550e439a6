"""The seal: no byte of a sealed file can change unseen, wherever it lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from state.result.classify import Commit, Damaged, classify
from state.result.seal import DIGITS, OPEN_SEAL, Torn, broken_seal, read_footer, seal_position
from state.result.writing import arrow_table, write_result
from tests.builders import DAY, NAME, RECORD, rows_of


def _sealed(file: Path, frame: pl.DataFrame) -> int:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    table = arrow_table(frame)
    write_result(fd, table, RECORD._replace(rows=table.num_rows))
    return fd


@pytest.fixture
def small(tmp_path: Path) -> Iterator[int]:
    """A small sealed result, open for reading and writing."""
    fd = _sealed(tmp_path / "small", rows_of(1))
    yield fd
    os.close(fd)


def _size(fd: int) -> int:
    return os.fstat(fd).st_size


def test_the_seal_is_the_digest_of_the_whole_file(small: int) -> None:
    """SHA-256 of all bytes with the seal's digits zeroed: anyone can compute it without this code."""
    content = os.pread(small, _size(small), 0)
    at = content.rindex(b'"seal":"') + 8
    opened = content[:at] + b"0" * 64 + content[at + 64 :]
    assert content[at : at + 64].decode() == hashlib.sha256(opened).hexdigest()
    assert broken_seal(small, _size(small)) is None


def test_every_flipped_bit_is_found(small: int) -> None:
    """Promise 6: any altered byte is found by a deep check, in the rows, in the footer and in the seal itself."""
    size = _size(small)
    for at in range(size):
        byte = os.pread(small, 1, at)
        for bit in range(8):
            os.pwrite(small, bytes([byte[0] ^ 1 << bit]), at)
            assert broken_seal(small, size) is not None, f"bit {bit} of byte {at} of {size}"
        os.pwrite(small, byte, at)
    assert broken_seal(small, size) is None


def test_a_flipped_bit_of_the_footer_is_judged_and_harms_nothing(small: int) -> None:
    """A scan meets damaged footers: each is a commit that still tells the truth, or damage, and never an error."""
    size = _size(small)
    begin = size - len(read_footer(small, size))
    whole = classify(small, NAME, DAY)
    assert isinstance(whole, Commit)
    for at in range(begin, size):
        byte = os.pread(small, 1, at)
        for bit in range(8):
            os.pwrite(small, bytes([byte[0] ^ 1 << bit]), at)
            found = classify(small, NAME, DAY)
            assert not isinstance(found, Commit) or found.record == whole.record
        os.pwrite(small, byte, at)


def test_a_file_cut_at_any_length_is_damaged(small: int) -> None:
    """Promise 6: a torn or truncated file is found by every run, whatever its length, from the footer alone."""
    for length in reversed(range(_size(small))):
        os.ftruncate(small, length)
        assert isinstance(classify(small, NAME, DAY), Damaged)
        assert broken_seal(small, length) is not None


def test_bytes_added_at_the_end_are_found(small: int) -> None:
    """A longer file is another file; even one that ends in a whole footer again."""
    size = _size(small)
    os.pwrite(small, os.pread(small, size, 0), size)
    assert broken_seal(small, 2 * size) is not None


@pytest.mark.parametrize("chunk", [1, 7, 63, 64, 65, 1000])
def test_the_digits_may_lie_across_pieces(small: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read in pieces; wherever a cut falls, the digits are left out and nothing else is."""
    monkeypatch.setattr("state.filesystem.durable.CHUNK", chunk)
    size = _size(small)
    assert broken_seal(small, size) is None
    first = seal_position(read_footer(small, size), size)
    for at in (first - 1, first, first + DIGITS - 1, first + DIGITS):
        byte = os.pread(small, 1, at)
        os.pwrite(small, bytes([byte[0] ^ 1]), at)
        assert broken_seal(small, size) is not None
        os.pwrite(small, byte, at)


def test_rows_that_look_like_a_seal_are_rows(tmp_path: Path) -> None:
    """The footer quotes column names and the least and greatest values: a seal among them is not taken for the seal."""
    decoy = f'"seal":"{OPEN_SEAL}"'
    fd = _sealed(tmp_path / "decoy", pl.DataFrame({decoy: [decoy, "z" + decoy]}))
    try:
        assert broken_seal(fd, _size(fd)) is None
        assert isinstance(classify(fd, NAME, DAY), Commit)
    finally:
        os.close(fd)


def test_a_footer_longer_than_one_read_is_read_whole(tmp_path: Path) -> None:
    """A result of many columns has a footer of more than 64 KiB."""
    fd = _sealed(tmp_path / "wide", pl.DataFrame({f"column_{number}": [number] for number in range(1000)}))
    try:
        size = _size(fd)
        assert len(read_footer(fd, size)) > 64 * 1024
        assert broken_seal(fd, size) is None
        assert isinstance(classify(fd, NAME, DAY), Commit)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "too short"),
        (b"PAR1PAR1", "too short"),
        (b"a,b\n" * 9, "does not end"),
        (b"PAR1" + b"\xff\xff\xff\x7fPAR1", "longer than the file"),
        (b"PAR1" + b"\0" * 8 + b"\x09\0\0\0PAR1", "longer than the file"),
    ],
)
def test_what_is_no_parquet_file_is_torn(tmp_path: Path, content: bytes, why: str) -> None:
    """A foreign or torn file is called so, and its own statement of its length leads nowhere outside it."""
    file = tmp_path / "foreign"
    file.write_bytes(content)
    with file.open("rb") as opened, pytest.raises(Torn, match=why):
        read_footer(opened.fileno(), len(content))


def test_a_parquet_file_of_another_program_has_no_seal(tmp_path: Path) -> None:
    """A foreign result is found and not adopted, though every reader can read it."""
    file = tmp_path / "foreign"
    rows_of(1).write_parquet(file)
    with file.open("rb") as opened:
        assert broken_seal(opened.fileno(), file.stat().st_size) == "its footer holds no checksum"
        found = classify(opened.fileno(), NAME, DAY)
    assert isinstance(found, Damaged)
    assert "another program" in found.why
