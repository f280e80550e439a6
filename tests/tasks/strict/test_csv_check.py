"""The structure of CSV: each kind of dirt is told with line, what was found and what was expected; clean files pass."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.formats.formats import FORMATS
from tasks.strict import pieces
from tasks.strict.check import check_file
from tasks.strict.csv_check import check_csv, lines_of
from tasks.strict.telling import told

CSV = FORMATS[".csv"]
DIRT: Mapping[str, tuple[bytes, Mapping[str, Any], str]] = {
    "a row with a field more": (
        b"a,b\n1,2\n1,2,3\n3,4\n5,6,7\n",
        {},
        "line 3 and 1 more (5): found 3 fields ('1,2,3'), expected 2, as in the header",
    ),
    "many rows with a field more": (
        b"a,b\n" + b"1,2,3\n" * 84,
        {},
        ("line 2 and 83 more (3, 4, 5, 6, 7, 8, 9, 10, 11, …): found 3 fields ('1,2,3'), expected 2, as in the header"),
    ),
    "a row with a field less": (b"a,b\n1,2\n1\n", {}, "line 3: found 1 field ('1'), expected 2, as in the header"),
    "a file cut in mid-line": (
        b"a,b,c\n1,2,3\n4,5",
        {},
        "line 3: found 2 fields ('4,5'), expected 3, as in the header",
    ),
    "a separator at the end of each row": (
        b"a,b\n1,2,\n3,4,\n",
        {},
        "line 2 and 1 more (3): found 3 fields ('1,2,'), expected 2, as in the header",
    ),
    "empty lines at the end": (
        b"a,b\r\n1,2\r\n\r\n\r\n",
        {},
        ("line 3 and 1 more (4): found an empty line, expected 2 fields, as in the header; prepare= can drop it"),
    ),
    "an empty line before the header": (b"\na,b\n1,2\n", {}, "line 1: found an empty line, expected a header"),
    "blanks": (b"a,b\n1,2\n  \n", {}, "line 3: found 1 field ('  '), expected 2, as in the header"),
    "the header again": (
        b"a,b\n1,2\na,b\n3,4\n",
        {},
        "line 3: found the header again ('a,b'), expected a row of values; prepare= can drop it",
    ),
    "the header again, quoted": (
        b'"a","b"\n1,2\na,b\n3,4\n',
        {},
        "line 3: found the header again ('a,b'), expected a row of values; prepare= can drop it",
    ),
    "a file appended to another with its mark": (
        b"a,b\n1,2\n\xef\xbb\xbfa,b\n3,4\n",
        {},
        (
            "line 3: found a byte order mark ('\\ufeffa,b'), expected one at the beginning of the file at "
            "most; prepare= can drop it"
        ),
    ),
    "NUL at the end": (
        b"a,b\n1,2\n\x00\x00\x00",
        {},
        "line 3: found a NUL character ('\\x00\\x00\\x00'), expected text without any",
    ),
    "a quote in mid-field": (
        b'a,b\n5" pipe,2\n6" pipe,3\n',
        {},
        (
            "line 2 and 1 more (3): found a quote inside an unquoted field ('5\" pipe,2'), expected the "
            "whole field in quotes, or quote_char=None"
        ),
    ),
    "text after a quote": (
        b'a,b\n"x" y,2\n',
        {},
        (
            "line 2: found text after a closing quote ('\"x\" y,2'), expected a separator or the line's end, "
            "and quotes in a field doubled"
        ),
    ),
    "a quote never closed": (
        b'a,b\n1,2\n"x,2\nz,3\n',
        {},
        "line 3: found a quote that is never closed ('\"x,2'), expected a closing quote",
    ),
    "carriage returns alone": (
        b"a,b\r1,2\r3,4\r",
        {},
        (
            "line 1: found a carriage return alone ('a,b\\r1,2\\r3,4\\r'), expected lines that end in LF or "
            'CRLF, or eol_char="\\r"'
        ),
    ),
    "a carriage return in a field": (
        b"a,b\n1,x\ry\n",
        {},
        (
            "line 2: found a carriage return alone ('1,x\\ry'), expected lines that end in LF or CRLF, or "
            'eol_char="\\r"'
        ),
    ),
    "line feeds where CR is declared": (
        b"a,b\r1,2\r\n",
        {"eol_char": "\r"},
        "line 3: found a line feed ('\\n'), expected lines that end in CR alone, as eol_char= declares",
    ),
    "UTF-16": (
        b"\xff\xfea\x00,\x00b\x00\n\x001\x00,\x002\x00\n\x00",
        {},
        'found UTF-16 text, expected UTF-8, or encoding="utf-16"',
    ),
    "UTF-32": ("a,b\n".encode("utf-32"), {}, 'found UTF-32 text, expected UTF-8, or encoding="utf-32"'),
    "UTF-32 of the other order": (
        b"\0\0\xfe\xff" + "a,b\n".encode("utf-32-be"),
        {},
        'found UTF-32 text, expected UTF-8, or encoding="utf-32"',
    ),
    "another encoding": (
        b"a,b\n1,\xe9\n",
        {},
        (
            "line 2: found bytes that are not UTF-8 ('1,\\xe9'), expected UTF-8, or the encoding declared, "
            'as encoding="cp1252"'
        ),
    ),
    "no byte": (b"", {}, "found no text, expected a header"),
    "a byte order mark alone": (b"\xef\xbb\xbf", {}, "found no text, expected a header"),
    "all is skipped": (b"x\n", {"skip_lines": 1}, "line 2: found the end of the file, expected a header"),
    "another separator": (
        b"a;b\n1,5;2\n",
        {},
        "line 2: found 2 fields ('1,5;2'), expected 1, as in the header (separator=\";\"?)",
    ),
    "tabs": (
        b"a\tb\n1,5\t2\n",
        {},
        "line 2: found 2 fields ('1,5\\t2'), expected 1, as in the header (separator=\"\\t\"?)",
    ),
    "no header: another number than the first row": (
        b"1,2\n3\n",
        {"has_header": False},
        "line 2: found 1 field ('3'), expected 2, as in the first row",
    ),
    "no header: another number than the schema": (
        b"1,2\n3,4\n",
        {"has_header": False, "schema": {"x": pl.Int64, "y": pl.Int64, "z": pl.Int64}},
        "line 1 and 1 more (2): found 2 fields ('1,2'), expected 3, as in schema=",
    ),
    "a quote in what is skipped": (
        b'said "x\na,b\n1,2\n',
        {"skip_rows": 1},
        "line 1: found a quote among the rows to skip ('said \"x'), expected plain lines, or skip_lines=",
    ),
    "an empty line in what is skipped": (
        b"x\n\na,b\n1,2\n",
        {"skip_rows": 2},
        "line 2: found an empty line among the rows to skip, expected plain lines, or skip_lines=",
    ),
    "ragged is declared, an empty line is not": (
        b"a,b\n1,2,3\n4\n\n",
        {"truncate_ragged_lines": True},
        "line 4: found an empty line, expected 2 fields, as in the header; prepare= can drop it",
    ),
    "several kinds": (
        b"a,b\n1\n1,2\n\n1,2,3\n\x00,1\n2\n",
        {},
        (
            "line 2 and 1 more (7): found 1 field ('1'), expected 2, as in the header; line 4: found an "
            "empty line, expected 2 fields, as in the header; prepare= can drop it; line 5: found 3 fields "
            "('1,2,3'), expected 2, as in the header; line 6: found a NUL character ('\\x00,1'), expected "
            "text without any"
        ),
    ),
}


@pytest.mark.parametrize(("content", "options", "message"), DIRT.values(), ids=DIRT)
def test_dirt_is_told_in_full(content: bytes, options: Mapping[str, Any], message: str) -> None:
    """The file, the line as an editor counts it, what was found there and what was expected."""
    findings = check_file(CSV, content, options).findings
    assert told("d/f.csv", findings) == f"d/f.csv cannot be read as declared: {message}"
    assert message.isprintable()


CLEAN: list[tuple[bytes, Mapping[str, Any], tuple[str, ...] | None]] = [
    (b"a,b\n1,2\n", {}, ("a", "b")),
    (b"a,b\n1,2", {}, ("a", "b")),
    (b"a,b\n", {}, ("a", "b")),
    (b"a,b", {}, ("a", "b")),
    (b"a,b\r\n1,2\r\n", {}, ("a", "b")),
    (b"a,b\r\n1,2\n", {}, ("a", "b")),
    (b"\xef\xbb\xbfa,b\n1,2\n", {}, ("a", "b")),
    (b'\xef\xbb\xbf"a",b\n1,2\n', {}, ("a", "b")),
    (b'"a,""b""",b\n"x\n\r\n,""y""","\r"\n"",""\r\n', {}, ('a,"b"', "b")),
    ("ä,日本\n\u2028,\x85\n".encode(), {}, ("ä", "日本")),
    (b"a\n1\n\n2\n", {}, ("a",)),
    (b"a,,a\n1,2,3\n", {}, ("a", "", "a")),
    (b'a,b\n5" pipe,"\n', {"quote_char": None}, ("a", "b")),
    (b"a,b\n'x,y',2\n", {"quote_char": "'"}, ("a", "b")),
    (b"a;b\n1,5;2\n", {"separator": ";", "decimal_comma": True}, ("a", "b")),
    (b"a\tb\n1\t\n", {"separator": "\t"}, ("a", "b")),
    (b"a,b\r1,2\r", {"eol_char": "\r"}, ("a", "b")),
    (b"a,b;1,\n;", {"eol_char": ";"}, ("a", "b")),
    (b'# say "x\n#\na,b\n1,2\n#,,,\n3,4\n', {"comment_prefix": "#"}, ("a", "b")),
    (b'a,b\n1,"\n#"\n', {"comment_prefix": "#"}, ("a", "b")),
    (b'by "me\n\na,b\n1,2\n', {"skip_lines": 2}, ("a", "b")),
    (b"by me\na,b\n1,2\n", {"skip_rows": 1}, ("a", "b")),
    (b'a,b\n"kg",m,\n1,2\n', {"skip_rows_after_header": 1}, ("a", "b")),
    (b"1,2\n3,4\n", {"has_header": False}, None),
    (b"x\n3,4\n", {"has_header": False, "skip_rows_after_header": 1}, None),
    (b"1,2\n1,2\n", {"has_header": False, "schema": {"a": pl.Int64, "b": pl.Int64}}, None),
    (b"a,b\n1,2\ntotal\n", {"n_rows": 1}, ("a", "b")),
    (b"a,b\n1,2,3\n4\n", {"truncate_ragged_lines": True}, ("a", "b")),
    (b"a,b\n1,\xe9\n", {"encoding": "utf8-lossy"}, ("a", "b")),
    (b"", {"raise_if_empty": False}, None),
]


