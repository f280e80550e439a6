"""The files of a day of events: those of all days within reach, listed once, and what the newest days wait for."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from state.errors import StorageError
from state.inputs.files import DayFiles, InputChanged
from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.inputs import reach as module
from tasks.inputs.listing import Listing, list_source
from tasks.inputs.reach import reached
from tasks.inputs.run_listing import RunListing
from tasks.reading.day_input import contents_digest, read_day
from tasks.reading.sound_files import SoundFiles

USUAL = Source("log/{day}.csv", event_time="at")


def _put(root: Path, days: Iterable[int], pattern: str = "log/2024-03-{:02}.csv") -> None:
    for day in days:
        file = root / pattern.format(day)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"at\n2024-03-{day:02}\n")


def _listed(root: Path, source: Source = USUAL) -> Listing:
    return reached(list_source(InputRoot(root), source.template), source)


def _read(listing: Listing) -> dict[int, list[int]]:
    """Day of the month to the days of the files that are read for it."""
    return {int(day[-2:]): [int(one.path[-6:-4]) for one in files.files] for day, files in listing.days.items()}


def test_a_day_has_the_files_of_the_days_around_it(tmp_path: Path) -> None:
    """Every day within reach of a file is a day, in order: an event of it may lie there. Others are none."""
    _put(tmp_path, [4, 5, 6, 11])
    assert _read(_listed(tmp_path)) == {
        3: [4],
        4: [4, 5],
        5: [4, 5, 6],
        6: [5, 6],
        7: [6],
        10: [11],
        11: [11],
        12: [11],
    }


def test_reach_may_be_one_sided_or_wide_or_none(tmp_path: Path) -> None:
    """``reach`` is how many days' files before and after a day's own may hold its events."""
    _put(tmp_path, [4, 5, 9])

    def read(before: int, after: int) -> dict[int, list[int]]:
        return _read(_listed(tmp_path, Source("log/{day}.csv", event_time="at", reach=(before, after))))

    assert read(0, 0) == {4: [4], 5: [5], 9: [9]}
    assert read(0, 1) == {3: [4], 4: [4, 5], 5: [5], 8: [9], 9: [9]}
    assert read(2, 0) == {4: [4], 5: [4, 5], 6: [4, 5], 7: [5], 9: [9], 10: [9], 11: [9]}


@pytest.mark.parametrize(
    ("reach", "waiting"),
    [((1, 1), [9, 10]), ((0, 1), [9]), ((1, 0), [10]), ((0, 0), []), ((0, 3), [7, 8, 9]), ((2, 2), [8, 9, 10, 11])],
)
def test_the_newest_days_wait_for_the_files_that_may_hold_their_events(
    tmp_path: Path, reach: tuple[int, int], waiting: list[int]
) -> None:
    """A gap in the middle makes nobody wait: a later file shows that the missing one is not just late."""
    _put(tmp_path, [3, 4, 7, 8, 9])
    found = _listed(tmp_path, Source("log/{day}.csv", event_time="at", reach=reach))
    assert [int(day[-2:]) for day in found.waiting] == waiting
    assert set(found.waiting) <= set(found.days)
    for why in found.waiting.values():
        assert why.startswith("a file of 2024-03-")


def test_days_within_reach_that_have_no_file_are_counted(tmp_path: Path) -> None:
    """As the record of a commit counts them. One that cannot be looked at is there; the calendar's first day has none
    before it.
    """
    source = Source("log/{day}.csv", schema={"at": pl.Date}, event_time="at")
    _put(tmp_path, [4, 5, 6, 8])
    absent = _listed(tmp_path).absent
    assert {int(day[-2:]): number for day, number in absent.items()} == {3: 2, 4: 1, 6: 1, 7: 1, 8: 2, 9: 2}
    for day in _listed(tmp_path).days:
        taken = read_day(source, day, RunListing(InputRoot(tmp_path)), SoundFiles())
        assert taken
        assert taken.absent == absent.get(day, 0)
    (tmp_path / "log/2024-03-07.csv").symlink_to("nowhere")
    assert set(_listed(tmp_path).absent) == {"2024-03-03", "2024-03-04", "2024-03-09"}
    (tmp_path / "log/0001-01-01.csv").write_text("at\n")
    assert _listed(tmp_path).absent["0001-01-01"] == 1
    assert not _listed(tmp_path, Source("log/{day}.csv", event_time="at", reach=(0, 0))).absent


def test_what_a_neighbour_waits_for_its_readers_wait_for(tmp_path: Path) -> None:
    """A file that is not ready yet is ready for no day."""
    _put(tmp_path, [3, 4, 5, 6, 7])
    listing = list_source(InputRoot(tmp_path), USUAL.template)
    listing.waiting["2024-03-04"] = "its marker"
    waiting = reached(listing, USUAL).waiting
    assert {int(day[-2:]) for day in waiting} == {3, 4, 5, 7, 8}
    assert waiting["2024-03-05"] == "its marker"


def test_a_file_that_cannot_be_looked_at_makes_its_readers_unreadable(tmp_path: Path) -> None:
    """They might lack events; the others go on, and the newest days still know that it is there."""
    _put(tmp_path, [3, 4, 5])
    (tmp_path / "log/2024-03-06.csv").symlink_to("nowhere")
    found = _listed(tmp_path)
    assert {int(day[-2:]) for day in found.unreadable} == {5, 6, 7}
    assert _read(found) == {2: [3], 3: [3, 4], 4: [3, 4, 5]}
    assert not found.waiting


@pytest.mark.parametrize("template", ["log/{day}.csv", "log/*/{day}.csv", "{day:%Y}/{day:%m}/{day:%d}/*.csv"])
def test_a_run_lists_a_day_as_the_plan_saw_it(tmp_path: Path, template: str) -> None:
    """Whatever the layout: else each day would count as changed while it is computed."""
    for pattern in ("log/2024-03-{:02}.csv", "log/b/2024-03-{:02}.csv", "2024/03/{:02}/a.csv", "2024/03/{:02}/b.csv"):
        _put(tmp_path, [1, 2, 3, 7, 8], pattern)
    source = Source(template, event_time="at")
    planned = _listed(tmp_path, source)
    listing = RunListing(InputRoot(tmp_path))
    assert len(planned.days) == 9
    for day, files in planned.days.items():
        assert listing.list_day(source, day) == files
    assert listing.list_day(source, "2024-05-01").files == ()


def test_the_folders_of_the_neighbours_are_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three days are read for one, from a shared folder that is checked once for all of them."""
    _put(tmp_path, [1, 2, 3])
    asked: list[int | None] = []
    real = RunListing._list

    def noted(self: RunListing, source: Source, day: str, as_of: int | None) -> DayFiles:
        asked.append(as_of)
        return real(self, source, day, as_of)

    monkeypatch.setattr(RunListing, "_list", noted)
    RunListing(InputRoot(tmp_path)).list_day(USUAL, "2024-03-02")
    assert len(asked) == 3
    assert len({*asked}) == 1
    assert None not in asked


