"""Reading results while they are replaced: whole generations, typed days, and an error for whatever is not whole."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from state.errors import ConfigurationError, StorageError
from state.outputs import scan
from state.result.record import FORMAT, KEY
from state.result.writing import arrow_table
from state.store.local import layout
from state.store.local.store import LocalStore
from tests.builders import DAY, NAME, child, commit, fail, flip, heard, place, rows_of, tell

READS = 2000

REPLACE = """
import os, sys
from pathlib import Path
from state.store.base import Superseded
from state.store.local.root import find_store
from tests.builders import DAY, NAME, publish, rows_of, written
os.fsync = lambda fd: None  # nobody cuts the power here, and readers meet more replacements
root = find_store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while True:
    token = root.token((NAME, DAY))
    with written(root, token, rows_of(token.generation, 1 + 997 * token.generation % 2000)) as new:
        try:
            publish(root, new)
        except Superseded:
            pass
"""


@pytest.fixture
def root(root: LocalStore) -> LocalStore:
    """An output with one committed day."""
    commit(root)
    return root


def _read(root: LocalStore, **options: Any) -> pl.DataFrame:
    return scan(NAME, output=root.path, **options).collect()


def test_every_read_is_one_whole_generation_while_two_processes_replace_it(root: LocalStore) -> None:
    """Promise 2: of thousands of reads none fails, none mixes two generations, none lacks a row, none goes back."""
    seen: list[int] = []
    commit(root, rows_of(2, 1 + 997 * 2 % 2000))
    with child(REPLACE, root.path) as one, child(REPLACE, root.path) as two:
        assert [heard(one), heard(two)] == ["ready", "ready"]
        tell(one)
        tell(two)
        stop = time.monotonic() + 60
        while len(seen) < READS and time.monotonic() < stop:
            frame = _read(root)
            (generation,) = frame["generation"].unique()
            assert frame["row"].to_list() == list(range(1 + 997 * generation % 2000))
            seen.append(generation)
        assert one.poll() is None
        assert two.poll() is None
    assert len(seen) == READS
    assert seen == sorted(seen)
    assert len(set(seen)) > 5, "hardly a replacement was met"


def test_a_plan_that_was_made_before_a_replacement_reads_what_it_saw(root: LocalStore) -> None:
    """A lazy plan applies the statistics of the file that it planned on: here that is the file that it reads, too."""
    planned = scan(NAME, output=root.path).filter(pl.col("generation") == 1)
    commit(root)
    assert planned.collect().height == 3
    assert _read(root)["generation"].to_list() == [2, 2, 2]


def test_days_are_dates_in_their_order(root: LocalStore) -> None:
    """The day lies in the path; readers get it as a date, last, and the rows ordered by it."""
    commit(root, day="2012-12-31")
    frame = _read(root)
    assert frame.schema == pl.Schema({"generation": pl.Int64, "row": pl.Int64, "day": pl.Date})
    assert frame["day"].unique(maintain_order=True).to_list() == [dt.date(2012, 12, 31), dt.date(2013, 1, 1)]


def test_numbered_days_are_numbers_in_their_order(root: LocalStore) -> None:
    """10 comes after 9, as a number."""
    for day in ("10", "9", "0"):
        commit(root, name="others", day=day)
    frame = scan("others", output=root.path).collect()
    assert frame.schema["day"] == pl.Int64
    assert frame["day"].unique(maintain_order=True).to_list() == [0, 9, 10]


def test_a_range_narrows_the_days(root: LocalStore) -> None:
    """Only the days that were asked for are read: damage in another is not in the way."""
    commit(root, day="2013-01-02")
    place(root).write_bytes(b"damaged")
    assert _read(root, days="2013-01-02..")["day"].unique().to_list() == [dt.date(2013, 1, 2)]
    with pytest.raises(StorageError, match="no committed result"):
        _read(root, days="2014-01-01")


def test_one_flipped_bit_anywhere_is_an_error(root: LocalStore) -> None:
    """Promise 6: polars ignores page checksums and most bits of a footer; this reader lets no altered byte through."""
    size = place(root).stat().st_size
    for bit in range(0, 8 * size, 61):
        flip(place(root), bit)
        with pytest.raises(StorageError, match=f"{NAME}, day {DAY}"):
            _read(root)
        flip(place(root), bit)
    assert _read(root).height == 3


def test_a_damaged_result_names_the_command_that_rebuilds_it(root: LocalStore) -> None:
    """A reader is told which day, and what to do."""
    place(root).write_bytes(b"torn")
    with pytest.raises(StorageError, match="is damaged") as caught:
        _read(root)
    assert caught.value.command == "python -m flows.daily"


def test_a_newer_format_is_not_called_damaged(root: LocalStore) -> None:
    """A result of later code is refused as such: the reader's own code is what is old."""
    text = json.dumps({"format": FORMAT + 1}).encode()
    pq.write_table(arrow_table(rows_of(1)).replace_schema_metadata({KEY: text}), place(root))
    with pytest.raises(StorageError) as caught:
        _read(root)
    assert f"format {FORMAT + 1}" in caught.value.message
    assert "damaged" not in caught.value.message


