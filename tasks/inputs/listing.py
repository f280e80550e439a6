"""What a source holds: the files of each day, as one walk through its folders finds them.

A broken link beside the folders that a wildcard matches is no error: it may be litter, or the way to a disk that is
gone. It is listed with the days that it may lead to; what that means for them is decided where their commits are known
(``tasks.inputs.broken_links``).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field

from state.days import order
from state.inputs.files import DayFiles, day_files
from state.inputs.root import InputRoot
from tasks.inputs.strays import Stray, counted_copies
from tasks.inputs.walk import Unseen, Walk
from tasks.templates.template import Template


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds. A day is in ``days`` or in ``unreadable``, never in both; the days are in their order.

    ``unreadable``: day → why. ``strays``: paths that match and are no day, disagree or are no regular files, those that
    almost match, and files that count though they are named as copies; for reports only. ``broken``: links to nowhere
    below which files of more than one day may lie. ``waiting``: day → what those of the ``days`` wait for that are not
    ready. ``absent``: day → how many of the days whose files are read for it have none, where any has none.
    """

    days: dict[str, DayFiles]
    unreadable: dict[str, str]
    strays: tuple[Stray, ...]
    broken: tuple[Unseen, ...] = ()
    waiting: dict[str, str] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether no file at all matches."""
        return not self.days and not self.unreadable


def list_source(root: InputRoot, template: Template) -> Listing:
    """List all the days of a source below ``root`` (below ``/`` for an absolute template).

    A folder that is missing makes no days. Raises StorageError where something could not be read and its day is
    not known, unless it is one broken link of several folders.
    """
    walk = Walk(root, template, template.matcher)
    walk.run([("", template.matcher.begin)])
    readable = sorted(walk.files.keys() - walk.unreadable.keys(), key=order)
    copies = (copy for files in walk.files.values() if len(files) > 1 for copy in counted_copies(files))
    return Listing(
        days={day: day_files(walk.files[day]) for day in readable},
        unreadable={day: walk.unreadable[day] for day in sorted(walk.unreadable, key=order)},
        strays=tuple(sorted((*walk.strays, *copies), key=lambda stray: os.fsencode(stray.path))),
        broken=tuple(sorted(walk.broken, key=lambda link: os.fsencode(link.path))),
    )


def list_day(root: InputRoot, template: Template, day: str, ignored_links: Collection[str] = ()) -> DayFiles:
    """List the files of one day, at the cost of that day's folders alone: what ``list_source`` has in ``days[day]``.

    ``ignored_links`` are the broken links that a listing had. Nothing for a day that the template cannot name. Raises
    StorageError where anything of the day could not be read, another broken link too.
    """
    if not template.covers(day):
        return day_files(())
    matcher = template.pinned(day)
    walk = Walk(root, template, matcher, ignored_links)
    walk.run([("", matcher.begin)])
    return walk.day_files(day)
