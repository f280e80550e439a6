"""Random CSV files, with Python's ``csv`` module as the judge of what is accepted and of what is refused."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.formats.formats import FORMATS
from tasks.strict import csv_quick, pieces
from tasks.strict.check import check_file
from tasks.strict.csv_check import check_csv

CSV = FORMATS[".csv"]
WORDS = ["", "north", "ä", "\u2028", "a b", "NA", "x;y", "'", "#", "\x0c", "\\", "日本"]
MARKS = [",", '"', "\n", "\r\n", "\r", '""', ";", "\0"]


def _field(random: random.Random, *, wild: bool) -> str:
    """A field as a careful writer writes it, or, where it is wild, as others do."""
    if random.random() < 0.5:
        return str(random.randint(-99, 99))
    text = random.choice(WORDS)
    if random.random() < 0.3:
        inside = text + random.choice([",", "\n", "\r\n", '"', "\r", ",,", "\n\n", '",'])
        return '"' + inside.replace('"', '""') + '"'
    if random.random() < 0.2:
        return f'"{text}"'
    return text + (random.choice(MARKS) if wild and random.random() < 0.3 else "")


def made(seed: int) -> bytes:
    """A file of up to a dozen rows; half of the files have some kind of dirt, or several."""
    rng = random.Random(seed)
    width = rng.randint(1, 4)
    end = rng.choice(["\n", "\n", "\r\n"])
    dirt = set(rng.sample(DIRT, rng.choice([0, 0, 1, 1, 2])))
    header = ["n", "b", "c", "d"][:width]
    rows = []
    for _ in range(rng.randint(0, 12)):
        row = [str(rng.randint(-99, 99)), *(_field(rng, wild="marks" in dirt) for _ in range(width - 1))]
        rows.append(",".join(row))
    lines = [",".join(header), *rows]
    for kind in sorted(dirt):
        at = rng.randint(0, len(lines))
        lines[at:at] = {
            "ragged": [",".join(["1"] * rng.choice([1, width - 1, width + 1, width + 2]))],
            "empty": [""] * rng.randint(1, 3),
            "header": [lines[0]],
            "spaces": ["  "],
            "nul": ["\0" * rng.randint(1, 4)],
            "unclosed": ['"' + "x"],
            "comma": [",".join(["1"] * width) + ","],
        }.get(kind, [])
    text = end.join(lines) + (end if rng.random() < 0.7 else "")
    if "mixed" in dirt:
        text = "".join(
            one.replace("\n", "\r\n") if rng.random() < 0.3 else one for one in text.splitlines(keepends=True)
        )
    if "cr" in dirt:
        text = text.replace(end, "\r")
    if "cut" in dirt:
        text = text[: rng.randint(0, len(text))]
    content = text.encode(
        rng.choice(["utf-8"] * 9 + ["utf-16", "cp1252"]) if "encoding" in dirt else "utf-8", "replace"
    )
    if "bom" in dirt:
        content = b"\xef\xbb\xbf" + content
    return content


DIRT = [
    "ragged",
    "empty",
    "header",
    "spaces",
    "nul",
    "unclosed",
    "comma",
    "mixed",
    "cr",
    "cut",
    "marks",
    "encoding",
    "bom",
]


def judged(content: bytes) -> list[list[str]] | None:
    """The file as Python's ``csv`` reads it, its header first; None where it is no text, or not strictly CSV."""
    try:
        text = content.decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None


def is_dubious(content: bytes, rows: list[list[str]] | None) -> bool:
    """Whether a refusal is right by the judge's reading, or by what the judge reads and others do not.

    The judge takes a carriage return for a line end and a quote in mid-field for text, and passes over empty lines.
    """
    if rows is None or not rows or b"\0" in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    text = content.decode("utf-8-sig")
    width = len(rows[0])
    ragged = any((len(row) or int(width == 1)) != width for row in rows)  # an empty line is a row of one column at most
    again = rows[0] in rows[1:]
    outside = "".join(text.split('"')[::2])  # quotes alternate where they are well placed
    lone_cr = "\r" in outside.replace("\r\n", "")
    return ragged or again or lone_cr or not _quotes_well(text) or not rows[0]


def _quotes_well(text: str) -> bool:
    """Written once more with quotes just where they stood, it is the same text: the judge's rows lose no quote."""
    state = "start"
    for at, one in enumerate(text):
        if state == "quoted":
            state = "closing" if one == '"' else "quoted"
        elif one == '"':
            if state == "bare":
                return False
            state = "quoted"
        elif one in ",\n":
            state = "start"
        elif state == "closing" and not text.startswith("\r\n", at):
            return False
        elif state != "closing":
            state = "bare"
    return state != "quoted"


def prove(content: bytes) -> bool:
    """Check a file: polars must read what the judge reads where it passes, and the judge have a reason where not."""
    checked = check_file(CSV, content, {})
    rows = judged(content)
    if checked.findings:
        assert is_dubious(content, rows), (content, checked.findings)
        return False
    assert rows is not None, content
    header, *body = rows
    assert checked.columns == tuple(header), content
    assert not is_dubious(content, rows), content
    body = [row or [""] for row in body]  # of one column: an empty line is a row with nothing in it
    frame = CSV.read([content], {"infer_schema": False, "empty_string_is_null": False}).collect()
    assert frame.height == len(body), content
    assert [list(row) for row in frame.rows()] == body, content
    if body and all(row[0].lstrip("-").isdigit() for row in body):
        summed = CSV.read([content], {}).select(pl.col(header[0]).sum(), rows=pl.len()).collect().row(0)
        assert summed == (sum(int(row[0]) for row in body), len(body)), content
    return True


