"""What ``read=`` made is computed in memory where it is certain to be small, and streamed otherwise."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.inputs.run_listing import RunListing
from tasks.reading import day_input as reading
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.room import plain_size
from tasks.reading.sound_files import SoundFiles
from tests.builders import DAY

TEXT = b"a,b\n1,x\n"
Made = pl.LazyFrame | pl.DataFrame


def _read(root: Path, read: Callable[[list[Path]], Made], *contents: bytes) -> DayInput:
    folder = root / "f" / DAY
    folder.mkdir(parents=True, exist_ok=True)
    (root / "other.csv").write_bytes(TEXT)
    for number, content in enumerate(contents or (TEXT,) * 4):
        (folder / f"{number}.csv").write_bytes(content)
    found = read_day(Source("f/{day}/*.csv", read=read), DAY, RunListing(InputRoot(root)), SoundFiles())
    assert found is not None
    return found


def _concatenated(files: list[Path]) -> pl.LazyFrame:
    return pl.concat([pl.scan_csv(file).filter(pl.col("a") > 0) for file in files])


def _parsed(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_csv([file.read_bytes() for file in files])


def _beside(files: list[Path]) -> pl.LazyFrame:
    return pl.concat([pl.scan_csv(files), pl.scan_csv(files[0].parents[2] / "other.csv")])


def _more(files: list[Path]) -> pl.LazyFrame:
    return pl.scan_csv([*files, files[0].parents[2] / "other.csv"])


def _generated(files: list[Path]) -> pl.LazyFrame:
    return register_io_source(lambda *_: iter([pl.DataFrame({"a": [1]})]), schema=pl.Schema({"a": pl.Int64}))


@pytest.mark.parametrize(
    ("read", "fits"),
    [
        (pl.scan_csv, True),
        (lambda files: pl.scan_csv(files[:1]), True),
        (lambda files: pl.scan_csv(files[:2]), True),
        (_concatenated, True),
        (_parsed, True),
        (lambda files: pl.concat([pl.read_csv(file) for file in files]), True),
        (lambda files: pl.concat([pl.read_csv(file) for file in files]).lazy(), True),
        (_beside, False),
        (_more, False),
        (_generated, False),
    ],
)
def test_what_scans_the_small_given_files_has_room(
    tmp_path: Path, read: Callable[[list[Path]], Made], fits: bool
) -> None:
    """And an eager frame; files that were not given, or code that makes rows, may be of any size."""
    found = _read(tmp_path, read)
    assert found.frame().collect().height > 0
    assert found.in_memory is fits


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda text: text + b"\0"])
def test_what_may_be_packed_is_streamed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """A packed file of some kilobytes may hold gigabytes; a frame that was made of it is as large as it says."""
    assert not _read(tmp_path / "1", pl.scan_csv, pack(TEXT)).in_memory
    eager = _read(tmp_path / "2", lambda _: pl.DataFrame({"a": [1]}), pack(TEXT))
    assert eager.in_memory


def test_what_is_large_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files, and large frames of small files."""
    monkeypatch.setattr(reading, "KEEP_BYTES", 100)
    assert not _read(tmp_path / "1", pl.scan_csv, TEXT * 20).in_memory
    assert not _read(tmp_path / "2", lambda _: pl.DataFrame({"a": [1] * 100})).in_memory


def test_a_frame_that_cannot_be_planned_fails_when_it_is_collected(tmp_path: Path) -> None:
    """To ask for its plan harms no other day of the group."""
    found = _read(tmp_path, lambda files: pl.scan_csv(files).select("none"))
    assert not found.in_memory
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        found.frame().collect()


def test_a_function_reads_the_files_itself(tmp_path: Path) -> None:
    """The bytes that were digested are not kept beside what it reads, and it is called once a day."""
    calls: list[Any] = []

    def read(files: list[Path]) -> pl.LazyFrame:
        calls.append(files)
        return pl.scan_csv(files)

    found = _read(tmp_path, read)
    assert found.buffers is None
    assert found.frame().collect().height == 4
    assert found.in_memory
    assert len(calls) == 1


def test_noise_is_not_taken_for_text() -> None:
    """Formats that nobody listed hold zeros; what is short cannot hold much."""
    assert plain_size([TEXT, os.urandom(1 << 16)]) is None
    assert plain_size([TEXT, "ä".encode()]) == len(TEXT) + 2
