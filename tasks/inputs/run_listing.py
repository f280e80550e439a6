"""How a run lists the days of its plan cheaply: a folder that several days share is listed once for all of them.

To list one of 2,000 days in a flat folder is to list all of them. Whoever asks for a day's files says as of when the
answer must hold, and each shared folder is checked once for such a time: its inode, mtime and ctime tell whether it is
as it was listed, by the rule of ``RECENT_NS``: times that were recent then prove nothing, and it is listed again. The
files themselves are checked for each answer, and the folders of one day are listed for each.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count

from state import clock
from state.errors import StorageError
from state.inputs.files import RECENT_NS, DayFiles, day_files
from state.inputs.root import InputRoot
from tasks.catalog.source import Source
from tasks.inputs.listing import list_day
from tasks.inputs.reach import joined
from tasks.inputs.walk import Place, Unseen, Walk
from tasks.templates.matcher import States
from tasks.templates.template import Template

_LOGICAL_TIMES = count(1)


def logical_now() -> int:
    """A logical time, later than all that were given before. It is no clock's: those may stand still."""
    return next(_LOGICAL_TIMES)


class RunListing:
    """The listings of a run below its input ``root``. Threads may ask at once.

    ``ignored_links`` has the broken links that its survey found, by their source's key.
    """

    def __init__(self, root: InputRoot, ignored_links: Mapping[str, Collection[str]] | None = None) -> None:
        self.root = root
        self._ignored_links = ignored_links or {}
        self._shared: dict[Template, SharedFolders] = {}
        self._lock = threading.Lock()

    def list_day(self, source: Source, day: str, as_of: int | None = None) -> DayFiles:
        """What is read for a day, without markers, as it was at some time after ``as_of``, a logical time; None: now.

        Raises StorageError where anything of them could not be read.
        """
        if not any(source.reach):
            return self._list(source, day, as_of)
        as_of = logical_now() if as_of is None else as_of  # so that one look at the folders serves all of the days
        return joined((one, self._list(source, one, as_of)) for one in source.file_days(day))

    def _list(self, source: Source, day: str, as_of: int | None) -> DayFiles:
        files = self._list_day(source, day, as_of)
        marker = source.readiness.marker
        return marker.without(day, files) if marker else files

    def _list_day(self, source: Source, day: str, as_of: int | None) -> DayFiles:
        template = source.template
        ignored_links = self._ignored_links.get(source.key, ())
        if not template.shares_folders:
            return list_day(self.root, template, day, ignored_links)
        with self._lock:
            shared = self._shared.get(template)
            if shared is None:
                shared = self._shared[template] = SharedFolders(self.root, template, ignored_links)
        return shared.list_day(day, logical_now() if as_of is None else as_of)


@dataclass(slots=True)
class _Folder:
    """A shared folder as it was listed. ``stat_proves``: the identity shows whether its entries are still these.

    ``shared`` are folders below that are shared too, ``own`` those of one day, ``files`` what may be a file of a day.
    """

    states: States
    identity: tuple[int, ...]
    stat_proves: bool
    shared: list[Place] = field(default_factory=list)
    own: list[tuple[str, Place]] = field(default_factory=list)
    files: list[tuple[str, Place]] = field(default_factory=list)


