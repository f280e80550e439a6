"""Links, folders and other foreign objects at every place of the output's tree.

A person moved a folder and left a link, another program writes there, or an attacker points to somebody's files. Files
outside are never touched, no other result is affected, nothing foreign is lost, and what is in the way is named or set
aside. Every trial starts from its own copy of a good output.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flows.health import check_health
from flows.repair import repair_output
from state.errors import ACCEPT, NoonmarkError, Refused
from state.filesystem.folder import FOLDER, Folder, _Parent
from state.store.local import layout
from tests.chaos.campaign import Campaign, Hunt, Mutant, Report, Short, run_trials, without
from tests.chaos.damage.foreign_files import FOREIGN, seen
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import DAYS, Scene, catalog, settle

NAMES = ("items_by_shop", "totals")
NONCE = "0123456789abcdef" * 2
Put = Callable[[Path, Path, random.Random], None]
"""Puts something at a path where nothing stands; the second path is a folder outside of the output."""


def _places(name: str, day: str) -> dict[str, str]:
    """Every kind of place in the tree, for one result."""
    return {
        "an aggregation's folder": layout.aggregation_folder(name),
        "a day's folder": layout.day_folder(name, day),
        "a result": layout.data_file(name, day),
        "our own folder": layout.OWN,
        "the marker": layout.MARKER,
        "what is accepted": layout.note_file("accepted.json"),
        "the folder of drafts": layout.STAGING,
        "a draft": layout.temporary_file(NONCE),
        "a note": layout.run_note(NONCE),
        "a file among drafts": f"{layout.STAGING}/mine.tmp",
        "the folder of locks": layout.LOCKS,
        "an aggregation's locks": layout.locks_folder(name),
        "a lock": layout.lock_slot(name, day)[0],
        "the folder of what is set aside": layout.SET_ASIDE,
        "the folder of failures": layout.note_file("failed"),
        "a failure": layout.note_file(f"failed/{name}.{day}.json"),
        "the cache": layout.note_file("cache"),
        "the known footers": layout.note_file("cache/footers"),
        "the known digests": layout.note_file("cache/digests"),
        "the sound files": layout.note_file("cache/sound"),
    }


def _link_to(target: Callable[[Path, Path], str]) -> Put:
    return lambda place, outside, _: place.symlink_to(target(place, outside))


def _folder(place: Path, _: Path, __: random.Random) -> None:
    place.mkdir()
    (place / "mine.txt").write_text("somebody's")


def _foreign(name: str) -> Put:
    def put(place: Path, _: Path, chance: random.Random) -> None:
        place.touch()  # it takes the place of a file
        FOREIGN[name](place, chance)

    return put


def _moved(place: Path, outside: Path, _: random.Random) -> None:
    """A link to what stood there: it was moved to another disk, say."""
    place.symlink_to(outside / "moved")


KINDS: Mapping[str, Put] = {
    "a link to what stood there": _moved,
    "a link to somebody's file": _link_to(lambda _, outside: str(outside / "letter.txt")),
    "a link to somebody's empty file": _link_to(lambda _, outside: str(outside / "empty.txt")),
    "a link to somebody's folder": _link_to(lambda _, outside: str(outside / "folder")),
    "a link to somebody's results": _link_to(lambda _, outside: str(outside / "results")),
    "a link to nowhere": _link_to(lambda *_: "nowhere"),
    "a link to itself": _link_to(lambda place, _: place.name),
    "a link to the marker": _link_to(lambda place, _: os.path.relpath(_root(place) / layout.MARKER, place.parent)),
    "a link to another day": _link_to(
        lambda place, _: os.path.relpath(_root(place) / layout.day_folder(NAMES[1], DAYS[1]), place.parent)
    ),
    "a folder": _folder,
    **{
        name: _foreign(name)
        for name in (
            *("a text", "another program's Parquet file", "another program's folder of Parquet files"),
            *("a pipe", "a socket", "an empty file"),
        )
    },
}


_FILES = ("a text", "another program's Parquet file", "an empty file")
_EMPTY = ("an empty file",)
_OURS = {"a draft": _FILES, "a note": _FILES, "a lock": _EMPTY, "the sound files": _EMPTY}
"""What is ours by its name: a private file without a lock is one whose writer died, whatever it holds, and a power cut
leaves a file empty.
"""


def _root(place: Path) -> Path:
    return next(one for one in place.parents if one.name == "output")


def _everything(folder: Path) -> dict[str, tuple[str, bytes]]:
    return {str(path.relative_to(folder)): seen(path) for path in sorted(folder.rglob("*"))}


def _outcome(command: Callable[[], Any]) -> tuple[Any, NoonmarkError | None]:
    try:
        return command(), None
    except NoonmarkError as error:
        return None, error


class _Trial:
    """One thing at one place, and what became of it."""

    def __init__(self, scene: Scene, number: int, seed: int, report: Report) -> None:
        self.scene = scene
        self.chance = random.Random(f"{seed} {number}")
        self.name, self.other = self.chance.sample(NAMES, 2)
        places = _places(self.name, DAYS[0])
        self.where = sorted(places)[number % len(places)]
        outwards = [kind for kind in KINDS if "somebody's" in kind or kind == "a link to what stood there"]
        self.kind = self.chance.choice(outwards if self.chance.random() < 0.5 else sorted(KINDS))
        self.place = scene.output / places[self.where]
        self.outside = scene.output.parent / "outside"
        self.what = f"seed {seed}, {self.kind} in place of {self.where}"
        report.details[self.where] += 1

    def harm(self) -> None:
        """Put it there."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(self.place):
            self.place.rename(self.outside / "moved")
        KINDS[self.kind](self.place, self.outside, self.chance)

    def steps(self) -> Iterator[str]:
        """Harm, run, repair and look; move away what was named; then all is well."""
        self.harm()
        before, object_ = _everything(self.outside), seen(self.place)
        was_folder = self.place.is_dir() and not self.place.is_symlink()
        kept = [self.scene.output / layout.data_file(name, DAYS[1]) for name in NAMES if name != self.name]
        untouched = {path: path.read_bytes() for path in kept}
        refused: list[Refused] = []
        deep = lambda: repair_output(self.scene.settings(), catalog(), deep=True, accept=False, dry_run=False).to_json()  # noqa: E731
        for number, command in enumerate((lambda: run(self.scene).to_json(), deep, lambda: run(self.scene).to_json())):
            report, error = _outcome(command)
            if isinstance(error, Refused):
                refused.append(error)
                yield from self._refusal(error)
            elif error is not None:
                yield f"{self.what}: step {number} ends with {type(error).__name__}: {error}"
            elif number != 1:
                yield from self._failures(report["failed"])
            if _everything(self.outside) != before:
                yield f"{self.what}: step {number} touched what lies outside"
        in_place = os.path.lexists(self.place) and (seen(self.place) == object_ or was_folder)
        if not refused:
            yield from self._done(in_place=in_place)
        if any(path.read_bytes() != content for path, content in untouched.items()):
            yield f"{self.what}: a result of another day changed"
        aside = self.scene.output / layout.SET_ASIDE
        known = [seen(path) for path in aside.iterdir()] if aside.is_dir() else []
        ours_by_name = self.kind in _OURS.get(self.where, ())
        if not in_place and object_ not in known and not ours_by_name:
            yield f"{self.what}: it was destroyed"
        yield from self._health(refused=bool(refused))
        yield from self._afterwards(refused, in_place=in_place)

    def _refusal(self, error: Refused) -> Iterator[str]:
        own = self.place.relative_to(self.scene.output).parts
        if own[0] != layout.OWN or len(own) > 2:
            yield f"{self.what}: the whole run is refused: {error}"
        if str(self.place) not in str(error) and not error.message.startswith("the output root"):
            yield f"{self.what}: the refusal does not name it: {error}"

    def _failures(self, failed: list[dict[str, str]]) -> Iterator[str]:
        """Who fails has what was harmed for a place, and says so."""
        path = str(self.place.relative_to(self.scene.output))
        for one in failed:
            if one["aggregation"] != self.name:
                yield f"{self.what}: {one['aggregation']} {one['day']} fails: {one['error']}"
            elif path not in one["error"] or one["kind"] not in ("storage", "unreadable"):
                yield f"{self.what}: {one['day']} fails without naming it: {one['kind']}: {one['error']}"

    def _done(self, *, in_place: bool) -> Iterator[str]:
        """What could be computed was."""
        for wrong in inspect(self.scene):
            of_another = not wrong.startswith((f"{self.name} ", f"{self.name}/"))
            if of_another and "temporary files" not in wrong:
                yield f"{self.what}: {wrong}"
            elif not in_place and "should not be there" not in wrong and "temporary files" not in wrong:
                yield f"{self.what}: it was moved away, and {wrong}"

    def _health(self, *, refused: bool) -> Iterator[str]:
        report, error = _outcome(lambda: check_health(self.scene.settings(), catalog()).to_json())
        if error is not None:
            yield f"{self.what}: health ends with {error}"
        elif refused and report["healthy"]:
            yield f"{self.what}: runs are refused, and health is green"
        elif named := [one for one in report["problems"] if not one["command"]]:
            yield f"{self.what}: health names no command for {named}"

    def _afterwards(self, refused: list[Refused], *, in_place: bool) -> Iterator[str]:
        """A person moves away what was named; one run, and all is as if nothing had been."""
        if in_place and not (self.place.is_dir() and not self.place.is_symlink()):
            self.place.unlink()
        elif in_place:
            shutil.rmtree(self.place)
        if refused and ACCEPT in (refused[-1].command or ""):
            repair_output(self.scene.settings(), catalog(), deep=False, accept=True, dry_run=False)
        done, error = _outcome(lambda: run(self.scene).to_json())
        if error or done["failed"]:
            yield f"{self.what}: once it is moved away: {error or done['failed']}"
        for path in self._foreign():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        again, error = _outcome(lambda: run(self.scene).to_json())
        if error or again["committed"]:
            yield f"{self.what}: runs do not come to rest: {error or again['committed']}"
        yield from (f"{self.what}: afterwards {wrong}" for wrong in inspect(self.scene))
        for path in self.scene.output.rglob("*"):
            if path.is_symlink() or (path.name.endswith(".parquet") and layout.OWN in path.parts):
                yield f"{self.what}: {path.relative_to(self.scene.output)} is still there"

    def _foreign(self) -> list[Path]:
        """What ``--deep`` names beside results."""
        report = repair_output(self.scene.settings(), catalog(), deep=True, accept=False, dry_run=False).to_json()
        return [self.scene.output / path for path in report["foreign"]]


