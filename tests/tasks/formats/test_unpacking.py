"""What a packed file holds is known before its rows take memory, and told truly."""

from __future__ import annotations

import gzip
import io
import zlib

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.formats.unpacking import unpack_parquet, unpack_text, whole_text

TEXT = b"amount\n" + b"1\n" * 500
ENOUGH = 1 << 20


def zst(content: bytes) -> bytes:
    """One frame."""
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


PACKED = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "gzip in two members": gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]),
    "zstd": zst(TEXT),
    "zstd in two frames": zst(TEXT[:9]) + zst(TEXT[9:]),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_text_is_unpacked_where_there_is_room(packed: bytes) -> None:
    """The whole text and its size, up to the last byte that has room; one byte more, and polars has to stream it."""
    for most in (ENOUGH, len(TEXT)):
        assert unpack_text(packed, most) == (TEXT, len(TEXT), None)
    assert unpack_text(packed, len(TEXT) - 1) is None
    assert whole_text(packed) == TEXT


@pytest.mark.parametrize("empty", [b"", gzip.compress(b""), zst(b"")], ids=["plain", "gzip", "zstd"])
def test_nothing_is_no_error(empty: bytes) -> None:
    """An empty file, and a packed one that holds nothing."""
    assert unpack_text(empty, ENOUGH) == (b"", 0, None)


@pytest.mark.parametrize(
    "broken",
    [
        gzip.compress(TEXT)[:-9],
        gzip.compress(TEXT) + b"garbage",
        gzip.compress(TEXT) + bytes(512),
        zst(TEXT)[:-9],
        zst(TEXT) + b"garbage",
        b"\x1f\x8b no gzip at all",
        b"\x28\xb5\x2f\xfd no zstd at all",
        zlib.compress(TEXT),
    ],
    # Named, for a gzip file bears the time at which it was made, and pytest-xdist compares the names of its workers.
    ids=[
        *("gzip cut short", "garbage after gzip", "zeros after gzip"),
        *("zstd cut short", "garbage after zstd", "no gzip", "no zstd", "zlib"),
    ],
)
def test_what_cannot_be_unpacked_is_left_to_polars(broken: bytes) -> None:
    """A broken stream, or one of another kind, has no size: polars is given it as it is, and says what is wrong."""
    assert unpack_text(broken, ENOUGH) is None


def _parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file, row_group_size=1000)
    return file.getvalue()


@pytest.mark.parametrize(
    "frame",
    [
        pl.select(a=pl.repeat(1, 5000), b=pl.repeat("north", 5000)),
        pl.select(a=pl.lit([1] * 10_000, dtype=pl.List(pl.Int64)).repeat_by(1).list.explode()),
    ],
    ids=["flat", "nested"],
)
def test_parquet_counts_by_its_values(frame: pl.DataFrame) -> None:
    """Equal values take next to nothing on disk, and as much as others in memory."""
    packed = _parquet(frame)
    assert len(packed) < 16_000
    unpacked = unpack_parquet(packed, ENOUGH)
    assert unpacked is not None
    assert unpacked.content == packed
    assert unpacked.size == 160_000
    assert unpacked.rows == frame.height
    assert unpack_parquet(packed, 159_999) is None


@pytest.mark.parametrize(
    "broken",
    [b"", b"PAR1 no parquet PAR1", _parquet(pl.DataFrame({"a": [1]}))[:-1]],
    ids=["empty", "no Parquet", "cut short"],
)
def test_broken_parquet_is_left_to_polars(broken: bytes) -> None:
    """Without a footer nobody knows what it holds."""
    assert unpack_parquet(broken, ENOUGH) is None


def test_a_footer_that_contradicts_itself_is_not_believed() -> None:
    """Of a file whose row groups have other rows than its footer says, nobody knows how many polars will read."""
    content = _parquet(pl.DataFrame({"a": range(61)}))
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    at = content.index(b"\x16\x7a", footer)  # 61, as the number of rows of the whole file is written
    lying = content[: at + 1] + b"\x02" + content[at + 2 :]
    assert pq.read_metadata(io.BytesIO(lying)).num_rows == 1
    unpacked, sound = unpack_parquet(lying, ENOUGH), unpack_parquet(content, ENOUGH)
    assert unpacked is not None
    assert unpacked.rows is None
    assert sound is not None
    assert sound.rows == 61
