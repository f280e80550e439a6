"""A day's files as one frame: each file by its own header, and what is not as declared named with its file."""

from __future__ import annotations

import gzip
import io
import random
import re
from asyncio import CancelledError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.inputs.run_listing import RunListing
from tasks.reading import day_input as reading
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.declared import NotAsDeclared
from tasks.reading.sound_files import SoundFiles
from tests.builders import DAY

SCHEMA = {"a": pl.Int64, "b": pl.String, "c": pl.Float64}


def _read(root: Path, files: Sequence[bytes], suffix: str = "csv", **options: Any) -> DayInput:
    folder = root / "f" / DAY
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(files):
        (folder / f"{number}.{suffix}").write_bytes(content)
    found = read_day(Source(f"f/{{day}}/*.{suffix}", **options), DAY, RunListing(InputRoot(root)), SoundFiles())
    assert found is not None
    return found


def _frame(root: Path, files: Sequence[bytes], suffix: str = "csv", **options: Any) -> pl.DataFrame:
    return _read(root, files, suffix, **options).frame().collect()


def _told(root: Path, files: Sequence[bytes], suffix: str = "csv", **options: Any) -> str:
    read = _read(root, files, suffix, **options)
    with pytest.raises(NotAsDeclared) as caught:
        read.frame()
    return str(caught.value)


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv().encode()


def _ndjson(rows: pl.DataFrame) -> bytes:
    return rows.write_ndjson().encode()


def _json(rows: pl.DataFrame) -> bytes:
    return rows.write_json().encode()


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    return buffer.getvalue()


FORMS = pytest.mark.parametrize(
    ("suffix", "write"), [("csv", _csv), ("ndjson", _ndjson), ("json", _json), ("parquet", _parquet)]
)


@FORMS
def test_every_file_is_read_by_its_own_header(tmp_path: Path, suffix: str, write: Callable[..., bytes]) -> None:
    """Columns in any order, missing, extra and renamed, in files of one day, whichever are read: each value at its
    place, as Python has it.
    """
    seeded = random.Random(suffix)
    for trial in range(25):
        files, expected = [], []
        for _ in range(seeded.randrange(1, 5)):
            names = ["a", *seeded.sample(["b", "c", "x"], seeded.randrange(4))]
            seeded.shuffle(names)
            values: dict[str, list[Any]] = {
                "a": [seeded.randrange(99), seeded.randrange(99)],
                "b": [f"t{seeded.randrange(9)}", "u"],
                "c": [0.5, 1.5],
                "x": ["x", "y"],
            }
            old = seeded.choice(["a", "A"])
            files.append(write(pl.DataFrame({old if name == "a" else name: values[name] for name in names})))
            nulls = [None, None]
            columns = (values[name] if name in names else nulls for name in SCHEMA)
            expected += list(zip(*columns, strict=True))
        read = _read(
            tmp_path / str(trial),
            files,
            suffix,
            schema=SCHEMA,
            rename={"A": "a"},
            missing_columns=["b", "c"],
            extra_columns="ignore",
        )
        frame = read.frame()
        for engine in ("in-memory", "streaming"):
            assert frame.collect(engine=engine).rows() == expected
            assert frame.select("b").collect(engine=engine)["b"].to_list() == [row[1] for row in expected]
            assert frame.select(pl.len()).collect(engine=engine).item() == len(expected)


@FORMS
def test_a_lost_column_and_an_extra_one_name_their_file(
    tmp_path: Path, suffix: str, write: Callable[..., bytes]
) -> None:
    """In every format alike, with the columns of the file and what to write."""
    whole = pl.DataFrame({"a": [1], "b": ["x"]})
    declared: dict[str, Any] = {"schema": {"a": pl.Int64, "b": pl.String}, "rename": {"A": "a"}}
    lost = _told(tmp_path / "1", [write(whole), write(whole.drop("b"))], suffix, **declared)
    assert lost.startswith(
        f"f/{DAY}/1.{suffix} cannot be read as declared: column 'b': found no such column among 'a', "
        "expected that column"
    )
    extra = _told(tmp_path / "2", [write(whole), write(whole.with_columns(z=1))], suffix, **declared)
    assert extra.startswith(f"f/{DAY}/1.{suffix} cannot be read as declared: ")
    assert re.search(r"column 'z': found a (column|key) that schema= lacks", extra)
    assert 'extra_columns="ignore"' in extra
    both = _told(tmp_path / "3", [write(whole.with_columns(A=1))], suffix, **declared)
    assert "column 'a': found 'a' and 'A', which are both 'a', expected one of them in a file" in both


