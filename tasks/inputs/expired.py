"""Days of events that have no result, and whose neighbours' files are surely gone: what is left makes a wrong one.

A commit whose record has no ``absent`` day read a file of every day within its reach, so it shows that each was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from state.partition import Partition
from state.planner.current import Declared
from state.planner.decide import Facts
from state.result.classify import Commit, Found, Newer
from tasks.catalog.source import Source


def expired_days(source: Source, declared: Sequence[Declared], facts: Facts) -> Iterator[tuple[Partition, str]]:
    """Each result that is to be computed, and the first day whose files were there for it and are gone."""
    for one in declared:
        output = facts.output.get(one.name, {})
        for name in (name for name, key in one.sources.items() if key == source.key and output):
            inputs = facts.inputs[source.key]  # without the days that cannot be seen
            for day in facts.absent[source.key]:
                if not isinstance(output.get(day), Commit | Newer) and day in inputs:
                    there = {source.template.day_in(file.path) for file in inputs[day].files}
                    gone = (file_day for file_day in source.file_days(day) if file_day not in there)
                    if known := next((it for it in gone if _was_there(it, source, name, one, output)), None):
                        yield (one.name, day), known


def _was_there(file_day: str, source: Source, name: str, one: Declared, output: Mapping[str, Found]) -> bool:
    """Whether a commit of the same code, which has the same reach, read files of a day."""
    readers = (output.get(day) for day in source.event_days(file_day))
    records = (found.record for found in readers if isinstance(found, Commit) and found.record.code == one.code)
    return any(name in record.inputs and not record.inputs[name].absent for record in records)
