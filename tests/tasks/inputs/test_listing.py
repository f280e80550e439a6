"""Listings of real trees: every file of a day, no other, and no error taken for an absence."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.errors import StorageError
from state.inputs.files import FileStat
from state.inputs.root import InputRoot
from tasks.inputs import listing as product
from tasks.inputs import strays
from tasks.inputs.listing import Listing
from tasks.inputs.strays import COUNTED, FOLDER, SPECIAL, Stray
from tasks.templates import near_names as near
from tasks.templates import template as template_module
from tasks.templates.template import NO_DAY, Template
from tests.builders import path_day


def make(root: Path, *paths: str) -> None:
    """Files with their path as content."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(path))


def list_source(root: Path, template: Template) -> Listing:
    """What a source holds below this folder."""
    with InputRoot(root) as held:
        return product.list_source(held, template)


def list_day(root: Path, template: Template, day: str, ignored_links: Sequence[str] = ()) -> tuple[FileStat, ...]:
    """What a day holds below this folder."""
    with InputRoot(root) as held:
        return product.list_day(held, template, day, ignored_links).files


def paths(listing: Listing) -> dict[str, list[str]]:
    """The listing's paths alone."""
    return {day: [file.path for file in found.files] for day, found in listing.days.items()}


def listed(root: Path, text: str) -> Listing:
    """The listing, after list_day was seen to agree with it on every day."""
    template = Template.parse(text)
    listing = list_source(root, template)
    broken = [link.path for link in listing.broken]
    for day, found in listing.days.items():
        assert list_day(root, template, day, broken) == found.files
        assert day not in listing.unreadable
    for day in listing.unreadable:
        with pytest.raises(StorageError, match=f"input of day {day}"):
            list_day(root, template, day, broken)
    for day in ("1999-09-09", "77777"):
        assert list_day(root, template, day, broken) == ()
    return listing


def place_of(path: Any, dir_fd: int | None = None) -> str:
    """Where a path, or an open folder, leads."""
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    return os.path.normpath(os.path.join(place_of(dir_fd) if dir_fd is not None else "", path))


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were listed."""
    seen: list[str] = []
    real = os.scandir

    def scandir(folder: int) -> Any:
        seen.append(place_of(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    return seen


Fault = Callable[[Path, int], None]


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Makes the listing and the stat of a path fail, as a bad disk or a permission does (root may read everything)."""

    def break_path(broken: Path, number: int) -> None:
        for name in ("scandir", "stat"):
            real = getattr(os, name)

            def call(path: Any, *args: Any, real: Any = real, **kwargs: Any) -> Any:
                if place_of(path, kwargs.get("dir_fd")) == str(broken):
                    raise OSError(number, os.strerror(number), path)
                return real(path, *args, **kwargs)

            monkeypatch.setattr(os, name, call)

    return break_path


def stray_paths(listing: Listing) -> list[str]:
    """The paths of the strays."""
    return [one.path for one in listing.strays]


def test_all_files_of_a_day_are_found_and_sorted_bytewise(tmp_path: Path) -> None:
    """Order is by bytes, not by locale or by code point; facts are those of stat."""
    names = ["b.csv", "a.csv", "Z.csv", "é.csv", "\U0001f600.csv", "\udcff.csv", "\uffee.csv"]
    make(tmp_path, *(f"flights/2013-01-02/{name}" for name in names), "flights/2013-01-01/x.csv", "flights/x.csv")
    listing = listed(tmp_path, "flights/{day}/*.csv")
    assert list(listing.days) == ["2013-01-01", "2013-01-02"]
    assert paths(listing)["2013-01-02"] == sorted((f"flights/2013-01-02/{name}" for name in names), key=os.fsencode)
    status = (tmp_path / "flights/2013-01-01/x.csv").stat()
    (file,) = listing.days["2013-01-01"].files
    assert (file.size, file.mtime_ns, file.ctime_ns, file.inode) == (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
    )
    assert (listing.unreadable, listing.strays) == ({}, ())