def attack(trials: int, seed: int, workdir: Path, stop_at: int | None = 20) -> Report:
    """Each trial puts one thing at one place of a good output, one day of which has a new input."""
    good = Scene(workdir / "raw", workdir / "good")
    for day in DAYS:
        good.sell(day, 1, 2, 3)
    settle(good)
    run(good)
    scene = Scene(workdir / "raw", workdir / "trial" / "output")
    good.sell(DAYS[0], 4, 5)
    settle(good)
    report = Report()

    def trial(number: int) -> Iterator[str]:
        shutil.rmtree(scene.output.parent, ignore_errors=True)
        shutil.copytree(good.output, scene.output)
        outside = scene.output.parent / "outside"
        (outside / "folder").mkdir(parents=True)
        (outside / "letter.txt").write_text("dear somebody")
        (outside / "empty.txt").touch()
        (outside / "folder" / layout.DATA).write_bytes(b"somebody's")
        shutil.copytree(good.output / NAMES[0], outside / "results")
        one = _Trial(scene, number, seed, report)
        try:
            yield from one.steps()
        except Exception as error:  # noqa: BLE001 whatever stands there makes the code raise is a finding
            yield f"{one.what}: {type(error).__name__}: {error}"

    began = time.monotonic()
    report.add(run_trials(range(trials), trial, stop_at))
    report.seconds = time.monotonic() - began
    return report


