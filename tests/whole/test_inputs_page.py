"""docs/inputs.md: every row of its tables reads the file that it speaks of, and every example runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.inputs.listing import list_source
from tasks.inputs.run_listing import RunListing
from tasks.inputs.waiting import NotReady
from tasks.reading.day_input import read_day
from tasks.reading.declared import NotAsDeclared
from tasks.reading.duplicates import DuplicateFiles
from tasks.reading.sound_files import SoundFiles
from tests.documents import INPUTS as PAGE
from tests.documents import blocks, named, table

DAY = "2024-01-02"
PLAIN = b"shop,items\nnorth,3\nsouth,4\n"
READ = [("north", 3), ("south", 4)]
Files = Mapping[str, bytes]

# The file of each row, and what is read of it with the row's arguments. Each is refused, or misread, without them.
FILES: dict[str, tuple[Files, list[tuple[Any, ...]]]] = {
    "semicolons between the fields, commas in numbers": ({"a.csv": b"shop;items\nnorth;3,5\n"}, [("north", 3.5)]),
    "tabs between the fields": ({"a.csv": PLAIN.replace(b",", b"\t")}, READ),
    "no header": ({"a.csv": b"north,3\nsouth,4\n"}, READ),
    "comments": ({"a.csv": b"shop,items\n# a, or b, or c\nnorth,3\nsouth,4\n"}, READ),
    "lines of text above the header": ({"a.csv": b"Sales\nof, yesterday, and, before\n" + PLAIN}, READ),
    "a line of units below the header": ({"a.csv": b"shop,items\n,pieces\nnorth,3\nsouth,4\n"}, READ),
    "words that mean nothing": (
        {"a.csv": b"shop,items\nnorth,3\nsouth,NA\n-,4\n"},
        [("north", 3), ("south", None), (None, 4)],
    ),
    "quotes that are part of the text": (
        {"a.csv": b'shop,items\nnorth,5\n5" pipes,3\n'},
        [("north", 5), ('5" pipes', 3)],
    ),
    "text of an old system": ({"a.csv": "shop,items\nMünchen,3\n".encode("cp1252")}, [("München", 3)]),
    "UTF-16": ({"a.csv": "shop,items\nMünchen,3\n".encode("utf-16")}, [("München", 3)]),
    "names that look like numbers (`04`, `4063e7`)": (
        {"a.csv": b"shop,items\n04,3\n4063e7,4\n"},
        [("04", 3), ("4063e7", 4)],
    ),
    "more columns than you need": ({"a.csv": PLAIN}, [(3,), (4,)]),
    "a column that began later": (
        {"a.csv": PLAIN, "b.csv": b"shop,gifts,items\neast,1,5\n"},
        [("north", 3, None), ("south", 4, None), ("east", 5, 1)],
    ),
    "a column that was renamed": ({"a.csv": PLAIN, "b.csv": b"shop,Items sold\neast,5\n"}, [*READ, ("east", 5)]),
    "a column without a name, and a name that comes twice": (
        {"a.csv": b",items,items\nnorth,3,1\n"},
        [("north", 3, 1)],
    ),
    "empty lines, a header that comes again, a line of totals": (
        {"a.csv": b"shop,items\nnorth,3\n\nshop,items\nsouth,4\ntotal,7\n\n"},
        READ,
    ),
    "no table": ({"a.csv": b"north      3\nsouth      4\n"}, READ),
    "a copy in another folder of the day": ({"a.csv": PLAIN, "again/a.csv": PLAIN}, READ),
    "files that come in parts, and a last one that says so": ({"a.csv": PLAIN, "_SUCCESS": b""}, READ),
    "files that come in parts": ({"a.csv": PLAIN}, READ),
}
ROWS = [(cell, arguments) for cell, arguments in table(PAGE, "the file", "the arguments") if "](#" not in arguments]


def names_of_the_page() -> dict[str, Any]:
    """What the page's examples define."""
    names: dict[str, Any] = {"pl": pl, "Source": Source}
    for example in blocks(PAGE, "python"):
        exec(compile(example, PAGE, "exec"), names)
    return names


