"""Small files of an output's own, beside its results: what was accepted, what failed, what a run learned.

Each stands on these five operations alone, whatever the output lies on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Notes(Protocol):
    """A note is a small file with a name such as ``accepted.json`` or ``cache/footers``.

    Every method raises StorageError or OSError where it fails; InTheWay where something else stands in a note's place.
    """

    def read_note(self, name: str, *, longest: int | None = None) -> bytes | None:
        """The content of a note, or at most its first ``longest`` bytes; None where there is no such note."""

    def write_note(self, name: str, content: bytes, *, is_ours: Callable[[bytes], bool], durable: bool = False) -> None:
        """Replace a note as a whole. Anything there that is not ours is set aside first.

        ``is_ours`` says whether a content is such a note. With ``durable`` it survives a power cut from then on.
        """

    def append_note(self, name: str, content: bytes) -> None:
        """Add to a note, which is created where it is missing. A kill may leave a part of ``content`` there."""

    def remove_note(self, name: str) -> None:
        """Remove a note, where there is one."""

    def note_names(self, folder: str) -> list[str]:
        """The names of the notes in a folder such as ``failed``, with the folder, sorted."""
