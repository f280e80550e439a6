"""Connections that end with what they serve: by one deadline, and by how much they may read.

redis-py bounds each read of a reply and nothing else: a server that dribbles renews its time-out for ever, and one that
never stops talking fills the memory.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from state import clock

REPLY_BYTES = 128 << 20
"""How much one operation may read. The entries of half a million commits take as much."""


class TooMuch(Exception):
    """More was answered than anything that Noonmark asks for can be."""


@dataclass(slots=True)
class Limits:
    """What one operation may take, in all of its calls: until when (monotonic seconds), and how many bytes more."""

    until: float
    bytes: int

    @classmethod
    def of(cls, seconds: float) -> Limits:
        """Limits of an operation that begins now."""
        return cls(clock.monotonic() + seconds, REPLY_BYTES)

    @property
    def seconds(self) -> float:
        """How long it may still take. Raises TimeoutError where that is over."""
        left = self.until - clock.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long in all")
        return left

    def count(self, number: int) -> None:
        """Count bytes that were read. Raises TooMuch."""
        self.bytes -= number
        if self.bytes < 0:
            raise TooMuch(f"more than {REPLY_BYTES >> 20} MiB")


_here = threading.local()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Bound what this thread does on bounded connections."""
    _here.limits = limits
    try:
        yield
    finally:
        del _here.limits


class _Socket:
    """A socket that keeps to the limits of the thread that uses it."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._timeout = raw.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._raw.settimeout(seconds)

    def sendall(self, content: bytes) -> None:
        self._begin()
        self._raw.sendall(content)

    def recv(self, size: int) -> bytes:
        limits = self._begin()
        found = self._raw.recv(size)
        if limits:
            limits.count(len(found))
        return found

    def recv_into(self, buffer: bytearray) -> int:  # hiredis, where somebody installed it
        limits = self._begin()
        found = self._raw.recv_into(buffer)
        if limits:
            limits.count(found)
        return found

    def _begin(self) -> Limits | None:
        limits: Limits | None = getattr(_here, "limits", None)
        if limits:
            left = limits.seconds
            self._raw.settimeout(left if self._timeout is None else min(self._timeout, left))
        return limits


if TYPE_CHECKING:

    class _Connects:
        def _connect(self) -> socket.socket: ...

else:
    _Connects = object


class _Bounded(_Connects):
    def _connect(self) -> Any:
        return _Socket(super()._connect())


@cache
def bounded(kind: type) -> type:
    """A class of redis-py's connections, less the freedom to read for ever."""
    return type(f"Bounded{kind.__name__}", (_Bounded, kind), {})