def test_a_change_of_any_file_is_one_of_each_day_that_reads_it(tmp_path: Path) -> None:
    """And of no other."""
    _put(tmp_path, range(1, 8))
    before = _listed(tmp_path).days
    (tmp_path / "log/2024-03-04.csv").write_text("at\n2024-03-04\n2024-03-05\n")
    after = _listed(tmp_path).days
    assert {int(day[-2:]) for day in after if after[day] != before[day]} == {3, 4, 5}


def test_a_neighbour_that_changes_while_a_day_is_computed_is_noticed(tmp_path: Path) -> None:
    """The check before publishing is of all files that were read."""
    _put(tmp_path, [1, 2, 3])
    taken = read_day(USUAL, "2024-03-02", RunListing(InputRoot(tmp_path)), SoundFiles())
    assert taken
    taken.check()
    (tmp_path / "log/2024-03-03.csv").write_text("at\n2024-03-02\n")
    with pytest.raises(InputChanged):
        taken.check()
    (tmp_path / "log/2024-03-03.csv").unlink()
    (tmp_path / "log/2024-03-03.csv").symlink_to("nowhere")
    with pytest.raises(StorageError):
        taken.check()


def test_which_day_a_file_is_of_is_a_part_of_the_contents(tmp_path: Path) -> None:
    """The same bytes under the same name are another input on another day; in another folder of that day they are not.

    A row may lie within the reach of the one and not of the other.
    """
    source = Source("*/{day}/a.csv", event_time="at")
    root = InputRoot(tmp_path)
    _put(tmp_path, [1], "north/2024-03-{:02}/a.csv")

    def digest() -> str | None:
        return contents_digest(source, root, _listed(tmp_path, source).days["2024-03-02"])

    first = digest()
    (tmp_path / "north").rename(tmp_path / "south")
    assert digest() == first
    shutil.move(tmp_path / "south/2024-03-01", tmp_path / "south/2024-03-03")
    assert digest() != first


def test_the_plan_makes_one_pass_over_the_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One listing of the template serves all days: none is listed again for its neighbours."""
    _put(tmp_path, range(1, 29))
    listing = list_source(InputRoot(tmp_path), USUAL.template)
    joins = 0
    real = module.joined

    def counted(parts: Iterable[tuple[str, DayFiles]]) -> DayFiles:
        nonlocal joins
        joins += 1
        return real(parts)

    monkeypatch.setattr(module, "joined", counted)
    assert len(reached(listing, USUAL).days) == joins == 30