@pytest.mark.parametrize(("content", "options", "columns"), CLEAN)
def test_what_is_declared_passes(content: bytes, options: Mapping[str, Any], columns: tuple[str, ...] | None) -> None:
    """An honest file has no finding, nor has one that is as its options say; the names are those of the file."""
    checked = check_file(CSV, content, options)
    assert checked.findings == ()
    assert checked.columns == columns


@pytest.mark.parametrize(("content", "options", "columns"), CLEAN)
def test_polars_reads_what_passes(content: bytes, options: Mapping[str, Any], columns: tuple[str, ...] | None) -> None:
    """What has no finding is read by polars without an error, with as many rows as have a line of their own."""
    frame = CSV.read([content], {"infer_schema": False, **options}).collect()
    rows = lines_of(content, options, range(1000))
    assert frame.height == len(rows) or "n_rows" in options


def test_headers_that_are_spelled_otherwise_come_again() -> None:
    """Files put together by two programs: one quotes its header, the other does not."""
    for first, second in (('"a","b"', "a,b"), ("a,b", '"a","b"')):
        found = check_csv(f"{first}\n1,2\n{second}\r\n3,4\n".encode(), {}).findings
        assert [one.found for one in found] == ["the header again"]


def test_kinds_of_dirt_are_ten_at_most() -> None:
    """A file that is no CSV at all has no endless message, and what is not printable is escaped and cut."""
    text = "a,b\n" + "".join("," * width + "\x07" * 500 + "\n" for width in range(2, 40))
    message = told("x\n" * 400, check_csv(text.encode(), {}).findings)
    assert message.count("; ") == 10
    assert message.endswith("; 28 further findings")
    assert message.isprintable()
    assert len(message) < 1800


