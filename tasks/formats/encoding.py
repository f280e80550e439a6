"""Text in any of Python's encodings, as the UTF-8 that polars reads. A byte that is no such text is an error."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from contextlib import suppress
from encodings.aliases import aliases

from state.errors import nearest

OF_POLARS = ("utf8", "utf8-lossy")
"""The encodings that polars reads itself, as it writes them."""


_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
_MARKS = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
"""The encodings whose first bytes say the order of all others."""
_LONGEST_MARK = 4


class NotEncoded(Exception):
    """Bytes that are not text of the declared encoding; the message says where and which."""


def codec_of(encoding: str) -> str | None:
    """The name of Python's codec for an encoding that polars does not read itself; None for those of polars."""
    if encoding in OF_POLARS:
        return None
    name = codecs.lookup(encoding).name
    return None if name == "utf-8" else name


def wrong_encoding(encoding: object) -> str | None:
    """What is wrong with an encoding that a user named; None where it is one."""
    if not isinstance(encoding, str):
        return f"encoding={encoding!r}, expected the name of an encoding such as 'cp1252'"
    try:
        found = None if encoding in OF_POLARS else codecs.lookup(encoding)
    except (LookupError, ValueError):
        near = nearest(encoding.lower().replace("-", "_"), _known())
        return f"there is no encoding {encoding!r}" + (f"; did you mean {near!r}?" if near else "")
    if found and not getattr(found, "_is_text_encoding", True):
        return f"encoding={encoding!r} is no encoding of text; expected one such as 'cp1252' or 'utf-16'"
    return None


def _known() -> list[str]:
    """The names of encodings that this machine has: a few are Windows' own."""
    names = []
    for name in sorted({*aliases, *aliases.values()}):
        with suppress(LookupError):
            codecs.lookup(name)
            names.append(name)
    return names


def decoded(content: bytes, codec: str) -> bytes:
    """The text as UTF-8. Raises NotEncoded."""
    _require_mark(content, codec)
    try:
        return content.decode(codec).removeprefix(_MARK).encode()
    except UnicodeError as error:
        raise _not_encoded(error, codec, content, 0, 0) from None


def decoded_pieces(pieces: Iterable[bytes], codec: str) -> Iterator[bytes]:
    """The text as UTF-8, piece by piece. Raises NotEncoded."""
    decoder = codecs.getincrementaldecoder(codec)()
    before = lines = 0
    pending = b""
    for piece in _ended(pieces):
        if not before:
            _require_mark(piece, codec)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeError as error:
            whole = error.object if isinstance(error, UnicodeDecodeError) else pending + piece
            raise _not_encoded(error, codec, whole, before - (len(whole) - len(piece)), lines) from None
        pending = decoder.getstate()[0]
        text = text if before else text.removeprefix(_MARK)
        before += len(piece)
        lines += text.count("\n")
        yield text.encode()


def _require_mark(content: bytes, codec: str) -> None:
    """Refuse to guess the order of bytes, in which Python takes the machine's own."""
    marks = _MARKS.get(codec)
    if marks and content and not content.startswith(marks):
        orders = f"encoding={codec + '-le'!r} or {codec + '-be'!r}"
        raise NotEncoded(f"it has no byte order mark; expected {orders}, or no encoding= where it is UTF-8")


def _ended(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, of which the first holds a whole byte order mark, and an empty one at the end."""
    head = b""
    for piece in pieces:
        if len(head) < _LONGEST_MARK:
            head += piece
            if len(head) >= _LONGEST_MARK:
                yield head
        elif piece:
            yield piece
    if 0 < len(head) < _LONGEST_MARK:
        yield head
    yield b""


def _not_encoded(error: UnicodeError, codec: str, content: bytes, offset: int, lines: int) -> NotEncoded:
    if not isinstance(error, UnicodeDecodeError):  # surrogates, or a codec with errors of its own
        return NotEncoded(f"it is no text in {codec}: {error}")
    lines += content[: error.start].decode(codec, "ignore").count("\n")
    byte = content[error.start : error.start + 1].hex()
    where = f"line {lines + 1:,}, byte {offset + error.start:,}"
    return NotEncoded(f"0x{byte} in {where} is no text in {codec}; expected the file's own encoding=")
