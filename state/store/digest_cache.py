"""Keeps the digests of inputs whose listing decides nothing, so that a touched file is read once, not by every run.

The digest of a listing (names, sizes, times, inodes) stands for the contents where the times are old enough to prove
anything, by the rule that commit records follow.
"""

from __future__ import annotations

from state import clock
from state.inputs.files import RECENT_NS, DayFiles, newest_ns
from state.store.cache_file import CacheFile
from state.store.notes import Notes

NAME = "cache/digests"
_Key = tuple[str, str]
"""What a source lists and how it names files, in one text; and a day."""
_FORM = "noonmark digests 1"


class DigestCache:
    """The digests that are known of inputs, and those that one run learned."""

    def __init__(self, notes: Notes) -> None:
        """Read what is known; nothing that is wrong with it is an error."""
        self._began_ns = clock.time_ns()
        self._file = CacheFile(notes, NAME, _FORM)
        self._known: dict[_Key, tuple[str, str]] = {}
        for entry in self._file.entries:
            if isinstance(entry, list) and len(entry) == 4 and all(isinstance(one, str) for one in entry):
                self._known[entry[0], entry[1]] = entry[2], entry[3]
        self._learned: dict[_Key, tuple[str, str]] = {}

    def known(self, source: str, day: str, files: DayFiles) -> str | None:
        """The digest of a day's files, if they are listed as when it was learned."""
        stat, contents = self._known.get((source, day), ("", ""))
        return contents if stat == files.stat else None

    def learn(self, source: str, day: str, files: DayFiles, contents: str) -> None:
        """Keep a digest, where the files' times are old enough to prove that the contents are those."""
        if newest_ns(files.files) + RECENT_NS < self._began_ns:
            self._learned[source, day] = files.stat, contents

    def save(self) -> None:
        """Keep what was learned. Raises StorageError, OSError."""
        if self._learned:
            kept = [(*key, *known) for key, known in self._known.items() if key not in self._learned]
            self._file.save(kept, [(*key, *learned) for key, learned in self._learned.items()])