def _campaign(seeds: range) -> None:
    passed = sum(prove(made(seed)) for seed in seeds)
    assert 0.2 * len(seeds) < passed < 0.8 * len(seeds), "files of both kinds are tried"


def test_what_passes_is_read_as_the_judge_reads_it() -> None:
    """Every value of a file that passes is the judge's; for every refusal the judge's reading has a reason."""
    _campaign(range(600))


@pytest.mark.slow
def test_what_passes_is_read_as_the_judge_reads_it_in_20_000_files() -> None:
    """As above."""
    _campaign(range(600, 20_600))


OPTIONS: list[dict[str, Any]] = [
    {"separator": ";"},
    {"separator": "\t"},
    {"quote_char": None},
    {"quote_char": "'"},
    {"eol_char": "\r"},
    {"has_header": False},
    {"comment_prefix": "#"},
    {"comment_prefix": "n"},
    {"skip_lines": 1},
    {"skip_rows": 1},
    {"skip_rows": 2, "comment_prefix": "#"},
    {"skip_rows_after_header": 1},
    {"skip_rows_after_header": 1, "has_header": False},
    {"comment_prefix": "1", "skip_lines": 2, "separator": ";"},
    {"encoding": "utf8-lossy", "has_header": False},
]


def declared(seed: int) -> tuple[bytes, dict[str, Any]]:
    """A file, and options that fit it more or less: its characters are exchanged for those of the options."""
    options = OPTIONS[seed % len(OPTIONS)]
    rng = random.Random(seed)
    content = made(seed)
    content = content.replace(b",", options.get("separator", ",").encode())
    if options.get("quote_char", '"') == "'":
        content = content.replace(b'"', b"'")
    if "eol_char" in options:
        content = content.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    if "comment_prefix" in options:
        lines = content.split(b"\n")
        lines.insert(
            rng.randint(0, len(lines)), options["comment_prefix"].encode() + rng.choice([b"", b' say "', b",,"])
        )
        content = b"\n".join(lines)
    return content, options


def judged_as(content: bytes, options: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a file that passed, the header among them, as Python's ``csv`` reads it by these options."""
    errors = "replace" if "encoding" in options else "strict"
    text = content.decode("utf-8-sig", errors).replace("\r", "\n" if "eol_char" in options else "\r")
    lines = text.split("\n")
    ended = [line + "\n" for line in lines[:-1]] + lines[-1:]
    skipped = ended[options.get("skip_lines", options.get("skip_rows", 0)) :]
    quote = options.get("quote_char", '"')
    given = csv.reader(
        _without_comments(skipped, quote, options.get("comment_prefix")),
        delimiter=options.get("separator", ","),
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    return [row or [""] for row in given]


def _without_comments(lines: Iterable[str], quote: str | None, prefix: str | None) -> Iterator[str]:
    inside = False
    for line in lines:
        if line and not (prefix and not inside and line.startswith(prefix)):
            inside ^= bool(quote) and line.count(quote or "") % 2 == 1
            yield line


def _prove_declared(seed: int) -> bool:
    content, options = declared(seed)
    if check_file(CSV, content, options).findings:
        return False
    header = int(options.get("has_header", True))
    rows = judged_as(content, options)
    del rows[header : header + options.get("skip_rows_after_header", 0)]
    read = {"infer_schema": False, "empty_string_is_null": False, **options}
    frame = CSV.read([content], read).collect()
    found = [[value.replace("\r", "\n") if "eol_char" in options else value for value in row] for row in frame.rows()]
    assert found == rows[header:], (content, options)
    return True


def test_what_passes_is_read_as_declared() -> None:
    """With other separators, quotes, line ends, comments and skipped lines, too: polars and the judge agree on rows."""
    passed = sum(map(_prove_declared, range(1500)))
    assert passed > 300


@pytest.mark.slow
def test_what_passes_is_read_as_declared_in_20_000_files() -> None:
    """As above."""
    assert sum(map(_prove_declared, range(1500, 21_500))) > 4000


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_in_pieces_is_judged_as_a_whole(tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is read in pieces: the same findings, with the same lines, wherever it is cut.

    After a quote that is not where quotes belong only the first finding is the same: nobody can tell rows there.
    """
    monkeypatch.setattr(pieces, "PIECE", 7)
    file = tmp_path / "a.csv"
    for seed in range(300):
        content = made(seed)
        file.write_bytes(gzip.compress(content) if packed else content)
        whole = check_csv(content, {})
        for cut in (check_csv(file, {}), check_csv(file.read_bytes(), {})):
            if any("quote" in one.found for one in whole.findings):
                assert [one.line for one in cut.findings][:1] == [one.line for one in whole.findings][:1], content
            else:
                assert cut == whole, content


def test_the_quick_look_and_the_close_one_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the quick look lets through, a look at every row lets through too."""
    quick: list[bool] = []
    real: Callable[..., bool] = csv_quick.is_sound

    def noted(*arguments: object) -> bool:
        quick.append(real(*arguments))
        return False

    monkeypatch.setattr("tasks.strict.csv_check.is_sound", noted)
    for seed in range(600):
        content = made(seed)
        quick.clear()
        findings = check_csv(content, {}).findings
        assert not (quick and quick[0] and findings), (content, findings)


@pytest.mark.parametrize(
    ("protection", "without"),
    [
        ("_has_width", True),
        ("_has_known_ends", True),
        ("matches", True),
        ("_is_line", False),
        ("is_utf8", True),
    ],
)
def test_the_judge_notices_a_protection_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, protection: str, without: bool
) -> None:
    """The fuzz has teeth: without any one of the quick look's questions, a file passes that should not."""
    monkeypatch.setattr(csv_quick, protection, lambda *_, **__: without)
    with pytest.raises((AssertionError, pl.exceptions.PolarsError)):
        list(map(prove, map(made, range(3000))))
