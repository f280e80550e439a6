"""What may be answered to each command. Whatever calls itself Redis may answer anything, and nothing else goes further.

A shape takes a reply as it came over the wire, and gives what it says or raises ``Unexpected`` with what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
_CURSOR_DIGITS = 20
"""Of the highest number of 64 bits."""
_TOLD = 64
"""How many characters of a field that a server tells of itself are believed to be one."""


class Unexpected(Exception):
    """A reply of another shape; the text is what was expected."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A reply that says why there is none."""

    text: str


Shape = Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A command and the shape of its reply."""

    command: tuple[object, ...]
    shape: Shape


def number(reply: object) -> int:
    """A count, or a time; no 64 bits hold more."""
    if isinstance(reply, int) and reply.bit_length() < 64:
        return reply
    raise Unexpected("a number")


def flag(reply: object) -> bool:
    """0 or 1, as a script says no and yes."""
    if reply in (0, 1) and isinstance(reply, int):
        return bool(reply)
    raise Unexpected("0 or 1")


def done(reply: object) -> None:
    """OK and nothing else."""
    if reply != b"OK":
        raise Unexpected("OK")


def granted(reply: object) -> bool:
    """OK, or nothing where a condition was not met."""
    if reply is not None and reply != b"OK":
        raise Unexpected("OK or nothing")
    return reply is not None


def text(reply: object) -> bytes | None:
    """A value, or nothing where there is none."""
    if reply is None or isinstance(reply, bytes):
        return reply
    raise Unexpected("text or nothing")


def texts(reply: object) -> list[bytes]:
    """Any number of values."""
    if isinstance(reply, list) and all(isinstance(one, bytes) for one in reply):
        return reply
    raise Unexpected("a list of texts")


def pairs(reply: object) -> dict[bytes, bytes]:
    """Fields with their values, one after the other."""
    try:
        flat = texts(reply)
        return dict(zip(flat[::2], flat[1::2], strict=True))
    except (Unexpected, ValueError):
        raise Unexpected("a list of fields and values") from None


def page(reply: object) -> tuple[int, list[bytes]]:
    """Where a scan goes on, 0 at its end, and some keys."""
    if isinstance(reply, list) and len(reply) == 2:
        cursor, names = reply
        if isinstance(cursor, bytes) and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS:
            return int(cursor), texts(names)
    raise Unexpected("a cursor and a list of texts")


def fields(reply: object) -> dict[str, str]:
    """What a server tells of itself, line by line; a line that no person could read is left out."""
    if not isinstance(reply, bytes):
        raise Unexpected("lines of text")
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, _, value in lines if len(value) <= _TOLD and value.isprintable()}


def of_any_type(shape: Callable[[object], T], otherwise: T) -> Callable[[object], T]:
    """A shape where a key of another type, which anybody can put there, reads as ``otherwise``."""

    def read(reply: object) -> T:
        if isinstance(reply, ErrorReply) and reply.text.startswith("WRONGTYPE"):
            return otherwise
        return shape(reply)

    return read


def if_permitted(shape: Callable[[object], T], otherwise: T) -> Callable[[object], T]:
    """A shape for what many a server keeps from its users: an error reads as ``otherwise``."""

    def read(reply: object) -> T:
        return otherwise if isinstance(reply, ErrorReply) else shape(reply)

    return read


def described(reply: object) -> str:
    """A reply in a few words: it may be anything, of any length."""
    if reply is None:
        return "nothing"
    if isinstance(reply, list):
        return f"a list of {len(reply):,}"
    if isinstance(reply, int):
        return f"a number of {reply.bit_length():,} bits" if reply.bit_length() > 64 else str(reply)
    if isinstance(reply, bytes):
        return repr(reply[:40])[1:] + "…" * (len(reply) > 40)
    return type(reply).__name__