def test_a_bad_row_after_many_is_found_by_its_line(tmp_path: Path) -> None:
    """Quoted line ends count as the editor counts them, in memory, by its path, and packed."""
    rows = b'1,"x\ny"\r\n' * 100_000
    content = b"a,b\r\n" + rows + b"1\r\n" + rows + b"1,2,3\r\n"
    file = tmp_path / "a.csv"
    for given in (content, gzip.compress(content, 1)):
        file.write_bytes(given)
        for one in (given, file):
            found = check_csv(one, {}).findings
            assert [(finding.line, finding.found) for finding in found] == [(200_002, "1 field"), (400_003, "3 fields")]


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """By its path it is read in pieces, also where an unclosed quote swallows what follows."""
    file = tmp_path / "a.csv"
    with file.open("wb") as opened:
        opened.write(b"a,b\n")
        for _ in range(26):
            opened.write(b"12345,67890\n" * 350_000)
    assert os.stat(file).st_size > 100 << 20
    tracemalloc.start()
    try:
        assert check_csv(file, {}).findings == ()
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


def test_lines_of_rows(tmp_path: Path) -> None:
    """Rows are found behind skipped lines, comments, units and quoted line ends."""
    content = b'by me\n#\na,b\nkg,m\n1,"x\n\ny"\n#\n2,z\n3,z\n'
    options = {"skip_lines": 1, "comment_prefix": "#", "skip_rows_after_header": 1}
    assert lines_of(content, options, [0, 2, 1, 7]) == {0: 5, 1: 9, 2: 10}


