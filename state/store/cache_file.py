"""A note of the cache: entries that a run learned, in blocks that carry their own digest.

Runs append to it, and rewrite it before most of it is outdated; it is never flushed. Whatever is wrong with it costs
time and nothing else: its entries are learned again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from state.errors import StorageError
from state.store.notes import Notes

_OURS = b"noonmark "


class CacheFile:
    """The entries of a note. ``form`` says what they are: entries of another form are not read."""

    def __init__(
        self,
        notes: Notes,
        name: str,
        form: str,
        packed: Callable[[Sequence[Any]], Any] = list,
        unpacked: Callable[[Any], list[Any]] = list,
    ) -> None:
        """Read what is there; nothing that is wrong with it is an error.

        ``packed`` turns entries into a block's JSON, ``unpacked`` turns it back; that raises ValueError, TypeError or
        LookupError for what are not entries.
        """
        self._notes = notes
        self._name = name
        self._form = form
        self._packed, self._unpacked = packed, unpacked
        try:
            self.entries, self._whole = self._blocks(notes.read_note(name) or b"")
        except (StorageError, OSError):
            self.entries, self._whole = [], False

    def save(self, kept: Sequence[Any], learned: Sequence[Any]) -> None:
        """Add what was learned, or write it with ``kept`` where more than half of the note is outdated.

        Raises StorageError, OSError.
        """
        read, live = len(self.entries), len(kept) + len(learned)
        if self._whole and not learned and read <= 2 * live:
            return
        if self._whole and read + len(learned) <= 2 * live:
            self._notes.append_note(self._name, self._block(learned))
        else:
            content = self._block([*kept, *learned])
            self._notes.write_note(self._name, content, is_ours=lambda found: found.startswith(_OURS))

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