def test_files_without_schema_have_the_columns_of_the_first(tmp_path: Path) -> None:
    """Polars' own message names no file; JSON's keys have no order, and a file without rows has none."""
    told = _told(tmp_path / "1", [b"a,b\n1,2\n", b"a,b\n", b"b,a\n3,4\n"])
    expected = f"'a', 'b' in this order, as in f/{DAY}/0.csv, or schema= with the columns in use"
    assert told == f"f/{DAY}/2.csv cannot be read as declared: found the columns 'b', 'a', expected {expected}"
    same = _frame(tmp_path / "2", [b'{"a":1,"b":2}\n', b'{"b":4,"a":3}\n'], "ndjson")
    assert same.rows() == [(1, 2), (3, 4)]
    assert _frame(tmp_path / "3", [b'[{"a":1,"b":2}]', b'[{"b":4,"a":3}]'], "json").rows() == [(1, 2), (3, 4)]
    told = _told(tmp_path / "4", [b'{"a":1,"b":2}\n', b'{"a":3}\n'], "ndjson")
    assert told.startswith(
        f"f/{DAY}/1.ndjson cannot be read as declared: found the columns 'a', expected 'a', 'b', as in"
    )


def test_empty_and_double_names_fail_unless_renamed(tmp_path: Path) -> None:
    """Whatever the aggregation reads: a name that nobody can mean is no column."""
    assert "found no name for column 1 of 2, expected a name: rename={'': …}" in _told(tmp_path / "1", [b",n\nx,1\n"])
    assert "column 'n': found the name twice in the header" in _told(tmp_path / "2", [b"n,n\n1,2\n"])
    renamed = _frame(tmp_path / "3", [b",n,n\nx,1,2\n"], rename={"": "place", "n_duplicated_0": "m", "gone": "g"})
    assert renamed.to_dict(as_series=False) == {"place": ["x"], "n": [1], "m": [2]}


