"""Matches paths name by name, and reads the parts of a day in them, so that a walk can ask about one name at a time.

Which day those parts make is ``template``'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.templates.near_names import why_near
from tasks.templates.syntax import DEEP, ONE, STAR, Field, Tokens, exact

Fields = frozenset[tuple[str, str]]
"""(code, digits) pairs read from names so far; two values for one code are a contradiction."""
States = tuple[tuple[int, Fields], ...]
"""Every reading of the names so far: the index of the segment that comes next, and the fields read.

``**`` may end at any folder, so there may be several on the way. At the end of a path all have the same fields.
"""
_NO_FIELDS: Fields = frozenset()


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, ready to match names. ``literal`` is the only name that it matches, where there is only one."""

    deep: bool
    literal: str | None
    codes: tuple[str, ...]
    expression: re.Pattern[str] | None
    tokens: Tokens

    @staticmethod
    def of(tokens: Tokens) -> Segment:
        """Compile the tokens.

        A literal name needs no expression: every day has names of its own, and compiling them would take longer than
        the rest of a small day's listing.
        """
        if len(tokens) == 1 and isinstance(tokens[0], str) and tokens[0] not in (STAR, ONE):
            return Segment(deep=False, literal=tokens[0], codes=(), expression=None, tokens=tokens)
        codes = tuple(token.code for token in tokens if isinstance(token, Field))
        deep = tokens == DEEP
        return Segment(deep, literal=None, codes=codes, expression=re.compile(exact(tokens)), tokens=tokens)

    def read(self, name: str) -> Fields | None:
        """The fields in ``name``, or None where it does not match."""
        if self.expression is None:
            return _NO_FIELDS if name == self.literal else None
        found = self.expression.fullmatch(name)
        if found is None:
            return None
        return frozenset(zip(self.codes, found.groups(), strict=True)) if self.codes else _NO_FIELDS

    def why_near(self, name: str) -> str | None:
        """In what a name that does not match differs from one that does; None where nothing says that it was meant."""
        if self.deep or self.expression is None or self.read(name) is not None:
            return None
        return why_near(self.tokens, name)


@dataclass(frozen=True, slots=True)
class Matcher:
    """Reads a path name by name. ``known`` are fields that it begins with, for one day's files alone."""

    segments: tuple[Segment, ...]
    known: Fields = _NO_FIELDS
    begin: States = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", self._closed([(0, self.known)]))

    @staticmethod
    def of(segments: Iterable[Tokens], known: Fields = _NO_FIELDS) -> Matcher:
        """A matcher of the segments; ``**`` at the end means the files at any depth below."""
        compiled = [Segment.of(tokens) for tokens in segments]
        if compiled[-1].deep:
            compiled.append(Segment.of((STAR,)))
        return Matcher(tuple(compiled), known)

    def step(self, states: States, name: str, *, link: bool = False) -> States:
        """The readings after one more name; none where it does not match. ``**`` does not go through a ``link``."""
        found: list[tuple[int, Fields]] = []
        for index, known in states:
            segment = self.segments[index]
            if segment.deep:
                if not link and not name.startswith("."):
                    found.append((index, known))
            elif (fields := segment.read(name)) is not None:
                found.append((index + 1, known | fields if fields else known))
        return self._closed(found) if found else ()

    def why_near(self, states: States, name: str) -> str | None:
        """In what a name that leads nowhere after these readings differs from one that it was meant to be, if any."""
        indexes = (index for index, _ in states if index < len(self.segments))
        return next((why for index in indexes if (why := self.segments[index].why_near(name))), None)

    def only_name(self, states: States) -> str | None:
        """The one name that can come next, where a folder need not be listed to find it."""
        return self.segments[states[0][0]].literal if len(states) == 1 else None

    def split(self, states: States) -> tuple[States, States]:
        """The readings that end here, at a file, and those that go on into a folder."""
        end = len(self.segments)
        if len(states) == 1:
            return (states, ()) if states[0][0] == end else ((), states)
        return tuple(s for s in states if s[0] == end), tuple(s for s in states if s[0] < end)

    def _closed(self, states: list[tuple[int, Fields]]) -> States:
        # The list grows while it is read: `**/**` may be skipped as a whole.
        for index, known in states:
            if index < len(self.segments) and self.segments[index].deep:
                states.append((index + 1, known))
        return tuple(dict.fromkeys(states)) if len(states) > 1 else tuple(states)
