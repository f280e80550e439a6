"""The text of a template as segments of tokens. What is malformed or ambiguous is refused here, at import."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from state.errors import DeclarationError

WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3}
INTEGER = "int"
STAR, ONE, DEEP = "*", "?", ("*", "*")
_EXAMPLES = "{day} (2013-01-31), {day:%Y%m%d} (20130131) or {day:int} (31)"


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a date (``code`` of strftime) or the integer; ``placeholder`` is the text that it comes from."""

    code: str
    placeholder: str


Token = Field | str
"""A field, ``*``, ``?``, or literal text, which holds neither of the two."""
Tokens = tuple[Token, ...]
"""One segment: what stands between two slashes. ``DEEP`` is ``**``, any number of folders."""


def parse(text: str) -> tuple[Tokens, ...]:
    """The segments of a template, without a leading ``/``.

    Raises DeclarationError unless every path that the template matches has exactly one day.
    """
    segments = _segments(text)
    codes = set(codes_of(segments))
    if not codes:
        refuse(text, "no {day} in it", "{day} where the day stands in the path, such as 'flights/{day}/*.csv'")
    if INTEGER in codes and len(codes) > 1:
        refuse(text, "{day:int} and a date in one template", "one of the two kinds of day")
    for segment in segments:
        _check_segment(text, segment)
        _check_integers(text, segment)
    if lacking := missing(codes, "Y" in codes):
        refuse(text, f"its placeholders lack {' and '.join(lacking)}", "{day}, or %Y with %m and %d or with %j")
    _check_places(text, segments)
    return segments


def named(text: str) -> Tokens:
    """The segment that a name without ``/`` is, with fields in it or none. Raises DeclarationError where it is none."""
    (segment,) = _segments(text)
    _check_segment(text, segment)
    _check_integers(text, segment)
    return segment


def parse_undated(text: str) -> tuple[Tokens, ...]:
    """The segments of a path that serves every day, without a leading ``/``. Raises DeclarationError."""
    segments = _segments(text)
    for segment in segments:
        _check_segment(text, segment)
    if field := next((token for segment in segments for token in segment if isinstance(token, Field)), None):
        refuse(text, f"{field.placeholder} in a path that serves every day", "it without, or a Source for daily files")
    return segments


def refuse(text: str, found: str, write: str) -> NoReturn:
    """Raise DeclarationError: what is wrong with the template, and what to write."""
    raise DeclarationError(f"template {text!r}: {found}; write {write}")


def codes_of(segments: Iterable[Tokens]) -> list[str]:
    """The codes of all the fields, as often as they occur."""
    return [token.code for segment in segments for token in segment if isinstance(token, Field)]


def missing(codes: Collection[str], century: bool) -> list[str]:
    """What the codes lack to make a day. Where ``%Y`` occurs anywhere (``century``), ``%y`` alone makes no year."""
    if INTEGER in codes:
        return []
    lacking = [] if "Y" in codes or ("y" in codes and not century) else ["the year"]
    if "j" not in codes:
        lacking += ["the month"] * ("m" not in codes) + ["the day of the month"] * ("d" not in codes)
    return lacking


def is_wild(tokens: Tokens) -> bool:
    """Whether more than the day decides which names the segment matches."""
    return STAR in tokens or ONE in tokens


def filled(tokens: Tokens, values: Mapping[str, str]) -> Tokens:
    """The segment with its fields written out."""
    out: list[Token] = []
    for token in tokens:
        _append(out, values[token.code] if isinstance(token, Field) else token)
    return tuple(out)


def shown(tokens: Tokens) -> str:
    """The segment as one would write it in a shell; fields as strftime codes."""
    return "".join(f"%{token.code}" if isinstance(token, Field) else token for token in tokens)


def exact(tokens: Tokens) -> str:
    """The expression of the names that a segment matches, each field a group. Wildcards match no hidden name."""
    parts = ["" if isinstance(tokens[0], Field) or tokens[0] not in (STAR, ONE) else r"(?!\.)"]
    for token in tokens:
        if isinstance(token, Field):
            parts.append(f"([0-9]{{{WIDTHS[token.code]}}})" if token.code in WIDTHS else "([0-9]+)")
        else:
            parts.append({STAR: "[^/]*", ONE: "[^/]"}.get(token) or re.escape(token))
    return "".join(parts)


