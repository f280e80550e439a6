"""What one operation on Redis may take, over all of its round trips: a deadline, and a number of bytes read."""

from __future__ import annotations

import socket
import threading
from functools import cache
from typing import Any

from state import clock

CALL_SECONDS = 2.0
"""How long connecting, and each read of a reply, may take."""
OPERATION_CALLS = 3
"""How many times that long a whole operation may take."""
REPLY_BYTES = 128 << 20
"""How much one operation may read. The entries of half a million commits take as much."""


class TooManyBytes(Exception):
    """A server answered more than anything that Noonmark asks for can be."""


class Limits:
    """The limits of one operation that begins now. It may take ``times`` as long as the usual."""

    def __init__(self, times: int = 1) -> None:
        self._until = clock.monotonic() + times * OPERATION_CALLS * CALL_SECONDS
        self._bytes = REPLY_BYTES

    def seconds(self) -> float:
        """How long the operation may still take. Raises TimeoutError where its time is over."""
        left = self._until - clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def count(self, number: int) -> None:
        """Count bytes that were read. Raises TooManyBytes."""
        self._bytes -= number
        if self._bytes < 0:
            raise TooManyBytes


_here = threading.local()


def limit_this_thread(limits: Limits) -> None:
    """Apply limits to what this thread does on bounded connections, from now to its end."""
    _here.limits = limits


@cache
def bounded(kind: Any) -> type:
    """A subclass of a connection class of redis-py whose sockets keep to the limits of the thread that uses them."""

    class Bounded(kind):  # type: ignore[misc]
        def _connect(self) -> Any:
            return _Socket(super()._connect())

    return Bounded


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

    def recv_into(self, buffer: bytearray) -> int:  # hiredis calls this, where it is installed
        limits = self._begin()
        found = self._raw.recv_into(buffer)
        if limits:
            limits.count(found)
        return found

    def _begin(self) -> Limits | None:
        limits: Limits | None = getattr(_here, "limits", None)
        if limits:
            left = limits.seconds()
            self._raw.settimeout(left if self._timeout is None else min(self._timeout, left))
        return limits
