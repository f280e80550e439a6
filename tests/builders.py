"""What the tests of the commit protocol build again and again: outputs, commits, children, and faults."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest

from state.result.record import CommitRecord, SourceRecord
from state.result.writing import arrow_table, rows_digest
from state.store.base import Staged, Token
from state.store.local import layout
from state.store.local.day_lock import place_of
from state.store.local.store import LocalStore
from tasks.templates.template import Template


def path_day(template: Template, path: str) -> str | None:
    """The day that a walk would find for a path; NO_DAY for a stray, None where the path does not match."""
    return template.day_in(path) if {"", ".", ".."}.isdisjoint(path.split("/")) else None


PROJECT = Path(__file__).resolve().parent.parent
NAME = "totals"
DAY = "2013-01-01"
DEADLINE = 30.0

RECORD = CommitRecord(
    aggregation=NAME,
    version=1,
    code="c" * 32,
    day=DAY,
    generation=1,
    rows=0,
    inputs={"sales": SourceRecord(files=1, bytes=2, rows=3, contents="d" * 64, stat="e" * 64)},
    result="f" * 64,
    libraries={"polars": "2.1"},
    nonce="0" * 32,
    committed_at="2026-11-23T00:00:00.000+00:00",
)


def rows_of(generation: int, rows: int = 3) -> pl.DataFrame:
    """A result whose every row tells its generation, so that a mixture of two shows."""
    schema = {"generation": pl.Int64, "row": pl.Int64}
    return pl.DataFrame({"generation": [generation] * rows, "row": list(range(rows))}, schema)


@contextmanager
def written(root: LocalStore, token: Token, frame: pl.DataFrame | None = None, **fields: Any) -> Iterator[Staged]:
    """A staged result that waits to be published over ``token``; ``fields`` are the record's."""
    table = arrow_table(rows_of(token.generation) if frame is None else frame)
    record = RECORD._replace(**{"rows": table.num_rows, "result": rows_digest(table), **fields})
    with root.stage((record.aggregation, record.day), token, record, table) as new:
        yield new


def publish(root: LocalStore, new: Staged) -> None:
    """Commit a staged result, or raise why there is no commit."""
    (answer,) = root.commit([new], lambda _: None)
    if isinstance(answer, Exception):
        raise answer


def commit(
    root: LocalStore, frame: pl.DataFrame | None = None, *, name: str = NAME, day: str = DAY, **fields: Any
) -> Token:
    """Commit a day as a run does; what is returned is the token that the next writer would read."""
    with written(root, root.token((name, day)), frame, aggregation=name, day=day, **fields) as new:
        publish(root, new)
    return root.token((name, day))


def place(root: LocalStore, name: str = NAME, day: str = DAY) -> Path:
    """The path of a day's result."""
    return root.path / layout.data_file(name, day)


def lock_path(root: LocalStore, name: str = NAME, day: str = DAY) -> Path:
    """The path of the file that holds a day's lock and mark."""
    return root.path / place_of(root.folder, (name, day)).path


@contextmanager
def no_range_locks() -> Iterator[None]:
    """A system without locks on ranges, as macOS is: what is made here has a lock file for each day."""
    with patch("state.filesystem.file_locks._SET_RANGE", None):
        yield


def kept(root: LocalStore) -> dict[str, bytes]:
    """What was set aside, by name."""
    return {file.name: file.read_bytes() for file in (root.path / layout.SET_ASIDE).iterdir() if file.is_file()}


def drafts(root: LocalStore) -> list[str]:
    """The names of the private files that are there."""
    return os.listdir(root.path / layout.STAGING)


def flip(file: Path, bit: int) -> None:
    """Turn one bit of a file over."""
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


@contextmanager
def child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs ``code`` in the project; it and all its children are killed at the end."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that a child says. A child says one line, and then waits."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
    assert ready, "the child said nothing in time"
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], line: str = "go") -> None:
    """Say a line to a child."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def fail(
    monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[..., bool], number: int = errno.EIO
) -> list[tuple[Any, ...]]:
    """Let ``os.<name>`` raise where ``when(*arguments)`` holds, as a bad disk does. Returns the calls that failed.

    Paths are whole ones, below what was open before, whatever folder a call starts at.
    """
    whole = whole_paths(monkeypatch)
    real = getattr(os, name)
    failed: list[tuple[Any, ...]] = []

    def call(*arguments: Any, **options: Any) -> Any:
        if when(*whole(*arguments, **options)):
            failed.append(arguments)
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)
    return failed


def whole_paths(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, ...]]:
    """Says what a call of ``os`` is about: its arguments, with paths from the first folder on that was open before."""
    real = os.open
    folders: dict[int, str] = {}

    def whole(*arguments: Any, **options: Any) -> tuple[Any, ...]:
        starts = [options.get("dir_fd", options.get("src_dir_fd")), options.get("dst_dir_fd")]
        paths = [
            f"{folders[fd]}/{path}" if fd in folders and isinstance(path, str) else path
            for path, fd in zip(arguments, starts, strict=False)
        ]
        return (*paths, *arguments[len(paths) :])

    def remember(*arguments: Any, **options: Any) -> int:
        fd = real(*arguments, **options)
        folders[fd] = str(whole(*arguments, **options)[0])
        return fd

    monkeypatch.setattr(os, "open", remember)
    return whole