def test_the_usual_day_is_one_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers alike and as declared, in any order of columns: nothing is selected and nothing concatenated."""
    scans: list[int] = []
    scan = Source.scan

    def counted(self: Source, files: list[Any], fit: Any) -> pl.LazyFrame:
        scans.append(len(files))
        return scan(self, files, fit)

    monkeypatch.setattr(Source, "scan", counted)
    files = [b"a,b,c\n1,x,2\n", b"c,b,a\n2,x,1\n"]
    assert _frame(tmp_path, files, schema=SCHEMA).rows() == [(1, "x", 2.0)] * 2
    assert scans == [2]


def _upper(content: bytes, *, name: str, day: object) -> bytes:
    return content.upper() + f"{name},{day}\n".encode()


def test_prepare_comes_before_everything_else(tmp_path: Path) -> None:
    """After unpacking, before decoding: it gets the name below the input root and the day as a date."""
    packed = gzip.compress("a,b\nö,1\n".encode("cp1252"))
    frame = _frame(tmp_path, [packed], "csv.gz", prepare=_upper, encoding="cp1252", schema_overrides={"B": pl.String})
    assert frame.rows() == [("ö", "1"), (f"f/{DAY}/0.csv.gz", DAY)]
    assert frame.columns == ["A", "B"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst"])
def test_large_files_are_rewritten_in_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """The same rows where the day has no room in memory, from private files that are gone with the day's input."""
    import pyarrow as pa

    text = "a,b\n" + "ä,1\n" * 1000
    content = text.encode("utf-16")
    if suffix != "csv":
        content = pa.Codec({"csv.gz": "gzip", "csv.zst": "zstd"}[suffix]).compress(content, asbytes=True)
    expected = [("ä", 1)] * 1000
    small = _read(tmp_path / "1", [content], suffix, encoding="utf-16", include_file_paths="p")
    assert small.in_memory
    monkeypatch.setattr(reading, "KEEP_BYTES", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for options in ({}, {"prepare": lambda content: content}):
        large = _read(tmp_path / "1", [content], suffix, encoding="utf-16", include_file_paths="p", **options)
        assert not large.in_memory
        frame = large.frame()
        assert frame.drop("p").collect(engine="streaming").rows() == expected
        for one in (frame, small.frame()):
            assert one.select(pl.col("p").unique()).collect().item() == str(tmp_path / "1/f" / DAY / f"0.{suffix}")
        assert len(list(tmp_path.glob("noonmark-input-*/*"))) == 1
        del large, frame, one
        assert not list(tmp_path.glob("noonmark-input-*"))


def test_what_prepare_makes_counts_for_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that becomes a large one is streamed."""
    monkeypatch.setattr(reading, "KEEP_BYTES", 1000)
    grown = _read(tmp_path, [b"a\n1\n"], prepare=lambda content: content + b"2\n" * 1000)
    assert grown.frame().collect().height == 1001
    assert not grown.in_memory


def _fails(content: bytes) -> bytes:
    raise ZeroDivisionError("no")


def _leaves(content: bytes) -> bytes:
    raise CancelledError


def _forgets(content: bytes) -> None:
    content.upper()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prepare": _fails}, "prepare= raised ZeroDivisionError: no (test_frames.py:"),
        ({"prepare": _leaves}, "prepare= raised CancelledError (test_frames.py:"),
        ({"prepare": _forgets}, "prepare=: it returned None, expected bytes: a return statement is missing (test_fr"),
        ({"prepare": bytes.hex}, "prepare=: it returned str, expected bytes (bytes.hex)"),
        ({"prepare": lambda content: iter([content])}, "it returned list_iterator, expected bytes (test_frames.py:"),
        ({"encoding": "cp1252"}, "0x81 in line 2, byte 4 is no text in cp1252; expected the file's own encoding="),
    ],
)
def test_what_cannot_be_rewritten_names_file_and_place(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    """The user's function by file and line, a byte by line and offset."""
    found = _told(tmp_path, [b"a,b\n\x81,1\n"], **options)
    assert found.startswith(f"f/{DAY}/0.csv cannot be read as declared: ")
    assert told in found


def test_the_digest_is_that_of_the_raw_bytes(tmp_path: Path) -> None:
    """Whatever is made of them: a change of ``prepare=`` alone is no change of the input."""
    plain = _read(tmp_path, [b"a\n1\n"]).contents.digest
    assert _read(tmp_path, [b"a\n1\n"], prepare=bytes.upper, encoding="cp1252").contents.digest == plain


COMMAS = {"separator": ";", "decimal_comma": True}


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize("keep", [64 << 20, 1])
@pytest.mark.parametrize(
    "options",
    [
        {"schema": {"at": pl.String, "n": pl.Float64}},
        {"schema": {"at": pl.String, "n": pl.Float32}, "rename": {"Menge": "n"}},
        {"schema_overrides": {"n": pl.Float64}, "rename": {"Menge": "n"}},
        {"schema": {"n": pl.Float64, "z": pl.Float64}, "extra_columns": "ignore", "missing_columns": ["z"]},
    ],
)
def test_no_dot_is_a_decimal_comma(
    tmp_path: Path, options: dict[str, Any], suffix: str, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.234 beside 1,5 is a thousand and more, and polars reads 1.234. A dot in a date or in text is none of it."""
    monkeypatch.setattr(reading, "KEEP_BYTES", keep)
    name = "Menge" if "rename" in options else "n"
    good = f"at;{name}\n31.12.2023;1,5\n".encode()
    bad = good + b'"1\n.1.2024";"1.234"\n2.1.2024;7\n3.1.2024;.5\n'
    pack = gzip.compress if suffix.endswith("gz") else bytes
    assert _read(tmp_path, [pack(good)], suffix, **COMMAS, **options).frame().collect()["n"].to_list() == [1.5]
    assert _told(tmp_path, [pack(good), pack(bad)], suffix, **COMMAS, **options) == (
        f"f/{DAY}/1.{suffix} cannot be read as declared: line 3 and 1 more (6), column '{name}': found a dot in a "
        "number with decimal_comma=True ('1.234'), expected digits and a comma, as 1234,5; prepare= can drop dots "
        "between thousands"
    )


def test_dots_in_numbers_without_header(tmp_path: Path) -> None:
    """Names are then those of the schema; a word for null may have a dot."""
    options: dict[str, Any] = {**COMMAS, "has_header": False, "schema": {"n": pl.Float64}, "null_values": ["n.a."]}
    assert _frame(tmp_path, [b"1,5\nn.a.\n"], **options)["n"].to_list() == [1.5, None]
    assert _frame(tmp_path, [b"1,5\nn/a.\n"], ignore_errors=True, **options)["n"].to_list() == [1.5, None]
    for dotted in (b"1.234", b"-.5", b"1.234,5", b"1.e3", b"1.234.567"):
        assert "line 2, column 'n': found a dot" in _told(tmp_path, [b"1,5\n" + dotted + b"\n"], **options)
    assert "line 2, column 'n': found a dot" in _told(tmp_path, [b"1,5\n1.234\n"], **options)