@pytest.mark.parametrize(
    ("text", "days", "others", "strays"),
    [
        (
            "{day:int}/orders_{day:int}.csv",
            {"0": ["0/orders_0.csv"], "9": ["9/orders_9.csv"], "10": ["10/orders_10.csv"]},
            ["10/orders.csv", "x/orders_1.csv"],
            ["1/orders_2.csv", "010/orders_010.csv"],
        ),
        (
            "{day:%Y/%m/%d}.json",
            {"2013-01-31": ["2013/01/31.json"], "2013-02-28": ["2013/02/28.json"]},
            ["2013/01/31.json.bak"],
            ["2013/02/30.json", "2013/13/01.json"],
        ),
        (
            "dt={day}/**/*.csv",
            {"2013-01-01": ["dt=2013-01-01/a/b/x.csv", "dt=2013-01-01/a/n=1/[ab].csv", "dt=2013-01-01/x.csv"]},
            ["dt=2013-01-01/.git/x.csv", "dt=2013-01-01/a/.x.csv", ".dt=2013-01-01/x.csv"],
            ["dt=2013-02-29/a/x.csv"],
        ),
        (
            "**/{day}.csv",
            {"2013-01-01": ["2013-01-01.csv", "2013-01-02/a/2013-01-01.csv"], "2013-01-02": ["a/2013-01-02.csv"]},
            [".x/2013-01-01.csv", "2013-01-01"],
            ["a/2013-01-32.csv"],
        ),
        (
            "{day}/**",
            {"2013-01-01": ["2013-01-01/a/b/c", "2013-01-01/x"]},
            ["2013-01-01/.a/x", "2013-01-01/a/.x"],
            [],
        ),
        (
            "[ab]/n=1/{day}*",
            {"2013-01-01": ["[ab]/n=1/2013-01-01\n.csv", "[ab]/n=1/2013-01-01*"]},
            ["a/n=1/2013-01-01.csv", "b/n=1/2013-01-01.csv"],
            [],
        ),
        ("{day}/part.csv", {"2013-01-01": ["2013-01-01/part.csv"]}, ["2013-01-02/x", "2013-01-03"], []),
        (
            "{day}/*-{day}",
            {"2013-01-01": ["2013-01-01/a-2013-01-02-2013-01-01"]},
            ["2013-01-01/x"],
            ["2013-01-01/a-2013-01-02"],
        ),
        ("**/.{day}/x", {"2013-01-01": ["2013-01-02/.2013-01-01/x"]}, ["2013-01-02/x"], []),
        ("{day:%Y}/{day:%m}/{day:%d}/?", {"2013-01-31": ["2013/01/31/x"]}, ["2013/01/31/xy"], ["2014/02/29/x"]),
    ],
)
def test_each_kind_of_template_finds_its_files(
    tmp_path: Path, text: str, days: dict[str, list[str]], others: list[str], strays: list[str]
) -> None:
    """Files of a day, files that are none of its business, and strays are three different things."""
    make(tmp_path, *(path for files in days.values() for path in files), *others, *strays)
    listing = listed(tmp_path, text)
    assert paths(listing) == days
    assert stray_paths(listing) == sorted(strays, key=os.fsencode)
    assert listing.unreadable == {}


def test_an_absolute_template_is_listed_from_the_root_of_the_machine(tmp_path: Path) -> None:
    """Paths are relative to ``/``, whatever the input root is."""
    make(tmp_path, "2013-01-01.csv")
    listing = listed(Path("/nowhere"), f"{tmp_path}/{{day}}.csv")
    assert paths(listing) == {"2013-01-01": [f"{tmp_path}/2013-01-01.csv"[1:]]}


@pytest.mark.parametrize("text", ["a/b/{day}.csv", "a/file/{day}/x.csv", "a/file/b/{day}.csv", "missing/{day}/x"])
def test_a_missing_folder_makes_no_days(tmp_path: Path, text: str) -> None:
    """ENOENT and ENOTDIR of the literal prefix are an absence."""
    make(tmp_path, "a/file")
    assert listed(tmp_path, text) == Listing({}, {}, ())
    assert listed(tmp_path / "missing", text) == Listing({}, {}, ())


