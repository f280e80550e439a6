"""What happens to raw files: days arrive, are revised, moved, touched, copied, soiled and mended.

An action says what it did, or None where it does not fit the day that was drawn for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.chaos.inputs.years.raw_files import COLLECTIONS, Collection
from tests.chaos.inputs.years.world import COPY, World

Action = Callable[[World, Collection, int], str | None]


def act(world: World) -> str:
    """Let one thing happen, and say what."""
    while True:
        (action,) = world.chance.choices(list(ACTIONS), list(ACTIONS.values()))
        (collection,) = world.chance.choices(list(COLLECTIONS.values()), _SHARES)
        at = 0 if collection.serves_all else world.chance.randrange(world.days)
        if (told := action(world, collection, at)) is not None:
            return f"{action.__name__} {collection.name} {collection.day(at)}{' ' * bool(told)}{told}"


def arrive(world: World, collection: Collection, at: int) -> str | None:
    """A day comes that was not there."""
    if world.files((collection.name, at)):
        return None
    world.arrive(collection, at)
    return ""


def arrive_in_part(world: World, collection: Collection, at: int) -> str | None:
    """One more file of a day that is there."""
    there = world.parts((collection.name, at))
    lacking = sorted(set(range(collection.parts)) - set(there))
    if not there or not lacking or max(there) >= COPY:
        return None
    world.create(collection, at, world.chance.choice(lacking), next(iter(there.values())).folder)
    return ""


def revise(world: World, collection: Collection, at: int) -> str | None:
    """A file is written again with other rows; a copy of it is another file from then on."""
    if (found := world.sound((collection.name, at), copied=True)) is None:
        return None
    part, one = found
    file = world.form(collection, at, part, one.revision + 1)
    world.put((collection.name, at), part, replace(one, file=file, revision=one.revision + 1))
    return ""


def revise_quietly(world: World, collection: Collection, at: int) -> str | None:
    """The last values of a file change places between its rows: size and time stay, as by ``cp -p``."""
    if (found := world.sound((collection.name, at))) is None:
        return None
    part, one = found
    last = [row[-1] for row in one.file.rows]
    if len(set(last)) == 1:
        return None
    rows = [(*row[:-1], value) for row, value in zip(one.file.rows, [*last[1:], last[0]], strict=True)]
    status = (world.root / one.path).stat()
    world.put((collection.name, at), part, replace(one, file=collection.write(one.path, rows)))
    os.utime(world.root / one.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return ""


def lose(world: World, collection: Collection, at: int) -> str | None:
    """One of several files goes away."""
    place = collection.name, at
    if len(world.parts(place)) < 2:
        return None
    return world.remove(place, world.chance.choice(sorted(world.parts(place)))).path


def move(world: World, collection: Collection, at: int) -> str | None:
    """All files of a day lie in another folder: no change."""
    there = world.parts((collection.name, at))
    if not there or len(collection.folders) < 2 or max(there) >= COPY:
        return None
    folder = world.chance.choice(collection.folders)
    for part, one in there.items():
        moved = replace(one, folder=folder, path=collection.path(folder, at, part))
        (world.root / moved.path).parent.mkdir(parents=True, exist_ok=True)
        (world.root / one.path).rename(world.root / moved.path)
        there[part] = moved
    return f"to {folder!r}"


def copy(world: World, collection: Collection, at: int) -> str | None:
    """A file lies in a second folder too: the rows of one, or a day that fails."""
    found = world.sound((collection.name, at))
    if found is None or len(collection.folders) < 2:
        return None
    part, one = found
    folder = world.chance.choice([other for other in collection.folders if other != one.folder])
    world.put((collection.name, at), part + COPY, replace(one, folder=folder, path=collection.path(folder, at, part)))
    return f"to {folder!r}"


def touch(world: World, collection: Collection, at: int) -> str | None:
    """Every file of a day has another time: no change."""
    for one in world.files((collection.name, at)):
        os.utime(world.root / one.path)
    return "" if world.files((collection.name, at)) else None


def rewrite(world: World, collection: Collection, at: int) -> str | None:
    """Every file is replaced by a new one with equal bytes: no change."""
    for one in world.files((collection.name, at)):
        world.write(f"{one.path}.new", one.content)
        (world.root / f"{one.path}.new").replace(world.root / one.path)
    return "" if world.files((collection.name, at)) else None


def stray(world: World, collection: Collection, at: int) -> str | None:
    """A file comes that is of no day: no change."""
    files = world.files((collection.name, at))
    if not files or collection.numbered or collection.serves_all:
        return None
    path = files[0].path
    for digits in collection.day(at).split("-"):
        path = path.replace(digits, "NaN" if world.chance.random() < 0.5 else "99", 1)
    world.write(path, files[0].content)
    world.strays.add(path)
    return path


def soil(world: World, collection: Collection, at: int) -> str | None:
    """A file gets dirt of a kind that a run must name."""
    found = world.sound((collection.name, at))
    if found is None:
        return None
    part, one = found
    kind = world.chance.choice(collection.dirt)
    world.put((collection.name, at), part, replace(one, dirt=kind, dirty=one.file.soiled(kind, world.chance)))
    return f"with {kind}"


def mend(world: World, *_: object) -> str | None:
    """A dirty file, of whatever day, is sound again."""
    dirty = world.dirty()
    return f"({world.mend(*world.chance.choice(dirty)).path})" if dirty else None


_SHARES = [1 if one.serves_all else 6 for one in COLLECTIONS.values()]
ACTIONS: Mapping[Action, int] = {
    arrive: 12,
    arrive_in_part: 8,
    revise: 20,
    revise_quietly: 6,
    lose: 6,
    move: 12,
    copy: 6,
    touch: 10,
    rewrite: 10,
    stray: 4,
    soil: 12,
    mend: 8,
}
"""What happens, and how often."""
