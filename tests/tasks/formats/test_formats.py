"""Reading raw files: every suffix, from bytes and from paths alike, and names that look like patterns."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tasks.formats.formats import FORMATS, File

ROWS: list[dict[str, object]] = [{"x": 1, "y": "a"}, {"x": 2, "y": "ä\n,"}, {"x": 3, "y": None}]
MORE: list[dict[str, object]] = [{"x": 4, "y": "d"}]
PARTS = [ROWS, MORE]


def _text(suffix: str, rows: Sequence[Mapping[str, object]]) -> bytes:
    frame = pl.DataFrame(rows, schema={"x": pl.Int64, "y": pl.String})
    if suffix == ".csv":
        return frame.write_csv().encode()
    return (frame.write_json() if suffix == ".json" else frame.write_ndjson()).encode()


def _zst(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": _zst}


def encoded(suffix: str, rows: Sequence[Mapping[str, object]]) -> bytes:
    """A file of this suffix with these rows."""
    if suffix == ".parquet":
        sink = io.BytesIO()
        pl.DataFrame(rows, schema={"x": pl.Int64, "y": pl.String}).write_parquet(sink)
        return sink.getvalue()
    stem, dot, packed = suffix[1:].partition(".")
    return PACKERS[dot + packed](_text(f".{stem}", rows))


def given(folder: Path, names: list[str], contents: list[bytes], from_bytes: bool) -> list[File]:
    """The files as a run has them: their bytes, or their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)
    return [*contents] if from_bytes else [folder / name for name in names]


every_suffix = pytest.mark.parametrize("suffix", FORMATS)
both_ways = pytest.mark.parametrize("from_bytes", [True, False], ids=["bytes", "paths"])


def test_the_suffixes_are_the_contracts() -> None:
    """Text plain or packed, and Parquet."""
    text = {kind + packed for kind in (".csv", ".ndjson", ".jsonl", ".json") for packed in ("", ".gz", ".zst")}
    assert set(FORMATS) == text | {".parquet"}


@every_suffix
@both_ways
def test_the_rows_of_all_files_in_their_order(tmp_path: Path, suffix: str, from_bytes: bool) -> None:
    """One file or several, from memory or from disk: the same rows in the same order."""
    contents = [encoded(suffix, rows) for rows in PARTS]
    one = given(tmp_path, [f"a{suffix}"], contents[:1], from_bytes)
    assert FORMATS[suffix].read(one, {}).collect().to_dicts() == ROWS
    two = given(tmp_path, [f"b{suffix}", f"a{suffix}"], contents, from_bytes)
    assert FORMATS[suffix].read(two, {}).collect().to_dicts() == ROWS + MORE


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix.endswith((".gz", ".zst"))])
@both_ways
def test_packed_files_that_were_put_together(tmp_path: Path, suffix: str, from_bytes: bool) -> None:
    """Packed pieces one after another, as log rotation makes them, are one text."""
    kind, _, packer = suffix.rpartition(".")
    plain = _text(kind, ROWS)
    pack = PACKERS[f".{packer}"]
    files = given(tmp_path, [f"a{suffix}"], [pack(plain[:9]) + pack(plain[9:])], from_bytes)
    assert FORMATS[suffix].read(files, {}).collect().to_dicts() == ROWS


PATTERNS = ["[ab]", "*", "?", "{a,b}", "**", "a[!b]"]


@pytest.mark.parametrize(
    "suffix",
    [".csv", ".csv.gz", ".ndjson", ".jsonl.gz", ".json", ".parquet"],
)
def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path: Path, suffix: str) -> None:
    """What is read is the very file that was digested, though its name would match others, or not itself."""
    for other in ("a", "b", "ab"):
        (tmp_path / f"{other}{suffix}").write_bytes(encoded(suffix, MORE))
    for stem in PATTERNS:
        files = given(tmp_path, [f"{stem}{suffix}"], [encoded(suffix, ROWS)], from_bytes=False)
        assert FORMATS[suffix].read(files, {}).collect().to_dicts() == ROWS, stem


@pytest.mark.parametrize(
    "suffix",
    [".csv", ".ndjson", ".json", ".parquet"],
)
def test_a_folder_that_looks_like_a_pattern_is_a_folder(tmp_path: Path, suffix: str) -> None:
    """An input root may be called anything."""
    files = given(tmp_path / "data[1]", [f"a{suffix}"], [encoded(suffix, ROWS)], from_bytes=False)
    assert FORMATS[suffix].read(files, {}).collect().to_dicts() == ROWS


@every_suffix
def test_a_folder_like_a_partition_adds_no_column(tmp_path: Path, suffix: str) -> None:
    """Below ``x=9`` a file's own column x is what it holds, and no other appears."""
    files = given(tmp_path / "x=9" / "z=1", [f"a{suffix}"], [encoded(suffix, ROWS)], from_bytes=False)
    assert FORMATS[suffix].read(files, {}).collect().to_dicts() == ROWS


def test_options_reach_every_format() -> None:
    """Each format takes polars' own options."""
    text: dict[str, object] = {"schema_overrides": {"x": pl.Int32}}
    for suffix in (".csv", ".ndjson", ".json.gz"):
        rows = FORMATS[suffix].read([encoded(suffix, ROWS)], text).collect()
        assert rows.schema["x"] == pl.Int32
    assert FORMATS[".parquet"].read([encoded(".parquet", ROWS)], {"n_rows": 1}).collect().height == 1


@every_suffix
@both_ways
def test_a_broken_file_is_an_error_and_no_rows(tmp_path: Path, suffix: str, from_bytes: bool) -> None:
    """A file cut off in the middle is not read as a shorter one, where its format can tell."""
    whole = encoded(suffix, ROWS * 200)
    files = given(tmp_path, [f"a{suffix}"], [whole[: len(whole) // 2 + 3] if suffix != ".csv" else b""], from_bytes)
    with pytest.raises((pl.exceptions.PolarsError, OSError)):
        FORMATS[suffix].read(files, {}).collect()


@every_suffix
def test_no_option_of_polars_is_refused_but_noonmarks(suffix: str) -> None:
    """What polars takes, a source takes."""
    form = FORMATS[suffix]
    assert "schema" in form.options
    assert not form.options & set(form.fixed)
    assert form.unknown_option(dict.fromkeys(form.options)) is None
    assert form.unknown_option({}) is None


@pytest.mark.parametrize("suffix", [".ndjson", ".json"])
@pytest.mark.parametrize("option", ["schema", "schema_overrides"])
def test_dtypes_of_json_may_be_pairs(suffix: str, option: str) -> None:
    """As they may elsewhere in polars, though ``scan_ndjson`` wants a mapping."""
    content = encoded(suffix, MORE)
    pairs = [("x", pl.Float64), ("y", pl.String)]
    assert FORMATS[suffix].read([content], {option: pairs}).collect().rows() == [(4.0, "d")]


def test_the_files_of_json_share_a_type() -> None:
    """Where none is declared, whole numbers in one file and others in the next are both numbers, as for NDJSON."""
    frame = FORMATS[".json"].read([b'[{"a":1}]', b'[{"a":1.5}]'], {}).collect()
    assert frame["a"].to_list() == [1.0, 1.5]
