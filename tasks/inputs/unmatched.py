"""Explains why no file matches a source: where its template stops matching, and what is there instead."""

from __future__ import annotations

import os
from pathlib import Path

from state.errors import nearest
from state.inputs.root import InputRoot
from state.words import enumerated
from tasks.templates.matcher import States
from tasks.templates.template import Template

_FOLDERS = 50
"""How many folders are looked into at each depth. A template that matches nothing stops after few."""
_SHOWN = 3


def why_unmatched(root: InputRoot, template: Template) -> str:
    """Which part of the template matches nothing, in which folder, and the nearest name or the first names there."""
    root = root.of(absolute=template.absolute)
    places: list[tuple[str, States]] = [("", template.matcher.begin)]
    parts = template.text.strip("/").split("/")
    for at, part in enumerate(parts):
        folder = root.path / places[0][0]
        if part == "**":
            return f"no file below {folder} matches {'/'.join(parts[at:])!r}"
        try:
            names, deeper = _step(root, template, places)
        except OSError as error:
            return f"{folder} cannot be listed: {error.strerror}"
        if not deeper:
            return _told(folder, part, names)
        places = deeper
    return f"{root.path / places[0][0]} matches, but its day is not valid or it is not a regular file"


def _step(
    root: InputRoot, template: Template, places: list[tuple[str, States]]
) -> tuple[list[str], list[tuple[str, States]]]:
    """The names in the first folder, and what matches in all of them. Raises OSError for the first."""
    first: list[str] = []
    deeper = []
    for at, (path, states) in enumerate(places[:_FOLDERS]):
        try:
            names = _names(root, path)
        except OSError:
            if at == 0:
                raise
            continue
        if at == 0:
            first = names
        reached = ((name, template.matcher.step(states, name)) for name in names)
        deeper += [(f"{path}/{name}" if path else name, below) for name, below in reached if below]
    return first, deeper


def _names(root: InputRoot, path: str) -> list[str]:
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root.fd)
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def _told(folder: Path, part: str, names: list[str]) -> str:
    if not names:
        return f"{folder} is empty, expected {part!r} there"
    if near := nearest(part, names):
        return f"nothing in {folder} matches {part!r}; did you mean {near!r}?"
    held = enumerated([repr(name) for name in names], shown=_SHOWN)
    return f"nothing in {folder} matches {part!r}; it holds {held}"
