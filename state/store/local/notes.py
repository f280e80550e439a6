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


class LocalNotes:
    """The part of ``LocalStore`` that keeps notes."""

    __slots__ = ()
    folder: Folder

    def read_note(self, name: str, *, longest: int | None = None) -> bytes | None:
        """As ``Notes.read_note``."""
        path = layout.note_file(name)
        try:
            fd = self.folder.open_file(path)
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

    def write_note(self, name: str, content: bytes, *, is_ours: Callable[[bytes], bool], durable: bool = False) -> None:
        """As ``Notes.write_note``."""
        path = layout.note_file(name)
        folder = os.path.dirname(path)
        self.folder.make(folder)
        with staged_file(self.folder) as new:
            new.write(content)
            if durable:
                new.flush()
            self._clear(path, is_ours)
            new.move(path)
        if durable:
            self.folder.flush(folder)

    def append_note(self, name: str, content: bytes) -> None:
        """As ``Notes.append_note``."""
        path = layout.note_file(name)
        self.folder.make(os.path.dirname(path))
        fd = self.folder.open_file(path, APPEND)
        try:
            write_whole(fd, content)
        finally:
            close(fd)

    def remove_note(self, name: str) -> None:
        """As ``Notes.remove_note``."""
        self.folder.unlink(layout.note_file(name))

    def note_names(self, folder: str) -> list[str]:
        """As ``Notes.note_names``."""
        try:
            return sorted(f"{folder}/{name}" for name in self.folder.names(layout.note_file(folder)))
        except OSError as error:
            if is_missing(error):
                return []
            raise

    def _clear(self, path: str, is_ours: Callable[[bytes], bool]) -> None:
        """Set aside what stands at a path and is not ours. A file that a power cut left unwritten is taken for ours."""
        try:
            content = self.folder.read(path)
            if not content.strip(b"\0") or is_ours(content):
                return
        except FileNotFoundError:
            return
        except InTheWay as error:
            if error.path != path:
                raise
        move_hidden(self.folder, path, f"{layout.SET_ASIDE}/{os.path.basename(path)}.{uuid.uuid4().hex[:8]}.damaged")
