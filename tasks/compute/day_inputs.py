"""The inputs of a group of jobs: each day of a source is read once for all of them, and verified once."""

from __future__ import annotations

from concurrent.futures import wait
from typing import Self

from state.errors import StorageError
from state.inputs.files import DayFiles
from state.inputs.root import InputRootGone
from tasks.catalog.source import Reference, Source
from tasks.compute.outcomes import JobFailed, JobSkipped
from tasks.inputs.run_listing import RunListing, logical_now
from tasks.inputs.waiting import NotReady
from tasks.reading.day_input import DayInput, read_day
from tasks.reading.duplicates import DuplicateFiles
from tasks.reading.references import ReadReferences
from tasks.reading.sound_files import SoundFiles


class DayInputs:
    """What a group reads. To be made once all of its tokens are read: folders are listed as they are after that.

    ``bytes`` is how much memory all that was read takes, as far as it counts.
    """

    def __init__(self, listing: RunListing, references: ReadReferences, known_sound: SoundFiles) -> None:
        self.bytes = 0
        self._listing = listing
        self._references = references
        self._known_sound = known_sound
        self._as_of: int | None = logical_now()
        self._read: dict[tuple[Source, str], DayInput] = {}
        self._twice: dict[tuple[Source, str], str] = {}
        self._verified: set[tuple[Source, str]] = set()

    def listed(self, source: Source, day: str) -> DayFiles:
        """What a listing shows of a day's files. Raises StorageError."""
        return self._listing.list_day(source, day, self._as_of)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until nothing of them is read in the background any more: who closes the root comes after that."""
        wait([one.digesting for one in self._read.values()])

    def read(self, source: Source, day: str) -> DayInput | None:
        """A day's files, read; None where there is none. A large one may still be digested in the background.

        Raises JobFailed, JobSkipped, InputChanged.
        """
        if why := self._twice.get((source, day)):
            raise JobFailed("input", why)
        if (source, day) not in self._read:
            try:
                if isinstance(source, Reference):
                    found = self._references.read(source, self._as_of)
                else:
                    found = read_day(source, day, self._listing, self._known_sound, self._as_of)
            except NotReady as error:
                raise JobSkipped("waiting") from error
            except DuplicateFiles as error:
                self._twice[source, day] = str(error)  # to be read once for all aggregations, as others are
                raise JobFailed("input", str(error)) from error
            except (StorageError, OSError) as error:
                raise _failure(error) from error
            if found is None:
                return None
            self._read[source, day] = found
            if not isinstance(source, Reference):  # all groups share those
                self.bytes += found.bytes
        return self._read[source, day]

    def digest(self, source: Source, day: str) -> str:
        """The digest of a day that was read. Raises JobFailed, InputChanged."""
        try:
            return self._read[source, day].contents.digest
        except (StorageError, OSError) as error:
            raise _failure(error) from error

    def expire(self) -> None:
        """Forget what was verified: from now on each input is verified again, as it is from the next call on."""
        self._as_of = None
        self._verified.clear()

    def verify(self, source: Source, day: str) -> None:
        """Check that the files are still those that were read. Raises InputChanged, JobFailed."""
        if (source, day) in self._verified:
            return
        if self._as_of is None:
            self._as_of = logical_now()
        try:
            self._read[source, day].check(self._as_of)
        except (StorageError, OSError) as error:
            raise _failure(error) from error
        self._verified.add((source, day))


def _failure(error: StorageError | OSError) -> JobFailed:
    # A root that is another one now stays that for the rest of the run.
    return JobFailed("input", str(error), transient=not isinstance(error, InputRootGone))
