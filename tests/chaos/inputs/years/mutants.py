"""Mutants of what counts as a change of a day, of what a file must be, and of which day an event is of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import polars as pl

from state.inputs.files import Contents, DayFiles, FileStat, read_contents
from state.planner import current
from state.result.record import SourceRecord
from tasks.catalog.source import Source
from tasks.inputs.listing import Listing
from tasks.inputs.reach import reached
from tasks.reading import day_input, declared
from tasks.reading.sound_files import DaySound
from tasks.strict.check import Checked, check_file
from tests.chaos.campaign import Mutant, replaced, without

_read, _input_is_current, _sound_headers = day_input._read, current.input_is_current, declared._sound_headers


def _read_by_path(*arguments: Any, name_of: Callable[[str], str] | None = None, **options: Any) -> Any:
    return _read(*arguments, name_of=name_of or str, **options)


def _read_with_times(root_fd: int, files: Sequence[FileStat], **options: Any) -> Contents:
    found = read_contents(root_fd, files, **options)
    return replace(found, digest=f"{found.digest} {[file.mtime_ns for file in files]}")


def _current_by_size(recorded: SourceRecord, files: DayFiles | None, contents: Any = None) -> bool | None:
    if files is None:
        return _input_is_current(recorded, files, contents)
    return (recorded.files, recorded.bytes) == (len(files.files), files.bytes)


def _stat_without_ctime(path: str, status: os.stat_result) -> FileStat:
    return FileStat(path, status.st_size, status.st_mtime_ns, 0, 0)


def _without_findings(*arguments: Any) -> Checked:
    return replace(check_file(*arguments), findings=())


def _checked_unless_prepared(source: Source, *rest: Any) -> Any:
    with replaced("tasks.reading.declared.check_file", _without_findings if source.prepare else check_file):
        return _sound_headers(source, *rest)


def _known_by_path(files: DaySound, kind: str, path: str) -> str:
    return hashlib.sha256(f"{kind} {files._source.key} {path}".encode()).hexdigest()[:32]


def _all_events(events: Any, _day: str) -> pl.LazyFrame:
    return cast("pl.LazyFrame", events.rows)


def _reached_at_once(listing: Listing, source: Source) -> Listing:
    return replace(reached(listing, source), waiting={})


MUTANTS: dict[str, Mutant] = {
    # Removes the difference between a file's name and its path.
    "a moved file is a change": without({"tasks.reading.day_input._read": _read_by_path}),
    # Removes the difference between a file's times and its contents.
    "a touched file is a change": without({"tasks.reading.day_input.read_contents": _read_with_times}),
    # Removes the look at times and contents where sizes are equal.
    "size alone is compared": without({"state.planner.current.input_is_current": _current_by_size}),
    # Removes ctime and inode from what a listing shows of a file.
    "size and mtime alone are compared": without({"state.inputs.files.FileStat.of": staticmethod(_stat_without_ctime)}),
    # Removes the check of what a file is before polars reads it.
    "structure is not checked": without({"tasks.reading.declared.check_file": _without_findings}),
    # Removes the bytes of a file from what it is known by, once it was found sound.
    "a file is known by its path": without({"tasks.reading.sound_files.DaySound._key": _known_by_path}),
    # Removes the same check of what a function of the user's made of a file.
    "what prepare= makes is not checked": without({"tasks.reading.declared._sound_headers": _checked_unless_prepared}),
    # Removes the comparison of a day's files with each other.
    "a copy counts as more rows": without({"tasks.reading.day_input.unused_files": lambda *_: frozenset()}),
    # Removes the difference between the day of a file and that of an event in it.
    "an event counts in each day that reads it": without({"tasks.reading.event_days._Events.taken": _all_events}),
    # Removes what is said of events that none of the days that read their file can take.
    "events of no day are passed over": without({"tasks.reading.event_days.EventDay.misplaced": lambda *_: None}),
    # Removes the wait for the file that may hold the last events of a day.
    "the newest day does not wait": without({"tasks.survey.reached": _reached_at_once}),
    # Removes what a run says of files that it does not read.
    "strays are not named": without({"flows.report.models.stray_fields": lambda _: {}}),
}
