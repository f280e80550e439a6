"""A JSON file as NDJSON: each object of its array, or its one object, as a line; and where it lies in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_BEGIN = re.compile(rb"[ \t\n\r]*\[[ \t\n\r]*(?=\{)")
_END = re.compile(rb"(?<=\})[ \t\n\r]*\][ \t\n\r]*\Z")
_TAIL = 64
"""So many bytes at the end are searched for the bracket that closes an array."""
_BETWEEN = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\{")
_SPACE = re.compile(r"[ \t\n\r]*")


def as_lines(text: bytes) -> bytes:
    """The objects as lines. Raises ValueError or RecursionError where it is no JSON, or is nested too deeply."""
    flat = flat_lines(text)
    return joined(elements(text.decode())) if flat is None else flat


def joined(parts: Iterator[tuple[int, str]]) -> bytes:
    """Elements as lines. Their line ends stand between values: a string of JSON holds none."""
    return "\n".join(element.replace("\n", " ") for _, element in parts).encode()


def flat_lines(text: bytes) -> bytes | None:
    """The lines of an array whose objects hold no other, if its text is JSON; None: it has to be looked at closely.

    Between two objects stands ``},{``, and so it may in a string. Where every brace that opens is the array's first or
    is in such a place, and no quote is open there or at a line's end, none of them is in a string or in another object.
    """
    begin, tail = _BEGIN.match(text), max(0, len(text) - _TAIL)
    end = _END.search(text, tail)
    if begin is None or end is None or end.start() < begin.end():
        return None
    body = text[begin.end() : end.start()]
    marks = body.replace(b"\\\\", b"  ").replace(b'\\"', b"  ") if b"\\" in body else body
    between = marks.count(b"{") - 1
    is_compact = marks.count(b"},{") == between
    if not is_compact and len(_BETWEEN.findall(marks)) != between:
        return None
    lines = _cut(marks, is_compact=is_compact)
    if any(line.count(b'"') % 2 for line in lines.split(b"\n")):
        return None
    is_plain = marks is body and b"\n" not in body
    return lines if is_plain else _cut(body.replace(b"\n", b" "), is_compact=is_compact)


def _cut(text: bytes, *, is_compact: bool) -> bytes:
    return text.replace(b"},{", b"}\n{") if is_compact else _BETWEEN.sub(b"}\n{", text)


def elements(text: str) -> Iterator[tuple[int, str]]:
    """Each element of the array with the line where it begins; what is no array is one element.

    Raises ValueError where the text is no JSON, and RecursionError where it is nested too deeply.
    """
    decoder = json.JSONDecoder()
    at = _behind_space(text, 0)
    is_array = text.startswith("[", at)
    line, counted = 1, 0
    at = _behind_space(text, at + is_array)
    if not (is_array and text.startswith("]", at)):
        while True:
            _, end = decoder.raw_decode(text, at)
            line, counted = line + text.count("\n", counted, at), at
            yield line, text[at:end]
            at = _behind_space(text, end)
            if not is_array or text.startswith("]", at):
                break
            if not text.startswith(",", at):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = _behind_space(text, at + 1)
    at = _behind_space(text, at + is_array)
    if at < len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
