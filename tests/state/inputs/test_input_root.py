"""The input root is held from a run's start: what takes its place in mid-run is told, and never mixed in."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from state.errors import StorageError
from state.inputs.files import InputChanged
from state.inputs.root import InputRoot, InputRootGone
from tasks.catalog import Source
from tasks.inputs.run_listing import RunListing
from tasks.reading.day_input import read_day
from tasks.reading.sound_files import SoundFiles
from tests.builders import DAY

SALES = Source("sales/{day}/*.csv")


def _put(root: Path, text: str) -> None:
    (root / "sales" / DAY).mkdir(parents=True)
    (root / "sales" / DAY / "a.csv").write_text(text)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """An input root with one day."""
    _put(tmp_path / "raw", "amount\n1\n")
    return tmp_path / "raw"


def _rename(raw: Path) -> None:
    raw.rename(raw.with_name("elsewhere"))


def _replace_by_an_empty_folder(raw: Path) -> None:
    _rename(raw)
    raw.mkdir()


def _replace_by_a_copy(raw: Path) -> None:
    _rename(raw)
    shutil.copytree(raw.with_name("elsewhere"), raw)


def _replace_by_a_file(raw: Path) -> None:
    _rename(raw)
    raw.touch()


@pytest.mark.parametrize(
    "change", [_rename, _replace_by_an_empty_folder, _replace_by_a_copy, _replace_by_a_file, shutil.rmtree]
)
def test_a_root_that_goes_away_is_told(raw: Path, change: Callable[[Path], None]) -> None:
    """Before a day is read and after it was computed: a root that is not the one of the plan is no input."""
    with InputRoot(raw) as root:
        root.check()
        taken = read_day(SALES, DAY, RunListing(root), SoundFiles())
        assert taken is not None
        taken.check()
        change(raw)
        with pytest.raises(InputRootGone, match=r"raw (does not exist any more|leads to another folder) since the run"):
            read_day(SALES, DAY, RunListing(root), SoundFiles())
        with pytest.raises((InputRootGone, InputChanged)):
            taken.check()


def test_what_takes_the_roots_place_is_not_read(raw: Path) -> None:
    """What is listed and read is of the folder that was opened, wherever its path leads now."""
    with InputRoot(raw) as root:
        then = RunListing(root).list_day(SALES, DAY)
        _rename(raw)
        _put(raw, "amount\n2\n")
        assert RunListing(root).list_day(SALES, DAY) == then


def test_a_link_that_is_set_to_another_folder_is_told(raw: Path) -> None:
    """The root may be a link to a release, and be set to the next one in mid-run."""
    link = raw.with_name("link")
    link.symlink_to(raw)
    with InputRoot(link) as root:
        root.check()
        shutil.copytree(raw, raw.with_name("next"))
        link.unlink()
        link.symlink_to("next")
        with pytest.raises(InputRootGone):
            root.check()


def test_absolute_templates_do_without_the_root(tmp_path: Path, raw: Path) -> None:
    """They begin at ``/``: an input root that is missing says nothing about them."""
    source = Source(f"{raw}/sales/{{day}}/*.csv")
    with InputRoot(tmp_path / "missing") as root:
        taken = read_day(source, DAY, RunListing(root), SoundFiles())
        assert taken is not None
        taken.check()
        assert [file.path for file in taken.files.files] == [f"{raw}/sales/{DAY}/a.csv"[1:]]


def test_a_root_that_cannot_be_opened_is_empty_or_an_error(tmp_path: Path) -> None:
    """A missing root holds nothing; what cannot be opened is no absence (promise 5)."""
    with InputRoot(tmp_path / "missing") as root:
        assert read_day(SALES, DAY, RunListing(root), SoundFiles()) is None
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    with InputRoot(tmp_path / "link") as root, pytest.raises(StorageError, match="broken link"):
        read_day(SALES, DAY, RunListing(root), SoundFiles())


def test_the_descriptor_is_closed(raw: Path) -> None:
    """A process that runs flow after flow keeps no root open."""
    with InputRoot(raw) as root:
        fd = root.fd
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_root_that_nobody_closes_is_closed_with_its_last_reader(tmp_path: Path) -> None:
    """A process that opens many, as a test suite or a notebook does, does not run out of descriptors."""
    root = InputRoot(tmp_path)
    fd = root.fd
    os.fstat(fd)
    del root
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    with InputRoot(tmp_path) as again:
        pass
    with InputRoot(tmp_path) as other:
        del again
        gc.collect()
        os.fstat(other.fd)  # the number is another's now, and is not closed a second time