def open_through_links(folder: Folder, path: str, flags: int = os.O_RDONLY) -> int:
    """As ``Folder.open_anything``, and where a link leads."""
    with _Parent(folder.fd, path) as (parent, name):
        return os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)


def _through_links(real: Callable[..., int]) -> Callable[..., int]:
    def open_file(folder: Folder, path: str, *flags: int, lockable: bool = False) -> int:
        if not path.endswith(".locks"):
            return real(folder, path, *flags, lockable=lockable)
        with patch("state.filesystem.folder.FILE", os.O_NONBLOCK | os.O_CLOEXEC):
            return real(folder, path, *flags, lockable=lockable)

    return open_file


MUTANTS: dict[str, Mutant] = {
    # Each lets one kind of place be a link again.
    "O_NOFOLLOW dropped for results": without({"state.filesystem.folder.Folder.open_anything": open_through_links}),
    "O_NOFOLLOW dropped for locks": without(
        {
            "state.filesystem.folder.Folder.open_file": _through_links(Folder.open_file),
        }
    ),
    "O_NOFOLLOW dropped for folders": without({"state.filesystem.folder.FOLDER": FOLDER & ~os.O_NOFOLLOW}),
}

CAMPAIGN = Campaign(
    "foreign-objects",
    "Links in and out of the output, folders, plain files, sockets, pipes, other programs' files at every place of "
    "its tree: folders, results, locks, drafts, marker, caches",
    "5, 6, 7, 9, 10",
    attack,
    trials=600,
    seed=20261126,
    shorts={"": Short(38, met=dict.fromkeys(_places(NAMES[0], DAYS[0]), 1))},
    mutants={name: Hunt(400, 400, slow="folders" not in name) for name in MUTANTS},
    protections=MUTANTS,
)
