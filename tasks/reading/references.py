"""Files that serve every day: listed and read once for a run, and checked for each group of results as a day's are."""

from __future__ import annotations

import threading
from dataclasses import fields
from functools import cached_property

import polars as pl

from state.days import EVERY_DAY
from state.inputs.root import InputRoot
from tasks.catalog.source import Reference
from tasks.inputs.listing import Listing, list_source
from tasks.inputs.run_listing import RunListing
from tasks.inputs.unmatched import why_unmatched
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.sound_files import SoundFiles
from tasks.templates.template import Template


def list_reference(root: InputRoot, template: Template) -> Listing:
    """List a reference's files, as of EVERY_DAY. Where there is none they are unreadable: no day is without them.

    Raises StorageError.
    """
    listing = list_source(root, template)
    if not listing.is_empty:
        return listing
    why = f"no file matches reference {template.text!r}: {why_unmatched(root, template)}"
    return Listing({}, {EVERY_DAY: why}, listing.strays)


class ReferenceInput(DayInput):
    """A reference as it was read. Where it has room in memory it is parsed once, for all days together."""

    @property
    def rows(self) -> int | None:
        """How many rows it has; None where polars has to stream it."""
        return self._table.height if self.in_memory else None

    def frame(self) -> pl.LazyFrame:
        """The rows of the files. Raises what polars, or a ``read=`` function, raises."""
        return self._table.lazy() if self.in_memory else super().frame()

    @cached_property
    def _table(self) -> pl.DataFrame:
        return super().frame().collect()


class ReadReferences:
    """What was read of references during a run. Threads may ask at once."""

    def __init__(self, listing: RunListing, known_sound: SoundFiles) -> None:
        self._listing = listing
        self._known_sound = known_sound
        self._read: dict[Reference, ReferenceInput] = {}
        self._lock = threading.Lock()

    def read(self, reference: Reference, as_of: int | None = None) -> DayInput | None:
        """Read and digest a reference as it is after ``as_of``, as ``read_day`` does, and raise what that raises.

        What was read before serves where its files are listed as they were then, and their times prove the contents.
        """
        with self._lock:
            known = self._read.get(reference)
            if known and known.stat_proves:
                known.root.check()
                if self._listing.list_day(reference, EVERY_DAY, as_of) == known.files:
                    return known
            found = read_day(reference, EVERY_DAY, self._listing, self._known_sound, as_of)
            if found is None:
                self._read.pop(reference, None)
                return None
            one = ReferenceInput(**{field.name: getattr(found, field.name) for field in fields(found)})
            self._read[reference] = one
            return one
