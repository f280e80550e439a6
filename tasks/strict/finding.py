"""What is wrong with a raw file, and where: findings that are alike are one, however many lines they have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from state.words import SHOWN

_TEXT = 48
"""How much of a file's own text a message shows."""
PATH = 200
"""How much of a path it shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a file that cannot be read as declared.

    ``line`` counts from 1, as an editor does, and is None where the whole file is meant; ``column`` is the name in the
    file's header, None where the whole line is meant. ``text`` shows the value or the beginning of the line, escaped.
    ``others`` are further lines that are like it, ten with the first, and ``count`` is how many there are in all.
    """

    line: int | None
    column: str | None
    found: str
    expected: str
    text: str = ""
    others: tuple[int, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check tells: the names as they stand in the file, before any renaming, and what is wrong with it.

    ``columns`` are the fields of a CSV header or the keys of JSON objects; None where the format has none, as a CSV
    file without header, and where they could not be made out.
    """

    columns: tuple[str, ...] | None
    findings: tuple[Finding, ...]


class Findings:
    """Findings as they come; those that differ in line and text alone are counted as one."""

    def __init__(self) -> None:
        self._all: dict[tuple[str | None, str, str], Finding] = {}

    def add(self, line: int | None, column: str | None, found: str, expected: str, text: str = "") -> None:
        """Add one. Lines have to come in their order."""
        key = column, found, expected
        first = self._all.get(key)
        if first is None:
            self._all[key] = Finding(line, column, found, expected, text)
            return
        shown = line is not None and first.count < SHOWN
        others = (*first.others, line) if shown and line is not None else first.others
        self._all[key] = replace(first, others=others, count=first.count + 1)

    def __bool__(self) -> bool:
        return bool(self._all)

    def all(self) -> tuple[Finding, ...]:
        """All of them, in the order of their first lines."""
        return tuple(self._all.values())


def shown(text: str | bytes, most: int = _TEXT) -> str:
    """A file's own text for a message: in quotes, cut, and with what is not printable escaped."""
    return f"'{printable(text, most)}'"


def printable(text: str | bytes, most: int = PATH) -> str:
    """The beginning of a text, with what is not printable escaped."""
    plain = text[: 4 * most].decode(errors="backslashreplace") if isinstance(text, bytes) else text
    escaped = "".join(one if one.isprintable() else _escaped(one) for one in plain[:most])
    return escaped[:most] + "…" * (len(plain) > most or len(escaped) > most)


def _escaped(one: str) -> str:
    return one.encode("unicode_escape", "surrogatepass").decode()
