"""Numbers and lists as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 10
"""How many names are shown before the rest is only counted."""


def counted(number: int, thing: str) -> str:
    """A number with its noun: ``1 day``, ``1,823 results``."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def enumerated(names: Sequence[str], separator: str = ", ", shown: int = SHOWN) -> str:
    """The first names in one line, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return separator.join(names[:shown]) + more
