"""One listing walk for a source: which days have which files, what could not be read, and what strays.

Everything else in Noonmark takes the input from here, so an error here is never shown as an absence: a folder or file
is absent only where the system says so and no broken link stands in the way.

A broken link beside the folders that a wildcard matches is no error: it may be litter, or the way to a disk that is
gone. It is listed as such, with the days that it may lead to; what that means for them is decided where their commits
are known (tasks/inputs/broken_links.py).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from state.days import order
from state.errors import StorageError
from state.inputs.files import FileStat
from state.inputs.root import InputRoot
from tasks.catalog.matcher import Fields, Matcher, States
from tasks.catalog.template import Template

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A link to nowhere, one of several folders that may hold a day. ``readings``: the parts of a day in its path."""

    path: str
    readings: tuple[Fields, ...]

    def may_hold(self, template: Template, day: str) -> bool:
        """Whether files of the day may lie where it leads."""
        return any(template.may_become(fields, day) for fields in self.readings)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds. A day stands in ``days`` or in ``unreadable``, never in both.

    ``days``: the files of each day, sorted bytewise by path, the days in their order. ``unreadable``: day → why.
    ``strays``: paths of the template's shape that are no day, disagree, or are no regular files; for reports only.
    ``broken``: links to nowhere below which files of more than one day may lie.
    """

    days: dict[str, tuple[FileStat, ...]]
    unreadable: dict[str, str]
    strays: tuple[str, ...]
    broken: tuple[BrokenLink, ...] = ()


def list_source(root: InputRoot, template: Template) -> Listing:
    """List all the days of a source below ``root`` (below ``/`` for an absolute template).

    A folder that is missing makes no days. Raises StorageError where something could not be read and its day is
    not known, unless it is one broken link of several folders.
    """
    walk = Walk(root, template, template.matcher)
    walk.run([("", template.matcher.begin)])
    days = {day: bytewise(files) for day, files in walk.files.items() if day not in walk.faults}
    return Listing(
        days={day: days[day] for day in sorted(days, key=order)},
        unreadable={day: walk.faults[day] for day in sorted(walk.faults, key=order)},
        strays=tuple(sorted(walk.strays, key=os.fsencode)),
        broken=tuple(sorted(walk.broken, key=lambda link: os.fsencode(link.path))),
    )


def list_day(root: InputRoot, template: Template, day: str, passed_over: Collection[str] = ()) -> tuple[FileStat, ...]:
    """List the files of one day, at the cost of that day's folders alone: what ``list_source`` has in ``days[day]``.

    ``passed_over`` are the broken links that a listing had. Nothing for a day that the template cannot name. Raises
    StorageError where anything of the day could not be read, another broken link too.
    """
    if not template.covers(day):
        return ()
    matcher = template.pinned(day)
    walk = Walk(root, template, matcher, passed_over)
    walk.run([("", matcher.begin)])
    if day in walk.faults:
        raise StorageError(f"input of day {day}: cannot read {walk.faults[day]}")
    return bytewise(walk.files.get(day, []))


def bytewise(files: list[FileStat]) -> tuple[FileStat, ...]:
    """The files in the order in which a day's input has them."""
    return tuple(sorted(files, key=lambda file: os.fsencode(file.path)))


