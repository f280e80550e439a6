"""What polars reads in place of a raw file: the bytes that ``prepare=`` makes of it, decoded from its ``encoding=``.

A day that has no room in memory is rewritten into private files, which are removed with the day's input.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from state.days import typed
from state.errors import error_text, type_name
from state.inputs.files import FileStat
from tasks.catalog.place import place_of, place_of_error, returned
from tasks.catalog.signature import wanted
from tasks.catalog.source import Source
from tasks.formats.encoding import NotEncoded, decoded, decoded_pieces
from tasks.formats.formats import File
from tasks.formats.unpacking import text_pieces, whole_text
from tasks.reading.declared import NotAsDeclared
from tasks.strict.finding import printable
from tasks.user_code import Raised, guarded_call


class Rewriting:
    """Rewrites the files of one source and day. ``private`` holds what it writes; None: it all stays in memory."""

    def __init__(self, source: Source, day: str, private: ExitStack | None) -> None:
        self._source = source
        self._day = day
        self._private = private
        self._folder: Path | None = None

    def file(self, file: FileStat, content: File) -> File:
        """What polars is given for a file. Raises NotAsDeclared, and OSError where it cannot be read or written."""
        codec = self._source.codec
        try:
            if self._source.prepare is None and codec and self._private:
                return self._written(decoded_pieces(text_pieces(content), codec))
            plain = content if isinstance(content, bytes) else content.read_bytes()
            plain = self._prepared(file, whole_text(plain) if self._private else plain)
            plain = decoded(plain, codec) if codec else plain
        except NotEncoded as error:
            raise _not_as_declared(file, str(error)) from error
        return self._written([plain]) if self._private else plain

    def _prepared(self, file: FileStat, content: bytes) -> bytes:
        prepare = self._source.prepare
        if prepare is None:
            return content
        offered = wanted(prepare, name=lambda: file.path, day=lambda: typed(self._day))
        answer: object = guarded_call(partial(prepare, content, **offered))
        if isinstance(answer, Raised):
            place = place_of_error(prepare, answer.error)
            why = f"prepare= raised {error_text(answer.error)} ({place})"
            summary = f"prepare= raised {type_name(answer.error)} ({place})"  # its text may name the day
            raise _not_as_declared(file, why, summary) from answer.error
        if not isinstance(answer, bytes | bytearray):
            raise _not_as_declared(file, f"prepare=: {returned(answer, 'bytes')} ({place_of(prepare)})")
        return bytes(answer)

    def _written(self, pieces: Iterable[bytes]) -> Path:
        assert self._private is not None
        if self._folder is None:
            folder = self._private.enter_context(tempfile.TemporaryDirectory(prefix="noonmark-input-"))
            self._folder = Path(folder)
        place = self._folder / str(sum(1 for _ in self._folder.iterdir()))
        with place.open("xb") as file:
            for piece in pieces:
                file.write(piece)
        return place


def _not_as_declared(file: FileStat, why: str, summary: str = "") -> NotAsDeclared:
    what = "cannot be read as declared: "
    return NotAsDeclared(f"{printable(file.path)} {what}{why}", what + (summary or why))
