"""The result's file: pages that prove themselves, a digest of the rows, and nothing kept of a failed write."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from state.result.writing import arrow_table, rows_digest, write_result
from tests.builders import RECORD, flip, rows_of


def _written(file: Path, frame: pl.DataFrame) -> None:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        table = arrow_table(frame)
        write_result(fd, table, RECORD._replace(rows=table.num_rows))
    finally:
        os.close(fd)


def _digest(frame: pl.DataFrame) -> str:
    return rows_digest(arrow_table(frame))


@pytest.mark.parametrize("rows", [1, 1000])
def test_a_flipped_bit_in_a_page_fails_its_checksum(tmp_path: Path, rows: int) -> None:
    """Pages carry checksums: a foreign reader that asks for it finds rot in the rows without knowing Noonmark."""
    file = tmp_path / "result"
    _written(file, rows_of(1, rows))
    whole = pq.read_table(file, page_checksum_verification=True)
    assert whole.num_rows == rows
    columns = pq.read_metadata(file).row_group(0)
    for number in range(columns.num_columns):
        column = columns.column(number)
        begin = column.dictionary_page_offset or column.data_page_offset
        flip(file, 8 * (begin + column.total_compressed_size) - 1)  # the last bit of the chunk lies in a page's body
        with pytest.raises(OSError, match="CRC checksum"):
            pq.read_table(file, page_checksum_verification=True)
        flip(file, 8 * (begin + column.total_compressed_size) - 1)


def test_text_alone_has_a_dictionary(tmp_path: Path) -> None:
    """Sums and means are nearly all different: a dictionary of them takes time and space. Names recur."""
    file = tmp_path / "result"
    _written(file, pl.DataFrame({"name": ["a", "b"] * 2000, "mean": [one / 7 for one in range(4000)]}))
    name, mean = (pq.read_metadata(file).row_group(0).column(at) for at in (0, 1))
    assert "RLE_DICTIONARY" in name.encodings
    assert "RLE_DICTIONARY" not in mean.encodings


def test_every_common_reader_sees_the_same_rows(tmp_path: Path) -> None:
    """Results are read by others: exact types come back as they were, from polars and from pyarrow."""
    frame = pl.DataFrame(
        {
            "text": ["a", None, "ü"],
            "number": [1, None, -(2**63)],
            "money": [decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")],
            "date": [dt.date(2013, 1, 1), None, dt.date(1900, 1, 1)],
            "time": [dt.datetime(2013, 1, 1, 12, tzinfo=dt.UTC), None, None],
            "list": [["x"], [], None],
            "truth": [True, None, False],
        }
    )
    file = tmp_path / "result"
    _written(file, frame)
    assert pl.read_parquet(file).equals(frame)
    assert pl.DataFrame(pq.read_table(file)).equals(frame)
    assert not any("view" in str(kind) for kind in pq.read_schema(file).types)


KINDS: dict[str, tuple[pl.DataType, list[object]]] = {
    "text": (pl.String(), ["a", None]),
    "money": (pl.Decimal(20, 2), [decimal.Decimal("1.25"), None]),
    "time": (pl.Datetime("us", "UTC"), [dt.datetime(2013, 1, 1, tzinfo=dt.UTC), None]),
    "bytes": (pl.Binary(), [b"a", None]),
    "nothing": (pl.Null(), [None, None]),
    "enum": (pl.Enum(["b", "a"]), ["a", None]),
    "categorical": (pl.Categorical(), ["a", None]),
    "named categories": (pl.Categorical(pl.Categories("mine")), ["a", None]),
    "nested": (pl.List(pl.Categorical()), [["a"], None]),
    "extension": (pl.Extension("mine", pl.Int64(), "note"), [1, None]),
}


@pytest.mark.filterwarnings("ignore:.*extension type")
@pytest.mark.parametrize("parts", [0, 1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_the_table_is_polars_own(name: str, parts: int) -> None:
    """Column by column or the whole frame at once: the same names, types, rows and notes on types, in one piece."""
    kind, values = KINDS[name]
    if isinstance(kind, pl.Extension):
        column = pl.Series("kind", values, dtype=kind.ext_storage()).ext.to(kind)
    else:
        column = pl.Series("kind", values, dtype=kind)
    part = pl.DataFrame([column, pl.Series("number", [1, None])])
    frame = pl.concat([part.clear(), *[part] * parts], rechunk=False)
    table = arrow_table(frame)
    assert table.equals(frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()), check_metadata=True)
    assert {column.num_chunks for column in table.columns} == {1}


def test_an_enum_comes_back_as_one(tmp_path: Path) -> None:
    """What polars notes of a type that Parquet lacks is in the file: a closed set of names is not read as text."""
    frame = pl.DataFrame({"kind": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"]))})
    _written(tmp_path / "result", frame)
    assert pl.read_parquet(tmp_path / "result").schema == frame.schema


def test_the_digest_is_of_the_rows_and_not_of_how_they_lay() -> None:
    """The same rows have the same digest, whatever chunks, slices and masks they were computed in."""
    whole = pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [True, False]})
    halves = pl.concat([whole.head(1), whole.tail(1)], rechunk=False)
    sliced = pl.concat([whole, whole]).slice(1, 2).sort("a")
    masked = pl.DataFrame({"a": [1, 2, None], "b": ["x", "y", None], "c": [True, False, None]}).head(2)
    assert {_digest(one) for one in (halves, sliced, masked)} == {_digest(whole)}


def test_the_digest_does_not_see_beneath_nulls() -> None:
    """A null is a null: what the computation left in its slot is no part of the result."""
    plain = pl.DataFrame({"a": [None, 2]})
    computed = pl.DataFrame({"a": [1, 2]}).select(pl.when(pl.col("a") > 1).then("a"))
    assert computed.equals(plain)
    assert _digest(computed) == _digest(plain)


def test_the_digest_tells_names_types_rows_and_order() -> None:
    """Whatever makes another result makes another digest."""
    frames = [
        pl.DataFrame({"a": [1, 2]}),
        pl.DataFrame({"b": [1, 2]}),
        pl.DataFrame({"a": [2, 1]}),
        pl.DataFrame({"a": [1, 2, 2]}),
        pl.DataFrame({"a": [1, None]}),
        pl.DataFrame({"a": [1, 2]}, schema={"a": pl.Int32}),
        pl.DataFrame({"a": ["1", "2"]}),
        pl.DataFrame({"a": [1, 2], "b": [1, 2]}),
        pl.DataFrame({"a": []}, schema={"a": pl.Int64}),
    ]
    assert len({_digest(frame) for frame in frames}) == len(frames)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can grow beyond 600 bytes, as on a full disk; the system says EFBIG instead of ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_raises(tmp_path: Path, full_disk: None) -> None:
    """A short write goes on, and the one that gets nowhere raises: a torn result is never called written."""
    with pytest.raises(OSError, match="File too large"):
        _written(tmp_path / "result", rows_of(1, 1000))


def test_a_result_of_unknown_type_is_refused(tmp_path: Path) -> None:
    """What Parquet cannot hold raises, and is not written in part or as something else."""
    with pytest.raises(pa.ArrowException):
        _written(tmp_path / "result", pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}))


def test_a_column_of_python_objects_is_refused(tmp_path: Path) -> None:
    """Memory addresses are no result."""
    with pytest.raises(TypeError, match="column 'a' holds Python objects"):
        _written(tmp_path / "result", pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}))