def test_what_cannot_be_read_is_an_error(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: a day that cannot be opened is not left out of the answer."""
    commit(root, day="2013-01-02")
    fail(monkeypatch, "open", lambda path, *_: str(path).endswith(layout.data_file(NAME, DAY)), errno.EIO)
    with pytest.raises(StorageError, match="cannot be opened"):
        _read(root)


def test_a_days_empty_folder_is_no_result(root: LocalStore) -> None:
    """A folder that a killed run left, or a deleted result, makes no row and no error."""
    (root.path / NAME / "day=2013-01-02").mkdir()
    assert _read(root).height == 3


@pytest.mark.parametrize("name", ["nothing", "../out/totals", "_noonmark", "."])
def test_what_was_never_committed_is_an_error(root: LocalStore, name: str) -> None:
    """A misspelt name is no empty result, and no name leads out of the output."""
    with pytest.raises(StorageError, match="no committed result"):
        scan(name, output=root.path)


def test_a_folder_that_is_no_output_is_an_error(tmp_path: Path) -> None:
    """A wrong path is told, and nothing is made there."""
    with pytest.raises(StorageError, match="is not an output"):
        scan(NAME, output=tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_result_without_rows_is_a_result(root: LocalStore) -> None:
    """An empty day is read as no rows, with the columns and their types."""
    commit(root, rows_of(1, 0))
    assert _read(root).schema["row"] == pl.Int64
    assert _read(root).height == 0


def test_days_of_different_schemas_are_never_cast_or_left_out(root: LocalStore) -> None:
    """Within a version the days that differ are named with the command that mends them; so with the columns' order."""
    commit(root, day="2013-01-02")
    commit(root, rows_of(1).with_columns(pl.col("row").cast(pl.Float64)), day="2013-01-03")
    commit(root, rows_of(1).select("row", "generation"), day="2013-01-04")
    with pytest.raises(StorageError, match="2 of 4 of version 1 differ; 2013-01-03: column 'row' is Float64") as caught:
        _read(root)
    mends = f"python -m flows.daily --force --days 2013-01-03,2013-01-04 --only {NAME}"
    assert caught.value.command == mends
    assert _read(root, days="..2013-01-02").height == 6


def test_versions_are_read_together_only_where_their_schemas_are_equal(root: LocalStore) -> None:
    """While a raised version is being computed, a reader gets all days of one schema, or the words to choose."""
    commit(root, day="2013-01-02", version=2)
    assert _read(root).height == 6
    commit(root, rows_of(1).with_columns(more=pl.lit("x")), day="2013-01-02", version=2)
    commit(root, day="2013-01-03")
    with pytest.raises(StorageError) as caught:
        _read(root)
    assert "version 1 (2 days from 2013-01-01 to 2013-01-03), version 2 (1 day, 2013-01-02)" in caught.value.message
    assert "version=" in caught.value.message
    assert caught.value.command == "python -m flows.daily"
    assert _read(root, version=2).columns == ["generation", "row", "more", "day"]
    assert _read(root, version=1)["day"].n_unique() == 2
    with pytest.raises(StorageError, match="no committed result of version 3"):
        _read(root, version=3)


def test_the_output_of_the_settings_is_read(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOONMARK_OUTPUT says where results are, for whoever writes them and for whoever reads them."""
    monkeypatch.setenv("NOONMARK_OUTPUT", str(root.path))
    assert scan(NAME).collect().equals(_read(root))
    monkeypatch.setenv("NOONMARK_OUTPUT", "s3://elsewhere")
    with pytest.raises(ConfigurationError, match="NOONMARK_OUTPUT"):
        scan(NAME)
