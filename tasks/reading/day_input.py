"""Reads a day's raw files, once for all aggregations: lists, digests and unpacks them, and checks them again later.

What is computed from is what was digested. A day of moderate size is read into memory, where nobody can change or
truncate it; a larger one stays on disk, and the second check is what shows a change. What counts for polars' memory is
what the files hold once they are unpacked: where that is more, polars streams them, wherever they are.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from state import clock
from state.errors import StorageError
from state.inputs.files import RECENT_NS, Contents, DayFiles, FileStat, InputChanged, newest_ns, read_contents
from state.inputs.root import InputRoot
from state.threads import done, in_background
from tasks.catalog.source import Source
from tasks.inputs.run_listing import RunListing
from tasks.inputs.waiting import require_ready
from tasks.reading.declared import Files
from tasks.reading.duplicates import unused_files
from tasks.reading.event_days import EventDay, Tally, events_of
from tasks.reading.frames import ReadableFile, frame_of, readable
from tasks.reading.iso_times import with_iso_times
from tasks.reading.rewriting import Rewriting
from tasks.reading.room import has_room, plain_size
from tasks.reading.sound_files import DaySound, SoundFiles
from tasks.user_code import Raised, guarded_call

KEEP_BYTES = 64 << 20
"""A day's files of one source are read into memory up to this size, and computed there if they hold no more than that
once they are unpacked; beyond it polars streams them.
"""


@dataclass(frozen=True)
class DayInput:
    """A day's files of one source as they were read.

    ``digesting`` gives their digests; of a file on disk it may go on while polars reads it too. ``stat_proves``: their
    times are old enough, so that the same listing proves the same contents. ``buffers`` are their bytes as polars is
    given them, or None where it reads from disk. ``unpacked`` is about how many bytes of memory their rows take, where
    that is moderate. None: polars has to stream them. ``file_rows`` has the number of rows of each file, where all of
    them say it. ``unused`` are the places of files that are checked like the others and not read, because an equal one
    is.
    """

    source: Source
    root: InputRoot
    day: str
    files: DayFiles
    digesting: Future[Contents]
    stat_proves: bool
    listing: RunListing
    known_sound: SoundFiles
    buffers: tuple[bytes, ...] | None = None
    unpacked: int | None = None
    file_rows: tuple[int, ...] | None = None
    unused: frozenset[int] = frozenset()

    @property
    def contents(self) -> Contents:
        """The digests, once all files were read. Raises InputChanged, and StorageError where they cannot be read."""
        return self.digesting.result()

    @cached_property
    def in_memory(self) -> bool:
        """Whether its rows have room in memory, so that the small day's quicker engine serves."""
        return all(part._has_room for part in self.parts)

    @property
    def _has_room(self) -> bool:
        if self.source.read is not None:
            return has_room(self._made, [str(path) for path in self._paths], self.unpacked, KEEP_BYTES)
        if self.unpacked is None or not self.source.rewrites:
            return self.unpacked is not None
        contents = (file.content for file in self.readable_files)
        return sum(len(content) for content in contents if isinstance(content, bytes)) <= KEEP_BYTES

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that is known before it is computed: to have polars count them takes a third of
        the time of a small day.
        """
        source = self.source
        if self.file_rows is None or source.events or source.rewrites or source.options.get("n_rows") is not None:
            return None
        return sum(rows for at, rows in enumerate(self.file_rows) if at not in self.unused)

    @property
    def bytes(self) -> int:
        """How much of a group's memory it takes, as far as it counts."""
        return self.files.bytes if self.unpacked is None else self.unpacked

    @property
    def parts(self) -> list[DayInput]:
        """The files of each day by themselves: a day of events has files of several."""
        return self._parts if self.source.events else [self]  # kept, the latter would keep itself and its bytes

    @cached_property
    def _parts(self) -> list[DayInput]:
        found = []
        for day, (first, end) in _days_of(self.source, self.day, self.files.files):
            files = DayFiles(self.files.files[first:end], self.files.stat)
            digesting = done(replace(self.contents, each=self.contents.each[first:end]))
            buffers = self.buffers and self.buffers[first:end]
            unused = frozenset(at - first for at in self.unused if first <= at < end)
            found.append(replace(self, day=day, files=files, digesting=digesting, buffers=buffers, unused=unused))
        return found

    @cached_property
    def events(self) -> EventDay | None:
        """What the day takes of its files, where its source has events. Raises what reading them raises."""
        return EventDay(self.source, self.day, self.parts) if self.source.events else None

    def frame(self) -> pl.LazyFrame:
        """The rows of the day. Raises NotAsDeclared, and whatever a ``read=`` function or polars raises."""
        return self.events.frame() if self.events else self.rows_of_files()

    def rows_of_files(self) -> pl.LazyFrame:
        """The rows of the files, which are of one day, whenever their events are of. Raises as ``frame``."""
        return self.rows_of(self.readable_files) if self.source.read is None else self._made.lazy()

    def rows_of(self, files: Sequence[ReadableFile]) -> pl.LazyFrame:
        """The rows of some of the files."""
        return frame_of(self.source, files, self.root.path)

    def each(self) -> Sequence[ReadableFile]:
        """Every file, to find the bad one. None for ``read=``: it may need them all."""
        if self.source.read:
            return ()
        return [file for part in self.parts for file in part.readable_files]

    def frame_of(self, file: ReadableFile) -> pl.LazyFrame:
        """The rows of the day in one of the files."""
        rows = partial(self.rows_of, [file])
        day = self.source.template.day_in(file.stat.path)
        return events_of(self.source, self.day, day, rows) if self.source.events and day else rows()

    def tally(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The numbers that ``tallied`` reads, of the ``frame`` of the day."""
        return self.events.tally() if self.events else frame.select(pl.len())

    def tallied(self, numbers: pl.DataFrame) -> Tally:
        """How many rows the day has, and how many that no day can take."""
        return self.events.tallied(numbers) if self.events else Tally(int(numbers.item()))

    def is_no_day(self, tally: Tally) -> bool:
        """Whether it has neither a file of its own nor an event in those of its neighbours."""
        return self.events is not None and not self.events.has_own_file and not tally.rows

    @property
    def absent(self) -> int:
        """How many of the days whose files are read have none."""
        return self.events.absent if self.events else 0

    def has_rows(self, at: int) -> bool:
        """Whether there is any row in a file, by its place. Where only a ``read=`` function knows: yes."""
        if self.source.read:
            return True
        file = [self._rewritten[at]]
        rows = guarded_call(lambda: self.rows_of(readable(self.source, file, self._sound)).head(1).collect().height)
        return isinstance(rows, Raised) or rows > 0  # what cannot be read fails its day later, with its reason

    def check(self, as_of: int | None = None) -> None:
        """Raise InputChanged where the files are no longer those that were read; StorageError, OSError as ``read_day``.

        What is checked is how they are at some time after ``as_of``, a logical time; None: after now.
        """
        if self.listing.list_day(self.source, self.day, as_of) != self.files:
            raise InputChanged(f"the files of {self.source}, day {self.day}, changed while they were computed from")
        self.root.check()  # what reads by path may have read elsewhere
        if (
            not self.stat_proves
            and _read(self.source, self.root, self.files, keep=False).digest != self.contents.digest
        ):
            raise InputChanged(f"the contents of {self.source}, day {self.day}, changed within one tick of their times")
        for part in self.parts:
            part._sound.prove()

    @property
    def _paths(self) -> list[Path]:
        return [self.root.path / file.path for at, file in enumerate(self.files.files) if at not in self.unused]

    @cached_property
    def _made(self) -> pl.LazyFrame | pl.DataFrame:
        """What ``read=`` made of the files."""
        return self.source.read_files(self._paths, self.day)

    @cached_property
    def readable_files(self) -> list[ReadableFile]:
        """Every file as polars is given it: its unpacked bytes, or else its path. Raises NotAsDeclared."""
        files = [file for at, file in enumerate(self._rewritten) if at not in self.unused]
        return with_iso_times(self.source, readable(self.source, files, self._sound), self._sound)

    @cached_property
    def _sound(self) -> DaySound:
        """What is known of its files, by their bytes."""
        files, digesting = self.files.files, self.digesting  # not itself, which its private files would then outlive

        def digests() -> dict[str, bytes]:
            return dict(zip((file.path for file in files), digesting.result().each, strict=True))

        return DaySound(self.known_sound, self.source, digests)

    @cached_property
    def _rewritten(self) -> Files:
        """All files, rewritten where that is declared."""
        paths = (self.root.path / file.path for file in self.files.files)
        files: Files = list(zip(self.files.files, self.buffers or paths, strict=True))
        if not self.source.rewrites:
            return files
        private = ExitStack() if self.unpacked is None else None
        if private:
            weakref.finalize(self, private.close)
        rewriting = Rewriting(self.source, self.day, private)
        return [(file, rewriting.file(file, content)) for file, content in files]


def read_day(
    source: Source, day: str, listing: RunListing, known_sound: SoundFiles, as_of: int | None = None
) -> DayInput | None:
    """Read and digest a day's files as they are after ``as_of``, a logical time; None where there is none any more.

    Raises InputChanged where they change under the reader, NotReady where the day has to wait, DuplicateFiles where it
    has a file twice, StorageError where they cannot be read, InputRootGone where the root is no longer where it was.
    """
    root = listing.root.of(absolute=source.template.absolute)
    root.check()
    began = clock.time_ns()
    files = listing.list_day(source, day, as_of)
    if not files.files:
        return None
    days = _days_of(source, day, files.files)
    for one, (first, end) in days:
        require_ready(listing.root, source, one, DayFiles(files.files[first:end], files.stat))
    keep = (source.rewrites or not source.shows_file_paths) and files.bytes <= KEEP_BYTES
    stat_proves = newest_ns(files.files) + RECENT_NS < began
    read = partial(_contents, source, root, files, keep=keep)
    if not keep and stat_proves and not _needs_digests(source, files):
        return DayInput(source, root, day, files, in_background(read), stat_proves, listing, known_sound)
    contents = read()
    digesting = done(replace(contents, buffers=None))
    found = DayInput(source, root, day, files, digesting, stat_proves, listing, known_sound, *_unpack(source, contents))
    unused: set[int] = set()
    for part, (_, (first, _)) in zip(found.parts, days, strict=True):
        again = unused_files(source, part.day, part.files.files, part.contents.each, part.has_rows)
        unused.update(first + at for at in again)
    return replace(found, unused=frozenset(unused)) if unused else found


def _needs_digests(source: Source, files: DayFiles) -> bool:
    """Whether anything but a commit's record asks for the digests: whether a file comes twice, or was found sound.

    And times that prove nothing need them first: an edit after polars had read, and before the digest, would not show.
    """
    return len(files.files) > 1 or source.events is not None or source.format.text is not None


def _days_of(source: Source, day: str, files: Sequence[FileStat]) -> list[tuple[str, tuple[int, int]]]:
    """The days whose files are read for a day, each with the place of its first file and that behind its last."""
    if not source.events:
        return [(day, (0, len(files)))]
    found: dict[str, tuple[int, int]] = {}
    for at, file in enumerate(files):
        one = source.template.day_in(file.path) or day
        found[one] = found.get(one, (at, at))[0], at + 1
    return list(found.items())


def contents_digest(
    source: Source,
    input_root: InputRoot,
    files: DayFiles,
    name_of: Callable[[str], str] | None = None,
    *,
    by_sha256: bool = False,
) -> str | None:
    """The digest of files that a listing showed; None where they changed since. Raises StorageError.

    ``name_of`` makes the name that counts of a file's path, in place of the source's own way. ``by_sha256``: as earlier
    commits of large files have it.
    """
    root = input_root.of(absolute=source.template.absolute)
    try:
        return _contents(source, root, files, keep=False, name_of=name_of, by_sha256=by_sha256).digest
    except InputChanged:
        return None


def _contents(source: Source, root: InputRoot, files: DayFiles, **way: Any) -> Contents:
    """As ``_read``. Raises StorageError where a file cannot be read."""
    try:
        return _read(source, root, files, **way)
    except OSError as error:
        place = os.fsencode(root.path / (error.filename or "")).decode(errors="backslashreplace")
        raise StorageError(f"{source}: {place} cannot be read: {error.strerror}") from error


def _read(
    source: Source,
    root: InputRoot,
    files: DayFiles,
    *,
    keep: bool,
    name_of: Callable[[str], str] | None = None,
    by_sha256: bool = False,
) -> Contents:
    """Where a file is counts as a part of its name where the aggregation can see it."""
    return read_contents(root.fd, files.files, keep=keep, name_of=name_of or source.name_of, by_sha256=by_sha256)


def _unpack(source: Source, contents: Contents) -> tuple[tuple[bytes, ...] | None, int | None, tuple[int, ...] | None]:
    """The bytes as polars is given them, their size, and the rows of each file where those are known.

    They are unpacked where they all have room, or else as they are.
    """
    unpack = source.format.unpack
    if contents.buffers is None:
        return None, None, None
    if unpack is None:  # a function gets paths
        return None, plain_size(contents.buffers), None
    plain, rows = [], []
    size = 0
    for packed in contents.buffers:
        one = unpack(packed, KEEP_BYTES - size)
        if one is None:
            return contents.buffers, None, None
        plain.append(one.content)
        size += one.size
        if one.rows is not None:
            rows.append(one.rows)
    return tuple(plain), size, tuple(rows) if len(rows) == len(plain) else None
