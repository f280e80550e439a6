"""The output root: opened once, marked once, and from then on reached through its descriptor only.

The marker tells an output directory from an empty mount point. Its id tells which output an index belongs to.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from state import layout
from state.errors import Refused, StorageError
from state.files import exists_not, flush, flush_folder, make_folders, read_whole, write_whole

FORMAT = 1
ACCEPT = "python -m flows.repair --accept-output"


@dataclass(frozen=True, slots=True)
class OutputRoot:
    """An open output root: ``fd`` its descriptor, ``id`` from its marker, ``path`` for messages only."""

    fd: int
    id: str
    path: Path

    def __enter__(self) -> OutputRoot:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def find_root(path: Path) -> OutputRoot | None:
    """Open an output root without writing anything; None where there is no folder, or no marker in it.

    Raises StorageError where that cannot be told, and Refused where the marker is of no use.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return None
        raise StorageError(f"the output root {path} cannot be opened: {error.strerror}") from error
    try:
        identity = _read_marker(fd, path)
    except BaseException:
        os.close(fd)
        raise
    if identity is None:
        os.close(fd)
        return None
    return OutputRoot(fd, identity, path)


def open_root(path: Path, *, create: bool, remembered: bool) -> OutputRoot:
    """Open the output root, creating and marking a new one where that is allowed.

    ``create`` is the setting NOONMARK_CREATE_OUTPUT. ``remembered`` says that the index knows commits: then a root
    without its marker is an unmounted or wrong directory. Raises Refused, StorageError.
    """
    if root := find_root(path):
        _make_own_folders(root)
        return root
    if remembered:
        raise Refused(
            f"the output root {path} has no {layout.MARKER}, but the index remembers commits: "
            "it looks unmounted, moved or wrong. Expected the directory that earlier runs wrote to",
            command=f"mount it or correct NOONMARK_OUTPUT; if a new, empty output is meant: {ACCEPT}",
        )
    if not create:
        raise Refused(
            f"the output root {path} is missing or has no {layout.MARKER}, and NOONMARK_CREATE_OUTPUT is false",
            command="mount it, correct NOONMARK_OUTPUT, or run once with NOONMARK_CREATE_OUTPUT=true",
        )
    return create_root(path)


def create_root(path: Path) -> OutputRoot:
    """Create and mark an output root. Where several do so at once, all end with the one marker. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _mark(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StorageError(f"the output root {path} cannot be created: {error.strerror}") from error
    root = find_root(path)
    if root is None:
        raise StorageError(f"the output root {path} lost its {layout.MARKER} as soon as it had it")
    _make_own_folders(root)
    return root


def set_marker_aside(path: Path) -> None:
    """Move a marker that is of no use out of the way, to where a person finds it. Raises OSError."""
    kept = path / layout.SET_ASIDE
    kept.mkdir(parents=True, exist_ok=True)
    (path / layout.MARKER).rename(kept / f"root.json.{uuid.uuid4().hex[:8]}")


def _mark(fd: int) -> None:
    make_folders(fd, layout.DRAFTS)
    temporary = layout.temporary_file(uuid.uuid4().hex)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=fd)
    try:
        write_whole(file, json.dumps({"format": FORMAT, "root": uuid.uuid4().hex}).encode() + b"\n")
        flush(file)
        os.link(temporary, layout.MARKER, src_dir_fd=fd, dst_dir_fd=fd)
    except FileExistsError:
        pass  # another run was first: its marker is read back
    finally:
        os.close(file)
        os.unlink(temporary, dir_fd=fd)
    for folder in (layout.OWN, ".", ".."):
        flush_folder(fd, folder)


def _read_marker(fd: int, path: Path) -> str | None:
    try:
        file = os.open(layout.MARKER, os.O_RDONLY | os.O_CLOEXEC, dir_fd=fd)
        try:
            content = read_whole(file)
        finally:
            os.close(file)
    except OSError as error:
        if exists_not(error):
            return None
        raise StorageError(f"{path / layout.MARKER} cannot be read: {error.strerror}") from error
    try:
        marker = json.loads(content)
        number, identity = marker["format"], marker["root"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{path / layout.MARKER} is damaged: expected a JSON object with format and root, found {content[:60]!r}",
            command=f"restore it from a backup, or mark the output anew: {ACCEPT}",
        ) from error
    if number != FORMAT or not isinstance(identity, str):
        raise Refused(f"{path / layout.MARKER} has format {number!r}, this code knows {FORMAT}: use the newer code")
    return identity


def _make_own_folders(root: OutputRoot) -> None:
    try:
        for folder in (layout.DRAFTS, layout.LOCKS, layout.SET_ASIDE):
            make_folders(root.fd, folder)
    except OSError as error:
        raise StorageError(f"{root.path / layout.OWN} cannot be written: {error.strerror}") from error
