"""Paths that look like input of a source and are none, each with its reason: what somebody meant to be read.

They harm no day and no run. They are named because a day that is left out by its file's name is missed by nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from state.inputs.files import FileStat
from state.words import enumerated
from tasks.templates import near_names as near
from tasks.templates import template

FOLDER = "a folder in place of a file"
SPECIAL = "no regular file"
COUNTED = "named as a copy of a file beside it"
"""The only stray that counts: a wildcard matches both names."""
_RENAME = "rename {them}, or correct the template"
_HINTS = {
    near.CAPITALS: _RENAME,
    near.DIGITS: _RENAME,
    near.SEPARATORS: _RENAME,
    near.WORD: "find what wrote {them} without a day, then rename or remove {them}",
    near.COPY: "remove {them}, or give {them} the template's name where the rows are others",
    near.SPACES: _RENAME,
    near.ENDING: "unpack or rename {them}, or let a template end so too",
    template.NO_DATE: "correct the day in the {name}, or remove {them}",
    template.NO_NUMBER: "write the number without leading zeros, or remove {them}",
    template.DISAGREEING: "correct the day in the {name}, or move {them} to where it belongs",
    FOLDER: "move {them} away, or let the template reach the files in {them}",
    SPECIAL: "remove {them}, or put a file there",
    COUNTED: "remove {them} where the day is the same again: its rows would count twice",
}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Stray:
    """A path below the source's root, and ``why`` it is ignored."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class StrayGroup:
    """The strays of a source that have one reason; ``hint`` says what to do about them."""

    source: str
    why: str
    paths: Sequence[str]

    @property
    def hint(self) -> str:
        """What to do about them."""
        one = len(self.paths) == 1
        return _HINTS[self.why].format(them="it" if one else "them", name="name" if one else "names")

    def __str__(self) -> str:
        number = "1 path is" if len(self.paths) == 1 else f"{len(self.paths):,} paths are"
        treated = "counted" if self.why == COUNTED else "ignored"
        named = enumerated([repr(path) for path in self.paths], shown=_SHOWN)
        return f"source {self.source!r}: {number} {treated} ({self.why}): {named}"


def grouped(strays: Mapping[str, Sequence[Stray]]) -> Iterator[StrayGroup]:
    """The strays of each source by their reason, in the order of their paths."""
    for source, some in strays.items():
        paths: dict[str, list[str]] = {}
        for stray in some:
            paths.setdefault(stray.why, []).append(stray.path)
        yield from (StrayGroup(source, why, found) for why, found in paths.items())


def counted_copies(files: Iterable[FileStat]) -> Iterator[Stray]:
    """Which of a day's files are named as copies of others of them in the same folder."""
    places = {file.path for file in files}
    for path in places:
        folder, name = os.path.split(path)
        original = near.without_copy_mark(name)
        if original != name and os.path.join(folder, original) in places:
            yield Stray(path, COUNTED)