class SharedFolders:
    """The shared folders of one source, listed without ``ignored_links``. Threads may ask at once."""

    def __init__(self, root: InputRoot, template: Template, ignored_links: Collection[str] = ()) -> None:
        self._root = root
        self._template = template
        self._matcher = template.matcher
        self._ignored_links = ignored_links
        self._lock = threading.Lock()
        self._checked_at = 0
        self._folders: dict[str, _Folder] = {}
        self._unreadable: list[Unseen] = []
        self._files: dict[str, list[Place]] = {}
        self._own: dict[str, list[Place]] = {}

    def list_day(self, day: str, as_of: int) -> DayFiles:
        """What ``listing.list_day`` would have found at some time after ``as_of``.

        Raises StorageError where anything of the day could not be read.
        """
        if not self._template.covers(day):
            return day_files(())
        walk = Walk(self._root, self._template, self._matcher, self._ignored_links)
        with self._lock:
            if self._checked_at <= as_of:
                self._refresh(walk)
            unreadable, files, own = self._unreadable, self._files.get(day, ()), self._own.get(day, ())
        for one in unreadable:
            if one.may_hold(self._template, day):
                raise StorageError(f"input of day {day}: cannot read {one.why}")
        for path, ends in files:
            walk.add_file(path, ends)
        walk.run(own)
        return walk.day_files(day)

    def _refresh(self, walk: Walk) -> None:
        """Check every shared folder, and list those again that may have changed."""
        checked_at = logical_now()
        folders: dict[str, _Folder] = {}
        self._unreadable = []
        todo: list[Place] = [("", self._matcher.begin)]
        if walk.error:
            self._note_error(walk, *todo.pop(), walk.error)
        changed = False
        while todo:
            path, states = todo.pop()
            name = self._matcher.only_name(states)
            if name is not None:
                deeper = self._matcher.split(self._matcher.step(states, name))[1]
                todo.append((f"{path}/{name}" if path else name, deeper))
                continue
            folder = self._folders.get(path)
            if folder is None or folder.states != states or not _is_unchanged(walk, path, folder):
                changed = True
                folder = self._list(walk, path, states)
            if folder is not None:
                folders[path] = folder
                todo += folder.shared
        if changed or len(folders) < len(self._folders):
            self._sort_by_day(folders)
        self._checked_at = checked_at

    def _sort_by_day(self, folders: dict[str, _Folder]) -> None:
        files: dict[str, list[Place]] = {}
        own: dict[str, list[Place]] = {}
        for folder in folders.values():
            for day, place in folder.files:
                files.setdefault(day, []).append(place)
            for day, place in folder.own:
                own.setdefault(day, []).append(place)
        self._folders, self._files, self._own = folders, files, own

    def _list(self, walk: Walk, path: str, states: States) -> _Folder | None:
        began = clock.time_ns()
        try:
            fd = walk.open_folder(path)
            try:
                status = os.fstat(fd)
                is_old = max(status.st_mtime_ns, status.st_ctime_ns) + RECENT_NS < began
                folder = _Folder(states, _identity(status), stat_proves=is_old)
                for below, entry, reached in walk.entries(fd, path, states):
                    self._add(walk, folder, below, entry, reached)
                folder.stat_proves &= _identity(os.fstat(fd)) == folder.identity
                return folder
            finally:
                os.close(fd)
        except OSError as error:
            self._note_error(walk, path, states, error)
            return None

    def _add(self, walk: Walk, folder: _Folder, path: str, entry: os.DirEntry[str], reached: States) -> None:
        """Add an entry to its folder, as ``Walk`` does, but for files: they are checked when their day is asked for."""
        try:
            if is_link := entry.is_symlink():
                reached = self._matcher.step(folder.states, entry.name, link=True)
            ends, deeper = self._matcher.split(reached)
            if is_link and deeper:
                folder.stat_proves = False  # it may lead elsewhere without any trace in this folder
                is_folder = stat.S_ISDIR(entry.stat().st_mode)
            else:
                is_folder = entry.is_dir(follow_symlinks=False)
        except OSError as error:
            folder.stat_proves = False
            self._note_error(walk, path, reached, error)
            return
        if not is_folder:
            if ends and (day := self._template.day_of(ends[0][1])):
                folder.files.append((day, (path, ends)))
        elif deeper:
            days = {self._template.day_of(fields) for _, fields in deeper}
            if None in days:
                folder.shared.append((path, deeper))
            else:
                folder.own += [(day, (path, deeper)) for day in days if day]

    def _note_error(self, walk: Walk, path: str, states: States, error: OSError) -> None:
        if why := walk.reason(path, error):
            self._unreadable.append(Unseen(path, tuple(fields for _, fields in states), why))


def _is_unchanged(walk: Walk, path: str, folder: _Folder) -> bool:
    if not folder.stat_proves:
        return False
    try:
        return _identity(os.stat(path or ".", dir_fd=walk.fd)) == folder.identity
    except OSError:
        return False


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
