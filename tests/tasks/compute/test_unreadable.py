"""What keeps a day's files from being read: the first bad file is named, and how many more there are."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.compute.outcomes import JobFailed
from tasks.compute.unreadable import unreadable
from tasks.inputs.run_listing import RunListing
from tasks.reading import day_input as reading
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.declared import NotAsDeclared
from tasks.reading.sound_files import SoundFiles
from tests.builders import DAY


def taken(root: Path, files: dict[str, bytes], **options: Any) -> DayInput:
    """A day of these files, read."""
    for name, content in files.items():
        (root / DAY).mkdir(exist_ok=True)
        (root / DAY / name).write_bytes(content)
    suffix = "".join(Path(min(files)).suffixes)
    found = read_day(Source(f"{{day}}/*{suffix}", **options), DAY, RunListing(InputRoot(root)), SoundFiles())
    assert found is not None
    return found


def unsound(read: DayInput) -> JobFailed | None:
    """What fails before anything is computed."""
    try:
        read.frame()
    except NotAsDeclared as error:
        return unreadable(read, error)
    return None


def said(failure: object) -> str:
    """The message of a failure of the input."""
    assert getattr(failure, "kind", None) == "input"
    return str(getattr(failure, "error", None))


FILES = {"a.csv": b"a,b\n1,2\n", "b.csv": b"a,b\n1\n", "c.csv": b"", "d.csv": b"a,b\n3,4\n"}


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_first_file_that_is_not_sound_is_named(
    tmp_path: Path, in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory or on disk; and how many more files of the day are not."""
    monkeypatch.setattr(reading, "KEEP_BYTES", 64 << 20 if in_memory else 1)
    failure = said(unsound(taken(tmp_path, FILES)))
    assert failure == (
        f"{DAY}/b.csv cannot be read as declared: line 2: found 1 field ('1'), expected 2, as in the header "
        "(and so 1 more file of the day)"
    )


def test_sound_files_and_those_of_a_function_pass(tmp_path: Path) -> None:
    """What a ``read=`` function reads is its own."""
    assert unsound(taken(tmp_path, {"a.csv": b"a,b\n1,2\n"})) is None
    assert unsound(taken(tmp_path, FILES, read=pl.scan_csv)) is None


def test_what_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    """A packed file that was cut off is not a shorter one."""
    cut = gzip.compress(b"a,b\n" + b"1,2\n" * 5000)[:-12]
    failure = said(unsound(taken(tmp_path, {"a.csv.gz": cut})))
    assert failure.startswith(f"{DAY}/a.csv.gz cannot be read as declared: what is packed in it cannot be unpacked (")


def test_a_file_that_went_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the system's own words: whether it changed, the caller checks."""
    monkeypatch.setattr(reading, "KEEP_BYTES", 1)
    read = taken(tmp_path, {"a.csv": b"a,b\n1,2\n"})
    (tmp_path / DAY / "a.csv").unlink()
    assert said(unsound(read)) == f"{DAY}/a.csv cannot be read as declared: No such file or directory"


def test_values_are_told_of_the_file_that_holds_them(tmp_path: Path) -> None:
    """A file that is fine by itself, but not as the type that the first files gave, is named too."""
    files = {"a.csv": b"a\n1\n", "b.csv": b"a\n2\n", "c.csv": b"a\n1.5\n"}
    read = taken(tmp_path, files, infer_schema_files=1)
    with pytest.raises(pl.exceptions.PolarsError) as raised:
        read.frame().collect()
    assert said(unreadable(read, raised.value)) == (
        f"{DAY}/c.csv cannot be read as declared: line 2, column 'a': found a value of another type ('1.5'), "
        'expected Int64: schema_overrides={"a": pl.Float64} reads it'
    )


def test_what_cannot_be_located_is_told_in_polars_words(tmp_path: Path) -> None:
    """Without its advice to loosen the reading."""
    read = taken(tmp_path, {"a.parquet": b"PAR1 and no more"})
    with pytest.raises(pl.exceptions.PolarsError) as raised:
        read.frame().collect()
    told = said(unreadable(read, raised.value))
    assert told.startswith(f"{DAY}/*.parquet cannot be read as declared: ComputeError: ")


def test_a_number_is_no_text_under_a_new_name_either(tmp_path: Path) -> None:
    """A type that is declared for the name in use holds for the file's own."""
    read = taken(tmp_path, {"a.ndjson": b'{"Id":1.10}\n'}, rename={"Id": "id"}, schema_overrides={"id": pl.String})
    told = said(unsound(read))
    assert told.startswith(
        f"{DAY}/a.ndjson cannot be read as declared: line 1, column 'Id': found a number where text is declared"
    )


