"""Files held to their declaration: the names of their columns are those that polars gives them."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pytest

from state.inputs.files import FileStat
from tasks.catalog import Source
from tasks.catalog.columns import Names
from tasks.formats.formats import File
from tasks.reading.declared import NotAsDeclared, fits

PLAIN = Source("f/{day}.csv")


def header(source: Source, content: File) -> Names:
    """The names in one file."""
    [(names, _)] = fits(source, [(FileStat("a", 0, 0, 0, 0), content)])
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
