"""Reads the whole output into what stands in each partition's place, in one pass and without writing anything.

The output is the truth, so an error of listing is an error and never an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from state.errors import StorageError
from state.filesystem.durable import status_of
from state.filesystem.folder import Folder, InTheWay
from state.filesystem.hiding import hide_below, visible_below
from state.partition import Partition, is_aggregation_name
from state.result import classify, verify
from state.result.classify import Commit, Damaged, Found, Unreadable
from state.store.base import Broken, Output, Unread
from state.store.footer_cache import FooterCache
from state.store.local import layout
from state.store.local.lookup import lookup
from state.store.local.notes import LocalNotes
from state.threads import map_in_threads

Lookups = Callable[[FooterCache, Sequence[Partition]], Iterable[Found | None]]
"""Says what stands in each place, in their order, and lets the cache learn."""


class LocalScan(LocalNotes):
    """The part of ``LocalStore`` that lists and reads."""

    __slots__ = ()

    def aggregations(self) -> list[str]:
        """As ``Store.aggregations``."""
        names, odd = _entries(self.folder, ".")
        return [name for name in names if name not in odd and is_aggregation_name(name)]

    def days(self, aggregation: str) -> list[str]:
        """As ``Store.days``; also of what has the name of a day's folder and is not one."""
        if not is_aggregation_name(aggregation) or aggregation not in _entries(self.folder, ".")[0]:
            return []
        return [day for day, _ in _days(self.folder, aggregation, [])]

    def scan(self) -> Output:
        """As ``Store.scan``."""

        def lookups(footers: FooterCache, partitions: Sequence[Partition]) -> Iterator[Found | None]:
            classified, known = _learning(footers), footers.partitions
            for partition in partitions:
                found = _known(self.folder, footers, partition) if partition in known else None
                yield found or lookup(self.folder, partition, classified)

        return self._scan(lookups)

    def scan_deep(self, threads: int, report: Callable[[Broken | Unread], None]) -> Output:
        """As ``Store.scan_deep``."""

        def lookups(footers: FooterCache, partitions: Sequence[Partition]) -> Iterator[Found | None]:
            learning = _learning(footers)

            def verified(fd: int, aggregation: str, day: str) -> Found:
                known = footers.known((aggregation, day), status_of(fd))
                if known and verify.is_still(fd, known):
                    return known
                return verify.verify_bytes(fd, learning(fd, aggregation, day))

            found = map_in_threads(lambda one: lookup(self.folder, one, verified), partitions, threads)
            for partition, one in zip(partitions, found, strict=True):
                if isinstance(one, Damaged):
                    report(Broken(*partition, one.why))
                elif isinstance(one, Unreadable):
                    report(Unread(*partition, f"its result {one.why}"))
                yield one

        return self._scan(lookups)

    def foreign_files(self, output: Output) -> list[str]:
        """As ``Store.foreign_files``, with a listing for each day."""
        found = [*self.visible_own_files(), *output.foreign]
        for aggregation in output.days:
            for day, real in _days(self.folder, aggregation, []):
                folder = layout.day_folder(aggregation, day)
                found += (
                    [f"{folder}/{name}" for name in self._names(folder) if name != layout.DATA] if real else [folder]
                )
        return sorted(found)

    def visible_own_files(self) -> list[str]:
        """As ``Store.visible_own_files``."""
        try:
            return visible_below(self.folder, layout.OWN, links_below=layout.SET_ASIDE)
        except OSError as error:
            raise StorageError(f"{self.folder.path / layout.OWN} cannot be listed: {error.strerror}") from error

    def hide_own_files(self) -> list[str]:
        """As ``Store.hide_own_files``."""
        own = self.folder.path / layout.OWN
        try:
            return [*hide_below(self.folder, layout.OWN, links=False), *hide_below(self.folder, layout.SET_ASIDE)]
        except OSError as error:
            raise StorageError(f"not everything below {own} can be renamed: {error}") from error

    def _names(self, folder: str) -> list[str]:
        try:
            return self.folder.names(folder)
        except OSError as error:
            raise _unlisted(self.folder, folder, error) from error

    def _scan(self, lookups: Lookups) -> Output:
        names, odd = _entries(self.folder, ".")
        found: dict[str, dict[str, Found]] = {
            name: {} for name in names if name not in odd and is_aggregation_name(name)
        }
        strays: list[str] = []
        footers = FooterCache(self)
        partitions = []
        for name in found:
            for day, real in _days(self.folder, name, strays):
                partitions.append((name, day))
                if not real:  # a known footer is found by its path, which would lead through a link
                    footers.forget((name, day))
        strays += [name for name in names if name not in found and name != layout.OWN]
        for (name, day), one in zip(partitions, lookups(footers, partitions), strict=True):
            if one is not None:
                found[name][day] = one
        blocked = {name: why for name in strays if is_aggregation_name(name) and (why := _blocked(self.folder, name))}
        return Output(found, tuple(strays), footers, blocked)


def _known(root: Folder, footers: FooterCache, partition: Partition) -> Commit | None:
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
        raise _unlisted(root, path, error) from error


def _unlisted(root: Folder, path: str, error: OSError) -> StorageError:
    return StorageError(f"the output folder {root.path / path} cannot be listed: {error.strerror}")


def _blocked(root: Folder, name: str) -> str | None:
    """What stands in place of an aggregation's folder, or None where that cannot be told any more."""
    try:
        root.require(name)
    except InTheWay as error:
        return str(error)
    except OSError:
        return None
    return None