@pytest.mark.parametrize("text", ["link/{day}.csv", "link/b/{day}/*.csv", "**/b/{day}/x"])
def test_a_link_into_the_void_is_no_absence(tmp_path: Path, text: str) -> None:
    """A broken link where all days lie (an unmounted disk) is an error, unless ``**`` would not follow it anyway."""
    (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    if text.startswith("**"):
        assert listed(tmp_path, text) == Listing({}, {}, ())
        return
    with pytest.raises(StorageError, match=r"link.*broken link.*may hold any day"):
        list_source(tmp_path, Template.parse(text))


@pytest.mark.parametrize(
    ("text", "link", "held", "others"),
    [
        ("*/{day}.csv", "lost", ["2013-01-01", "2014-02-02"], ["7"]),
        ("*/in/{day}.csv", "lost/in", ["2013-01-01"], []),
        ("{day:%Y}/{day:%m-%d}.csv", "2013", ["2013-01-01", "2013-12-31"], ["2014-01-01"]),
        ("*_{day:%Y%m}/{day}/x", "us_201301", ["2013-01-31"], ["2013-02-01"]),
    ],
)
@pytest.mark.parametrize("target", ["nowhere", "lost", "file/below"])
def test_a_broken_link_among_others_is_listed_with_the_days_that_it_may_hold(
    tmp_path: Path, text: str, link: str, held: list[str], others: list[str], target: str
) -> None:
    """It may be litter, or a disk that is gone: the others are listed, and who knows the commits decides."""
    template = Template.parse(text)
    there = [template.pattern(day).replace("*", "us") for day in ("2014-03-03", "2014-04-04")]
    make(tmp_path, *there, "file")
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target if target != "lost" else Path(link).name)
    listing = listed(tmp_path, text)
    assert [path for some in paths(listing).values() for path in some] == there
    [broken] = listing.broken
    assert broken.path == link
    assert all(broken.may_hold(template, day) for day in held)
    assert not any(broken.may_hold(template, day) for day in (*others, "x"))
    with pytest.raises(StorageError, match=link):  # one that nobody knew of hides files
        list_day(tmp_path, template, held[0])


def test_an_unreadable_folder_among_others_is_no_broken_link(tmp_path: Path, fault: Fault) -> None:
    """A link to a folder that fails, or may not be entered, leads somewhere: nothing is decided."""
    make(tmp_path, "raw/us/2013-01-01.csv", "disk/2013-01-01.csv")
    (tmp_path / "raw/link").symlink_to("../disk")
    fault(tmp_path / "disk", errno.EACCES)
    with pytest.raises(StorageError, match="link: Permission denied; it may hold any day"):
        list_source(tmp_path / "raw", Template.parse("*/{day}.csv"))


def test_a_root_that_is_a_broken_link_is_no_absence(tmp_path: Path) -> None:
    """The input root itself may be the link to the unmounted disk."""
    (tmp_path / "raw").symlink_to(tmp_path / "unmounted")
    for text in ("{day}.csv", "a/b/{day}/x.csv"):
        with pytest.raises(StorageError, match="broken link"):
            list_source(tmp_path / "raw", Template.parse(text))
        with pytest.raises(StorageError, match="broken link"):
            list_day(tmp_path / "raw", Template.parse(text), "2013-01-01")


@pytest.mark.parametrize("text", ["{day}/x.csv", "{day}/*.csv", "{day}/a/x.csv"])
def test_a_broken_link_harms_its_day_alone(tmp_path: Path, text: str) -> None:
    """Where the day is known, the others go on."""
    make(tmp_path, text.replace("{day}", "2013-01-01").replace("*", "x"))
    (tmp_path / "2013-01-02").symlink_to(tmp_path / "unmounted")
    listing = listed(tmp_path, text)
    assert list(listing.days) == ["2013-01-01"]
    assert list(listing.unreadable) == ["2013-01-02"]
    assert "2013-01-02" in listing.unreadable["2013-01-02"]


