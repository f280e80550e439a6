"""The documents as tests read them: their texts, fenced blocks and tables, and the files that git has."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from tests.project import CHECKOUT

README, OWN_DATA, INPUTS, SCHEDULING = "README.md", "docs/your-data.md", "docs/inputs.md", "docs/scheduling.md"
REFERENCE, READING, RUNBOOK = "docs/reference.md", "docs/reading-results.md", "docs/runbook.md"
FOR_USERS = (README, OWN_DATA, INPUTS, SCHEDULING, REFERENCE, READING, RUNBOOK)
DOCUMENTS = (
    *FOR_USERS,
    *("CONTRIBUTING.md", "CHANGELOG.md"),
    *("docs/design.md", "docs/origin.md", "docs/reliability.md", "docs/measurements.md"),
)


def text_of(document: str) -> str:
    """The text of a document."""
    return (CHECKOUT / document).read_text(encoding="utf-8")


def all_blocks(document: str) -> list[tuple[str, str]]:
    """The fenced blocks in order: (language, text)."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text_of(document), re.M | re.S)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [text for kind, text in all_blocks(document) if kind == language]


def block(document: str, language: str, words: str) -> str:
    """The one block of a language that holds these words."""
    [found] = [one for one in blocks(document, language) if words in one]
    return found


def table(document: str, *header: str, at: int | None = None) -> list[list[str]]:
    """The cells of each row of the table of a document with this header: the only one, or the one ``at`` a place."""
    begins = re.escape(f"| {' | '.join(header)} |")
    found = re.findall(rf"^{begins}\n\|[-|]+\|\n((?:\|.*\n)+)", text_of(document), re.M)
    assert at is not None or len(found) == 1
    rows = found[at or 0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()]


def named(cell: str) -> list[str]:
    """What stands between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


@cache
def tracked() -> tuple[str, ...]:
    """What git has, or would add: paths with ``/``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return tuple(sorted(path for path in set(listed.split("\0")) if path and (CHECKOUT / path).is_file()))