def file_stat(path: str, status: os.stat_result) -> FileStat:
    """What a listing shows of a file."""
    return FileStat(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Walk:
    """The state of one walk. It opens folders only, one at a time, so its depth and its width cost no descriptors.

    ``fd`` is the root that it goes through, or None where that could not be opened: ``error`` says why.
    """

    def __init__(
        self, root: InputRoot, template: Template, matcher: Matcher, passed_over: Collection[str] = ()
    ) -> None:
        self.files: dict[str, list[FileStat]] = {}
        self.faults: dict[str, str] = {}
        self.strays: list[str] = []
        self.broken: list[BrokenLink] = []
        self._passed_over = passed_over
        self._root = root.of(absolute=template.absolute)
        self._template = template
        self._matcher = matcher
        self.error: OSError | None = None
        try:
            self.fd: int | None = self._root.fd
        except OSError as error:
            self.fd, self.error = None, error

    def run(self, places: Iterable[tuple[str, States]]) -> None:
        """Walk on from these folders, with the readings of their paths."""
        todo = list(places)
        if self.error:
            for path, states in todo:
                self._failed(path, states, self.error)
            return
        while todo:
            path, states = todo.pop()
            name = self._matcher.only_name(states)
            deeper = self._list(path, states) if name is None else self._descend(path, states, name)
            todo += reversed(deeper)  # the last of them is taken first

    def _descend(self, path: str, states: States, name: str) -> list[tuple[str, States]]:
        path = f"{path}/{name}" if path else name
        ends, deeper = self._matcher.split(self._matcher.step(states, name))
        if deeper:
            return [(path, deeper)]
        try:
            self._take(path, ends, os.stat(path, dir_fd=self.fd))
        except OSError as error:
            self._failed(path, ends, error)
        return []

    def _list(self, path: str, states: States) -> list[tuple[str, States]]:
        try:
            folder = os.open(path or ".", FOLDER, dir_fd=self.fd)
        except OSError as error:
            self._failed(path, states, error)
            return []
        try:
            with os.scandir(folder) as listed:
                # As results are: with 100,000 days it counts that what is compared lies side by side in memory.
                entries = sorted(listed, key=attrgetter("name"))
            return self._enter(path, states, entries)
        except OSError as error:
            self._failed(path, states, error)
            return []
        finally:
            os.close(folder)  # not before the last entry was looked at: that goes through it

    def _enter(self, path: str, states: States, entries: Sequence[os.DirEntry[str]]) -> list[tuple[str, States]]:
        found: list[tuple[str, States]] = []
        prefix = f"{path}/" if path else ""
        for entry in entries:
            reached = self._matcher.step(states, entry.name)
            if not reached:
                continue
            try:
                if entry.is_symlink():
                    reached = self._matcher.step(states, entry.name, link=True)
                if reached and (deeper := self._visit(prefix + entry.name, entry, reached)):
                    found.append((prefix + entry.name, deeper))
            except OSError as error:
                self._failed(prefix + entry.name, reached, error)
        return found

    def _visit(self, path: str, entry: os.DirEntry[str], states: States) -> States:
        """Take the entry where it is a file of a day; the readings that go on below it where it is a folder."""
        ends, deeper = self._matcher.split(states)
        if not ends and not entry.is_symlink():
            return deeper if entry.is_dir(follow_symlinks=False) else ()
        status = entry.stat()
        if deeper and stat.S_ISDIR(status.st_mode):
            return deeper
        if ends:
            self._take(path, ends, status)
        return ()

    def _take(self, path: str, ends: States, status: os.stat_result) -> None:
        day = self._template.day_of(ends[0][1])
        if not day or not stat.S_ISREG(status.st_mode):
            self.strays.append(path)
            return
        self.files.setdefault(day, []).append(file_stat(path, status))

    def why(self, path: str, error: OSError) -> str | None:
        """What is wrong with a path that could not be read; None where nothing is there, or a link is passed over."""
        full = os.fspath(self._root.path / path)
        if _is_absent(full if self.fd is None else path, error, self.fd):
            return None
        if any(f"{path}/".startswith(f"{link}/") and self._is_broken(link) for link in self._passed_over):
            return None
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            why += " (a broken link, or replaced meanwhile)"
        return f"{os.fsencode(full).decode(errors='backslashreplace')}: {why}"

    def _failed(self, path: str, states: States, error: OSError) -> None:
        why = self.why(path, error)
        if why is None:
            return
        days = {self._template.day_of(fields) for _, fields in states}
        if None in days and not self._is_only_place(path) and self._is_broken(path):
            self.broken.append(BrokenLink(path, tuple(fields for _, fields in self._matcher.split(states)[1])))
            return
        if None in days:
            raise StorageError(
                f"input {self._template.text!r}: cannot read {why}; it may hold any day, so nothing was decided"
            ) from error
        real = {day for day in days if day}
        if not real:
            self.strays.append(path)
        for day in real:
            self.faults.setdefault(day, why)

    def _is_only_place(self, path: str) -> bool:
        """Whether no other path could stand for this one: then all that the source holds lies there."""
        depth = path.count("/") + 1 if path else 0
        return all(segment.literal is not None for segment in self._template.matcher.segments[:depth])

    def _is_broken(self, path: str) -> bool:
        """Whether a path is itself a link, and leads nowhere. What cannot be told is not."""
        try:
            if not stat.S_ISLNK(os.lstat(path, dir_fd=self.fd).st_mode):
                return False
        except OSError:
            return False
        try:
            os.stat(path, dir_fd=self.fd)
        except OSError as error:
            return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        return False


def _is_absent(path: str, error: OSError, dir_fd: int | None) -> bool:
    """Whether nothing is there (or a file in place of a folder), and not a link to a place that is lost.

    ``path`` is below the folder that is open as ``dir_fd``, or from anywhere where there is none.
    """
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return False
    place = path
    while True:
        try:
            status = os.lstat(place or ".", dir_fd=dir_fd)
            if stat.S_ISLNK(status.st_mode):
                try:
                    status = os.stat(place, dir_fd=dir_fd)
                except (FileNotFoundError, NotADirectoryError):
                    return False
        except (FileNotFoundError, NotADirectoryError):
            parent = os.path.dirname(place)
            if parent == place:
                return True
            place = parent
        except OSError:
            return False
        else:
            # found again under its own name: a race, and no proof of absence
            return place != path or (error.errno == errno.ENOTDIR and not stat.S_ISDIR(status.st_mode))
