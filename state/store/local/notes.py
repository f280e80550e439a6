"""The notes of a local output: small files below ``_noonmark/``."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable

from state.errors import StorageError
from state.filesystem.durable import close, is_missing, read_at, read_whole, write_whole
from state.filesystem.folder import APPEND, Folder, InTheWay
from state.filesystem.hiding import move_hidden
from state.store.local import layout
from state.store.local.staging import staged_file


def read_note(root: Folder, name: str, *, longest: int | None = None) -> bytes | None:
    """As ``Notes.read_note``."""
    path = layout.note_file(name)
    try:
        fd = root.open_file(path)
        try:
            return read_whole(fd) if longest is None else read_at(fd, longest)
        finally:
            close(fd)
    except InTheWay:
        raise
    except OSError as error:
        if is_missing(error):
            return None
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def write_note(root: Folder, name: str, content: bytes, is_ours: Callable[[bytes], bool], *, durable: bool) -> None:
    """As ``Notes.write_note``."""
    path = layout.note_file(name)
    folder = os.path.dirname(path)
    root.make(folder)
    with staged_file(root) as new:
        new.write(content)
        if durable:
            new.flush()
        _clear(root, path, is_ours)
        new.move(path)
    if durable:
        root.flush(folder)


def append_note(root: Folder, name: str, content: bytes) -> None:
    """As ``Notes.append_note``."""
    path = layout.note_file(name)
    root.make(os.path.dirname(path))
    fd = root.open_file(path, APPEND)
    try:
        write_whole(fd, content)
    finally:
        close(fd)


def remove_note(root: Folder, name: str) -> None:
    """As ``Notes.remove_note``."""
    root.unlink(layout.note_file(name))


def note_names(root: Folder, folder: str) -> list[str]:
    """As ``Notes.note_names``."""
    try:
        return sorted(f"{folder}/{name}" for name in root.names(layout.note_file(folder)))
    except OSError as error:
        if is_missing(error):
            return []
        raise


def _clear(root: Folder, path: str, is_ours: Callable[[bytes], bool]) -> None:
    """Set aside what stands at a path and is not ours. A file that a power cut left unwritten is taken for ours."""
    try:
        content = root.read(path)
        if not content.strip(b"\0") or is_ours(content):
            return
    except FileNotFoundError:
        return
    except InTheWay as error:
        if error.path != path:
            raise
    move_hidden(root, path, f"{layout.SET_ASIDE}/{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.damaged")
