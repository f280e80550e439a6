"""The situations in which a run can begin. Each output is built once, by real runs, and copied for every trial.

The raw files are shared, so that their inodes and times remain those in the commit records.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis

from state.embedded.server import EmbeddedServer
from state.store.local import layout
from state.store.local.day_lock import read_mark
from state.store.local.marker import Marker
from state.store.local.root import find_store
from tests.chaos.harness.scene import Row, Scene, settle
from tests.chaos.harness.worker import call, run_in_child

DAY, NEXT_DAY = "2024-01-01", "2024-01-02"
Partition = tuple[str, str]
Rows = Mapping[Partition, list[Row]]
Sales = Mapping[str, Sequence[int]]


def _unharmed(_: Scene) -> None:
    pass


def _tear(scene: Scene) -> None:
    """Truncate one result, and replace another by a copy of it that is whole and sealed."""
    path = scene.output / layout.data_file("items_by_shop", DAY)
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    (scene.output / layout.data_file("totals", DAY)).write_bytes(content)


def _leave_folders(scene: Scene) -> None:
    """Leave what a first run leaves that is killed before it writes the marker: folders that nobody flushed."""
    for folder in (layout.STAGING, layout.day_folder("items_by_shop", DAY), "totals"):
        (scene.output / folder).mkdir(parents=True)


def _of_an_earlier_version(scene: Scene) -> None:
    """Give each day a lock file of its own, and the marker that goes with them."""
    store = find_store(scene.output)
    assert store is not None
    with store:
        for name, day, _ in scene.results():
            mark = read_mark(store.folder, (name, day))
            lines = b"%020d\n%020d\n" % (mark.generation, mark.published)
            (scene.output / layout.lock_file(name, day)).write_bytes(lines)
    for slots in (scene.output / layout.LOCKS).rglob("*.locks"):
        slots.unlink()
    (scene.output / layout.MARKER).write_bytes(Marker(store.id, lock_ranges=False).content())


@dataclass(frozen=True)
class Situation:
    """Sales when the output was built and sales now, the code's version now, and what damages the output."""

    name: str
    before: Sales
    after: Sales
    version: int = 1
    harm: Callable[[Scene], None] = _unharmed


SITUATIONS = (
    Situation("first run", {}, {DAY: (1, 2, 3)}),
    Situation("new day", {DAY: (1, 2, 3)}, {DAY: (1, 2, 3), NEXT_DAY: (4, 5)}),
    Situation("two new days", {}, {DAY: (1, 2, 3), NEXT_DAY: (4, 5)}),
    Situation("changed day", {DAY: (1, 2, 3)}, {DAY: (6, 7)}),
    Situation("damaged results", {DAY: (1, 2, 3)}, {DAY: (1, 2, 3)}, harm=_tear),
    Situation("outdated version", {DAY: (1, 2, 3)}, {DAY: (1, 2, 3)}, version=2),
    Situation("parents not flushed", {}, {DAY: (1, 2, 3)}, harm=_leave_folders),
    Situation(
        "earlier version",
        {DAY: (1, 2, 3), NEXT_DAY: (4, 5)},
        {DAY: (6, 7), NEXT_DAY: (4, 5)},
        harm=_of_an_earlier_version,
    ),
)


