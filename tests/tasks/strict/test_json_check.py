"""The structure of NDJSON and JSON: what is no object, keys that come twice or are unknown, values written anew."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.formats.formats import FORMATS
from tasks.strict import pieces
from tasks.strict.check import check_file
from tasks.strict.telling import told

LINES, JSON = FORMATS[".ndjson"], FORMATS[".json"]
A = {"schema": {"a": pl.Int64}}
NESTED = {"schema": {"a": pl.List(pl.Struct({"b": pl.Int8}))}}
DIRTY_LINES: list[tuple[bytes, Mapping[str, Any], str]] = [
    (b'{"a":1}\n[1]\n', {}, "line 2: found a list ('[1]'), expected one JSON object on each line"),
    (b'{"a":1}\n7\n8\n', {}, "line 2 and 1 more (3): found a number ('7'), expected one JSON object on each line"),
    (b'{"a":1}\nnull\n', {}, "line 2: found null ('null'), expected one JSON object on each line"),
    (b'{"a":1}\n{"a":', {}, "line 2: found a line that breaks off ('{\"a\":'), expected one JSON object on each line"),
    (b'{"a":1}{"a":2}\n', {}, 'line 1: found more text after the value (\'{"a":1}{"a":2}\'), expected one JSON object'),
    (b'\n{"a":1}}\n', {}, "line 2: found more text after the value"),
    (b"{'a':1}\n", {}, "line 1: found no valid JSON"),
    (b'{"a":\n1}\n{"a":1}\n', {}, "line 1: found a line that breaks off"),
    (b'{"a":1,"a":2}\n', {}, "line 1, column 'a': found the key twice in one object"),
    (b'{"a":{"b":1,"b":2}}\n', {}, "line 1, column 'b': found the key twice in one object"),
    (b'{"a":1}\n\0\0', {}, "line 2: found a NUL character"),
    (b'{"a":"\xe9"}\n', {}, "line 1: found bytes that are not UTF-8"),
    (b'\xef\xbb\xbf{"a":1}\n', {}, 'found a byte order mark, expected JSON without one, or encoding="utf-8-sig"'),
    ('{"a":1}\n'.encode("utf-16"), {}, 'found UTF-16 text, expected UTF-8, or encoding="utf-16"'),
    ('{"a":1}\n'.encode("utf-32"), {}, 'found UTF-32 text, expected UTF-8, or encoding="utf-32"'),
    (b'{"a":1}\r{"a":2}\r', {}, "line 1: found more text after the value"),
    (b"", {}, "found no object, expected an object, or schema= for files that may be empty"),
    (b"\n \n", {}, "found no object, expected an object, or schema= for files that may be empty"),
    (b'{"a":1}\n{"a":NaN}\n', {}, "line 2: found NaN, which is no JSON ('{\"a\":NaN}'), expected one JSON object"),
    (b'{"a":1.5}\n{"a":[-Infinity]}\n', {}, "line 2: found -Infinity, which is no JSON"),
    (b'{"a":-Infinity}\n', {"schema": {"a": pl.Float64}}, "line 1: found -Infinity, which is no JSON"),
    (b'{"a":1}\n{"a":1E400}\n', {}, "line 2: found 1E400, which is beyond all numbers of 64 bits"),
    (
        b'{"a":"x"}\n{"a":"\\ud83d"}\n{"a":"\\ud83d\\ude00"}\n',
        {},
        (
            "line 2, column 'a': found half of a pair of surrogates ('{\"a\":\"\\ud83d\"}'), expected both, such as "
            "\\ud83d\\ude00"
        ),
    ),
    (b'{"a":{"b":["ab\\uDE00"]}}\n', {}, "line 1, column 'a': found half of a pair of surrogates"),
    (b'{"\\ud83d":1}\n', {}, "line 1, column '\\ud83d': found half of a pair of surrogates"),
    (
        b'{"a":"1.10"}\n{"a":1.10}\n',
        {"schema": {"a": pl.String}},
        "line 2, column 'a': found a number where text is declared ('{\"a\":1.10}'), expected text in quotes, or",
    ),
    (b'{"a":1.10}\n', {"schema_overrides": {"a": pl.String}}, "line 1, column 'a': found a number where text is"),
    (b'{"a":{"b":1}}\n', {"schema": {"a": pl.String}}, "line 1, column 'a': found an object where text is declared"),
    (b'{"a":[true]}\n', {"schema": {"a": pl.List(pl.String)}}, "line 1, column 'a': found true or false where text"),
    (
        b'{"a":{"b":7}}\n',
        {"schema": {"a": pl.Struct({"b": pl.String})}, "extra_columns": "ignore"},
        "line 1, column 'a.b': found a number where text is declared",
    ),
    (
        b'{"a":1}\n{"a":1,"b":2}\n',
        A,
        (
            "line 2, column 'b': found a key that schema= lacks ('{\"a\":1,\"b\":2}'), expected keys of schema=, "
            'or extra_columns="ignore"'
        ),
    ),
    (b'{"a":[{"b":1}]}\n{"a":[{"b":1,"c":2}]}\n', NESTED, "line 2, column 'a.c': found a key that schema= lacks"),
    (b'{"a":' * 600 + b"1" + b"}" * 600 + b"\n", {}, "line 1: found values nested too deeply"),
    (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", {}, "line 1: found values nested too deeply"),
]
DIRTY_JSON: list[tuple[bytes, Mapping[str, Any], str]] = [
    (b'[{"a":1},\n2]', {}, "line 2: found a number ('2'), expected an array of objects, or one object"),
    (b'"x"', {}, "line 1: found a string"),
    (b'[{"a":1},\n{"a":1,"a":2}]', {}, "line 2, column 'a': found the key twice in one object"),
    (b'[{"a":1}', {}, "line 1: found text that breaks off, expected an array of objects, or one object"),
    (b'{"a":1}\n{"a":2}\n', {}, "line 2: found no valid JSON"),
    (b'[{"a":NaN}]', {}, "found NaN, which is no JSON"),
    (b'[{"a":1}]\0', {}, "line 1: found a NUL character"),
    (b"", {}, "found no text"),
    (b'[{"a":"\n\xe9"}]', {}, "line 2: found bytes that are not UTF-8"),
    (b'[{"a":1},\n{"b":1}]', A, "line 2, column 'b': found a key that schema= lacks"),
    (b'[{"a":1},\n{"a":NaN}]', {}, "line 2: found NaN, which is no JSON"),
    (b'[{"a":1},\n{"a":"\\ud83d"}]', {}, "line 2, column 'a': found half of a pair of surrogates"),
    (b'[{"a":"x"},\n{"a":1.10}]', {"schema": {"a": pl.String}}, "line 2, column 'a': found a number where text is"),
    (b'[{"a":"x\ny"}]', {}, "line 1: found no valid JSON"),
    (b'[{"a":1}\n{"a":2}]', {}, "line 2: found no valid JSON"),
    (b'[{"a":1},]', {}, "line 1: found no valid JSON"),
    (b"[]", {}, "found no object, expected an object, or schema= for files that may be empty"),
    (b"[" * 100_000, {}, "found values nested too deeply"),
    (b"[" + b'{"a":' * 600 + b"1" + b"}" * 600 + b"]", {}, "line 1: found values nested too deeply"),
    (b'[{"a":[{"b":1}]},\n{"a":[{"c":1}]}]', NESTED, "line 2, column 'a.c': found a key that schema= lacks"),
]


@pytest.mark.parametrize(("content", "options", "message"), DIRTY_LINES)
def test_lines_that_are_no_sound_object(content: bytes, options: Mapping[str, Any], message: str) -> None:
    """Polars passes over empty lines, keeps the first of two keys, and drops keys that a schema lacks."""
    said = told("f.ndjson", check_file(LINES, content, options).findings)
    assert said.startswith(f"f.ndjson cannot be read as declared: {message}"), said


@pytest.mark.parametrize(("content", "options", "message"), DIRTY_JSON)
def test_json_that_is_no_table(content: bytes, options: Mapping[str, Any], message: str) -> None:
    """In arrays too, each with the line where its object begins."""
    said = told("f.json", check_file(JSON, content, options).findings)
    assert message in said


@pytest.mark.parametrize(
    ("content", "options", "keys"),
    [
        (b'{"a":1}\n{"b":"x","a":2}\n', {}, ("a", "b")),
        (b'{"a":1}\r\n{"a":2}\r\n', {}, ("a",)),
        (b'{"a":1}\n{"a":"x"}\n{"a":[{"b":null}]}', {}, ("a",)),
        (b'\n{"a":1}\n \n\n{"a":2}\n\n', {}, ("a",)),
        (b' {"a":1} \n', {}, ("a",)),
        (b'{"a":"}\\n{"}\n', {}, ("a",)),
        (b'{"a":"[[[{{{"}\n' * 300, {}, ("a",)),
        (b'{"a":{"a":{"a":1}}}\n' * 300, {}, ("a",)),
        (b'{"a":' * 200 + b"1" + b"}" * 200 + b"\n", {}, ("a",)),
        (b"{}\n{}\n", {}, ()),
        (b"", A, None),
        (b"\n", A, None),
        (b'{"a":"NaN"}\n{"a":"2020-01-01"}\n{"a":null}\n', {"schema": {"a": pl.String}}, ("a",)),
        (b'{"a":"Infinite","b":1.5}\n', {}, ("a", "b")),
        (b'{"a":"\\\\ud83d"}\n{"a":"\\ud83d\\ude00"}\n', {}, ("a",)),
        (b'{"a":1,"b":2}\n', {**A, "extra_columns": "ignore"}, ("a", "b")),
        (b'{"b":2}\n', {"schema_overrides": {"a": pl.Int64}}, ("b",)),
        (b'{"a":[{"b":1}]}\n{"a":[]}\n{"a":null}\n{}\n', NESTED, ("a",)),
    ],
)
def test_sound_lines_pass_with_their_keys(
    content: bytes, options: Mapping[str, Any], keys: tuple[str, ...] | None
) -> None:
    """Keys may be missing, come in any order and hold anything; empty lines are passed over, as polars does."""
    checked = check_file(LINES, content, options)
    assert (checked.findings, checked.columns) == ((), keys)


@pytest.mark.parametrize(
    ("content", "options", "keys"),
    [
        (b'\xef\xbb\xbf\n[ {"a":1} , {"b":2}\n]\n', {}, ("a", "b")),
        (b'{"a":[1,2]}', {}, ("a",)),
        (b"[]", A, None),
        (b'[{"a":1},{"a":null}]', {"schema": {"a": pl.Float64}}, ("a",)),
        (b'[{"a":1.0},{"a":true}]', A, ("a",)),
        (b'[{"a":"2020-12-01"}]', {"schema": {"a": pl.Date}}, ("a",)),
        (b'[{"a":[{"b":1},null]},{"a":[]},{"a":null},{"a":[{}]}]', NESTED, ("a",)),
    ],
)
def test_sound_json_passes_with_its_keys(
    content: bytes, options: Mapping[str, Any], keys: tuple[str, ...] | None
) -> None:
    """An array of objects, or one; values that fit their types are not touched."""
    checked = check_file(JSON, content, options)
    assert (checked.findings, checked.columns) == ((), keys)


def test_lines_in_pieces_are_judged_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file, packed or not, is read in pieces: the same findings and keys, wherever it is cut."""
    monkeypatch.setattr(pieces, "PIECE", 5)
    for content, options, _ in DIRTY_LINES[:-2]:
        whole = check_file(LINES, content, options)
        for number, one in enumerate((content, gzip.compress(content))):
            file = tmp_path / f"{number}.ndjson"
            file.write_bytes(one)
            assert check_file(LINES, file, options) == whole


def test_types_and_keys_come_from_all_lines_of_all_files(tmp_path: Path) -> None:
    """A key that begins after line 100, or in the second file, is a column; an integer may become a float there."""
    first = b'{"a":1}\n' * 150 + b'{"a":1,"b":2}\n'
    second = b'{"a":1.5,"c":"x"}\n'
    expected = {"a": pl.Float64, "b": pl.Int64, "c": pl.String}
    for number, one in enumerate((first, second)):
        (tmp_path / str(number)).write_bytes(one)
    for files in ([first, second], [tmp_path / "0", tmp_path / "1"]):
        frame = LINES.read(files, {}).collect()
        assert frame.schema == expected
        assert frame["a"].sum() == 152.5
        assert frame["c"].to_list()[-2:] == [None, "x"]
    numbered = LINES.read([first, second], {"row_index_name": "at"}).collect()
    assert numbered["at"].to_list() == list(range(152))
    assert JSON.read([b'[{"a":1}' + b',{"a":1}' * 150 + b',{"b":2}]'], {}).collect().schema == {
        "a": pl.Int64,
        "b": pl.Int64,
    }
