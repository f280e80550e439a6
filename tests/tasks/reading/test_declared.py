"""Files held to their declaration: the names of their columns are those that polars gives them."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.files import FileStat
from tasks.catalog import Source
from tasks.catalog.columns import Fit, Names
from tasks.formats.formats import File
from tasks.reading.declared import Files, NotAsDeclared, fits
from tasks.reading.sound_files import DaySound, SoundFiles

PLAIN = Source("f/{day}.csv")


def _fits(source: Source, files: Files) -> list[tuple[Names, Fit]]:
    return fits(source, files, DaySound(SoundFiles(), source, dict))


def header(source: Source, content: File) -> Names:
    """The names in one file."""
    [(names, _)] = _fits(source, [(FileStat("a", 0, 0, 0, 0), content)])
    return names


def test_a_header_is_read_as_polars_reads_it() -> None:
    """Over random first lines, with and without marks, quotes, spaces, blank lines and other line ends."""
    seeded = random.Random(7)
    source = Source("f/{day}.csv", rename={"": "nameless"})
    read = 0
    for _ in range(2000):
        line = "".join(seeded.choices('ab, "\r\tä;', k=seeded.randrange(8)))
        content = seeded.choice([b"", b"\xef\xbb\xbf", b"\n"]) + line.encode() + seeded.choice([b"\n", b"\r\n"])
        content += b",".join([b"1"] * (line.count(",") + 1)) + b"\n"
        try:
            names = header(source, content)
        except NotAsDeclared:
            continue
        assert names == tuple(pl.scan_csv(content, infer_schema=False).collect_schema().names()), content
        read += 1
    assert read > 300


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({"skip_rows": 1}, b"title\na,b\n1,2\n"),
        ({"comment_prefix": "#"}, b"# title\na,b\n1,2\n"),
        ({"quote_char": "'"}, b"'a',b\n1,2\n"),
        ({"eol_char": "|"}, b"a,b|1,2|"),
    ],
)
def test_options_move_the_header(options: dict[str, object], content: bytes, tmp_path: Path) -> None:
    """Where options say where it is, in memory, packed, and on disk."""
    source = Source("f/{day}.csv", **options)  # type: ignore[arg-type]
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    assert header(source, content) == header(source, gzip.compress(content)) == header(source, file) == ("a", "b")


def test_json_has_the_keys_of_all_its_objects(tmp_path: Path) -> None:
    """Also of those far behind; in lines, in an array, packed; none where there is no object."""
    lines = b'{"a":1}\n' * 300 + b'{"b":1,"a":2}\n'
    ndjson, table = Source("f/{day}.ndjson"), Source("f/{day}.json")
    file = tmp_path / "a.ndjson"
    file.write_bytes(gzip.compress(lines))
    assert header(ndjson, lines) == header(ndjson, file) == ("a", "b")
    assert header(table, b'[{"a":1},{"c":{"x":2}}]') == ("a", "c")
    assert header(Source("f/{day}.json", schema={"a": pl.Int64}), b"[]") == ()


@pytest.mark.parametrize(
    ("suffix", "content", "options", "told"),
    [
        (
            ".csv",
            b"shop,items\n04,1\n",
            {"schema_overrides": {"shpo": pl.String}},
            "no such column among 'shop', 'items', expected the name of one in schema_overrides=; did you mean 'shop'?",
        ),
        (".json", b'[{"shop":"04"}]', {"schema_overrides": {"shpo": pl.String}}, "did you mean 'shop'?"),
        (".ndjson", b'{"shop":"04"}\n', {"schema_overrides": {"shpo": pl.String}}, "did you mean 'shop'?"),
        (
            ".csv",
            b"shop\n04\n",
            {"null_values": {"shpo": "NA"}},
            "the name of one in null_values=; did you mean 'shop'?",
        ),
        (
            ".csv",
            b"04,1\n",
            {"has_header": False, "schema_overrides": {"colum_0": pl.String}},
            "found no such column among 'column_0', 'column_1'",
        ),
        (".csv", b"Shop\n04\n", {"rename": {"Shpo": "shop"}, "schema_overrides": {"shop": pl.String}}, "mean 'Shop'?"),
    ],
)
def test_an_option_names_columns_that_are_there(
    suffix: str, content: bytes, options: dict[str, Any], told: str
) -> None:
    """A slip in a name would leave the type to be guessed, and 04 become 4."""
    source = Source("f/{day}" + suffix, **options)
    with pytest.raises(NotAsDeclared, match=re.escape(told)):
        _fits(source, [(FileStat("a", 0, 0, 0, 0), content)])


@pytest.mark.parametrize(
    "options",
    [
        {"rename": {"K": "k"}, "schema_overrides": {"k": pl.String}, "null_values": {"k": "NA", "n": "-"}},
        {"rename": {"K": "k"}, "schema": {"k": pl.String, "n": pl.String}, "null_values": {"k": "NA", "n": "-"}},
        {"rename": {"K": "k"}, "schema": {"k": pl.String}, "extra_columns": "ignore", "null_values": {"k": "NA"}},
        {
            "rename": {"K": "k"},
            "schema": {"k": pl.String, "z": pl.Int64},
            "extra_columns": "ignore",
            "missing_columns": ["z"],
            "null_values": {"k": "NA", "n": "-", "z": "0"},
        },
    ],
)
def test_words_for_null_belong_to_names_in_use(options: dict[str, Any]) -> None:
    """As a schema does, whatever the file calls the column, and whether it has it."""
    source = Source("f/{day}.csv", **options)
    [(_, fit)] = _fits(source, [(FileStat("a", 0, 0, 0, 0), b"K,n\n04,-\nNA,5\n")])
    assert source.scan([b"K,n\n04,-\nNA,5\n"], fit).collect()["k"].to_list() == ["04", None]


def test_files_of_other_columns_have_one_summary() -> None:
    """On every day alike: what is the day's own, the path of the first file, is not in it."""
    files: list[tuple[FileStat, File]] = [
        (FileStat(f"f/1/{name}", 0, 0, 0, 0), content) for name, content in (("a", b"k\n1\n"), ("b", b"n\n1\n"))
    ]
    with pytest.raises(NotAsDeclared, match="as in f/1/a") as caught:
        _fits(Source("f/{day:int}/*.csv"), files)
    assert "as in another file of the day" in caught.value.summary
    assert "f/1" not in caught.value.summary