def test_a_day_with_one_unreadable_file_is_unreadable(tmp_path: Path) -> None:
    """A part of a day's input is never shown as the whole: broken links and loops of links, literal name or not."""
    make(tmp_path, "2013-01-01/a.csv", "2013-01-02/a.csv", "2013-01-03/a.csv")
    (tmp_path / "2013-01-02/b.csv").symlink_to("nowhere")
    (tmp_path / "2013-01-03/b.csv").symlink_to("b.csv")
    listing = listed(tmp_path, "{day}/*.csv")
    assert list(listing.days) == ["2013-01-01"]
    assert "broken link" in listing.unreadable["2013-01-02"]
    assert os.strerror(errno.ELOOP) in listing.unreadable["2013-01-03"]
    literal = listed(tmp_path, "{day}/b.csv")
    assert literal.days == {}
    assert literal.unreadable == listing.unreadable


def test_links_are_followed_but_not_by_deep_wildcards(tmp_path: Path) -> None:
    """A linked folder or file is as good as a real one; ``**`` never runs in circles."""
    make(tmp_path, "else/x.csv", "2013-01-01/a/x.csv")
    (tmp_path / "2013-01-02").symlink_to("else")
    (tmp_path / "2013-01-01/a/y.csv").symlink_to("../../else/x.csv")
    (tmp_path / "2013-01-01/a/round").symlink_to("..")
    listing = listed(tmp_path, "{day}/**/*.csv")
    assert paths(listing) == {
        "2013-01-01": ["2013-01-01/a/x.csv", "2013-01-01/a/y.csv"],
        "2013-01-02": ["2013-01-02/x.csv"],
    }
    assert listing.days["2013-01-02"].files[0].inode == (tmp_path / "else/x.csv").stat().st_ino


def test_what_is_no_regular_file_is_a_stray_and_never_opened(tmp_path: Path) -> None:
    """A FIFO would block for ever; sockets and folders hold no rows."""
    make(tmp_path, "2013-01-01/x.csv")
    os.mkfifo(tmp_path / "2013-01-01/fifo.csv")
    (tmp_path / "2013-01-01/folder.csv").mkdir()
    (tmp_path / "2013-01-01/link.csv").symlink_to("folder.csv")
    (tmp_path / "2013-01-02").mkdir()
    here = os.getcwd()
    os.chdir(tmp_path)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("2013-01-02/x.csv")
    finally:
        os.chdir(here)
    listing = listed(tmp_path, "{day}/*.csv")
    assert paths(listing) == {"2013-01-01": ["2013-01-01/x.csv"]}
    whys = {"fifo": SPECIAL, "folder": FOLDER, "link": FOLDER}
    odd = [Stray(f"2013-01-01/{name}.csv", why) for name, why in whys.items()]
    assert listing.strays == (*odd, Stray("2013-01-02/x.csv", SPECIAL))
    assert stray_paths(listed(tmp_path, "{day}/fifo.csv")) == ["2013-01-01/fifo.csv"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_an_unreadable_folder_harms_the_day_that_it_is_known_to_be(tmp_path: Path, fault: Fault, number: int) -> None:
    """EIO, EACCES and ESTALE below a day make that day unreadable, at any depth."""
    make(tmp_path, "2013-01-01/a/x.csv", "2013-01-02/a/x.csv", "2013-01-02/b.csv")
    fault(tmp_path / "2013-01-02/a", number)
    listing = listed(tmp_path, "{day}/**/*.csv")
    assert paths(listing) == {"2013-01-01": ["2013-01-01/a/x.csv"]}
    assert os.strerror(number) in listing.unreadable["2013-01-02"]
    assert str(tmp_path / "2013-01-02/a") in listing.unreadable["2013-01-02"]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("a/{day}.csv", "a"),
        ("*/{day}.csv", "a"),
        ("**/{day}.csv", "a"),
        ("{day:%Y}/{day:%m}/{day:%d}.csv", "2013/01"),
        ("**/{day}/*.csv", "2013-01-01"),
        ("{day:%y%m%d}/{day:%Y}.csv", "130101"),
    ],
)
def test_an_unreadable_folder_that_may_hold_any_day_is_an_error(
    tmp_path: Path, fault: Fault, text: str, broken: str
) -> None:
    """Unknown is not absent: while the day is not known, nothing is decided."""
    (tmp_path / broken).mkdir(parents=True)
    fault(tmp_path / broken, errno.EIO)
    with pytest.raises(StorageError, match=f"{broken}: {os.strerror(errno.EIO)}"):
        list_source(tmp_path, Template.parse(text))


