"""Names that do not match a template and look as though they were meant to, and in what they differ.

A file that is left out by its name alone is a day that nobody misses, so it is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tasks.templates.syntax import ONE, STAR, WIDTHS, Field, Tokens, exact

CAPITALS = "other capitals than in the template"
DIGITS = "a day of other digits than in the template"
SEPARATORS = "other separators than in the template"
WORD = "a word such as NaN in place of the day"
COPY = "the name of a copy"
SPACES = "a space before or behind the name"
ENDING = "packed, or with its ending twice, unlike the template"

_SEPARATOR = re.compile(r"\\[- ]|_")
"""Between the parts of a day, in an escaped text."""
_ANY_SEPARATOR = "[-_. ]?"
_WORDS = "(?:nan|nat|none|null|undefined|invalid date|__hive_default_partition__)"
"""What programs write for a day that they do not have."""
_PACKED = (".gz", ".zst")
_COPY_MARK = re.compile(r"^copy of |( ?\(\d+\)| - copy( \(\d+\))?| copy( \d+)?)(?=(\.[^/]*)?$)", re.IGNORECASE)
"""What browsers and file managers add to the name of a second one."""


def without_copy_mark(name: str) -> str:
    """The name that a copy's name was made of: ``x.csv`` for ``x (1).csv`` and ``x copy.csv``; others as they are."""
    if "(" not in name and "opy" not in name and "OPY" not in name:
        return name  # as nearly always, and every file of every day is asked
    return _COPY_MARK.sub("", name)


def why_near(tokens: Tokens, name: str) -> str | None:
    """In what a name that the tokens do not match differs from one that they match; None where it has nothing of it."""
    near = _near(tokens)
    if near.meant.fullmatch(name):
        if near.exact.fullmatch(name):
            return CAPITALS
        return DIGITS if near.same_separators.fullmatch(name) else SEPARATORS
    if near.worded and near.worded.fullmatch(name):
        return WORD
    plain = without_copy_mark(name)
    if plain != name and near.exact.fullmatch(plain):
        return COPY
    if name[:1].isspace() or name[-1:].isspace():
        return SPACES if near.exact.fullmatch(name.strip()) else None
    return ENDING if _has_more_endings(near, tokens[-1], name) else None


def _has_more_endings(near: _Near, last: object, name: str) -> bool:
    """Whether a name has ``.gz`` or ``.zst`` behind an ending that the template fixes, or that ending again."""
    if not isinstance(last, str) or "." not in last:
        return False
    stem, dot, ending = name.lower().rpartition(".")
    return bool((dot + ending in _PACKED or stem.endswith(dot + ending)) and near.exact.fullmatch(stem))


@dataclass(frozen=True, slots=True)
class _Near:
    """Expressions without regard to capitals: as declared, with any digits, with any separators too, with words."""

    exact: re.Pattern[str]
    same_separators: re.Pattern[str]
    meant: re.Pattern[str]
    worded: re.Pattern[str] | None


@lru_cache(maxsize=1024)
def _near(tokens: Tokens) -> _Near:
    return _Near(
        re.compile(exact(tokens), re.IGNORECASE),
        re.compile(_loose(tokens, any_separators=False), re.IGNORECASE),
        re.compile(_loose(tokens, any_separators=True), re.IGNORECASE),
        _worded(tokens),
    )


def _loose(tokens: Tokens, *, any_separators: bool, words: bool = False) -> str:
    """Digits for each field, and perhaps any separator or none in place of each and between two fields."""
    parts: list[str] = []
    before: object = None
    for token in tokens:
        if isinstance(token, Field):
            digits = "[0-9]{1,4}" if token.code in WIDTHS else "[0-9]+"
            digits = f"(?:{digits}|{_WORDS})" if words else digits
            parts.append(_ANY_SEPARATOR * (any_separators and isinstance(before, Field)) + digits)
        else:
            text = re.escape(token)
            text = _SEPARATOR.sub(lambda _: _ANY_SEPARATOR, text) if any_separators else text
            parts.append({STAR: r"(?!\.)[^/]*", ONE: "[^/]"}.get(token) or text)
        before = token
    return "".join(parts)


def _worded(tokens: Tokens) -> re.Pattern[str] | None:
    """A word in place of a field, or of all of them and what stands between."""
    fields = [at for at, token in enumerate(tokens) if isinstance(token, Field)]
    if not fields:
        return None
    first, end = fields[0], fields[-1] + 1
    before, day, after = tokens[:first], tokens[first:end], tokens[end:]
    each = _loose(day, any_separators=True, words=True)
    around = [_loose(part, any_separators=True) for part in (before, after)]
    return re.compile(f"{around[0]}(?:{_WORDS}|{each}){around[1]}", re.IGNORECASE)