ITEMS = {"schema": {"n": pl.List(pl.Int64)}}
ARRAYS: list[tuple[bytes, dict[str, Any], str]] = [
    (
        b'[{"n": 1},\n{"n": "many"}]',
        {"schema": {"n": pl.Int64}},
        "line 2, column 'n': found * ('many'), expected Int64",
    ),
    (b'[{"n": 1},\n{"n": 1.5}]', {"schema": {"n": pl.Int64}}, "line 2, column 'n': found * ('1.5'), expected Int64"),
    (b'[{"n": true}]', {"schema": {"n": pl.Float64}}, "line 1, column 'n': found * ('true'), expected Float64"),
    (b'[{"n": 1},\n{"n": true},{"n": 2.5}]', {}, "line 2, column 'n': found * ('true'), expected Float64"),
    (b'[{"n": -1}]', {"schema_overrides": {"n": pl.UInt32}}, "line 1, column 'n': found * ('-1'), expected UInt32"),
    (b'[{"n":[1]},\n{"n":[4,5.9,6]}]', ITEMS, "line 2, column 'n': found * ('[4, 5.9, 6]'), expected List(Int64)"),
    (b'[{"n": 7}]', ITEMS, "line 1, column 'n': found * ('7'), expected List(Int64)"),
    (
        b'[{"n": [9223372036854775808]}]',
        ITEMS,
        "line 1, column 'n': found * ('[9223372036854775808]'), expected List(Int64)",
    ),
    (
        b'[\n{"n": [{"a": true}]}]',
        {"schema": {"n": pl.List(pl.Struct({"a": pl.Int64}))}},
        "line 2, column 'n': found * ('[{\"a\": true}]'), expected List(Struct({'a': Int64}))",
    ),
]


@pytest.mark.parametrize(("content", "options", "message"), ARRAYS)
def test_a_value_in_an_array_of_objects_is_found(
    tmp_path: Path, content: bytes, options: dict[str, Any], message: str
) -> None:
    """Polars' reader of JSON would cut off fractions, make 1 of true, and null of what is too large."""
    read = taken(tmp_path, {"a.json": content}, **options)
    with pytest.raises(pl.exceptions.PolarsError) as raised:
        read.frame().collect()
    expected = message.replace("*", "a value of another type")
    assert said(unreadable(read, raised.value)) == f"{DAY}/a.json cannot be read as declared: {expected}"


@pytest.mark.parametrize(("suffix", "empty", "full"), [("json", b"[]", b'[{"N":1}]'), ("ndjson", b"", b'{"N":1}\n')])
@pytest.mark.parametrize("more", [{}, {"missing_columns": ["m"]}])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_file_without_an_object_has_no_rows(
    tmp_path: Path,
    suffix: str,
    empty: bytes,
    full: bytes,
    more: dict[str, Any],
    in_memory: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a CSV file has none that is but a header: by itself or beside others, with the columns of the schema."""
    monkeypatch.setattr(reading, "KEEP_BYTES", 64 << 20 if in_memory else 0)
    schema = {"n": pl.Int64, **({"m": pl.String} if "missing_columns" in more else {})}
    options = {"schema": schema, "rename": {"N": "n"}, **more}
    alone = taken(tmp_path, {f"a.{suffix}": empty}, **options).frame().collect()
    assert alone.is_empty()
    assert alone.schema == schema
    both = taken(tmp_path, {f"a.{suffix}": empty, f"b.{suffix}": full}, **options).frame().collect()
    assert both["n"].to_list() == [1]


def test_the_remedy_for_a_value_has_the_name_in_use(tmp_path: Path) -> None:
    """A renamed column is found under the file's name, and declared under the other; a lacking one hides nothing."""
    schema = {"items": pl.Int64, "gifts": pl.Int64}
    read = taken(
        tmp_path,
        {"a.csv": b"Items sold\n1\nmany\n"},
        rename={"Items sold": "items"},
        schema=schema,
        missing_columns=["gifts"],
    )
    with pytest.raises(pl.exceptions.PolarsError) as raised:
        read.frame().collect()
    told = said(unreadable(read, raised.value))
    assert told.startswith(
        f"{DAY}/a.csv cannot be read as declared: line 3, column 'Items sold': found a value of another"
    )
    assert 'schema={"items": pl.String} reads it' in told


def parquet(**columns: list[object]) -> bytes:
    """A Parquet file."""
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


PARQUET_SCHEMA = {"schema": {"k": pl.String, "n": pl.Int64}}


@pytest.mark.parametrize(
    ("other", "options", "told"),
    [
        (
            {"k": ["x"]},
            {},
            "column 'n': found no such column among 'k', expected one of type Int64, as in 2013-01-01/a.parquet",
        ),
        (
            {"k": ["x"], "n": [1.5]},
            {},
            "column 'n': found the type Float64, expected Int64, as in 2013-01-01/a.parquet",
        ),
        (
            {"k": ["x"], "n": [1], "z": [1]},
            {},
            "'z': found a column of type Int64, expected none of this name, as in 2013-01-01/a.parquet",
        ),
        ({"k": ["x"]}, PARQUET_SCHEMA, "found no such column among 'k', expected one of type Int64, as in schema="),
        ({"k": ["x"], "n": [1.5]}, PARQUET_SCHEMA, "found the type Float64, expected Int64, as in schema="),
        ({"k": ["x"], "n": [1], "z": [1]}, PARQUET_SCHEMA, "found a column of type Int64, expected none of this name"),
    ],
)
def test_parquet_files_of_other_columns_are_named(
    tmp_path: Path, other: dict[str, list[object]], options: dict[str, Any], told: str
) -> None:
    """Here polars names no file, and advises to loosen a rule, by which numbers would change."""
    read = taken(tmp_path, {"a.parquet": parquet(k=["x"], n=[1]), "b.parquet": parquet(**other)}, **options)
    with pytest.raises(pl.exceptions.PolarsError) as caught:
        read.frame().collect()
    failure = unreadable(read, caught.value)
    assert failure.error.startswith(f"{DAY}/b.parquet cannot be read as declared: column ")
    assert told in failure.error
    assert DAY not in failure.summary
    assert "insert" not in failure.error
    assert "ignore" not in failure.error
