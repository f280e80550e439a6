"""What lies in the input root: the files of each day as they were meant, and as they are."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.inputs.years.raw_files import COLLECTIONS, Collection, RawFile
from tests.dirt import Dirty

Place = tuple[str, int]
"""A collection, and the number of a day from 0."""
COPY = 100
"""The part of a copy is that of its original and this."""


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
    """The raw files of all collections over so many days, of which a tenth is yet to arrive.

    ``strays`` are files of no day.
    """

    def __init__(self, root: Path, seed: int, days: int) -> None:
        self.root = root
        self.chance = random.Random(f"{seed} world")
        self.days = days
        self.strays: set[str] = set()
        self._lying: dict[Place, dict[int, Lying]] = {}
        self._seed = seed
        for collection in COLLECTIONS.values():
            for at in range(1 if collection.serves_all else days):
                if self.chance.random() < 0.9 or at in (0, days - 1):
                    self.arrive(collection, at)

    def parts(self, place: Place) -> dict[int, Lying]:
        """What lies there of a day, by part."""
        return self._lying.setdefault(place, {})

    def files(self, place: Place) -> list[Lying]:
        """What lies there of a day, in the order in which a run reads it."""
        return sorted(self._lying.get(place, {}).values(), key=lambda one: os.fsencode(one.path))

    def there(self, collection: Collection) -> list[int]:
        """The days that have a file."""
        return sorted(at for (name, at), parts in self._lying.items() if name == collection.name and parts)

    def sound(self, place: Place, *, copied: bool = False) -> tuple[int, Lying] | None:
        """Any part of a day that has no dirt, nor a copy unless it may be ``copied``; None where there is none."""
        parts = self._lying.get(place, {})
        if not parts or any(one.dirty for one in parts.values()) or (max(parts) >= COPY and not copied):
            return None
        part = self.chance.choice(sorted(parts))
        return part, parts[part]

    def dirty(self) -> list[tuple[Place, int]]:
        """The parts of all days that have dirt in them."""
        return [(place, part) for place, parts in self._lying.items() for part, one in parts.items() if one.dirty]

    def arrive(self, collection: Collection, at: int) -> None:
        """Some parts of a day come."""
        folder = self.chance.choice(collection.folders)
        for part in self.chance.sample(range(collection.parts), self.chance.randint(1, collection.parts)):
            self.create(collection, at, part, folder)

    def create(self, collection: Collection, at: int, part: int, folder: str) -> None:
        """A part of a day comes, in its first form."""
        lying = Lying(collection.path(folder, at, part), folder, self.form(collection, at, part, 0))
        self.put((collection.name, at), part, lying)

    def form(self, collection: Collection, at: int, part: int, revision: int) -> RawFile:
        """A form of a part: a pure function of these, and of the seed."""
        return collection.file(self._seed, at, part % COPY, revision)

    def put(self, place: Place, part: int, lying: Lying) -> None:
        """Write a file."""
        self.parts(place)[part] = lying
        self.write(lying.path, lying.content)

    def write(self, path: str, content: bytes) -> None:
        """Write a file that may be of no day."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def mend(self, place: Place, part: int) -> Lying:
        """Put the sound file in the place of a dirty one."""
        mended = replace(self.parts(place)[part], dirt="", dirty=None)
        self.put(place, part, mended)
        return mended

    def remove(self, place: Place, part: int) -> Lying:
        """Take a file away."""
        gone = self.parts(place).pop(part)
        (self.root / gone.path).unlink()
        return gone

    def mend_all(self) -> None:
        """Leave no dirt, and nothing twice."""
        for place, part in self.dirty():
            self.mend(place, part)
        for place, parts in self._lying.items():
            for part in [part for part in parts if part >= COPY]:
                self.remove(place, part)
                if part - COPY not in parts:
                    name, at = place
                    self.create(COLLECTIONS[name], at, part - COPY, COLLECTIONS[name].folders[0])
