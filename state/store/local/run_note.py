"""What a run is computing, on disk: where a process dies of a day, the next run can tell which days it may have been.

The note is a private file that its run holds locked, so one whose lock is free is of a run that died. It is not
flushed: it outlives a process that is killed, and a power cut is no day's fault.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from state.days import is_day
from state.filesystem.durable import read_whole
from state.partition import Partition, is_aggregation_name
from state.store.local import layout
from state.store.local.staging import draft, draft_names, is_ours, orphaned, unlink


class RunNote:
    """The note of a run, from the first result that it computes to its end in any way that Python can see.

    Any thread may say what it computes. Without an output nothing is written.
    """

    def __init__(self, root_fd: int | None = None) -> None:
        self._root_fd = root_fd
        self._places: dict[int, list[Partition]] = {}
        self._lock = threading.Lock()
        self._file = ExitStack()
        self._fd: int | None = None
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def computing(self, places: Iterable[Partition]) -> Iterator[None]:
        """Say that this thread computes these results, for as long as it is entered."""
        thread = threading.get_ident()
        with self._lock:
            self._places[thread] = list(places)
            self._write()
        try:
            yield
        finally:
            with self._lock:
                del self._places[thread]
                self._write()

    def _write(self) -> None:
        if self._root_fd is None:
            return
        content = json.dumps([place for some in self._places.values() for place in some]).encode()
        with suppress(OSError):  # a full disk: the results that are written beside it tell of that
            if self._fd is None:
                self._fd = self._file.enter_context(draft(self._root_fd, layout.run_note)).fd
            # In one call, and over all that stood there: a process that is killed leaves the old note or the new one.
            os.pwrite(self._fd, content.ljust(self._written), 0)
            self._written = len(content)


@contextmanager
def left_by_the_dead(root_fd: int) -> Iterator[set[Partition]]:
    """The results that runs were computing when their process died.

    Their notes are removed on leaving, unless an exception is raised: until then another run may read them too. Raises
    OSError.
    """
    places: set[Partition] = set()
    read = []
    for name in draft_names(root_fd):
        path = f"{layout.DRAFTS}/{name}"
        if is_ours(name, layout.NOTE):
            with orphaned(root_fd, path) as fd:
                if fd is not None:
                    places |= _places(read_whole(fd))
                    read.append(path)
    yield places
    for path in read:
        unlink(root_fd, path)


def _places(content: bytes) -> set[Partition]:
    """The results that a note names; whatever is none is left out."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return set()
    return {
        (one[0], one[1])
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, list)
        and len(one) == 2
        and all(isinstance(part, str) for part in one)
        and is_aggregation_name(one[0])
        and is_day(one[1])
    }