def _segments(text: str) -> tuple[Tokens, ...]:
    segments: list[list[Token]] = [[]]
    position = int(text.startswith("/"))
    while position < len(text):
        character = text[position]
        position += 1
        if character == "}":
            refuse(text, "a '}' without its '{'", _EXAMPLES)
        if character == "{":
            inner, closed, _ = text[position:].partition("}")
            if not closed or "{" in inner:
                refuse(text, "a '{' without its '}', or braces within braces", _EXAMPLES)
            _add_placeholder(text, inner, segments)
            position += len(inner) + 1
        elif character == "/":
            segments.append([])
        else:
            _append(segments[-1], character)
    return tuple(map(tuple, segments))


def _append(segment: list[Token], token: Token) -> None:
    last = segment[-1] if segment else STAR
    if isinstance(token, Field) or isinstance(last, Field) or not {token, last}.isdisjoint((STAR, ONE)):
        segment.append(token)
    else:
        segment[-1] = last + token


def _add_placeholder(text: str, inner: str, segments: list[list[Token]]) -> None:
    placeholder = f"{{{inner}}}"
    name, colon, form = inner.partition(":")
    if name != "day" or (colon and not form):
        refuse(text, f"{placeholder} is not a placeholder", _EXAMPLES)
    if form == INTEGER:
        segments[-1].append(Field(INTEGER, placeholder))
        return
    if "%" not in (form := form or "%Y-%m-%d"):
        refuse(text, f"{placeholder} holds no part of a date", _EXAMPLES)
    characters = iter(form)
    for character in characters:
        if character == "%":
            code = next(characters, "")
            if code not in WIDTHS:
                refuse(text, f"{placeholder} holds %{code}", "only %Y, %y, %m, %d and %j inside of the braces")
            segments[-1].append(Field(code, placeholder))
        elif character in (STAR, ONE):
            refuse(text, f"{placeholder} holds {character!r}", "wildcards outside of the braces")
        elif character == "/":
            segments.append([])
        else:
            _append(segments[-1], character)


def _check_segment(text: str, segment: Tokens) -> None:
    if not segment:
        refuse(text, "an empty segment (a '/' at an end, or two of them)", "'folder/*' for all the files of a folder")
    if segment in ((".",), ("..",)):
        refuse(text, f"{segment[0]!r} as a segment", "the path without it, or an absolute one")
    if segment != DEEP and DEEP in pairwise(segment):
        refuse(text, "'**' that does not stand alone in its segment", "'**' between slashes, or a single '*'")


def _check_integers(text: str, segment: Tokens) -> None:
    for before, token, after in zip(("/", *segment), segment, (*segment[1:], "/"), strict=False):
        if not isinstance(token, Field) or token.code != INTEGER:
            continue
        neighbours = [
            before.placeholder if isinstance(before, Field) else before[-1],
            after.placeholder if isinstance(after, Field) else after[0],
        ]
        for neighbour in neighbours:
            if neighbour[0] in "{*?0123456789":
                refuse(
                    text,
                    f"a path can be read as two days, since {neighbour!r} next to {{day:int}} runs into its digits",
                    "something between them that is not a digit, such as 'v1_{day:int}.csv'",
                )


def _check_places(text: str, segments: tuple[Tokens, ...]) -> None:
    """Refuse a placeholder between two stars: a name could be read in two ways there."""
    for number, segment in enumerate(segments):
        for index, token in enumerate(segment):
            if not isinstance(token, Field):
                continue
            if DEEP in segments[:number] and DEEP in segments[number + 1 :]:
                stars, write = "'**'", "a single '**', before or after it"
            elif STAR in segment[:index] and STAR in segment[index + 1 :]:
                stars, write = "'*'", "a single '*' in that name, before or after it"
            else:
                continue
            refuse(text, f"{token.placeholder} stands between two {stars}, so where it begins is not certain", write)
