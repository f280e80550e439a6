"""Reads the whole output into what stands in each day's place, in one pass and without writing anything.

The output is the truth. So an error of listing is an error, never an empty list.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from state import layout
from state.errors import StorageError
from state.footers import Footers
from state.found import Found, look
from state.layout import Place
from state.parquet_names import counted, is_counted
from state.root import OutputRoot

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Output:
    """What the output holds: ``days[aggregation][day]``, and ``strays``, paths that are nobody's.

    ``footers`` are those that the scan knew or learned; who may write saves them for the next one.
    """

    days: Mapping[str, Mapping[str, Found]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    footers: Footers | None = None


Looks = Callable[[OutputRoot, Footers, Sequence[Place]], Iterable[Found | None]]
"""Says what stands in each place, in their order, and keeps what it learned of footers."""


def folders(root: OutputRoot) -> list[str]:
    """The aggregations' folders under the root, declared or not. Raises StorageError."""
    return [name for name in sorted(_names(root, ".")) if layout.is_aggregation_name(name) and _is_folder(root, name)]


def everyday(root: OutputRoot, footers: Footers, places: Sequence[Place]) -> Iterator[Found | None]:
    """What stands in each place: each footer is read once, where it is not known yet."""
    for place in places:
        yield footers.known(place) or look(root.fd, *place, footers.judge)


def scan(root: OutputRoot, looks: Looks = everyday) -> Output:
    """Everything under the root, looked at in one way or another. Raises StorageError."""
    days: dict[str, dict[str, Found]] = {name: {} for name in folders(root)}
    strays: list[str] = []
    places = [(name, day) for name in days for day in _days(root, name, strays)]
    strays += sorted({*_names(root, ".")} - {layout.OWN, *days})
    footers = Footers(root.fd)
    for (name, day), found in zip(places, looks(root, footers, places), strict=True):
        if found is not None:
            days[name][day] = found
    return Output(days, tuple(strays), footers)


def day_folders(root: OutputRoot, aggregation: str) -> list[str]:
    """The days that have a folder, by their names. Raises StorageError."""
    return list(_days(root, aggregation, []))


def foreign_files(root: OutputRoot, output: Output) -> list[str]:
    """What lies among the results and is none, where a reader of folders would count it; paths below the root.

    One listing for each day: too dear for every run. Raises StorageError.
    """
    found = [*counted_below_own(root), *(path for path in output.strays if "/" in path or is_counted(path))]
    for aggregation in output.days:
        for day in day_folders(root, aggregation):
            folder = layout.day_folder(aggregation, day)
            try:
                found += [f"{folder}/{name}" for name in _names(root, folder) if name != layout.DATA]
            except StorageError:
                if _is_folder(root, folder):
                    raise
                found.append(folder)
    return sorted(found)


def counted_below_own(root: OutputRoot) -> list[str]:
    """The paths below ``_noonmark/`` that a reader of ``**/*.parquet`` would count. Raises StorageError."""
    try:
        return counted(root.fd)
    except OSError as error:
        raise StorageError(f"{root.path / layout.OWN} cannot be listed: {error.strerror}") from error


def _days(root: OutputRoot, aggregation: str, strays: list[str]) -> Iterator[str]:
    for folder in sorted(_names(root, aggregation)):
        if (day := layout.day_of(folder)) is not None:
            yield day
        else:
            strays.append(f"{aggregation}/{folder}")


def _names(root: OutputRoot, path: str) -> list[str]:
    try:
        folder = os.open(path, _FOLDER, dir_fd=root.fd)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"the output folder {root.path / path} cannot be listed: {error.strerror}") from error


def _is_folder(root: OutputRoot, path: str) -> bool:
    try:
        os.close(os.open(path, _FOLDER, dir_fd=root.fd))
    except (NotADirectoryError, FileNotFoundError):  # a file, or a link that leads nowhere
        return False
    except OSError as error:
        raise StorageError(f"the output folder {root.path / path} cannot be opened: {error.strerror}") from error
    return True