@pytest.mark.parametrize("content", [b"a\nx#", b"a\r\nx#"])
def test_a_last_line_that_polars_takes_for_a_comment_is_refused(content: bytes) -> None:
    """Without a line end polars passes over it where it only counts rows; with one it does not."""
    comments = {"comment_prefix": "#"}
    assert CSV.read([content], comments).select(pl.len()).collect().item() == content.count(b"\n") - 1
    [finding] = check_csv(content, comments).findings
    assert finding.found == "a last line that holds comment_prefix and does not end"
    assert finding.line == content.count(b"\n") + 1
    assert not check_csv(content + b"\n", comments).findings
    assert not check_csv(content, {}).findings


@pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
def test_what_comes_after_an_endless_row_does_not_pass(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, so the rest is not looked at: that is a finding, though the row itself has the right form."""
    monkeypatch.setattr(pieces, "PIECE", 10)
    monkeypatch.setattr(pieces, "MAX_ROW", 100)
    file = tmp_path / f"a{suffix}"
    file.write_bytes({".csv": b"a\n" + b"x" * 500, ".ndjson": b'{"a":"' + b"x" * 500 + b'"}'}[suffix] + b"\n1,2\n")
    findings = check_file(FORMATS[suffix], file, {}).findings
    assert findings[-1].found == "a row of more than 64 MiB"
