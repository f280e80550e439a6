"""Parsers of replies. Whatever calls itself Redis may answer anything, and only what a parser returns goes further.

A parser takes a reply as it came over the wire, and returns what it says or raises ``Unexpected``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
_CURSOR_DIGITS = 20
"""As many as the highest number of 64 bits has."""
_FIELD_LENGTH = 64
"""The longest value of a field of INFO that is believed, in characters."""


class Unexpected(Exception):
    """A reply of another shape; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """Redis's reply to a command that it refused."""

    text: str


Parser = Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A command, and the parser of its reply."""

    command: tuple[object, ...]
    parse: Parser


def number(reply: object) -> int:
    """An integer of 64 bits."""
    if isinstance(reply, int) and reply.bit_length() < 64:
        return reply
    raise Unexpected("a number")


def flag(reply: object) -> bool:
    """0 or 1, as scripts return no and yes."""
    if reply in (0, 1) and isinstance(reply, int):
        return bool(reply)
    raise Unexpected("0 or 1")


def ok(reply: object) -> None:
    """OK and nothing else."""
    if reply != b"OK":
        raise Unexpected("OK")


def ok_or_nil(reply: object) -> bool:
    """OK, or nil where the command's condition (NX) did not hold."""
    if reply is not None and reply != b"OK":
        raise Unexpected("OK or nil")
    return reply is not None


def text(reply: object) -> bytes | None:
    """A value, or nil."""
    if reply is None or isinstance(reply, bytes):
        return reply
    raise Unexpected("text or nil")


def texts(reply: object) -> list[bytes]:
    """Any number of values."""
    if isinstance(reply, list) and all(isinstance(one, bytes) for one in reply):
        return reply
    raise Unexpected("a list of texts")


def pairs(reply: object) -> dict[bytes, bytes]:
    """Fields, each followed by its value."""
    try:
        flat = texts(reply)
        return dict(zip(flat[::2], flat[1::2], strict=True))
    except (Unexpected, ValueError):
        raise Unexpected("a list of fields and values") from None


def page(reply: object) -> tuple[int, list[bytes]]:
    """The next cursor of a scan, 0 at its end, and some keys."""
    if isinstance(reply, list) and len(reply) == 2:
        cursor, names = reply
        if isinstance(cursor, bytes) and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS:
            return int(cursor), texts(names)
    raise Unexpected("a cursor and a list of texts")


def fields(reply: object) -> dict[str, str]:
    """The fields of INFO, one a line. Lines that are too long or not printable are left out."""
    if not isinstance(reply, bytes):
        raise Unexpected("lines of text")
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, _, value in lines if len(value) <= _FIELD_LENGTH and value.isprintable()}


def unless_refused(parse: Callable[[object], T], otherwise: T, code: str = "") -> Callable[[object], T]:
    """A parser for a command that may be refused, with this code or with any: then ``otherwise``."""

    def parse_or(reply: object) -> T:
        return otherwise if isinstance(reply, ErrorReply) and reply.text.startswith(code) else parse(reply)

    return parse_or


def of_any_type(parse: Callable[[object], T], otherwise: T) -> Callable[[object], T]:
    """A parser for a key that may hold another type, which anybody can put there: then ``otherwise``."""
    return unless_refused(parse, otherwise, "WRONGTYPE")


def described(reply: object) -> str:
    """What a reply is, in a few words and without its text, which may be anything."""
    if reply is None:
        return "nil"
    if isinstance(reply, list):
        return f"a list of {len(reply):,}"
    if isinstance(reply, int):
        return f"a number of {reply.bit_length():,} bits"
    if isinstance(reply, bytes):
        return f"{len(reply):,} bytes of text"
    return type(reply).__name__
