"""The folders of a source that files of several days share: listed once a run, and again only where they changed.

To list one of 2,000 days in a flat folder is to list all of them. Whoever asks for a day's files says since when the
answer must be true, and each folder is asked once for such a moment whether it is as it was listed. Its inode, mtime
and ctime tell, by the rule of ``RECENT_NS``: times that were recent when it was listed prove nothing, and it is listed
again. The files themselves are looked at for each answer, and the folders of one day are listed for each.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

from state import clock
from state.errors import StorageError
from state.inputs.files import RECENT_NS, FileStat
from state.inputs.root import InputRoot
from tasks.catalog.matcher import Fields, States
from tasks.catalog.template import Template
from tasks.inputs.listing import FOLDER, Walk, bytewise, file_stat

_MOMENTS = count(1)


def moment() -> int:
    """The present: later than every moment that was asked for before. No clock: those may stand still."""
    return next(_MOMENTS)


@dataclass(slots=True)
class _Folder:
    """A shared folder as it was listed. ``proven``: the identity shows whether its entries are still these.

    ``shared`` are folders below that are shared too, ``own`` those of one day, ``files`` what may be a file of a day.
    """

    states: States
    identity: tuple[int, ...]
    proven: bool
    shared: list[tuple[str, States]] = field(default_factory=list)
    own: list[tuple[str, str, States]] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Blocked:
    """A place that could not be looked at: whose files may lie there is not known."""

    readings: tuple[Fields, ...]
    why: str


class SharedFolders:
    """The shared folders of one source. Threads may ask at once.

    ``passed_over`` are the broken links that the source was listed without.
    """

    def __init__(self, root: InputRoot, template: Template, passed_over: Collection[str] = ()) -> None:
        self._root = root
        self._template = template
        self._matcher = template.matcher
        self._passed_over = passed_over
        self._lock = threading.Lock()
        self._looked_at = 0
        self._folders: dict[str, _Folder] = {}
        self._blocked: list[_Blocked] = []
        self._files: dict[str, list[str]] = {}
        self._own: dict[str, list[tuple[str, States]]] = {}

    def list_day(self, day: str, since: int) -> tuple[FileStat, ...]:
        """What ``tasks.inputs.listing.list_day`` would have found at some time after the moment ``since``.

        Raises StorageError where anything of the day could not be read.
        """
        if not self._template.covers(day):
            return ()
        walk = self._walk()
        with self._lock:
            if self._looked_at <= since:
                self._look(walk)
            blocked, paths, own = self._blocked, self._files.get(day, ()), self._own.get(day, ())
        for one in blocked:
            if any(self._template.may_become(fields, day) for fields in one.readings):
                raise StorageError(f"input of day {day}: cannot read {one.why}")
        files = []
        for path in paths:
            try:
                status = os.stat(path, dir_fd=walk.fd)
            except OSError as error:
                if why := walk.why(path, error):
                    raise StorageError(f"input of day {day}: cannot read {why}") from error
                continue
            if stat.S_ISREG(status.st_mode):
                files.append(file_stat(path, status))
        walk.run(own)
        if day in walk.faults:
            raise StorageError(f"input of day {day}: cannot read {walk.faults[day]}")
        return bytewise(files + walk.files.get(day, []))

    def _walk(self) -> Walk:
        return Walk(self._root, self._template, self._matcher, self._passed_over)

    def _look(self, walk: Walk) -> None:
        """Ask every shared folder whether it is as it was listed, and list those that may not be."""
        looked_at = moment()
        folders: dict[str, _Folder] = {}
        blocked: list[_Blocked] = []
        if walk.error:
            self._block(walk, blocked, "", self._matcher.begin, walk.error)
        changed = False
        todo = [] if walk.error else [("", self._matcher.begin)]
        while todo:
            path, states = todo.pop()
            name = self._matcher.only_name(states)
            if name is not None:
                deeper = self._matcher.split(self._matcher.step(states, name))[1]
                todo.append((f"{path}/{name}" if path else name, deeper))
                continue
            folder = self._folders.get(path)
            if folder is None or folder.states != states or not self._is_still(walk, path, folder):
                changed = True
                folder = self._listed(walk, path, states, blocked)
            if folder is not None:
                folders[path] = folder
                todo += folder.shared
        if changed or len(folders) < len(self._folders):
            self._arrange(folders)
        self._blocked, self._looked_at = blocked, looked_at

    def _is_still(self, walk: Walk, path: str, folder: _Folder) -> bool:
        if not folder.proven:
            return False
        try:
            return _identity(os.stat(path or ".", dir_fd=walk.fd)) == folder.identity
        except OSError:
            return False

    def _arrange(self, folders: dict[str, _Folder]) -> None:
        """Sort by day what the folders hold."""
        files: dict[str, list[str]] = {}
        own: dict[str, list[tuple[str, States]]] = {}
        for folder in folders.values():
            for day, path in folder.files:
                files.setdefault(day, []).append(path)
            for day, path, states in folder.own:
                own.setdefault(day, []).append((path, states))
        self._folders, self._files, self._own = folders, files, own

    def _listed(self, walk: Walk, path: str, states: States, blocked: list[_Blocked]) -> _Folder | None:
        began = clock.time_ns()
        try:
            fd = os.open(path or ".", FOLDER, dir_fd=walk.fd)
        except OSError as error:
            self._block(walk, blocked, path, states, error)
            return None
        try:
            status = os.fstat(fd)
            old = max(status.st_mtime_ns, status.st_ctime_ns) + RECENT_NS < began
            folder = _Folder(states, _identity(status), proven=old)
            with os.scandir(fd) as entries:
                for entry in entries:
                    self._sort(walk, folder, f"{path}/{entry.name}" if path else entry.name, entry, blocked)
            folder.proven &= _identity(os.fstat(fd)) == folder.identity
            return folder
        except OSError as error:
            self._block(walk, blocked, path, states, error)
            return None
        finally:
            os.close(fd)

    def _sort(self, walk: Walk, folder: _Folder, path: str, entry: os.DirEntry[str], blocked: list[_Blocked]) -> None:
        """Note what an entry of a folder is, as ``Walk`` does; a file is looked at when its day is asked for."""
        reached = self._matcher.step(folder.states, entry.name)
        if not reached:
            return
        try:
            if is_link := entry.is_symlink():
                reached = self._matcher.step(folder.states, entry.name, link=True)
            ends, deeper = self._matcher.split(reached)
            if is_link and deeper:
                folder.proven = False  # it may lead elsewhere without any trace in this folder
                is_folder = stat.S_ISDIR(entry.stat().st_mode)
            else:
                is_folder = entry.is_dir(follow_symlinks=False)
        except OSError as error:
            folder.proven = False
            self._block(walk, blocked, path, reached, error)
            return
        if not is_folder:
            if ends and (day := self._template.day_of(ends[0][1])):
                folder.files.append((day, path))
        elif deeper:
            days = {self._template.day_of(fields) for _, fields in deeper}
            if None in days:
                folder.shared.append((path, deeper))
            else:
                folder.own += [(day, path, deeper) for day in days if day]

    @staticmethod
    def _block(walk: Walk, blocked: list[_Blocked], path: str, states: States, error: OSError) -> None:
        if why := walk.why(path, error):
            blocked.append(_Blocked(tuple(fields for _, fields in states), why))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
