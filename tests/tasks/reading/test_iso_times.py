"""A day's files whose dates and times polars would guess: found in whichever way their column is declared."""

from __future__ import annotations

from collections.abc import Mapping
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

BAD = b"k,d\nx,2024-01-02\ny,01/02/2024\n"
DECLARED: list[Mapping[str, Any]] = [
    {"schema": {"k": pl.String, "d": pl.Date}},
    {"schema": {"d": pl.Date}, "extra_columns": "ignore"},
    {"schema": {"new": pl.Date, "k": pl.String}, "rename": {"d": "new"}},
    {"schema": {"k": pl.String, "d": pl.Date, "e": pl.Date}, "missing_columns": ["e"]},
    {"schema_overrides": {"d": pl.Date}},
    {"schema_overrides": {"new": pl.Date}, "rename": {"d": "new"}},
    {"schema_overrides": [pl.String, pl.Date]},
    {"schema": {"k": pl.String, "d": pl.Date}, "encoding": "cp1252", "include_file_paths": "path"},
    {"schema": {"k": pl.String, "d": pl.Date}, "include_file_paths": "path", "row_index_name": "row"},
    {"schema": {"x": pl.String, "d": pl.Date}, "has_header": False, "skip_rows": 1},
    {"schema": {"k": pl.String, "d": pl.Date}, "with_column_names": lambda _: ["a", "b"]},
    {"schema_overrides": {"b": pl.Date}, "new_columns": ["a", "b"]},
]


def read(root: Path, *files: bytes, **options: Any) -> DayInput:
    """A day of these files."""
    folder = root / "f" / DAY
    folder.mkdir(parents=True)
    for number, content in enumerate(files):
        (folder / f"{number}.csv").write_bytes(content)
    found = read_day(Source("f/{day}/*.csv", **options), DAY, RunListing(InputRoot(root)), SoundFiles())
    assert found
    return found


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("options", DECLARED)
def test_a_date_that_polars_would_guess_fails_its_day(
    tmp_path: Path, options: Mapping[str, Any], in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the column is declared, in memory and on disk; the sound file beside it is not blamed."""
    if not in_memory:
        monkeypatch.setattr(reading, "KEEP_BYTES", 1)
    good = BAD.replace(b"01/02/2024", b"2024-02-01")
    with pytest.raises(NotAsDeclared) as caught:
        read(tmp_path / "bad", good, BAD, **options).frame()
    told = str(caught.value)
    assert told.startswith(f"f/{DAY}/1.csv cannot be read as declared: line 3, column '"), told
    assert "found no date in ISO 8601 ('01/02/2024'), expected Date: YYYY-MM-DD" in told
    assert ('pl.col("new")' in told) == ("rename" in options)
    assert read(tmp_path / "good", good, good, **options).frame().collect().height == 4


@pytest.mark.parametrize(
    "options",
    [{}, {"schema_overrides": {"k": pl.String}}, {"schema": {"k": pl.String, "d": pl.String}}, {"rename": {"d": "e"}}],
)
def test_text_that_nobody_declares_a_date_stays_text(tmp_path: Path, options: Mapping[str, Any]) -> None:
    """No time is inferred from text, whatever it looks like, and none is looked for."""
    frame = read(tmp_path, BAD, **options).frame().collect()
    assert frame.to_series(1).to_list() == ["2024-01-02", "01/02/2024"]


def test_values_that_may_become_null_are_not_held_to_it(tmp_path: Path) -> None:
    """``ignore_errors=True`` asks for that, and is warned of."""
    frame = read(tmp_path, BAD, schema={"k": pl.String, "d": pl.Date}, ignore_errors=True).frame().collect()
    assert frame.height == 2
