"""Folders that days share: listed once, asked for each moment, and never answering otherwise than a fresh listing."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.errors import StorageError
from state.inputs.files import DayFiles
from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.inputs import run_listing
from tasks.inputs.listing import list_day, list_source
from tasks.inputs.run_listing import RunListing, SharedFolders, logical_now
from tasks.templates.template import Template
from tests.project import wait_until
from tests.tasks.inputs import test_listing

fault = test_listing.fault
scanned = test_listing.scanned
make = test_listing.make
DAYS = ["2013-01-01", "2013-01-02", "2013-02-03", "7"]


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders count as old when they are listed: an input that rests since yesterday."""
    later = SimpleNamespace(time_ns=lambda: time.time_ns() + 10**10)
    monkeypatch.setattr(run_listing, "clock", later)


def _tick(folder: Path) -> None:
    """Wait until the file system's clock has ticked: what comes then has other times than what was there."""
    probe = folder / "probe"
    probe.touch()
    then = probe.stat().st_mtime_ns

    def ticked() -> bool:
        probe.touch()
        return probe.stat().st_mtime_ns > then

    wait_until(ticked)


Answer = DayFiles | str


def _answer(list_it: Callable[[], DayFiles]) -> Answer:
    try:
        return list_it()
    except StorageError as error:
        return error.message


@pytest.mark.parametrize(
    ("template", "shares"),
    [
        ("a/{day}.csv", False),
        ("{day}/**/*.csv", False),
        ("{day:%Y/%m/%d}/*", False),
        ("{day:%Y}/{day}_*.csv", True),
        ("a/*/{day}.csv", True),
        ("**/{day}", True),
        ("{day:int}_?.csv", True),
        ("{day:%y%m%d}/{day:%Y}/*", False),
        ("{day:%y%m%d}/*/{day:%Y}", True),
    ],
)
def test_only_folders_of_several_days_are_shared(template: str, shares: bool) -> None:
    """Where the folder names the day before a wildcard comes, a day is listed by itself."""
    assert Template.parse(template).shares_folders == shares


@pytest.mark.usefixtures("old")
def test_a_flat_folder_is_listed_once(tmp_path: Path, scanned: list[str]) -> None:
    """Not once a day: each further look asks the folder for its times, and lists it again once they moved."""
    days = [f"2013-01-{day:02}" for day in range(1, 31)]
    make(tmp_path, *(f"flat/{day}_{number}.csv" for day in days for number in range(3)))
    source = Source("flat/{day}_*.csv")
    with InputRoot(tmp_path) as root:
        listing = RunListing(root)
        for day in days * 2:
            assert len(listing.list_day(source, day).files) == 3
        assert scanned == [f"{tmp_path}/flat"]
        _tick(tmp_path)
        make(tmp_path, "flat/2013-01-07_new.csv")
        assert [len(listing.list_day(source, day).files) for day in days].count(4) == 1
        assert len(scanned) == 2
        (tmp_path / "flat/2013-01-07_new.csv").write_text("an edit is no matter of the folder")
        assert listing.list_day(source, "2013-01-07").files[-1].size == 34
        assert len(scanned) == 2
        assert listing.list_day(source, "7").files == ()


def test_recent_times_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scanned: list[str]) -> None:
    """Where the clock of a file system ticks too seldom to show a file that came, the folder is listed again."""
    monkeypatch.setattr(run_listing, "_identity", lambda _: (1,))
    make(tmp_path, "2013-01-01_a.csv")
    with InputRoot(tmp_path) as root:
        shared = SharedFolders(root, Template.parse("{day}_*.csv"))
        assert len(shared.list_day("2013-01-01", logical_now()).files) == 1
        make(tmp_path, "2013-01-01_b.csv")
        assert len(shared.list_day("2013-01-01", logical_now()).files) == 2


def test_one_look_serves_a_moment_and_what_was_before_it(tmp_path: Path, scanned: list[str]) -> None:
    """The days of a group share one look, which comes after the group's moment; a later moment has one of its own."""
    make(tmp_path, "2013-01-01_a.csv", "2013-01-02_a.csv")
    with InputRoot(tmp_path) as root:
        shared = SharedFolders(root, Template.parse("{day}_*.csv"))
        since = logical_now()
        for day in DAYS[:3] * 3:
            shared.list_day(day, since)
        assert len(scanned) == 1
        shared.list_day(DAYS[0], logical_now())
        shared.list_day(DAYS[0], since)
        assert len(scanned) == 2


@pytest.mark.usefixtures("old")
def test_a_link_that_leads_elsewhere_is_followed_anew(tmp_path: Path) -> None:
    """The folder in which it stands shows nothing of it where the link that it leads through is another's."""
    make(tmp_path, "raw/x", "one/2013-01-01.csv", "two/2013-01-01.csv")
    (tmp_path / "current").symlink_to("one")
    (tmp_path / "raw/us").symlink_to("../current")
    with InputRoot(tmp_path / "raw") as root:
        shared = SharedFolders(root, Template.parse("*/{day}.csv"))
        [first] = shared.list_day("2013-01-01", logical_now()).files
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("two")
        [second] = shared.list_day("2013-01-01", logical_now()).files
        assert first.inode != second.inode
        (tmp_path / "current").unlink()
        with pytest.raises(StorageError, match=r"input of day 2013-01-01: cannot read .*raw/us.*broken link"):
            shared.list_day("2013-01-01", logical_now())
        passing = SharedFolders(root, Template.parse("*/{day}.csv"), ["us"])
        assert passing.list_day("2013-01-01", logical_now()).files == ()


