"""Why a template is refused: it names no day, or one path could be read as two days and its rows be counted twice.

Refused is what truly can be read in two ways, and nothing more, except that an integer must be set apart from digits.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from tasks.catalog.pattern import INTEGER, Field, Token, Tokens, is_deep, is_hidden, is_star, shown, wrong


def missing(codes: Collection[str], century: bool) -> list[str]:
    """What the codes lack to make a day. Where ``%Y`` stands anywhere (``century``), ``%y`` alone makes no year."""
    if INTEGER in codes:
        return []
    lacking = [] if "Y" in codes or ("y" in codes and not century) else ["the year"]
    if "j" not in codes:
        lacking += ["the month"] * ("m" not in codes) + ["the day of the month"] * ("d" not in codes)
    return lacking


def codes_of(rows: Collection[Tokens]) -> list[str]:
    """The codes of all the fields, as often as they stand there."""
    return [token.code for row in rows for token in row if isinstance(token, Field)]


def check(text: str, rows: tuple[Tokens, ...]) -> None:
    """Raises DeclarationError unless every path that the template matches has exactly one day."""
    codes = set(codes_of(rows))
    if not codes:
        wrong(text, "no {day} in it", "{day} where the day stands in the path, such as 'flights/{day}/*.csv'")
    if INTEGER in codes and len(codes) > 1:
        wrong(text, "{day:int} and a date in one template", "one of the two kinds of day")
    for row in rows:
        _check_segment(text, row)
        _check_integers(text, row)
    if lacking := missing(codes, "Y" in codes):
        wrong(text, f"its placeholders lack {' and '.join(lacking)}", "{day}, or %Y with %m and %d or with %j")
    if loose := _undecided(rows, codes):
        origin, stars, write = loose
        wrong(text, f"a path can be read as two days, since {origin} stands between two {stars}", write)


def _check_segment(text: str, row: Tokens) -> None:
    if not row:
        wrong(text, "an empty segment (a '/' at an end, or two of them)", "'folder/*' for all the files of a folder")
    if shown(row) in (".", ".."):
        wrong(text, f"{shown(row)!r} as a segment", "the path without it, or an absolute one")
    if not is_deep(row) and any(is_star(one) and is_star(two) for one, two in pairwise(row)):
        wrong(text, "'**' that does not stand alone in its segment", "'**' between slashes, or a single '*'")


def _check_integers(text: str, row: Tokens) -> None:
    edge: tuple[Token] = (("", "/"),)
    for before, token, after in zip(edge + row, row, row[1:] + edge, strict=False):
        if not isinstance(token, Field) or token.code != INTEGER:
            continue
        beside = [
            before.origin if isinstance(before, Field) else before[1][-1],
            after.origin if isinstance(after, Field) else after[1][0],
        ]
        for digit in beside:
            if digit[0] in "{*?0123456789":
                wrong(
                    text,
                    f"a path can be read as two days, since {digit!r} next to {{day:int}} runs into its digits",
                    "something between them that is no digit, such as 'v1_{day:int}.csv'",
                )


def _undecided(rows: tuple[Tokens, ...], codes: set[str]) -> tuple[str, str, str] | None:
    """The first placeholder without a fixed place, where those with one do not make a day by themselves.

    Fixed means from the left or from the right: no ``**`` before or none after its segment, no ``*`` before or none
    after it. Wildcards never match a hidden name, so a segment with a leading dot is as good as an end of the path.
    """
    fixed: set[str] = set()
    loose: list[tuple[str, str, str]] = []
    for number, row in enumerate(rows):
        hidden = [i for i, other in enumerate(rows) if is_hidden(other)]
        first = max((i for i in hidden if i <= number), default=0)
        last = min((i for i in hidden if i >= number), default=len(rows))
        adrift = any(map(is_deep, rows[first:number])) and any(map(is_deep, rows[number + 1 : last]))
        for index, token in enumerate(row):
            if not isinstance(token, Field):
                continue
            if adrift:
                loose.append((token.origin, "'**'", "a single '**', before or after it"))
            elif any(map(is_star, row[:index])) and any(map(is_star, row[index + 1 :])):
                loose.append((token.origin, "'*'", "a single '*' in that name, before or after it"))
            else:
                fixed.add(token.code)
    return loose[0] if loose and missing(fixed, "Y" in codes) else None
