"""What was found sound is not checked again, and whatever differs from what was checked is."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.inputs.root import InputRoot
from state.store.cache_file import CacheFile
from state.store.local import layout
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tasks.catalog import Source
from tasks.catalog.declare import aggregation, declared
from tasks.catalog.load import Catalog
from tasks.inputs.run_listing import RunListing
from tasks.reading import day_input as reading
from tasks.reading import declared as structure
from tasks.reading import iso_times, sound_files
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.declared import NotAsDeclared
from tasks.reading.sound_files import DaySound, SoundFiles
from tasks.strict.check import check_file
from tasks.strict.times import are_iso
from tests.builders import DAY
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import Scene

CONTENT = b"Shop,day\nnorth,2024-01-02\n"
OPTIONS: Mapping[str, Any] = {"schema": {"shop": pl.String, "day": pl.Date}, "rename": {"Shop": "shop"}}
EXPECTED = pl.DataFrame({"shop": ["north"], "day": [dt.date(2024, 1, 2)]})


@pytest.fixture
def root(tmp_path: Path) -> Iterator[LocalStore]:
    """An empty output."""
    with open_store(tmp_path / "out", create=True, remembered=False) as made:
        yield made


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often files were checked, by what was asked of them."""
    counted: Counter[str] = Counter()

    def noted(name: str, real: Any) -> Any:
        def check(*arguments: Any) -> Any:
            counted[name] += 1
            return real(*arguments)

        return check

    monkeypatch.setattr(structure, "check_file", noted("structure", check_file))
    monkeypatch.setattr(iso_times, "are_iso", noted("times", are_iso))
    return counted


ONCE = {"structure": 1, "times": 1}


def _put(root: Path, content: bytes = CONTENT, name: str = "a.csv") -> None:
    file = root / "raw/f" / DAY / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _taken(root: Path, known: SoundFiles, options: Mapping[str, Any] = OPTIONS) -> DayInput:
    taken = read_day(Source("f/{day}/*.csv", **options), DAY, RunListing(InputRoot(root / "raw")), known)
    assert taken
    return taken


def _rows(root: Path, known: SoundFiles, options: Mapping[str, Any] = OPTIONS) -> pl.DataFrame:
    return _taken(root, known, options).frame().collect()


def test_a_file_is_checked_once_by_a_run(tmp_path: Path, checks: Counter[str]) -> None:
    """Whoever reads it again, under another name too, gets the same rows by the same header."""
    _put(tmp_path)
    known = SoundFiles()
    assert _rows(tmp_path, known).equals(EXPECTED)
    (tmp_path / "raw/f" / DAY / "a.csv").rename(tmp_path / "raw/f" / DAY / "b.csv")
    assert _rows(tmp_path, known).equals(EXPECTED)
    assert checks == ONCE


def test_the_next_run_knows_it(tmp_path: Path, root: LocalStore, checks: Counter[str]) -> None:
    """By a note beside the results; what several runs learned adds up."""
    for name, content in (("a.csv", CONTENT), ("b.csv", CONTENT.replace(b"north", b"south"))):
        _put(tmp_path, content, name)
        known = SoundFiles(root)
        _rows(tmp_path, known)
        known.save()
    assert checks == {"structure": 2, "times": 2}
    for _ in range(2):
        known = SoundFiles(root)
        assert _rows(tmp_path, known)["shop"].to_list() == ["north", "south"]
        known.save()
    assert checks == {"structure": 2, "times": 2}


def test_a_run_that_computes_again_checks_nothing(tmp_path: Path, checks: Counter[str]) -> None:
    """A whole run, of a raised version: every file is as it was found sound."""

    def catalog(version: int) -> Catalog:
        @aggregation(Source("f/{day}/*.csv", **OPTIONS), version=version)
        def shops(rows: pl.LazyFrame) -> pl.LazyFrame:
            """The day's shops."""
            return rows.select("shop")

        one = declared(shops)
        assert one
        return {one.name: one}

    _put(tmp_path)
    scene = Scene(tmp_path / "raw", tmp_path / "output")
    for version in (1, 2):
        assert len(run(scene, version=version, catalog=catalog).to_json()["committed"]) == 1
    assert checks == ONCE


def test_the_days_that_read_a_file_of_events_check_it_once(tmp_path: Path, checks: Counter[str]) -> None:
    """Three days read it."""
    known = SoundFiles()
    source = Source("f/{day}.csv", schema={"time": pl.Datetime()}, event_time="time", reach=(1, 1))
    (tmp_path / "f").mkdir()
    for at in range(1, 8):
        (tmp_path / f"f/2024-01-{at:02}.csv").write_text(f"time\n2024-01-{at:02}T12:00:00\n")
    for at in range(2, 7):
        taken = read_day(source, f"2024-01-{at:02}", RunListing(InputRoot(tmp_path)), known)
        assert taken
        assert taken.frame().collect().height == 1
    assert checks["structure"] == 7


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (CONTENT.replace(b"north", b"south"), OPTIONS),
        (CONTENT, {"schema": {"shop": pl.String, "day": pl.String}, "rename": {"Shop": "shop"}}),
        (CONTENT, {**OPTIONS, "null_values": ["north"]}),
        (CONTENT, {**OPTIONS, "encoding": "cp1252"}),
    ],
)
def test_other_bytes_or_another_declaration_is_checked(
    tmp_path: Path, checks: Counter[str], content: bytes, options: Mapping[str, Any]
) -> None:
    """What was found says nothing of them."""
    known = SoundFiles()
    _put(tmp_path)
    _rows(tmp_path, known)
    _put(tmp_path, content)
    _rows(tmp_path, known, options)
    assert checks["structure"] == 2


