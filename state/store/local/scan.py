"""Reads the whole output into what stands in each partition's place, in one pass and without writing anything.

The output is the truth, so an error of listing is an error and never an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from state.errors import StorageError
from state.filesystem.durable import status_of
from state.filesystem.folder import Folder, InTheWay
from state.filesystem.hiding import hide_below, is_visible, visible_below
from state.partition import Partition, is_aggregation_name
from state.result import classify, verify
from state.result.classify import Commit, Damaged, Found, Unreadable
from state.store.base import Broken, Output, Unread
from state.store.footer_cache import FooterCache
from state.store.local import layout
from state.store.local.lookup import lookup
from state.store.notes import Notes
from state.threads import map_in_threads

Lookups = Callable[[FooterCache, Sequence[Partition]], Iterable[Found | None]]
"""Says what stands in each place, in their order, and lets the cache learn."""


def scan(root: Folder, notes: Notes) -> Output:
    """Everything in the output, by its footers. Raises StorageError."""

    def lookups(footers: FooterCache, partitions: Sequence[Partition]) -> Iterator[Found | None]:
        classified = _learning(footers)
        for partition in partitions:
            yield _known(root, footers, partition) or lookup(root, partition, classified)

    return _scan(root, notes, lookups)


def scan_deep(root: Folder, notes: Notes, threads: int, report: Callable[[Broken | Unread], None]) -> Output:
    """As ``scan``, and every byte of every result is checked, in ``threads`` files at once.

    What is damaged or cannot be read is reported at once: the whole may take hours. Raises StorageError.
    """

    def lookups(footers: FooterCache, partitions: Sequence[Partition]) -> Iterator[Found | None]:
        learning = _learning(footers)

        def verified(fd: int, aggregation: str, day: str) -> Found:
            known = footers.known((aggregation, day), status_of(fd))
            if known and verify.is_still(fd, known):
                return known
            return verify.verify_bytes(fd, learning(fd, aggregation, day))

        found = map_in_threads(lambda one: lookup(root, one, verified), partitions, threads)
        for partition, one in zip(partitions, found, strict=True):
            if isinstance(one, Damaged):
                report(Broken(*partition, one.why))
            elif isinstance(one, Unreadable):
                report(Unread(*partition, f"its result {one.why}"))
            yield one

    return _scan(root, notes, lookups)


def aggregations(root: Folder) -> list[str]:
    """The names of aggregations that have a folder, declared or not. Raises StorageError."""
    names, odd = _entries(root, ".")
    return [name for name in names if name not in odd and is_aggregation_name(name)]


def days(root: Folder, aggregation: str) -> list[str]:
    """The days of an aggregation that have a folder, or something else of that name. Raises StorageError."""
    if not is_aggregation_name(aggregation) or aggregation not in _entries(root, ".")[0]:
        return []
    return [day for day, _ in _days(root, aggregation, [])]


def foreign_files(root: Folder, output: Output) -> list[str]:
    """The paths that are not results and that a reader of folders would read; with a listing for each day.

    Raises StorageError.
    """
    found = [*visible_own_files(root), *(path for path in output.strays if "/" in path or is_visible(path))]
    for aggregation in output.days:
        for day, real in _days(root, aggregation, []):
            folder = layout.day_folder(aggregation, day)
            inside = _entries(root, folder)[0] if real else ()
            found += [f"{folder}/{name}" for name in inside if name != layout.DATA] if real else [folder]
    return sorted(found)


def visible_own_files(root: Folder) -> list[str]:
    """The paths below ``_noonmark/`` that a reader of ``**/*.parquet`` would read. Raises StorageError."""
    try:
        return visible_below(root, layout.OWN, links_below=layout.SET_ASIDE)
    except OSError as error:
        raise StorageError(f"{root.path / layout.OWN} cannot be listed: {error.strerror}") from error


def hide_own_files(root: Folder) -> list[str]:
    """Give those other names; returns the paths as they were. Raises StorageError."""
    try:
        return [*hide_below(root, layout.OWN, links=False), *hide_below(root, layout.SET_ASIDE)]
    except OSError as error:
        raise StorageError(f"not everything below {root.path / layout.OWN} can be renamed: {error}") from error


def _scan(root: Folder, notes: Notes, lookups: Lookups) -> Output:
    names, odd = _entries(root, ".")
    found: dict[str, dict[str, Found]] = {name: {} for name in names if name not in odd and is_aggregation_name(name)}
    strays: list[str] = []
    footers = FooterCache(notes)
    partitions = []
    for name in found:
        for day, real in _days(root, name, strays):
            partitions.append((name, day))
            if not real:  # a known footer is found by its path, which would lead through a link
                footers.forget((name, day))
    strays += [name for name in names if name not in found and name != layout.OWN]
    for (name, day), one in zip(partitions, lookups(footers, partitions), strict=True):
        if one is not None:
            found[name][day] = one
    blocked = {name: why for name in strays if is_aggregation_name(name) and (why := _blocked(root, name))}
    return Output(found, tuple(strays), footers, blocked)


def _known(root: Folder, footers: FooterCache, partition: Partition) -> Commit | None:
    if partition not in footers:
        return None
    try:
        status = root.status_unguarded(layout.data_file(*partition))
    except OSError:
        return None
    return footers.known(partition, status)


def _learning(footers: FooterCache) -> Callable[[int, str, str], Found]:
    """``classify`` that lets the cache learn each commit."""

    def classified(fd: int, aggregation: str, day: str) -> Found:
        status = status_of(fd)
        found = classify.classify(fd, aggregation, day)
        if isinstance(found, Commit):
            footers.learn((aggregation, day), status, found)
        return found

    return classified


def _days(root: Folder, aggregation: str, strays: list[str]) -> Iterator[tuple[str, bool]]:
    """The days of an aggregation, and whether what has their folder's name is a folder."""
    names, odd = _entries(root, aggregation)
    for name in names:
        if (day := layout.day_of(name)) is not None:
            yield day, name not in odd
        else:
            strays.append(f"{aggregation}/{name}")


def _entries(root: Folder, path: str) -> tuple[list[str], set[str]]:
    try:
        return root.entries(path)
    except OSError as error:
        raise StorageError(f"the output folder {root.path / path} cannot be listed: {error.strerror}") from error


def _blocked(root: Folder, name: str) -> str | None:
    """What stands in place of an aggregation's folder, or None where that cannot be told any more."""
    try:
        root.require(name)
    except InTheWay as error:
        return str(error)
    except OSError:
        return None
    return None