def test_an_unreadable_folder_that_is_no_day_harms_none(tmp_path: Path, fault: Fault) -> None:
    """What can hold no day of the calendar is a stray, readable or not."""
    make(tmp_path, "2013/01/01.csv", "2013/13/01.csv")
    fault(tmp_path / "2013/13", errno.EACCES)
    listing = listed(tmp_path, "{day:%Y/%m/%d}.csv")
    assert (list(listing.days), listing.unreadable, stray_paths(listing)) == (["2013-01-01"], {}, ["2013/13"])


def test_what_vanishes_during_the_walk_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder and a file that are deleted after they were listed leave no trace and no error."""
    make(tmp_path, "2013-01-01/x.csv", "2013-01-02/x.csv", "2013-01-02/y.csv", "2013-01-03/x.csv")
    real = os.scandir

    class Vanishing:
        def __init__(self, folder: int) -> None:
            with real(folder) as entries:
                self._entries = list(entries)
            (tmp_path / "2013-01-02/x.csv").unlink(missing_ok=True)
            if (tmp_path / "2013-01-01").is_dir():
                (tmp_path / "2013-01-01/x.csv").unlink()
                (tmp_path / "2013-01-01").rmdir()
                (tmp_path / "2013-01-01").write_text("a file now")

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self._entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Vanishing)
    listing = list_source(tmp_path, Template.parse("{day}/*.csv"))
    assert paths(listing) == {"2013-01-02": ["2013-01-02/y.csv"], "2013-01-03": ["2013-01-03/x.csv"]}
    assert (listing.unreadable, listing.strays) == ({}, ())


def test_a_file_that_vanishes_between_listing_and_stat_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry was listed, its stat says ENOENT, and lstat agrees that nothing is there."""
    make(tmp_path, "2013-01-01/x.csv", "2013-01-01/y.csv")
    real = os.scandir

    class Late:
        def __init__(self, folder: int) -> None:
            self._folder = folder

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            with real(self._folder) as entries:
                found = list(entries)
            (tmp_path / "2013-01-01/x.csv").unlink(missing_ok=True)
            return iter(found)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Late)
    assert [f.path for f in list_day(tmp_path, Template.parse("{day}/*"), "2013-01-01")] == ["2013-01-01/y.csv"]


def test_an_error_that_is_gone_at_the_second_look_is_no_absence(tmp_path: Path, fault: Fault) -> None:
    """ENOENT or ENOTDIR of something that is there proves nothing: it was replaced meanwhile."""
    make(tmp_path, "2013-01-01/x.csv")
    for number in (errno.ENOENT, errno.ENOTDIR):
        fault(tmp_path / "2013-01-01", number)
        assert list(listed(tmp_path, "{day}/*.csv").unreadable) == ["2013-01-01"]


