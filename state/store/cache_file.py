"""A file of the cache: entries that a run learned, in blocks that carry their own digest.

It is appended to, written anew before it is mostly of no use, and never flushed. Whatever is wrong with it costs time
and nothing else: what it held is learned again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from state.filesystem.durable import is_missing, make_folders, read_whole, write_whole
from state.filesystem.folder import open_file, rename
from state.store.local import layout
from state.store.local.set_aside import clear_place
from state.store.local.staging import draft

_OURS = b"noonmark "


class CacheFile:
    """The entries that stand in a file of the cache. ``form`` says what they are: those of another one are not read."""

    def __init__(
        self,
        root_fd: int,
        path: str,
        form: str,
        packed: Callable[[Sequence[Any]], Any] = list,
        unpacked: Callable[[Any], list[Any]] = list,
    ) -> None:
        """Read what is there. Nothing is written, and nothing that is wrong with it is an error.

        ``packed`` makes a block's JSON of its entries, and ``unpacked`` the other way round; what that cannot take
        for entries raises ValueError, TypeError or LookupError.
        """
        self._root_fd = root_fd
        self._path = path
        self._form = form
        self._packed, self._unpacked = packed, unpacked
        try:
            self.entries, self._whole = self._blocks(_content(root_fd, path))
        except OSError:
            self.entries, self._whole = [], False

    def save(self, kept: Sequence[Any], learned: Sequence[Any]) -> None:
        """Add what was learned; write ``kept`` and that anew where more than half of what stands there is neither.

        Raises OSError.
        """
        read, live = len(self.entries), len(kept) + len(learned)
        if self._whole and not learned and read <= 2 * live:
            return
        make_folders(self._root_fd, layout.CACHE)
        if self._whole and read + len(learned) <= 2 * live:
            fd = open_file(self._root_fd, self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                write_whole(fd, self._block(learned))
            finally:
                os.close(fd)
            return
        with draft(self._root_fd) as new:
            write_whole(new.fd, self._block([*kept, *learned]))
            clear_place(self._root_fd, self._path, lambda content: content.startswith(_OURS))
            rename(self._root_fd, layout.temporary_file(new.nonce), self._path)
            new.published = True

    def _block(self, entries: Sequence[Any]) -> bytes:
        body = json.dumps(self._packed(entries), separators=(",", ":")).encode() + b"\n"
        return self._header(body) + body

    def _header(self, body: bytes) -> bytes:
        return f"{self._form} {hashlib.sha256(body).hexdigest()} {len(body):12}\n".encode()

    def _blocks(self, content: bytes) -> tuple[list[Any], bool]:
        """The entries of all blocks up to the first that is not whole, and whether all are."""
        entries: list[Any] = []
        length = len(self._header(b""))
        at = 0
        while at < len(content):
            header = content[at : at + length]
            size = header[-13:-1].strip()
            body = content[at + length : at + length + int(size)] if size.isdigit() else b""
            if header != self._header(body):
                return entries, False
            try:
                entries += self._unpacked(json.loads(body))
            except (ValueError, RecursionError, TypeError, LookupError):  # a digest that fits says nothing of types
                return entries, False
            at += len(header) + len(body)
        return entries, True


def _content(root_fd: int, path: str) -> bytes:
    try:
        fd = open_file(root_fd, path, os.O_RDONLY)
    except OSError as error:
        if is_missing(error):
            return b""
        raise
    try:
        return read_whole(fd)
    finally:
        os.close(fd)
