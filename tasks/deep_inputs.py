"""Finds inputs that were edited without a trace: same names, sizes and times, other bytes. Only reading them tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from state.deep import Unread
from state.errors import StorageError
from state.found import Commit
from state.input_root import InputRoot
from state.inputs import DayFiles, day_files
from state.record import SourceRecord
from state.scan import Output
from state.threads import map_in_threads
from tasks.catalog import Source
from tasks.discovery import list_source
from tasks.intake import contents_digest
from tasks.loading import Catalog, key


@dataclass(frozen=True, slots=True)
class Edited:
    """A committed day whose input holds other bytes than it was computed from, though its listing says unchanged."""

    aggregation: str
    day: str
    source: str


def edited_inputs(catalog: Catalog, input_root: InputRoot, output: Output, threads: int) -> Iterator[Edited | Unread]:
    """Digest every input that a commit was computed from. Raises StorageError where a source cannot be listed."""
    sources = {key(source): source for one in catalog.values() for source in one.sources.values()}
    for name, source in sources.items():
        files = {day: day_files(some) for day, some in list_source(input_root, source.template).days.items()}
        digested = map_in_threads(partial(_digest, source, input_root), list(files.values()), threads)
        digests = dict(zip(files, digested, strict=True))
        for aggregation, day, recorded in _recorded(catalog, output, name):
            if day not in files or recorded.stat != files[day].stat:
                continue  # every run sees that
            found = digests[day]
            if isinstance(found, StorageError):
                yield Unread(aggregation, day, f"its input cannot be read: {found.message}")
            elif found not in (recorded.contents, None):
                yield Edited(aggregation, day, name)


def _digest(source: Source, input_root: InputRoot, files: DayFiles) -> str | StorageError | None:
    try:
        return contents_digest(source, input_root, files)
    except StorageError as error:
        return error


def _recorded(catalog: Catalog, output: Output, source: str) -> Iterator[tuple[str, str, SourceRecord]]:
    for one in catalog.values():
        for name in (name for name, declared in one.sources.items() if key(declared) == source):
            for day, found in output.days.get(one.name, {}).items():
                if isinstance(found, Commit) and name in found.record.inputs:
                    yield one.name, day, found.record.inputs[name]