@pytest.mark.usefixtures("old")
def test_a_folder_that_fails_harms_the_days_that_may_lie_there(tmp_path: Path, fault: Any) -> None:
    """Unknown is not absent, for just as long as it is unknown; days of other folders go on."""
    make(tmp_path, "2013/a_01-01", "2014/a_01-01")
    with InputRoot(tmp_path) as root:
        shared = SharedFolders(root, Template.parse("{day:%Y}/*_{day:%m-%d}"))
        assert len(shared.list_day("2013-01-01", logical_now()).files) == 1
        _tick(tmp_path)
        make(tmp_path, "2013/a_01-02")
        with pytest.MonkeyPatch.context() as broken:
            real = os.open

            def opened(path: Any, *args: Any, **kwargs: Any) -> int:
                if path == "2013":
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return real(path, *args, **kwargs)

            broken.setattr(os, "open", opened)
            with pytest.raises(StorageError, match=r"input of day 2013-01-01: cannot read .*2013: Input/output error"):
                shared.list_day("2013-01-01", logical_now())
            assert len(shared.list_day("2014-01-01", logical_now()).files) == 1
        assert len(shared.list_day("2013-01-02", logical_now()).files) == 1


def test_a_root_that_is_missing_or_lost(tmp_path: Path) -> None:
    """As a fresh listing has it: nothing is there, or nobody knows."""
    template = Template.parse("*/{day}.csv")
    with InputRoot(tmp_path / "missing") as root:
        assert SharedFolders(root, template).list_day("2013-01-01", logical_now()).files == ()
    (tmp_path / "raw").symlink_to("unmounted")
    with InputRoot(tmp_path / "raw") as root, pytest.raises(StorageError, match="broken link"):
        SharedFolders(root, template).list_day("2013-01-01", logical_now())


TEMPLATES = [
    "**/{day}*",
    "*/{day}",
    "{day:%Y}/**/{day}",
    "*/{day}/**/x*",
    "*_{day:%Y%m}/*{day}",
    "*/{day}/*{day}",
    "*x{day:int}/?",
    "**/{day:%Y}*/{day:%m-%d}/*",
]
NAMES = ["2013-01-01", "2013-01-02", "2013", "01-01", "x_201301", "7", "x7", "x", ".h", "y"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
CHANGES = st.one_of(
    st.tuples(st.just("make"), PATHS, PATHS),
    st.tuples(st.just("remove"), PATHS, PATHS),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("link"), PATHS, st.sampled_from([".", "..", "x", "2013-01-01", "../x", "lost"])),
    st.tuples(st.just("edit"), PATHS, PATHS),
)


def _change(root: Path, kind: str, one: str, other: str) -> None:
    with suppress(OSError, shutil.Error):
        if kind == "make":
            make(root, one)
        elif kind == "remove":
            shutil.rmtree(root / one) if (root / one).is_dir() else (root / one).unlink()
        elif kind == "rename":
            (root / one).rename(root / other)
        elif kind == "link":
            (root / one).symlink_to(other)
        elif (root / one).is_file():
            (root / one).write_text("edited")


@pytest.mark.usefixtures("old")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(PATHS, max_size=8), changes=st.lists(st.lists(CHANGES, min_size=1, max_size=3), max_size=4))
def test_an_answer_is_that_of_a_fresh_listing(
    tmp_path_factory: pytest.TempPathFactory, trees: list[str], changes: list[list[tuple[str, str, str]]]
) -> None:
    """Whatever is done to a tree between two looks: files, links, folders that come, go and change places."""
    home = tmp_path_factory.mktemp("tree")
    root = home / "raw"
    root.mkdir()
    for path in trees:
        _change(root, "make", path, "")
    with InputRoot(root) as held:
        templates = [Template.parse(text) for text in TEMPLATES]
        broken = [[link.path for link in list_source(held, template).broken] for template in templates]
        shared = [SharedFolders(held, *pair) for pair in zip(templates, broken, strict=True)]
        for some in [[], *changes]:
            _tick(home)
            for change in some:
                _change(root, *change)
            for template, ignored_links, one in zip(templates, broken, shared, strict=True):
                for day in DAYS:
                    fresh = _answer(lambda: list_day(held, template, day, ignored_links))  # noqa: B023 called at once
                    found = _answer(lambda: one.list_day(day, logical_now()))  # noqa: B023
                    if isinstance(fresh, str):
                        assert isinstance(found, str), (template.text, day)
                    else:
                        assert found == fresh, (template.text, day)