def test_only_folders_that_can_hold_the_source_are_listed(tmp_path: Path, scanned: list[str]) -> None:
    """Literal segments are entered without a listing; folders of another shape are not entered."""
    make(tmp_path, "a/b/2013-01-01/c/x.csv", "a/b/2013-01-02/c/x.csv", "a/b/other/c/x.csv", "a/z/2013-01-01/c/x.csv")
    list_source(tmp_path, Template.parse("a/b/{day}/c/x.csv"))
    assert scanned == [f"{tmp_path}/a/b"]
    del scanned[:]
    list_source(tmp_path, Template.parse("a/b/{day}/c/*.csv"))
    assert sorted(scanned) == [f"{tmp_path}/a/b", f"{tmp_path}/a/b/2013-01-01/c", f"{tmp_path}/a/b/2013-01-02/c"]


def test_one_day_costs_its_own_folders_only(tmp_path: Path, scanned: list[str]) -> None:
    """Listing one of 10,000 days does not list the other 9,999."""
    make(tmp_path, "2013/01/2013-01-01.csv", "2013/02/2013-02-01-a.csv", "7/o_7.csv", "8/o_8.csv")
    assert len(list_day(tmp_path, Template.parse("{day:int}/o_{day:int}.csv"), "7")) == 1
    assert scanned == []
    assert len(list_day(tmp_path, Template.parse("{day:%Y/%m}/{day}*.csv"), "2013-02-01")) == 1
    assert scanned == [f"{tmp_path}/2013/02"]


def test_many_files_are_listed_quickly(tmp_path: Path) -> None:
    """A guard against a walk that grows faster than its files: 10,000 files, within a wide margin."""
    for day in range(100):
        folder = tmp_path / str(day)
        folder.mkdir()
        for number in range(100):
            os.mknod(folder / f"orders_{number}.csv")
    began = time.perf_counter()
    listing = list_source(tmp_path, Template.parse("{day:int}/orders_*.csv"))
    assert time.perf_counter() - began < 2
    assert sum(len(found.files) for found in listing.days.values()) == 10_000
    assert list(listing.days) == [str(day) for day in range(100)]