def test_what_an_earlier_check_let_pass_is_checked_by_a_later_one(
    tmp_path: Path, root: LocalStore, checks: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of the checks is a part of what a file is known by."""
    _put(tmp_path)
    known = SoundFiles(root)
    _rows(tmp_path, known)
    known.save()
    sound_files._question.cache_clear()
    monkeypatch.setattr(sound_files, "_rules", lambda: b"others")
    _rows(tmp_path, SoundFiles(root))
    sound_files._question.cache_clear()
    assert checks == {"structure": 2, "times": 2}


@pytest.mark.parametrize("room", ["strict", "formats", "reading"])
def test_an_edit_of_any_check_is_another_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str) -> None:
    """All modules that look at a file before polars does are read for that."""
    rules = sound_files._rules.__wrapped__
    tasks = Path(sound_files.__file__).parent.parent
    for one in ("strict", "formats", "reading"):
        shutil.copytree(tasks / one, tmp_path / one)
    monkeypatch.setattr(sound_files, "__file__", str(tmp_path / "reading/sound_files.py"))
    before = rules()
    assert before == sound_files._rules()
    with next((tmp_path / room).glob("*.py")).open("a") as module:
        module.write("# an edit\n")
    assert rules() != before


@pytest.mark.parametrize("bad", [b"Shop,day\nnorth,2024-01-02,3\n", b"Shop,day\nnorth,01/02/2024\n"])
def test_a_bad_file_is_never_known(tmp_path: Path, bad: bytes) -> None:
    """It is refused each time."""
    _put(tmp_path, bad)
    known = SoundFiles()
    for _ in range(2):
        with pytest.raises(NotAsDeclared):
            _rows(tmp_path, known)


@pytest.mark.parametrize(
    "options",
    [
        {"prepare": lambda content: content},
        {"with_column_names": lambda names: names},
    ],
)
def test_what_a_function_has_a_part_in_is_checked_each_time(
    tmp_path: Path, checks: Counter[str], options: Mapping[str, Any]
) -> None:
    """Nobody can tell whether it does the same again."""
    _put(tmp_path)
    known = SoundFiles()
    for _ in range(2):
        _rows(tmp_path, known, options)
    assert checks["structure"] == 2


def test_a_file_on_disk_is_known_once_it_did_not_change(
    tmp_path: Path, checks: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again after it was digested: what was checked need not be what was digested."""
    monkeypatch.setattr(reading, "KEEP_BYTES", 1)
    _put(tmp_path)
    known = SoundFiles()
    _rows(tmp_path, known)
    taken = _taken(tmp_path, known)
    taken.frame()
    assert checks["structure"] == 2
    other = _taken(tmp_path, known, {"schema_overrides": {"day": pl.Date}})
    other.frame()
    other.check()  # of the same bytes: it says nothing of what this one saw of them
    _rows(tmp_path, known)
    assert checks["structure"] == 4
    taken.check()
    _rows(tmp_path, known)
    assert checks["structure"] == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda content: content.replace(b"shop", b"shog").replace(b"Shop", b"Shog"),
        lambda content: b"noonmark sound 0" + content[16:],
    ],
)
def test_a_damaged_note_is_learned_again(tmp_path: Path, root: LocalStore, checks: Counter[str], damage: Any) -> None:
    """Nothing that is wrong with it is an error, or believed."""
    _put(tmp_path)
    known = SoundFiles(root)
    _rows(tmp_path, known)
    known.save()
    note = root.path / layout.note_file(sound_files.NAME)
    note.write_bytes(damage(note.read_bytes()))
    for expected in (2, 2):
        known = SoundFiles(root)
        assert _rows(tmp_path, known).equals(EXPECTED)
        known.save()
        assert checks["structure"] == expected


@pytest.mark.parametrize("entry", [[1, "a" * 32], [["x", 2], "a" * 32], [None, 7], "x", [None]])
def test_what_is_no_entry_is_not_read(tmp_path: Path, root: LocalStore, checks: Counter[str], entry: object) -> None:
    """A block whose digest is right may hold anything."""
    _put(tmp_path)
    CacheFile(root, sound_files.NAME, sound_files._FORM).save([], [entry])
    known = SoundFiles(root)
    assert _rows(tmp_path, known).equals(EXPECTED)
    known.save()
    _rows(tmp_path, SoundFiles(root))
    assert checks == ONCE


def test_the_note_has_an_end(root: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many files are kept, those that were learned last."""
    monkeypatch.setattr(sound_files, "MOST", 4)
    for at in range(12):
        known = SoundFiles(root)
        assert known.known(f"{at:032}") is None
        known.learn(f"{at:032}", ("x",))
        known.save()
    known = SoundFiles(root)
    kept = [at for at in range(12) if known.known(f"{at:032}")]
    assert kept[-4:] == [8, 9, 10, 11]
    assert len(kept) <= 8
    for at in range(20, 29):  # by itself more than there is room for
        known.learn(f"{at:032}", ("x",))
    known.save()
    known = SoundFiles(root)
    assert [at for at in range(40) if known.known(f"{at:032}")] == [25, 26, 27, 28]


def test_the_digests_of_a_day_are_asked_for_once() -> None:
    """A day may have thousands of files: what has the digests of all of them is not made for each of them again."""
    asked = []

    def digests() -> dict[str, bytes]:
        asked.append(1)
        return {f"{number}.csv": bytes([number]) for number in range(9)}

    sound = DaySound(SoundFiles(), Source("{day}/*.csv"), digests)
    assert not asked
    for number in range(9):
        sound.known("structure", f"{number}.csv")
    assert len(asked) == 1
