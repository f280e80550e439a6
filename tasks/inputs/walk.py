"""Walks the folders of a source: which files are of which day, what could not be read, and what is a stray.

An error never counts as an absence: a folder or file is absent only where the system says so and no broken link is
in the way.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from state.errors import StorageError
from state.inputs.files import DayFiles, FileStat, day_files
from state.inputs.root import InputRoot
from tasks.inputs.strays import FOLDER, SPECIAL, Stray
from tasks.templates.matcher import Fields, Matcher, States
from tasks.templates.template import Template

Place = tuple[str, States]
"""A path below the root, and its readings."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class Unseen:
    """A path that could not be read, and ``why``. ``readings``: the parts of a day in the path, for each reading."""

    path: str
    readings: tuple[Fields, ...]
    why: str = ""

    def may_hold(self, template: Template, day: str) -> bool:
        """Whether files of the day may lie there."""
        return any(template.may_become(fields, day) for fields in self.readings)


class Walk:
    """One walk. Only one folder is open at a time, so neither depth nor width costs descriptors.

    ``files``: the files found, by day. ``unreadable``: day → why. ``strays`` and ``broken`` as in ``Listing``.
    ``fd`` is the root that it goes through, or None where that could not be opened: ``error`` says why.
    ``ignored_links`` are broken links that count as absent.
    """

    def __init__(
        self, root: InputRoot, template: Template, matcher: Matcher, ignored_links: Collection[str] = ()
    ) -> None:
        self.files: dict[str, list[FileStat]] = {}
        self.unreadable: dict[str, str] = {}
        self.strays: list[Stray] = []
        self.broken: list[Unseen] = []
        self._ignored_links = ignored_links
        self._root = root.of(absolute=template.absolute)
        self._template = template
        self._matcher = matcher
        self.error: OSError | None = None
        try:
            self.fd: int | None = self._root.fd
        except OSError as error:
            self.fd, self.error = None, error

    def run(self, places: Iterable[Place]) -> None:
        """Walk on from these folders."""
        todo = list(places)
        if self.error:
            for path, states in todo:
                self._note_error(path, states, self.error)
            return
        while todo:
            path, states = todo.pop()
            name = self._matcher.only_name(states)
            deeper = self._list(path, states) if name is None else self._descend(path, states, name)
            todo += reversed(deeper)  # the last of them comes first

    def add_file(self, path: str, ends: States) -> None:
        """Add what lies at a path where a file of a day may lie."""
        try:
            self._add(path, ends, os.stat(path, dir_fd=self.fd))
        except OSError as error:
            self._note_error(path, ends, error)

    def day_files(self, day: str) -> DayFiles:
        """The files found of one day. Raises StorageError where anything of it could not be read."""
        if day in self.unreadable:
            raise StorageError(f"input of day {day}: cannot read {self.unreadable[day]}")
        return day_files(self.files.get(day, ()))

    def open_folder(self, path: str) -> int:
        """A descriptor of a folder. Whoever asks closes it, after the last entry was used: those go through it."""
        return os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)

    def entries(self, folder: int, path: str, states: States) -> Iterator[tuple[str, os.DirEntry[str], States]]:
        """The entries of an open folder that the template may match: path, entry and readings, by name.

        Raises OSError as the first is asked for.
        """
        with os.scandir(folder) as listed:
            # As results are: with 100,000 days it counts that what is compared lies side by side in memory.
            entries = sorted(listed, key=attrgetter("name"))
        prefix = f"{path}/" if path else ""
        for one in entries:
            if below := self._matcher.step(states, one.name):
                yield prefix + one.name, one, below
            elif why := self._matcher.why_near(states, one.name):
                self.strays.append(Stray(prefix + one.name, why))

    def reason(self, path: str, error: OSError) -> str | None:
        """Why a path could not be read; None where nothing is there, or an ignored link leads there."""
        full = os.fspath(self._root.path / path)
        if _is_absent(full if self.fd is None else path, error, self.fd):
            return None
        if any(f"{path}/".startswith(f"{link}/") and self._is_broken(link) for link in self._ignored_links):
            return None
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _ABSENT:
            why += " (a broken link, or replaced meanwhile)"
        return f"{os.fsencode(full).decode(errors='backslashreplace')}: {why}"

    def _descend(self, path: str, states: States, name: str) -> list[Place]:
        """Go on to the only name that the template can match here, without listing the folder."""
        path = f"{path}/{name}" if path else name
        ends, deeper = self._matcher.split(self._matcher.step(states, name))
        if deeper:
            return [(path, deeper)]
        self.add_file(path, ends)
        return []

    def _list(self, path: str, states: States) -> list[Place]:
        deeper = []
        try:
            folder = self.open_folder(path)
            try:
                for below, entry, reached in self.entries(folder, path, states):
                    if further := self._visit(below, entry, states, reached):
                        deeper.append((below, further))
            finally:
                os.close(folder)
        except OSError as error:
            self._note_error(path, states, error)
        return deeper

    def _visit(self, path: str, entry: os.DirEntry[str], states: States, reached: States) -> States:
        """Add the entry where it is a file of a day; the readings that go on below it where it is a folder.

        ``states`` are the readings of its folder, ``reached`` its own.
        """
        try:
            if is_link := entry.is_symlink():
                reached = self._matcher.step(states, entry.name, link=True)
            ends, deeper = self._matcher.split(reached)
            if not is_link and not ends:
                if entry.is_dir(follow_symlinks=False):
                    return deeper
                if why := self._matcher.why_near(states, entry.name):
                    self.strays.append(Stray(path, why))
                return ()
            if not reached:
                return ()
            status = entry.stat()
        except OSError as error:
            self._note_error(path, reached, error)
            return ()
        if deeper and stat.S_ISDIR(status.st_mode):
            return deeper
        if ends:
            self._add(path, ends, status)
        return ()

    def _add(self, path: str, ends: States, status: os.stat_result) -> None:
        day = self._template.day_of(ends[0][1])
        if not day:
            self.strays.append(Stray(path, self._template.why_no_day(ends[0][1])))
            return
        if not stat.S_ISREG(status.st_mode):
            self.strays.append(Stray(path, FOLDER if stat.S_ISDIR(status.st_mode) else SPECIAL))
            return
        self.files.setdefault(day, []).append(FileStat.of(path, status))

    def _note_error(self, path: str, states: States, error: OSError) -> None:
        why = self.reason(path, error)
        if why is None:
            return
        days = {self._template.day_of(fields) for _, fields in states}
        if None in days and not self._is_only_place(path) and self._is_broken(path):
            self.broken.append(Unseen(path, tuple(fields for _, fields in self._matcher.split(states)[1])))
            return
        if None in days:
            raise StorageError(
                f"input {self._template.text!r}: cannot read {why}; it may hold any day, so nothing was decided"
            ) from error
        real = {day for day in days if day}
        if not real:
            self.strays.append(Stray(path, self._template.why_no_day(states[0][1])))
        for day in real:
            self.unreadable.setdefault(day, why)

    def _is_only_place(self, path: str) -> bool:
        """Whether no other path could stand for this one: then all that the source holds lies there."""
        depth = path.count("/") + 1 if path else 0
        return all(segment.literal is not None for segment in self._template.matcher.segments[:depth])

    def _is_broken(self, path: str) -> bool:
        """Whether a path is itself a link, and leads nowhere. False when unsure."""
        try:
            if not stat.S_ISLNK(os.lstat(path, dir_fd=self.fd).st_mode):
                return False
        except OSError:
            return False
        try:
            os.stat(path, dir_fd=self.fd)
        except OSError as error:
            return error.errno in (*_ABSENT, errno.ELOOP)
        return False


def _is_absent(path: str, error: OSError, dir_fd: int | None) -> bool:
    """Whether nothing is there (or a file in place of a folder), and not a link to a place that is lost.

    ``path`` is below the folder that is open as ``dir_fd``, or from anywhere where there is none.
    """
    if error.errno not in _ABSENT:
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
