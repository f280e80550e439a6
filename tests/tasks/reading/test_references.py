"""Files that serve every day are listed, digested and parsed once for a run, and never served stale."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest

from state.days import EVERY_DAY
from state.inputs.files import InputChanged
from state.inputs.root import InputRoot
from state.result.record import SourceRecord
from state.store.base import Output
from tasks.catalog import Reference, Source, aggregation
from tasks.catalog.declare import declared
from tasks.inputs.run_listing import RunListing
from tasks.reading import references as module
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.edited import Edited, edited_inputs
from tasks.reading.references import ReadReferences, list_reference
from tasks.reading.sound_files import SoundFiles
from tests.state.planner.test_decide import made_commit


@pytest.fixture
def airlines(tmp_path: Path) -> Path:
    """A reference whose times prove its contents."""
    return _written(tmp_path / "airlines.csv", "carrier,name\nAA,American\n")


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def _reader(root: Path) -> ReadReferences:
    """What reads the references of a run."""
    return ReadReferences(RunListing(InputRoot(root)), SoundFiles())


def _proving() -> Callable[..., DayInput | None]:
    """``read_day`` as if all times were old: a test cannot set ctime."""
    original = read_day

    def read(*given: object) -> DayInput | None:
        found = original(*given)  # type: ignore[arg-type]
        if found:
            object.__setattr__(found, "stat_proves", True)
        return found

    return read


def test_it_is_read_and_parsed_once_for_all_days(tmp_path: Path, airlines: Path) -> None:
    """10,000 days of small sales must not parse the same table 10,000 times."""
    reader = _reader(tmp_path)
    reference = Reference("airlines.csv")
    with patch.object(module, "read_day", side_effect=_proving()) as read:
        first, second = reader.read(reference), reader.read(reference)
    assert read.call_count == 1
    assert first is second
    assert first is not None
    assert first.in_memory
    assert first.rows == 1
    with patch.object(Reference, "scan", side_effect=AssertionError("parsed again")):
        assert first.frame().collect().rows() == [("AA", "American")]
    assert airlines.exists()


def test_what_changed_is_read_again_and_what_was_read_fails_its_check(tmp_path: Path, airlines: Path) -> None:
    """What is computed from is what was digested, however long the run."""
    reader = _reader(tmp_path)
    reference = Reference("airlines.csv")
    with patch.object(module, "read_day", side_effect=_proving()):
        before = reader.read(reference)
        assert before is not None
        before.check()
        _written(airlines, "carrier,name\nAA,American\nUA,United\n")
        with pytest.raises(InputChanged, match=r"airlines.csv"):
            before.check()
        after = reader.read(reference)
    assert after is not None
    assert (before.rows, after.rows) == (1, 2)
    assert before.contents.digest != after.contents.digest


@pytest.mark.usefixtures("airlines")
def test_times_that_prove_nothing_have_it_read_again(tmp_path: Path) -> None:
    """An edit within one tick of the file system's clock leaves no other trace."""
    reader = _reader(tmp_path)
    reference = Reference("airlines.csv")
    with patch.object(module, "read_day", side_effect=read_day) as read:
        found = reader.read(reference), reader.read(reference)
    assert [one.stat_proves for one in found if one] == [False, False]
    assert read.call_count == 2


def test_files_that_match_a_pattern_are_one_table(tmp_path: Path) -> None:
    """Rates by year, say: all of them serve every day, in the order of their paths."""
    for year in (2024, 2023):
        _written(tmp_path / "rates" / f"{year}.csv", f"year,rate\n{year},1.5\n")
    found = _reader(tmp_path).read(Reference("rates/*.csv"))
    assert found is not None
    assert found.frame().collect().rows() == [(2023, 1.5), (2024, 1.5)]
    assert [file.path for file in found.files.files] == ["rates/2023.csv", "rates/2024.csv"]


def test_what_read_makes_is_made_once(tmp_path: Path, airlines: Path) -> None:
    """A workbook takes a second to read; it serves all days too."""
    calls = []

    def read(files: list[Path]) -> pl.LazyFrame:
        calls.append(files)
        return pl.scan_csv(files)

    reader = _reader(tmp_path)
    reference = Reference("airlines.csv", read=read)
    with patch.object(module, "read_day", side_effect=_proving()):
        for _ in range(3):
            found = reader.read(reference)
            assert found is not None
            assert found.in_memory
            assert found.frame().collect().height == 1
    assert calls == [[airlines]]


def test_a_missing_reference_is_unreadable_and_not_absent(tmp_path: Path, airlines: Path) -> None:
    """Nothing is computed without it, and no result loses its input by it: the message says what is there instead."""
    reference = Reference("airline.csv")
    listing = list_reference(InputRoot(tmp_path), reference.template)
    assert not listing.days
    assert not listing.is_empty
    why = listing.unreadable[EVERY_DAY]
    assert why.startswith("no file matches reference 'airline.csv': nothing in ")
    assert why.endswith("did you mean 'airlines.csv'?")
    assert _reader(tmp_path).read(reference) is None
    os.rename(airlines, tmp_path / "airline.csv")
    assert list(list_reference(InputRoot(tmp_path), reference.template).days) == [EVERY_DAY]


def test_a_broken_link_in_its_place_is_unreadable(tmp_path: Path) -> None:
    """It may lead to a disk that is gone."""
    (tmp_path / "airlines.csv").symlink_to(tmp_path / "gone.csv")
    listing = list_reference(InputRoot(tmp_path), Reference("airlines.csv").template)
    assert "a broken link" in listing.unreadable[EVERY_DAY]


@pytest.mark.usefixtures("airlines")
@pytest.mark.parametrize("since", ["all days", "new days"])
def test_an_edit_without_a_trace_is_found_by_reading(tmp_path: Path, since: Any) -> None:
    """Every day that was computed from other bytes is named, unless its commit is to stay whatever the table says."""

    @aggregation(Source("flights/{day}.csv"), references={"airlines": "airlines.csv"}, references_from=since)
    def departures(flights: pl.LazyFrame, airlines: pl.LazyFrame) -> pl.LazyFrame:
        """Departures by airline."""
        return flights.join(airlines, on="carrier")

    one = declared(departures)
    assert one is not None
    root = InputRoot(tmp_path)
    files = list_reference(root, one.sources["airlines"].template).days[EVERY_DAY]
    true = _reader(tmp_path).read(Reference("airlines.csv"))
    assert true is not None
    days = {}
    for day, contents in (("2024-01-01", "other"), ("2024-01-02", true.contents.digest)):
        record = SourceRecord(1, files.bytes, 1, contents, files.stat)
        days[day] = made_commit(day=day, inputs={"airlines": record})
    found = list(edited_inputs({"departures": one}, root, Output(days={"departures": days}), threads=1))
    expected = [Edited("departures", "2024-01-01", "airlines.csv")] if since == "all days" else []
    assert found == expected
