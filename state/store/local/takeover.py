"""Who writes to an output agrees with all others on how its days are locked, and an output of format 1 is taken over.

Who has an output open for writing holds a shared lock on ``_noonmark/``. Whoever gets it alone may change how days are
locked: it copies the marks of the days' lock files into slots, and then replaces the marker. Each step can be repeated:
until the marker is replaced the lock files count, and from then on the slots.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import suppress

from state import clock
from state.errors import StorageError
from state.filesystem.durable import close, flush, read_at, write_whole
from state.filesystem.file_locks import close_lockable, excludes_by_range, knows_ranges, try_lock
from state.filesystem.folder import READ_OR_CREATE, Folder, InTheWay
from state.partition import Partition, is_aggregation_name
from state.store.local import layout
from state.store.local.day_lock import HighWater, is_of_lines, is_of_slots, slot, slot_numbers
from state.store.local.layout import SLOT
from state.store.local.marker import Marker, read_marker
from state.store.local.staging import StagedFile, private_files, staged_file

DEADLINE_SECONDS = 30.0
"""How long a run waits for one that takes the output over: a second for some ten thousand days."""
_POLL_SECONDS = 0.005


class _NotNowError(Exception):
    """The output stays as it is: something speaks against taking it over."""


def join(root: Folder) -> tuple[Marker, int]:
    """Write to an output from now on: its marker, which says for as long as the descriptor is open how days are locked.

    An output of format 1 is taken over, where that is possible; close the descriptor by ``close_lockable``. Raises
    StorageError, Refused, OSError.
    """
    fd = root.open_lockable_folder(layout.OWN)
    try:
        marker = read_marker(root)
        if marker and not marker.lock_ranges and knows_ranges() and try_lock(fd):
            _take_over(root)
        deadline = clock.monotonic() + DEADLINE_SECONDS
        while not try_lock(fd, fcntl.LOCK_SH):
            if clock.monotonic() >= deadline:
                raise StorageError(
                    f"{root.path / layout.OWN} stayed locked for {DEADLINE_SECONDS:g} s by a run that changes how days "
                    "are locked: it is stopped or hangs",
                    hint="let that run go on, or kill it (lslocks shows its number), then run again",
                )
            clock.sleep(_POLL_SECONDS)
        marker = read_marker(root)
        if marker is None:
            raise StorageError(f"the output root {root.path} lost its {layout.MARKER} while it was opened")
    except BaseException:
        close_lockable(fd)
        raise
    return marker, fd


def locks_by_range(root: Folder, new: StagedFile) -> bool:
    """Whether days of this output can be locked by ranges: it is tried, on a private file of its file system."""
    other = root.open_file(new.path, READ_OR_CREATE, lockable=True)
    try:
        return excludes_by_range(new.fd, other)
    finally:
        close_lockable(other)


def lock_files(root: Folder) -> Iterator[Partition]:
    """The partitions that have a lock file of their own, or what has its name. Raises OSError."""
    names, odd = root.entries(layout.LOCKS)
    for aggregation in names:
        if aggregation not in odd and is_aggregation_name(aggregation):
            for name in root.entries(layout.locks_folder(aggregation))[0]:
                if (day := layout.locked_day(name)) is not None:
                    yield aggregation, day


def remove_lock_files(root: Folder) -> None:
    """Remove the lock files of an output whose days are locked by ranges. What is no lock file stays, in nobody's way.

    The marker must be durable. An error is none: the next run tries again.
    """
    with suppress(OSError):
        for partition in list(lock_files(root)):
            with suppress(InTheWay, FileNotFoundError):
                if is_of_lines(_content(root, layout.lock_file(*partition))):
                    root.unlink(layout.lock_file(*partition))


def _take_over(root: Folder) -> None:
    """Take an output of format 1 over, unless something speaks against it. Needs the lock on ``_noonmark/`` alone.

    Raises OSError where the new marker stands, and may not be durable.
    """
    try:
        with staged_file(root) as new:
            marker = read_marker(root)
            if marker is None or marker.lock_ranges or _others_write(root, new) or not locks_by_range(root, new):
                return
            _copy_marks(root)
            new.write(marker._replace(lock_ranges=True).content())
            new.flush()
            new.move(layout.MARKER)
    except (_NotNowError, OSError):  # such as a full disk: the next run tries again
        return
    root.flush(layout.OWN)


def _others_write(root: Folder, mine: StagedFile) -> bool:
    """Whether a private file has a writer: earlier versions hold no lock on ``_noonmark/`` while they run."""
    for path in [*private_files(root, layout.NOTE), *private_files(root, layout.TEMPORARY)]:
        if path == mine.path:
            continue
        try:
            fd = root.open_file(path, lockable=True)
        except (InTheWay, FileNotFoundError):
            continue
        try:
            if not try_lock(fd):
                return True
        finally:
            close_lockable(fd)
    return False


def _copy_marks(root: Folder) -> None:
    """Copy the mark of each lock file into the day's slot, durably. A slot that is higher stays as it is."""
    files: dict[str, list[Partition]] = {}
    for partition in lock_files(root):
        files.setdefault(layout.lock_slot(*partition)[0], []).append(partition)
    for path, partitions in files.items():
        _copy_into(root, path, partitions)
    folders = {layout.locks_folder(one[0]) for some in files.values() for one in some}
    for folder in (*sorted(folders), layout.LOCKS):
        root.flush(folder)


def _copy_into(root: Folder, path: str, partitions: list[Partition]) -> None:
    marks = {partition: _content(root, layout.lock_file(*partition)) for partition in partitions}
    fd = root.open_file(path, READ_OR_CREATE, lockable=True)
    try:
        content = read_at(fd, layout.LONGEST_LOCKS + 1)
        if not is_of_slots(content) or not all(map(is_of_lines, marks.values())):
            raise _NotNowError  # its days fail, as they did, until a person has moved it away
        for partition, mark in marks.items():
            start = layout.lock_slot(*partition)[1]
            content = _with_mark(content, start, HighWater(mark))
        write_whole(fd, content)  # always: what was written before a failed flush only seems to be there
        flush(fd)
    finally:
        close_lockable(fd)


def _with_mark(content: bytes, start: int, mark: HighWater) -> bytes:
    before = slot_numbers(content[start : start + SLOT]) or (0, 0)
    numbers = max(before[0], mark.generation), max(before[1], mark.published)
    if not any(numbers):
        return content
    return content[:start].ljust(start, b"\0") + slot(*numbers) + content[start + SLOT :]


def _content(root: Folder, path: str) -> bytes:
    fd = root.open_file(path)
    try:
        return read_at(fd, SLOT)
    finally:
        close(fd)
