"""Reads the whole output into what stands in each day's place, in one pass and without writing anything.

The output is the truth. So an error of listing is an error, never an empty list.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from state import layout
from state.errors import StorageError
from state.footers import Footers
from state.found import Found, look
from state.root import OutputRoot


@dataclass(frozen=True, slots=True)
class Output:
    """What the output holds: ``days[aggregation][day]``, and ``strays``, paths that are nobody's.

    ``footers`` are those that the scan knew or learned; who may write saves them for the next one.
    """

    days: Mapping[str, Mapping[str, Found]] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    footers: Footers | None = None


def folders(root: OutputRoot) -> list[str]:
    """The aggregations' folders under the root, declared or not. Raises StorageError."""
    return [name for name in sorted(_names(root, ".")) if layout.is_aggregation_name(name) and _is_folder(root, name)]


def scan(root: OutputRoot) -> Output:
    """Everything under the root, each footer read once where it is not known yet. Raises StorageError."""
    strays: list[str] = []
    footers = Footers(root.fd)
    days = {aggregation: _scan_aggregation(root, aggregation, strays, footers) for aggregation in folders(root)}
    strays += sorted({*_names(root, ".")} - {layout.OWN, *days})
    return Output(days, tuple(strays), footers)


def day_folders(root: OutputRoot, aggregation: str) -> list[str]:
    """The days that have a folder, in no order; none where the aggregation has no folder. Raises StorageError."""
    return [day for folder in _names(root, aggregation) if (day := layout.day_of(folder)) is not None]


def foreign_files(root: OutputRoot, output: Output) -> list[str]:
    """What lies among the results and is none, where a reader of folders would count it; paths below the root.

    One listing for each day: too dear for every run. Raises StorageError.
    """
    found = [path for path in output.strays if "/" in path or path.endswith(".parquet")]
    for aggregation in output.days:
        for day in day_folders(root, aggregation):
            folder = layout.day_folder(aggregation, day)
            if _is_folder(root, folder):
                found += [f"{folder}/{name}" for name in _names(root, folder) if name != layout.DATA]
            else:
                found.append(folder)
    return sorted(found)


def _scan_aggregation(root: OutputRoot, aggregation: str, strays: list[str], footers: Footers) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for folder in _names(root, aggregation):
        day = layout.day_of(folder)
        if day is None:
            strays.append(f"{aggregation}/{folder}")
        elif commit := footers.known(aggregation, day):
            found[day] = commit
        elif (result := look(root.fd, aggregation, day, footers.judge)) is not None:
            found[day] = result
    return found


def _names(root: OutputRoot, path: str) -> list[str]:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root.fd)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"the output folder {root.path / path} cannot be listed: {error.strerror}") from error


def _is_folder(root: OutputRoot, name: str) -> bool:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root.fd)
    except (NotADirectoryError, FileNotFoundError):  # a file, or a link that leads nowhere
        return False
    except OSError as error:
        raise StorageError(f"the output folder {root.path / name} cannot be opened: {error.strerror}") from error
    os.close(fd)
    return True
