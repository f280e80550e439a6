"""What lies in the input root, and what happens to it: days arrive, are revised, moved, touched, soiled and mended."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.inputs.years.raw_files import COLLECTIONS, Collection, RawFile
from tests.dirt import Dirty

Place = tuple[str, int]
"""A collection, and the number of a day from 0."""


@dataclass(frozen=True)
class Lying:
    """One part of a day as it lies on the disk."""

    path: str
    folder: str
    file: RawFile
    revision: int = 0
    dirt: str = ""
    dirty: Dirty | None = None

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return self.dirty.content if self.dirty else self.file.content


class World:
    """The raw files of all collections over so many days. ``kinds``: the dirt that may come, by collection."""

    def __init__(self, root: Path, seed: int, days: int, kinds: Mapping[str, tuple[str, ...]]) -> None:
        self.root = root
        self.chance = random.Random(f"{seed} world")
        self.kinds = kinds
        self.lying: dict[Place, dict[int, Lying]] = {}
        self.strays: set[str] = set()
        self._seed = seed
        self._days = days
        for collection in COLLECTIONS.values():
            for at in range(days):
                if self.chance.random() < 0.9 or at in (0, days - 1):  # the others are yet to arrive
                    self._arrive(collection, at)

    def files(self, place: Place) -> list[Lying]:
        """What lies there of a day, in the order in which a run reads it."""
        return sorted(self.lying.get(place, {}).values(), key=lambda one: os.fsencode(one.path))

    def days(self) -> Iterator[tuple[str, str, list[Lying]]]:
        """Every aggregation and day that has input, with its files."""
        for (name, at), parts in self.lying.items():
            if parts:
                files = self.files((name, at))
                for aggregation in COLLECTIONS[name].aggregations:
                    yield aggregation, COLLECTIONS[name].day(at), files

    def act(self) -> str:
        """Let one thing happen, and say what."""
        while True:
            action = self.chance.choices(list(ACTIONS), [ACTIONS[one] for one in ACTIONS])[0]
            collection = self.chance.choice(list(COLLECTIONS.values()))
            at = self.chance.randrange(self._days)
            if (told := action(self, collection, at)) is not None:
                return f"{action.__name__} {collection.name} {collection.day(at)}{' ' * bool(told)}{told}"

    def mend_all(self) -> None:
        """Put a sound file in the place of every dirty one."""
        for place, parts in self.lying.items():
            for part, one in parts.items():
                if one.dirty:
                    self._put(place, part, replace(one, dirt="", dirty=None))

    def arrive(self, collection: Collection, at: int) -> str | None:
        """A day comes that was not there, perhaps in parts."""
        if self.lying.get((collection.name, at)):
            return None
        self._arrive(collection, at)
        return ""

    def arrive_in_part(self, collection: Collection, at: int) -> str | None:
        """One more file of a day that is there."""
        there = self.lying.get((collection.name, at), {})
        lacking = sorted(set(range(collection.parts)) - set(there))
        if not there or not lacking:
            return None
        self._create(collection, at, self.chance.choice(lacking), next(iter(there.values())).folder)
        return ""

    def revise(self, collection: Collection, at: int) -> str | None:
        """A file is written again with other rows."""
        if (found := self._sound(collection, at)) is None:
            return None
        part, one = found
        file = collection.file(self._seed, at, part, one.revision + 1)
        self._put((collection.name, at), part, replace(one, file=file, revision=one.revision + 1))
        return ""

    def revise_quietly(self, collection: Collection, at: int) -> str | None:
        """The last values of a file change places between its rows: size and time stay, as by ``cp -p``."""
        if (found := self._sound(collection, at)) is None:
            return None
        part, one = found
        last = [row[-1] for row in one.file.rows]
        if len(set(last)) == 1:
            return None
        rows = [(*row[:-1], value) for row, value in zip(one.file.rows, [*last[1:], last[0]], strict=True)]
        status = (self.root / one.path).stat()
        self._put((collection.name, at), part, replace(one, file=collection.write(one.path, rows)))
        os.utime(self.root / one.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return ""

    def lose(self, collection: Collection, at: int) -> str | None:
        """One of several files goes away."""
        there = self.lying.get((collection.name, at), {})
        if len(there) < 2:
            return None
        gone = there.pop(self.chance.choice(sorted(there)))
        (self.root / gone.path).unlink()
        return gone.path

    def move(self, collection: Collection, at: int) -> str | None:
        """All files of a day lie in another folder: no change."""
        there = self.lying.get((collection.name, at), {})
        if not there or len(collection.folders) < 2:
            return None
        folder = self.chance.choice(collection.folders)
        for part, one in there.items():
            moved = replace(one, folder=folder, path=collection.path(folder, at, part))
            (self.root / moved.path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / one.path).rename(self.root / moved.path)
            there[part] = moved
        return f"to {folder!r}"

    def touch(self, collection: Collection, at: int) -> str | None:
        """Every file of a day has another time: no change."""
        for one in self.files((collection.name, at)):
            os.utime(self.root / one.path)
        return "" if self.files((collection.name, at)) else None

    def rewrite(self, collection: Collection, at: int) -> str | None:
        """Every file is replaced by a new one with equal bytes: no change."""
        for one in self.files((collection.name, at)):
            new = self.root / f"{one.path}.new"
            new.write_bytes(one.content)
            new.replace(self.root / one.path)
        return "" if self.files((collection.name, at)) else None

    def stray(self, collection: Collection, at: int) -> str | None:
        """A file comes that is of no day: no change."""
        parts = self.files((collection.name, at))
        if not parts or collection.numbered:
            return None
        stray = parts[0].path
        for digits in collection.day(at).split("-"):
            stray = stray.replace(digits, "NaN" if self.chance.random() < 0.5 else "99", 1)
        path = self.root / stray
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(parts[0].content)
        self.strays.add(stray)
        return stray

    def soil(self, collection: Collection, at: int) -> str | None:
        """A file gets dirt of a kind that a run must name."""
        found = self._sound(collection, at)
        if found is None or not self.kinds[collection.name]:
            return None
        part, one = found
        kind = self.chance.choice(self.kinds[collection.name])
        dirty = one.file.soiled(kind, self.chance)
        self._put((collection.name, at), part, replace(one, dirt=kind, dirty=dirty))
        return f"with {kind}"

    def mend(self, *_: object) -> str | None:
        """A dirty file, of whatever day, is sound again."""
        dirty = [(place, part) for place, parts in self.lying.items() for part, one in parts.items() if one.dirty]
        if not dirty:
            return None
        place, part = self.chance.choice(dirty)
        mended = replace(self.lying[place][part], dirt="", dirty=None)
        self._put(place, part, mended)
        return f"({mended.path})"

    def _sound(self, collection: Collection, at: int) -> tuple[int, Lying] | None:
        """Any part of a day without dirt, or None."""
        there = self.lying.get((collection.name, at), {})
        if not there or any(one.dirty for one in there.values()):
            return None
        part = self.chance.choice(sorted(there))
        return part, there[part]

    def _arrive(self, collection: Collection, at: int) -> None:
        folder = self.chance.choice(collection.folders)
        for part in self.chance.sample(range(collection.parts), self.chance.randint(1, collection.parts)):
            self._create(collection, at, part, folder)

    def _create(self, collection: Collection, at: int, part: int, folder: str) -> None:
        file = collection.file(self._seed, at, part, 0)
        self._put((collection.name, at), part, Lying(collection.path(folder, at, part), folder, file))

    def _put(self, place: Place, part: int, lying: Lying) -> None:
        self.lying.setdefault(place, {})[part] = lying
        path = self.root / lying.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lying.content)


ACTIONS: Mapping[Callable[[World, Collection, int], str | None], int] = {
    World.arrive: 12,
    World.arrive_in_part: 8,
    World.revise: 20,
    World.revise_quietly: 6,
    World.lose: 5,
    World.move: 12,
    World.touch: 10,
    World.rewrite: 10,
    World.stray: 4,
    World.soil: 12,
    World.mend: 8,
}
"""What happens, and how often."""
