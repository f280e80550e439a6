"""What a run lists of its inputs, day by day, after its plan was made: a folder that days share is listed for all."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from state.inputs.files import FileStat
from state.inputs.root import InputRoot
from tasks.catalog.declare import Source
from tasks.catalog.load import key
from tasks.inputs.listing import list_day
from tasks.inputs.shared_folders import SharedFolders, moment


class RunListing:
    """The listings of a run. ``passed_over`` has the broken links that its survey met, by the key of their source."""

    def __init__(self, root: InputRoot, passed_over: Mapping[str, Collection[str]] | None = None) -> None:
        self._root = root
        self._passed_over = passed_over or {}
        self._shared: dict[str, SharedFolders] = {}
        self._lock = threading.Lock()

    def list_day(self, source: Source, day: str, since: int | None = None) -> tuple[FileStat, ...]:
        """A day's files as they were at some time after the moment ``since``; None: after now.

        Raises StorageError where anything of the day could not be read.
        """
        template = source.template
        passed_over = self._passed_over.get(key(source), ())
        if not template.shares_folders:
            return list_day(self._root, template, day, passed_over)
        with self._lock:
            shared = self._shared.get(key(source))
            if shared is None:
                shared = self._shared[key(source)] = SharedFolders(self._root, template, passed_over)
        return shared.list_day(day, moment() if since is None else since)
