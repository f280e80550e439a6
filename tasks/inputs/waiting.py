"""Which days of a source are not ready yet, and what each waits for, as its marker and its quiet time have it.

A survey asks it of every day. Whoever computes a day asks again, since what was ready may be written again meanwhile.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace

from state import clock
from state.errors import StorageError
from state.inputs.files import DayFiles
from state.inputs.root import InputRoot
from tasks.catalog.readiness import Marker
from tasks.catalog.source import Source
from tasks.inputs.listing import Listing

_ABSENT = (FileNotFoundError, NotADirectoryError)


class NotReady(Exception):
    """A day that was planned waits again; the message says what for."""


def ready(root: InputRoot, source: Source, listing: Listing) -> Listing:
    """The listing of a source without its markers, and with the days that wait.

    A day whose markers cannot be looked for is unreadable.
    """
    rules = source.readiness
    if not rules:
        return listing
    days, unreadable, waiting = listing.days, dict(listing.unreadable), {}
    if marker := rules.marker:
        days = {day: marker.without(day, files) for day, files in days.items()}
    now = clock.time_ns()
    for day, files in days.items():
        try:
            if files.files and (why := _waits_for(root, source, day, files, now)):
                waiting[day] = why
        except StorageError as error:
            unreadable[day] = error.message
    days = {day: files for day, files in days.items() if files.files and day not in unreadable}
    return replace(listing, days=days, unreadable=unreadable, waiting=waiting)


def require_ready(root: InputRoot, source: Source, day: str, files: DayFiles) -> None:
    """Raise NotReady where a day of these files has to wait, StorageError where its markers cannot be looked for.

    To be asked after the files were listed: if a later listing shows the same ones, they were all there when the day
    was ready, and nobody wrote meanwhile. So it need not be asked again.
    """
    if source.readiness and (why := _waits_for(root, source, day, files, clock.time_ns())):
        raise NotReady(why)


def _waits_for(root: InputRoot, source: Source, day: str, files: DayFiles, now: int) -> str | None:
    rules = source.readiness
    if rules.marker and (why := _missing_marker(root, source, rules.marker, day, files)):
        return why
    return _unsettled(rules.settle, rules.settle_ns, files, now) if rules.settle else None


def _missing_marker(root: InputRoot, source: Source, marker: Marker, day: str, files: DayFiles) -> str | None:
    root = root.of(absolute=source.template.absolute)
    for path in marker.paths_of(day, files):
        try:
            if stat.S_ISREG(os.stat(path, dir_fd=root.fd).st_mode):
                continue
        except _ABSENT:
            return f"its marker {path!r}"
        except OSError as error:
            place = os.fsencode(root.path / path).decode(errors="backslashreplace")
            raise StorageError(f"{source}: its marker {place} cannot be looked for: {error.strerror}") from error
        return f"its marker {path!r}, where something lies that is no file"
    return None


def _unsettled(settle: str, settle_ns: int, files: DayFiles, now: int) -> str | None:
    newest = max(files.files, key=lambda file: max(file.mtime_ns, file.ctime_ns))
    age = now - max(newest.mtime_ns, newest.ctime_ns)
    if age >= settle_ns:
        return None
    if age < 0:
        told = f"its time is {_span(-age)} in the future, so a clock is wrong, or touch it"
    else:
        told = f"it was touched {_span(age)} ago"
    return f"{newest.path!r} to rest for {settle} ({told})"


def _span(nanoseconds: int) -> str:
    seconds = nanoseconds // 10**9
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
