"""Filters a worker's system calls to those on its project's files; the others are the interpreter's and libraries'."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.chaos.harness.tracing import Point

_OPENED = re.compile(r"\) += (\d+)$")
_BY_NUMBER = re.compile(r"\w+\((\d+)[,)]")
_BY_NAME = re.compile(r'\w+\((?:AT_FDCWD, |(\d+), )?"([^"]*)"')


def of_files(points: Iterable[Point], folder: Path, part: str = "") -> Iterator[Point]:
    """The calls on paths below ``folder`` that hold ``part``: by path, by descriptor, or relative to one."""
    ours: dict[int, str] = {}
    for point in points:
        path = _path(point, ours, str(folder))
        if path is None:
            continue
        if part in path:
            yield point
        number = _BY_NUMBER.match(point.line)
        if (opened := _OPENED.search(point.line)) and point.call in ("open", "openat", "fcntl", "dup"):
            ours[int(opened[1])] = path
        elif number and point.call == "close":
            ours.pop(int(number[1]), None)


def _path(point: Point, ours: dict[int, str], folder: str) -> str | None:
    """The path that a call is about, where it is one of the scene's."""
    if named := _BY_NAME.match(point.line):
        at, name = named[1], named[2]
        if name.startswith("/"):
            return name if name.startswith(folder) else None
        if at is None or int(at) not in ours:
            return None
        return (
            f"{ours[int(at)]}/{name}" if point.call not in ("write", "pwrite64", "read", "pread64") else ours[int(at)]
        )
    if (number := _BY_NUMBER.match(point.line)) and int(number[1]) in ours:
        return ours[int(number[1])]
    return None
