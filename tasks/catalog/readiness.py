"""When a day of a source is ready to be computed, as its user declares it: a marker beside its files, and a quiet time.

A file that is still being written looks like any other: only who writes it, or time, can say that it is whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from state.errors import DeclarationError
from state.inputs.files import DayFiles, day_files
from tasks.templates.syntax import DEEP, Tokens, codes_of, filled, is_wild, missing, named, shown
from tasks.templates.template import Template

_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_SETTLE = re.compile(r"([0-9]{1,9})([smhd])")


@dataclass(frozen=True, slots=True)
class Marker:
    """A file that says that all of a day's files are there: one in each of the day's folders that hold any.

    The day's folder is the one whose path names the whole day: that of ``sales/{day}/*/x.csv`` is ``sales/{day}``. Of
    ``sales/{day}.csv`` it is ``sales``, for all days, so there the marker's own name says the day. ``depth`` counts the
    names of the folder's path, or where that has ``**``, those that a file's path has below it, negative.
    """

    text: str
    template: Template
    name: Tokens
    depth: int

    def paths_of(self, day: str, files: DayFiles) -> list[str]:
        """Where the markers of a day lie that speak for these files, in the files' order."""
        name = self._name_of(day)
        return list(dict.fromkeys(_beside(file.path, self.depth, name) for file in files.files))

    def without(self, day: str, files: DayFiles) -> DayFiles:
        """A day's files without its markers, where a wildcard matches those too."""
        name = self._name_of(day)
        kept = [
            file
            for file in files.files
            if not file.path.endswith(name) or _beside(file.path, self.depth, name) != file.path
        ]
        return files if len(kept) == len(files.files) else day_files(kept)

    def _name_of(self, day: str) -> str:
        if self.name == (self.text,):
            return self.text  # as nearly always, and 100,000 days are asked
        return shown(filled(self.name, self.template.values(day)))


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a day's files must fulfil: a ``marker`` must be there, and none changed for ``settle_ns`` nanoseconds."""

    marker: Marker | None
    settle: str | None
    settle_ns: int

    @staticmethod
    def declared(template: Template, marker: object, settle: object) -> Readiness:
        """What ``Source(marker=, settle=)`` declares. Raises DeclarationError."""
        return Readiness(_marker(template, marker), *_settle(template, settle))

    def __bool__(self) -> bool:
        return self.marker is not None or self.settle is not None

    def __str__(self) -> str:
        marker = self.marker.text if self.marker else None
        given = {"marker": marker, "settle": self.settle}
        return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)


def _beside(file: str, depth: int, name: str) -> str:
    return "/".join([*file.split("/")[:depth], name])


def _settle(template: Template, settle: object) -> tuple[str | None, int]:
    if settle is None:
        return None, 0
    found = _SETTLE.fullmatch(settle) if isinstance(settle, str) else None
    if found is None or int(found[1]) == 0:
        raise DeclarationError(
            f"source {template.text!r}: settle={settle!r} is no time; expected a whole number above 0 with s, m, h or "
            "d, such as '90s', '15m', '2h' or '1d'"
        )
    return found[0], int(found[1]) * _UNITS_NS[found[2]]


def _marker(template: Template, marker: object) -> Marker | None:
    if marker is None:
        return None
    begins = f"source {template.text!r}: marker={marker!r}"
    if not isinstance(marker, str) or not marker or marker in {".", ".."} or "/" in marker or "\0" in marker:
        raise DeclarationError(f"{begins} is no name of a file in the day's folder; expected one such as '_SUCCESS'")
    try:
        name = named(marker)
    except DeclarationError as error:
        raise DeclarationError(f"{begins}: {error.message}") from error
    if is_wild(name):
        raise DeclarationError(f"{begins} has a wildcard; expected the one name that the marker has")
    segments = template.segments
    folder = _day_folder(segments)
    known = codes_of([*segments[:folder], name])
    if set(known) - set(codes_of(segments)) or missing(known, "Y" in codes_of(segments)):
        raise DeclarationError(
            f"{begins} does not name the day, and neither does the folder of its files, which it shares with other "
            "days; expected {day} in the name as the template has it, such as '{day}_SUCCESS'"
        )
    if folder == len(segments) - 1 and name == segments[-1]:
        raise DeclarationError(f"{begins} is the input itself; expected the name of another file")
    return Marker(marker, template, name, folder if DEEP not in segments[:folder] else folder - len(segments))


def _day_folder(segments: tuple[Tokens, ...]) -> int:
    """How many segments lead to the folder whose path names the whole day, or else to that of the files."""
    century = "Y" in codes_of(segments)
    folders = len(segments) - (segments[-1] != DEEP)
    return next((at for at in range(1, folders) if not missing(codes_of(segments[:at]), century)), folders)
