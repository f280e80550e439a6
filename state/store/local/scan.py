"""Reads the whole output into what stands in each day's place, in one pass and without writing anything.

The output is the truth. So an error of listing is an error, never an empty list.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from state.errors import StorageError
from state.filesystem.folder import InTheWay, open_folder
from state.partition import Partition, is_aggregation_name
from state.result.classify import Found, look
from state.store.footer_cache import Footers
from state.store.local import layout
from state.store.local.store import LocalStore
from state.store.local.visible_names import counted, is_counted

Known = TypeVar("Known")


@dataclass(frozen=True, slots=True)
class Output:
    """What the output holds: ``days[aggregation][day]``, and ``strays``, paths that are nobody's.

    ``footers`` are those that the scan knew or learned; who may write saves them for the next one. ``blocked`` says of
    an aggregation what stands in its folder's place, a link or a file: of its days nothing is known.
    """

    days: Mapping[str, Mapping[str, Found]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    footers: Footers | None = None
    blocked: Mapping[str, str] = field(default_factory=dict)

    def blocked_among(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Those of these aggregations whose folder cannot be entered, and what stands in its place."""
        return [(name, self.blocked[name]) for name in names if name in self.blocked]

    def reachable(self, remembered: Mapping[str, Known]) -> dict[str, Known]:
        """What is remembered of aggregations whose days are known: of the others nothing is to be forgotten."""
        return {name: one for name, one in remembered.items() if name not in self.blocked}


Looks = Callable[[LocalStore, Footers, Sequence[Partition]], Iterable[Found | None]]
"""Says what stands in each place, in their order, and keeps what it learned of footers."""


def folders(root: LocalStore) -> list[str]:
    """The aggregations' folders under the root, declared or not. Raises StorageError."""
    names, odd = _entries(root, ".")
    return [name for name in names if name not in odd and is_aggregation_name(name)]


def everyday(root: LocalStore, footers: Footers, places: Sequence[Partition]) -> Iterator[Found | None]:
    """What stands in each place: each footer is read once, where it is not known yet."""
    for place in places:
        yield footers.known(place) or look(root.fd, *place, footers.judge)


def scan(root: LocalStore, looks: Looks = everyday) -> Output:
    """Everything under the root, looked at in one way or another. Raises StorageError."""
    names, odd = _entries(root, ".")
    days: dict[str, dict[str, Found]] = {name: {} for name in names if name not in odd and is_aggregation_name(name)}
    strays: list[str] = []
    footers = Footers(root.fd)
    places = []
    for name in days:
        for day, real in _days(root, name, strays):
            places.append((name, day))
            if not real:  # a footer is known by a path, which would lead through a link
                footers.forget((name, day))
    strays += [name for name in names if name not in days and name != layout.OWN]
    for (name, day), found in zip(places, looks(root, footers, places), strict=True):
        if found is not None:
            days[name][day] = found
    blocked = {name: why for name in strays if is_aggregation_name(name) and (why := _blocked(root, name))}
    return Output(days, tuple(strays), footers, blocked)


def day_folders(root: LocalStore, aggregation: str) -> list[str]:
    """The days that have a folder, or something else of its name; none of an aggregation that has no folder itself.

    Raises StorageError.
    """
    if not is_aggregation_name(aggregation) or aggregation not in _entries(root, ".")[0]:
        return []
    return [day for day, _ in _days(root, aggregation, [])]


def foreign_files(root: LocalStore, output: Output) -> list[str]:
    """What lies among the results and is none, where a reader of folders would count it; paths below the root.

    One listing for each day: too dear for every run. Raises StorageError.
    """
    found = [*counted_below_own(root), *(path for path in output.strays if "/" in path or is_counted(path))]
    for aggregation in output.days:
        for day, real in _days(root, aggregation, []):
            folder = layout.day_folder(aggregation, day)
            inside = _entries(root, folder)[0] if real else ()
            found += [f"{folder}/{name}" for name in inside if name != layout.DATA] if real else [folder]
    return sorted(found)


def counted_below_own(root: LocalStore) -> list[str]:
    """The paths below ``_noonmark/`` that a reader of ``**/*.parquet`` would count. Raises StorageError."""
    try:
        return counted(root.fd)
    except OSError as error:
        raise StorageError(f"{root.path / layout.OWN} cannot be listed: {error.strerror}") from error


def _days(root: LocalStore, aggregation: str, strays: list[str]) -> Iterator[tuple[str, bool]]:
    """The days of an aggregation, and whether what has their folder's name is a folder."""
    names, odd = _entries(root, aggregation)
    for name in names:
        if (day := layout.day_of(name)) is not None:
            yield day, name not in odd
        else:
            strays.append(f"{aggregation}/{name}")


def _entries(root: LocalStore, path: str) -> tuple[list[str], set[str]]:
    """The names in a folder, sorted, and those of them that are no folders, or links to one."""
    names, odd = [], set()
    try:
        folder = open_folder(root.fd, path)
        try:
            with os.scandir(folder) as entries:
                for one in entries:
                    names.append(one.name)
                    if not one.is_dir(follow_symlinks=False):
                        odd.add(one.name)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"the output folder {root.path / path} cannot be listed: {error.strerror}") from error
    return sorted(names), odd


def _blocked(root: LocalStore, name: str) -> str | None:
    """What stands in the place of an aggregation's folder, or None where that cannot be told any more."""
    try:
        os.close(open_folder(root.fd, name))
    except InTheWay as error:
        return str(error)
    except OSError:
        return None
    return None
