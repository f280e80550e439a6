"""Which days a broken link may hide a part of: it may be litter, or the way to a disk that is gone.

Only the commits distinguish the two: files that they were computed from and that are no longer listed. As long as
no commit misses any, the link is passed over. Unknown is not absent, though:

- a day that has fewer files than a commit of it had, or none at all, may lie there: it is unreadable;
- where a day lacks some of its files, the link led to a part of many days. A day that no commit shows to be whole would
  then be computed from a part of its files, so it is unreadable too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from state.planner.current import Declared
from state.planner.decide import Facts
from state.result.classify import commits
from state.result.record import SourceRecord
from tasks.inputs.walk import Unseen
from tasks.templates.template import Template


def hidden_days(
    broken: Sequence[Unseen],
    template: Template,
    source: str,
    declared: Sequence[Declared],
    facts: Facts,
    file_days: Callable[[str], Sequence[str]] = lambda day: [day],
) -> dict[str, str]:
    """Day → why, for the days of a source whose files may be seen only in part. ``facts`` are those of the listing.

    ``file_days`` has the days whose files are read for a day.
    """
    listed = facts.inputs[source]
    recorded = _recorded(source, declared, facts)
    hidden: dict[str, str] = {}
    partial = False
    for day, records in recorded.items():
        link = _link_to(broken, template, file_days(day))
        then, now = max((one.files for one in records), default=0), len(listed[day].files) if day in listed else 0
        if link and (then > now or not now):
            found = f"{now} of the {then} files of its commit are" if now else "no file of it is"
            hidden[day] = f"{found} listed, and the broken link {link} may lead to the others; fix or remove it"
            partial = partial or now > 0
    for day, files in listed.items() if partial else ():
        link = _link_to(broken, template, file_days(day))
        if link and day not in hidden:
            whole = any((one.files, one.bytes) == (len(files.files), files.bytes) for one in recorded.get(day, ()))
            if not whole:
                hidden[day] = f"the broken link {link} led to files of other days; fix or remove it"
    return hidden


def _link_to(broken: Sequence[Unseen], template: Template, days: Sequence[str]) -> str | None:
    return next((link.path for link in broken if any(link.may_hold(template, day) for day in days)), None)


def _recorded(source: str, declared: Sequence[Declared], facts: Facts) -> dict[str, list[SourceRecord]]:
    """What commits were computed from, for each day of which an aggregation over the source has, or had, a result."""
    recorded: dict[str, list[SourceRecord]] = {}
    for one in declared:
        found = facts.output.get(one.name, {})
        for name in (name for name, key in one.sources.items() if key == source):
            for day in (*found, *facts.index.get(one.name, ())):
                recorded.setdefault(day, [])
            for day, commit in commits(found).items():
                if name in commit.record.inputs:
                    recorded[day].append(commit.record.inputs[name])
    return recorded
