"""What a run is computing, on disk: where its process dies, the next run can tell which results may be the cause.

The note is a private file that its run holds locked, so one whose lock is free belongs to a run that died. It is not
flushed: it survives a process that is killed, and a power cut is no result's fault.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from state.days import is_day
from state.filesystem.durable import read_whole, write_at
from state.filesystem.folder import Folder
from state.partition import Partition, is_aggregation_name
from state.store.local import layout
from state.store.local.staging import abandoned, private_files, staged_file


class LocalRunNote:
    """As ``RunNote``. The file is created with the first result that the run computes."""

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._partitions: dict[int, list[Partition]] = {}
        self._lock = threading.Lock()
        self._file = ExitStack()
        self._fd: int | None = None
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def computing(self, partitions: Iterable[Partition]) -> Iterator[None]:
        """As ``RunNote.computing``."""
        thread = threading.get_ident()
        with self._lock:
            self._partitions[thread] = list(partitions)
            self._write()
        try:
            yield
        finally:
            with self._lock:
                del self._partitions[thread]
                self._write()

    def _write(self) -> None:
        content = json.dumps([one for some in self._partitions.values() for one in some]).encode()
        with suppress(OSError):  # such as a full disk, which the results that are written beside it report
            if self._fd is None:
                self._fd = self._file.enter_context(staged_file(self._root, layout.run_note)).fd
            # In one call, over all that stood there: a process that is killed leaves the old note or the new one.
            write_at(self._fd, content.ljust(self._written), 0)
            self._written = len(content)


@contextmanager
def interrupted(root: Folder) -> Iterator[set[Partition]]:
    """As ``Store.interrupted``. Raises OSError."""
    partitions: set[Partition] = set()
    read = []
    for path in private_files(root, layout.NOTE):
        with abandoned(root, path) as fd:
            if fd is not None:
                partitions |= _partitions(read_whole(fd))
                read.append(path)
    yield partitions
    for path in read:
        root.unlink(path)


def _partitions(content: bytes) -> set[Partition]:
    """The results that a note names; whatever is not one is left out."""
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
