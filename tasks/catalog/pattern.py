"""What the text of a template matches: names of folders and files, segment by segment, and the date fields in them.

Kept from the question which day those fields are (``template``), so that a walk can ask about one name at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from state.errors import DeclarationError

WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3}
INTEGER = "int"
_EXAMPLES = "{day} (2013-01-31), {day:%Y%m%d} (20130131) or {day:int} (31)"

Fields = frozenset[tuple[str, str]]
"""(code, digits) pairs read from names so far; two values for one code are a contradiction."""
States = tuple[tuple[int, Fields], ...]
"""Every reading of the names so far: the index of the segment that comes next, and the fields read."""


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a date (``code`` of strftime) or the integer; ``origin`` is the placeholder that it comes from."""

    code: str
    origin: str


STAR, ONE = "*", "?"
Token = Field | tuple[str, str]
"""A field, or ("*", "*"), ("?", "?"), ("", literal text)."""
Tokens = tuple[Token, ...]


def is_star(token: Token) -> bool:
    """Whether the token matches any number of characters."""
    return not isinstance(token, Field) and token[0] == STAR


def is_deep(tokens: Tokens) -> bool:
    """Whether the segment is ``**``: any number of folders."""
    return len(tokens) == 2 and all(map(is_star, tokens))


def is_wild(tokens: Tokens) -> bool:
    """Whether more than the day decides which names the segment matches."""
    return any(not isinstance(token, Field) and token[0] in (STAR, ONE) for token in tokens)


def is_hidden(tokens: Tokens) -> bool:
    """Whether the segment matches names with a leading dot, and therefore nothing else."""
    first = tokens[0]
    return not isinstance(first, Field) and first[0] == "" and first[1].startswith(".")


def filled(tokens: Tokens, values: Mapping[str, str]) -> Tokens:
    """The segment with its fields written out."""
    out: list[Token] = []
    for token in tokens:
        _append(out, ("", values[token.code]) if isinstance(token, Field) else token)
    return tuple(out)


def shown(tokens: Tokens) -> str:
    """The segment as one would write it in a shell; fields as strftime codes."""
    return "".join(f"%{token.code}" if isinstance(token, Field) else token[1] for token in tokens)


def wrong(text: str, found: str, write: str) -> NoReturn:
    """Refuse the template: what is wrong with it, and what to write."""
    raise DeclarationError(f"template {text!r}: {found}; write {write}")


def segments_of(text: str) -> tuple[Tokens, ...]:
    """Cut a template (but a leading ``/``) into segments of tokens. Raises DeclarationError for malformed braces."""
    rows: list[list[Token]] = [[]]
    position = int(text.startswith("/"))
    while position < len(text):
        character = text[position]
        position += 1
        if character == "}":
            wrong(text, "a '}' without its '{'", _EXAMPLES)
        if character == "{":
            inner, closed, _ = text[position:].partition("}")
            if not closed or "{" in inner:
                wrong(text, "a '{' without its '}', or braces within braces", _EXAMPLES)
            _placeholder(text, inner, rows)
            position += len(inner) + 1
        elif character == "/":
            rows.append([])
        else:
            _append(rows[-1], (character if character in (STAR, ONE) else "", character))
    return tuple(map(tuple, rows))


def _append(row: list[Token], token: Token) -> None:
    last = row[-1] if row else None
    if isinstance(last, tuple) and isinstance(token, tuple) and last[0] == token[0] == "":
        row[-1] = ("", last[1] + token[1])
    else:
        row.append(token)


def _placeholder(text: str, inner: str, rows: list[list[Token]]) -> None:
    origin = f"{{{inner}}}"
    name, colon, form = inner.partition(":")
    if name != "day" or (colon and not form):
        wrong(text, f"{origin} is no placeholder", _EXAMPLES)
    if form == INTEGER:
        rows[-1].append(Field(INTEGER, origin))
        return
    if "%" not in (form := form or "%Y-%m-%d"):
        wrong(text, f"{origin} holds no part of a date", _EXAMPLES)
    characters = iter(form)
    for character in characters:
        if character == "%":
            code = next(characters, "")
            if code not in WIDTHS:
                wrong(text, f"{origin} holds %{code}", "only %Y, %y, %m, %d and %j inside of the braces")
            rows[-1].append(Field(code, origin))
        elif character in (STAR, ONE):
            wrong(text, f"{origin} holds {character!r}", "wildcards outside of the braces")
        elif character == "/":
            rows.append([])
        else:
            _append(rows[-1], ("", character))


_NOTHING: Fields = frozenset()


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, ready to match names. ``literal`` is the only name that it matches, where there is only one."""

    deep: bool
    literal: str | None
    codes: tuple[str, ...]
    expression: re.Pattern[str] | None

    @staticmethod
    def of(tokens: Tokens) -> Segment:
        """Compile the tokens. A field between two stars has no fixed place: its digits are matched, but not read.

        A single name needs no expression, and every day has names of its own: compiling them took longer than the rest
        of a small day's listing.
        """
        if len(tokens) == 1 and not isinstance(tokens[0], Field) and tokens[0][0] == "":
            return Segment(deep=False, literal=shown(tokens), codes=(), expression=None)
        stars = [index for index, token in enumerate(tokens) if is_star(token)]
        codes: list[str] = []
        parts: list[str] = []
        for index, token in enumerate(tokens):
            if isinstance(token, Field):
                digits = f"[0-9]{{{WIDTHS[token.code]}}}" if token.code in WIDTHS else "[0-9]+"
                loose = bool(stars) and stars[0] < index < stars[-1]
                parts.append(digits if loose else f"({digits})")
                codes += [] if loose else [token.code]
            elif token[0] == "":
                parts.append(re.escape(token[1]))
            else:
                parts.append(("" if index else r"(?!\.)") + ("[^/]*" if token[0] == STAR else "[^/]"))
        return Segment(
            deep=is_deep(tokens),
            literal=None,
            codes=tuple(codes),
            expression=re.compile("".join(parts)),
        )

    def read(self, name: str) -> Fields | None:
        """The fields in ``name``, or None where it does not match."""
        if self.expression is None:
            return _NOTHING if name == self.literal else None
        found = self.expression.fullmatch(name)
        if found is None:
            return None
        return frozenset(zip(self.codes, found.groups(), strict=True)) if self.codes else _NOTHING


@dataclass(frozen=True, slots=True)
class Matcher:
    """Reads a path name by name, in every way that its segments allow (``**`` may end at any folder)."""

    segments: tuple[Segment, ...]
    known: Fields = _NOTHING
    begin: States = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begin", self._closed([(0, self.known)]))

    @staticmethod
    def of(rows: Iterable[Tokens], known: Fields = _NOTHING) -> Matcher:
        """A matcher of the segments; ``**`` at the end means the files at any depth below."""
        segments = [Segment.of(row) for row in rows]
        if segments[-1].deep:
            segments.append(Segment.of(((STAR, STAR),)))
        return Matcher(tuple(segments), known)

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
        # a list grows while it is read: `**/**` may be skipped as a whole
        for index, known in states:
            if index < len(self.segments) and self.segments[index].deep:
                states.append((index + 1, known))
        return tuple(dict.fromkeys(states)) if len(states) > 1 else tuple(states)
