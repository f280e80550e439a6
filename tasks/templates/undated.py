"""The template of files that serve every day: a path without a placeholder.

What walks, lists and reads by template finds one day in it, EVERY_DAY, and needs to know no more of references.
"""

from __future__ import annotations

from dataclasses import dataclass

from state.days import EVERY_DAY
from tasks.templates.matcher import Fields, Matcher
from tasks.templates.syntax import parse_undated, shown
from tasks.templates.template import Template, require_path, suffix_of


@dataclass(frozen=True, slots=True)
class UndatedTemplate(Template):
    """A path below the input root, or an absolute one; all files that match belong to EVERY_DAY."""

    @staticmethod
    def parse(text: str) -> UndatedTemplate:
        """Read a path. Raises DeclarationError that says what is wrong with it and what to write."""
        require_path(text)
        segments = parse_undated(text)
        return UndatedTemplate(
            text=text,
            kind="every",
            absolute=text.startswith("/"),
            suffix=suffix_of(segments[-1]),
            matcher=Matcher.of(segments),
            segments=segments,
            _codes=frozenset(),
        )

    def covers(self, day: str) -> bool:
        """Whether it is the one day that there is."""
        return day == EVERY_DAY

    def pattern(self, day: str) -> str:  # noqa: ARG002 it is the same for all
        """The shell-like pattern of its files."""
        return "/" * self.absolute + "/".join(map(shown, self.segments))

    def pinned(self, day: str) -> Matcher:  # noqa: ARG002 it is the same for all
        """What matches its files."""
        return self.matcher

    def day_of(self, fields: Fields) -> str | None:  # noqa: ARG002 there are none
        """EVERY_DAY, for whatever matches."""
        return EVERY_DAY

    def may_become(self, fields: Fields, day: str) -> bool:  # noqa: ARG002 there are none
        """Whether files of the day may lie there: always of its one day."""
        return day == EVERY_DAY

    @property
    def shares_folders(self) -> bool:
        """Its folders hold the files of one day alone."""
        return False