def rows_of(root: Path, files: Files, **arguments: Any) -> list[tuple[Any, ...]]:
    """The rows of a day of these files."""
    for name, content in files.items():
        path = root / "sales" / DAY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (10**9, 10**9))
    wild = "**/*.csv" if len(list(root.rglob("*/"))) > 2 else "*.csv"
    read = read_day(Source(f"sales/{{day}}/{wild}", **arguments), DAY, RunListing(InputRoot(root)), SoundFiles())
    assert read is not None
    return read.frame().collect().rows()


def test_every_row_has_a_file() -> None:
    """The table and the files of this test speak of the same things."""
    assert [cell for cell, _ in ROWS] == list(FILES)


@pytest.mark.parametrize(("cell", "arguments"), ROWS)
def test_the_arguments_of_a_row_read_its_file(
    cell: str, arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they stand on the page: rightly with them, and otherwise refused or misread without."""
    files, expected = FILES[cell]
    [code] = named(arguments)
    given = eval(f"dict({code})", names_of_the_page())
    if "settle" in given:
        with pytest.raises(NotReady, match="to rest for 15m"):
            rows_of(tmp_path, files, **given)
        monkeypatch.setattr("state.clock.time_ns", lambda: int(1e18) * 4)
    assert rows_of(tmp_path, files, **given) == expected
    if "settle" in given:
        return
    if "marker" in given:
        (tmp_path / "sales" / DAY / "_SUCCESS").unlink()
        with pytest.raises(NotReady, match="_SUCCESS"):
            rows_of(tmp_path, {}, **given)
        return
    try:
        plain = rows_of(tmp_path, files)
    except (NotAsDeclared, DuplicateFiles, pl.exceptions.PolarsError):
        return
    assert plain != expected


def test_the_templates_find_the_files(tmp_path: Path) -> None:
    """Each finds the file that its row speaks of, as one of its day."""
    made = {
        '"sales/{day}/*.csv"': f"sales/{DAY}/x.csv",
        '"sales-{day:%Y%m%d}.csv"': "sales-20240102.csv",
        '"{day:%Y/%m/%d}/sales-*.csv"': "2024/01/02/sales-north.csv",
        '"{day:%Y}/sales-{day:%m%d}.csv"': "2024/sales-0102.csv",
        '"{day:int}/sales_{day:int}.csv"': "7/sales_7.csv",
        '"dt={day}/*.csv.gz"': f"dt={DAY}/7.csv.gz",
        '"**/sales-{day}.csv"': f"here/and/there/sales-{DAY}.csv",
        '"/mnt/shop/{day}.csv"': f"{DAY}.csv",
    }
    templates = [named(cell)[0] for _, cell in table(PAGE, "the files", "the template")]
    assert templates == list(made)
    for number, template in enumerate(templates):
        root = tmp_path / str(number)
        path = root / made[template]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        text = eval(template).replace("/mnt/shop", str(root))
        days = list_source(InputRoot(root), Source(text).template).days
        assert list(days) == ["7" if "int" in template else DAY], template


def test_wide_and_nested_files_are_unfolded_as_the_page_says(tmp_path: Path) -> None:
    """The page's expressions, on a wide table and on an object with arrays side by side."""
    unpivot, explode = re.findall(r"`frame(\.[^`]+)`", "".join(Path(PAGE).read_text(encoding="utf-8")))
    wide = pl.LazyFrame({"hour": [1, 2], "north": [3, 4], "south": [5, 6]})
    found = eval(f"frame{unpivot}", {"frame": wide}).collect()
    assert found.sort("hour", "shop").rows() == [(1, "north", 3), (1, "south", 5), (2, "north", 4), (2, "south", 6)]
    folder = tmp_path / DAY
    folder.mkdir()
    (folder / "a.json").write_bytes(b'{"hour": [1, 2], "items": [3, 4]}')
    read = read_day(Source("{day}/*.json"), DAY, RunListing(InputRoot(tmp_path)), SoundFiles())
    assert read is not None
    assert eval(f"frame{explode}", {"frame": read.frame()}).collect().rows() == [(1, 3), (2, 4)]