@dataclass(frozen=True)
class Base:
    """A situation that was built: rows before (``old``) and after (``new``) a run, and damaged bytes (``harmed``).

    ``marks`` are the days' high-water marks.
    """

    situation: Situation
    scene: Scene
    old: Rows
    new: Rows
    harmed: Mapping[Partition, bytes]
    marks: Mapping[Partition, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the situation is called."""
        return self.situation.name

    @property
    def version(self) -> int:
        """The version of the code that runs now."""
        return self.situation.version


@dataclass
class Bases:
    """All situations in a folder, with a Redis or without (``none``). ``copy`` gives the scene of one trial."""

    folder: Path
    redis_url: str = "none"
    situations: Sequence[Situation] = SITUATIONS
    built: dict[str, Base] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def build(self) -> Bases:
        """Build every output, then change the inputs, and wait until their file times are old enough to be trusted."""
        scenes = {one.name: self._scene(at) for at, one in enumerate(self.situations)}
        self._sell({scenes[one.name]: one.before for one in self.situations})
        built = [one for one in self.situations if one.before]
        for one in built:
            call(run_in_child, scenes[one.name], {})
        old = {one.name: scenes[one.name].expected() for one in built}
        self._sell({scenes[one.name]: one.after for one in self.situations if one.after != one.before})
        for one in self.situations:
            scene = scenes[one.name]
            whole = {(name, day): path.read_bytes() for name, day, path in scene.results()}
            one.harm(scene)
            harmed = {
                (name, day): content
                for name, day, path in scene.results()
                if (content := path.read_bytes()) != whole[name, day]
            }
            standing = {place: rows for place, rows in old.get(one.name, {}).items() if place not in harmed}
            self.built[one.name] = Base(one, scene, standing, scene.expected(one.version), harmed, marks(scene))
        return self

    @contextmanager
    def copy(
        self, base: Base, *, lease_seconds: int = 60, where: Path | None = None, own_input: bool = False
    ) -> Iterator[Scene]:
        """The output (in ``where``) and the index of a base, for one trial alone; ``own_input``: the raw files too."""
        number = next(self._numbers)
        folder = (where or self.folder) / f"trial-{number}"
        output = folder / "deep" / "output"
        scene = replace(base.scene, output=output, namespace=f"trial-{number}", lease_seconds=lease_seconds)
        if base.scene.output.is_dir():
            shutil.copytree(base.scene.output, output, symlinks=True)
        if own_input:
            scene = replace(scene, raw=folder / "raw")
            shutil.copytree(base.scene.raw, scene.raw)
        self._copy_keys(base.scene.namespace, scene.namespace)
        try:
            yield scene
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._forget(scene.namespace)

    def _scene(self, at: int) -> Scene:
        folder = self.folder / f"base-{at}"
        return Scene(folder / "raw", folder / "output", redis_url=self.redis_url, namespace=f"base-{at}")

    def _sell(self, sales: Mapping[Scene, Sales]) -> None:
        for scene, days in sales.items():
            for day, items in days.items():
                scene.sell(day, *items)
        for scene, days in sales.items():
            if days:
                settle(scene)

    def _copy_keys(self, source: str, target: str) -> None:
        if self.redis_url != "none":
            with redis.Redis.from_url(self.redis_url) as client:
                for key in client.keys(f"{source}:*"):
                    client.copy(key, target.encode() + key[len(source) :])

    def _forget(self, namespace: str) -> None:
        if self.redis_url != "none":
            with redis.Redis.from_url(self.redis_url) as client:
                if keys := client.keys(f"{namespace}:*"):
                    client.delete(*keys)


@contextmanager
def bases(folder: Path, situations: Sequence[Situation] = SITUATIONS, *, with_redis: bool = True) -> Iterator[Bases]:
    """The situations, built, with a Redis server while this is entered."""
    if not with_redis:
        yield Bases(folder, situations=situations).build()
        return
    with EmbeddedServer(folder / "redis") as server:
        yield Bases(folder, server.url, situations).build()


def marks(scene: Scene) -> dict[Partition, int]:
    """The high-water mark of each result that stands."""
    store = find_store(scene.output)
    if store is None:
        return {}
    with store:
        return {(name, day): read_mark(store.folder, (name, day)).generation for name, day, _ in scene.results()}


def kept(scene: Scene) -> list[bytes]:
    """The contents of all files that were set aside."""
    folder = scene.output / layout.SET_ASIDE
    return [(folder / name).read_bytes() for name in sorted(os.listdir(folder))] if folder.is_dir() else []
