"""Finds inputs that were edited without a trace: same names, sizes and times, other bytes. Only reading shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from state.days import EVERY_DAY
from state.errors import StorageError
from state.inputs.files import BLAKE3, DayFiles, has_large
from state.inputs.root import InputRoot
from state.planner.current import input_is_current
from state.result.classify import commits
from state.result.record import SourceRecord
from state.store.base import Output, Unread
from state.threads import map_in_threads
from tasks.catalog.load import Catalog
from tasks.catalog.source import Reference, Source
from tasks.inputs.listing import list_source
from tasks.inputs.reach import reached
from tasks.inputs.waiting import ready
from tasks.planning import sources_by_key
from tasks.reading.day_input import contents_digest

_Digest = str | StorageError | None
"""Of a day's files; None where they changed since they were listed."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A committed day whose input holds other bytes than it was computed from, though its listing says unchanged."""

    aggregation: str
    day: str
    source: str


def edited_inputs(catalog: Catalog, input_root: InputRoot, output: Output, threads: int) -> Iterator[Edited | Unread]:
    """Digest every input that a commit was computed from. Raises StorageError where a source cannot be listed."""
    for name, alike in sources_by_key(catalog).items():
        listing = ready(input_root, alike[0], list_source(input_root, alike[0].template))
        files = reached(listing, alike[0]).days
        for source in alike:
            digested = map_in_threads(partial(_digest, source, input_root), list(files.values()), threads)
            digests = dict(zip(files, digested, strict=True))
            for aggregation, day, recorded in _recorded(catalog, output, source):
                read_day = EVERY_DAY if isinstance(source, Reference) else day
                if read_day not in files or not input_is_current(recorded, files[read_day]):
                    continue  # every run sees that
                found = digests[read_day]
                for digest in _earlier_ways(source, recorded, files[read_day]):
                    if not _is_edited(recorded, found):
                        break
                    found = digest(input_root, files[read_day])
                if isinstance(found, StorageError):
                    yield Unread(aggregation, day, f"its input cannot be read: {found.message}")
                elif _is_edited(recorded, found):
                    yield Edited(aggregation, day, name)


def _is_edited(recorded: SourceRecord, digest: _Digest) -> bool:
    return isinstance(digest, str) and input_is_current(recorded, None, (digest,)) is False


def _earlier_ways(source: Source, recorded: SourceRecord, files: DayFiles) -> Iterator[Callable[..., _Digest]]:
    """The ways in which earlier commits had the digest: of large files by SHA-256, of all by their own names."""
    by_sha256 = has_large(files.files) and not recorded.contents.startswith(BLAKE3)
    if by_sha256:
        yield partial(_digest, source, by_sha256=True)
    if source.shows_paths:
        yield partial(_digest, source, name_of=os.path.basename, by_sha256=by_sha256)


def _digest(source: Source, input_root: InputRoot, files: DayFiles, **way: Any) -> _Digest:
    try:
        return contents_digest(source, input_root, files, **way)
    except StorageError as error:
        return error


def _recorded(catalog: Catalog, output: Output, source: Source) -> Iterator[tuple[str, str, SourceRecord]]:
    """What was recorded of sources that list and name their files as this one does."""
    for one in catalog.values():
        kept = one.references if one.keeps_references else ()
        alike = (name for name, other in one.sources.items() if other.digest_key == source.digest_key)
        for name in (name for name in alike if name not in kept):
            for day, commit in commits(output.days.get(one.name, {})).items():
                if name in commit.record.inputs:
                    yield one.name, day, commit.record.inputs[name]
