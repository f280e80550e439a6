"""Whether a commit is current: the one question that planner, computation and deep check ask.

Pure. Who asks gives what is known of the inputs: what a listing shows, the digests of what was read, or both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from state.days import EVERY_DAY
from state.inputs.files import DayFiles
from state.result.record import CommitRecord, SourceRecord

Files = Mapping[str, Mapping[str, DayFiles]]
"""Source to day to what a listing shows of it."""
Contents = Mapping[tuple[str, str], Collection[str]]
"""(source, day) to the digests of its files: one for each way in which a file's name counts."""


Read = tuple[str, str, str]
"""One input of a result: its name in the commit record, the source, and the day of that source."""


@dataclass(frozen=True, slots=True)
class Declared:
    """An aggregation as the planner sees it. ``sources`` maps the name in the record to the key in ``Facts.inputs``.

    ``references`` are the names of those that serve every day and make none; where ``keeps_references``, they are
    recorded and never compared.
    """

    name: str
    version: int
    code: str
    sources: Mapping[str, str]
    references: frozenset[str] = frozenset()
    keeps_references: bool = False

    @property
    def daily_sources(self) -> list[str]:
        """The sources that make its days."""
        return [source for name, source in self.sources.items() if name not in self.references]

    def reads(self, day: str) -> list[Read]:
        """All that a day of it is computed from, in the order of its sources."""
        if not self.references:
            return [(name, source, day) for name, source in self.sources.items()]
        return [(name, source, EVERY_DAY if name in self.references else day) for name, source in self.sources.items()]

    def daily_reads(self, day: str) -> list[Read]:
        """Those of a day's inputs that are of that day alone: where one is gone, it is gone for good."""
        return [one for one in self.reads(day) if one[0] not in self.references]

    def compared(self, reads: Sequence[Read]) -> Sequence[Read]:
        """Those of a day's inputs that decide whether its commit is current."""
        return [one for one in reads if one[0] not in self.references] if self.keeps_references else reads

    def has_names(self, recorded: Collection[str]) -> bool:
        """Whether a commit records the inputs that it would be computed from now."""
        if recorded == self.sources.keys():
            return True
        # Where they are kept, a commit that knew fewer of them stays too.
        missing = self.sources.keys() - recorded if self.keeps_references else self.sources.keys()
        return missing <= self.references and self.sources.keys() >= set(recorded)


def is_current(
    record: CommitRecord, aggregation: Declared, reads: Sequence[Read], files: Files, contents: Contents
) -> bool | None:
    """Whether a commit is what this aggregation would make of these inputs; None where only the contents can tell.

    ``reads`` are those of the commit's day.
    """
    recorded = record.inputs
    if record.version != aggregation.version or not aggregation.has_names(recorded.keys()):
        return False
    answer: bool | None = True
    for name, source, day in aggregation.compared(reads):
        then, now = recorded[name], files[source].get(day) if source in files else None
        if now is not None and now.stat == then.stat:
            continue  # as nearly always: a plan asks for 100,000 days
        one = input_is_current(then, now, contents.get((source, day)))
        if one is False:
            return False
        if one is None:
            answer = None
    return answer


def unknown_inputs(
    record: CommitRecord, aggregation: Declared, reads: Sequence[Read], files: Files, contents: Contents
) -> list[tuple[str, str]]:
    """The (source, day) pairs whose contents must be read for an answer; none where there is one.

    All inputs must be there.
    """
    if is_current(record, aggregation, reads, files, contents) is not None:
        return []
    return [
        (source, day)
        for name, source, day in aggregation.compared(reads)
        if input_is_current(record.inputs[name], files[source][day], contents.get((source, day))) is None
    ]


def input_is_current(
    recorded: SourceRecord, files: DayFiles | None, contents: Collection[str] | None = None
) -> bool | None:
    """Whether one input is what a commit was computed from; None where only the contents can tell.

    Names, sizes and times decide first, where they can. Without ``files`` the contents alone do.
    """
    if files is not None:
        if recorded.stat == files.stat:
            return True
        if recorded.files != len(files.files) or recorded.bytes != files.bytes:
            return False
    return None if contents is None else recorded.contents in contents
