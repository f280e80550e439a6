"""Reading headers: the quick way names the columns as polars does, or leaves it to polars."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pytest

from tasks.catalog import Source
from tasks.inputs import headers
from tasks.inputs.headers import header

PLAIN = Source("f/{day}.csv")


def test_a_plain_header_is_read_as_polars_reads_it() -> None:
    """Over random first lines, with and without marks, quotes, spaces, blank lines and other line ends."""
    seeded = random.Random(7)
    read = 0
    for _ in range(600):
        line = "".join(seeded.choices('ab, "\r\tä;', k=seeded.randrange(8)))
        content = seeded.choice([b"", b"\xef\xbb\xbf", b"\n"]) + line.encode() + seeded.choice([b"\n", b"\r\n", b""])
        content += b"1,2\n"
        try:
            told = tuple(pl.scan_csv(content, infer_schema=False).collect_schema().names())
        except pl.exceptions.PolarsError:
            continue
        assert header(PLAIN, content) == told, content
        read += 1
    assert read > 300


def test_the_usual_header_needs_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars takes twenty times as long to say it."""
    monkeypatch.setattr(headers, "_told_by_polars", None)
    assert header(PLAIN, b"a,b,a\r\n1,2,3\n") == ("a", "b", "a_duplicated_0")
    assert header(Source("f/{day}.csv", separator=";"), b"\xef\xbb\xbfa;b\n") == ("a", "b")


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
    assert header(ndjson, b"") is header(table, b"[]") is header(ndjson, b"{broken") is None