TEMPLATES = ["{day}/**", "**/{day}*", "{day:%Y}/**/{day:%Y%m%d}", "*/{day}", "{day}/*{day}", "{day:int}/**/{day:int}"]
NAMES = ["2013-01-01", "2013-01-02", "2013", "20130101", "2013-02-30", "7", "07", "x", ".h", "n\n", "\udcff", "2014"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trees=st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), max_size=8),
    links=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([".", "x", "2013-01-01", "lost"])), max_size=2),
)
def test_a_listing_is_what_the_template_says_of_every_file(
    tmp_path_factory: pytest.TempPathFactory, trees: list[list[str]], links: list[tuple[str, str]]
) -> None:
    """On random trees: each file is of the day that ``Template.day`` says, and list_day agrees on every day."""
    root = tmp_path_factory.mktemp("tree")
    for parts in trees:
        try:
            make(root, "/".join(parts))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # a file stands where this tree has a folder, or the other way round
    for name, target in links:
        if not os.path.lexists(root / name):
            (root / name).symlink_to(target)
    for text in TEMPLATES:
        template = Template.parse(text)
        listing = listed(root, text)
        assert all((root / link.path).is_symlink() and not (root / link.path).exists() for link in listing.broken)
        if links:
            continue
        files = [os.fspath(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        assert {f.path: day for day, found in listing.days.items() for f in found.files} == {
            path: day for path in files if (day := path_day(template, path))
        }
        assert {path for path in files if path_day(template, path) == NO_DAY} <= set(stray_paths(listing))
        assert not {path for path in files if path_day(template, path) not in (None, NO_DAY)} & set(
            stray_paths(listing)
        )


@pytest.mark.parametrize(
    ("template", "found", "others"),
    [
        (
            "sales/{day}/*.csv",
            {
                "2024-1-5": near.DIGITS,
                "20240105": near.SEPARATORS,
                "2024_01_05": near.SEPARATORS,
                "2024-01-05 copy": near.COPY,
                "NaT": near.WORD,
                "2024-01-05 ": near.SPACES,
                " 2024-01-09": near.SPACES,
                "2024-01-06/c.csv.gz": near.ENDING,
            },
            ["README", "archive", "2024-01-05-old", "natural"],
        ),
        ("dt={day}/*.csv", {"dt=__HIVE_DEFAULT_PARTITION__": near.WORD, "DT=2024-01-05": near.CAPITALS}, ["dt=", "dt"]),
        (
            "sales/{day}.csv",
            {
                "2024-01-05.CSV": near.CAPITALS,
                "2024-1-05.csv": near.DIGITS,
                "2020-01-32.csv": template_module.NO_DATE,
                "2024-01-05 (1).csv": near.COPY,
                "2024-01-05(12).csv": near.COPY,
                "Copy of 2024-01-05.csv": near.COPY,
                "2024-01-05 - Copy (2).csv": near.COPY,
                "2024-01-05.csv.csv": near.ENDING,
                "2024-01-05.csv.zst": near.ENDING,
                "2024-01-05.csv ": near.SPACES,
            },
            ["2024-01-05.csv.bak", "2024-01-05.csv~", "2024-01-05.txt", ".2024-1-5.csv", "a-b-c.csv", "(1).csv"],
        ),
        (
            "sales/{day:%m-%d-%Y}.csv",
            {
                "04-18-20.csv": near.DIGITS,
                "NaN-NaN-NaN.csv": near.WORD,
                "nan.csv": near.WORD,
                "4-18-nan.csv": near.WORD,
            },
            ["non-existent-file.csv", "nanny.csv"],
        ),
        (
            "sales/**/x_{day:%Y%m%d}.csv",
            {"x_2024-01-05.csv": near.SEPARATORS, "X_20240105.csv": near.CAPITALS},
            ["y_2024-01-05.csv", "x_.csv"],
        ),
        ("sales/{day:int}/*.csv", {"007/a.csv": template_module.NO_NUMBER}, ["one", "-1"]),
        (
            "sales/{day:%j-%Y}/*.csv",
            {"366-2023/a.csv": template_module.NO_DATE, "000-2024/a.csv": template_module.NO_DATE},
            ["366-2024", "001-2024"],
        ),
        ("sales/{day:%Y}/{day}.csv", {"2024/2023-01-05.csv": template_module.DISAGREEING}, ["2024/README"]),
    ],
)
def test_names_that_almost_match_are_strays(
    tmp_path: Path, template: str, found: dict[str, str], others: list[str]
) -> None:
    """What someone meant to be read is named with its own reason. Others, backups and half downloads too, are not."""
    folder = f"{template.partition('/')[0]}/" if template.startswith("sales/") else ""
    make(tmp_path, *(f"{folder}{name}" for name in [*found, *others]))
    listing = list_source(tmp_path, Template.parse(template))
    assert listing.days == {}
    assert {one.path: one.why for one in listing.strays} == {f"{folder}{name}": why for name, why in found.items()}


def test_a_copy_that_a_wildcard_matches_is_named_and_counts(tmp_path: Path) -> None:
    """Beside its original in one folder; alone, or in another one, a name says nothing."""
    make(tmp_path, "2024-01-05/x.csv", "2024-01-05/x (1).csv", "2024-01-06/x (1).csv", "2024-01-06/a/x.csv")
    listing = listed(tmp_path, "{day}/**/*.csv")
    assert [len(listing.days[day].files) for day in ("2024-01-05", "2024-01-06")] == [2, 2]
    assert listing.strays == (Stray("2024-01-05/x (1).csv", COUNTED),)


def test_every_reason_of_a_stray_has_its_next_step() -> None:
    """Whatever is named is named with what to do about it, for one path and for many."""
    whys = [value for module in (near, template_module, strays) for value in vars(module).values()]
    reasons = {value for value in whys if isinstance(value, str) and value in strays._HINTS}
    assert reasons == set(strays._HINTS)
    for why in reasons:
        for paths in (["a"], ["a", "b"]):
            [group] = strays.grouped({"s": [Stray(path, why) for path in paths]})
            assert "{" not in group.hint
            assert why in str(group)
