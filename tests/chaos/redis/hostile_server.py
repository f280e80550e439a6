"""Whatever may call itself Redis: a server that answers as a real one, and some calls, or all, with anything else."""

from __future__ import annotations

import itertools
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from urllib.parse import quote

Command = list[bytes]
CLOSE = None
"""In a reply: the connection ends here."""


@dataclass(frozen=True, slots=True)
class ErrorValue:
    """A reply that is an error."""

    text: bytes


class _NoValue:
    """What is no reply, or never becomes one."""


NO_VALUE = _NoValue()


@dataclass(frozen=True)
class Reply:
    """What is sent in place of a reply, piece by piece, and the ``value`` that a reader makes of it."""

    name: str
    pieces: Callable[[], Iterable[bytes | None]]
    value: object = NO_VALUE


def encoded(value: object) -> bytes:
    """A value as RESP2 has it."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, ErrorValue):
        return b"-" + value.text + b"\r\n"
    if isinstance(value, int):
        return b":%s\r\n" % str(value).encode()
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    assert isinstance(value, list)
    return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))


_TEXTS = (
    *(
        b"",
        b"0",
        b"1",
        b"OK",
        b"17",
        b"2024-01-01",
        b"totals",
        b"noonmark:{totals}:commits",
        b"a" * 70_000,
        b"\xff\xfe",
    ),
    *(b'{"generation":1,"nonce":"x"}', b"role:master\r\naof_enabled:1\r\nconnected_slaves:\xc2\xb2", b"9" * 40),
)
_ERRORS = tuple(
    map(
        ErrorValue,
        (
            *(b"ERR no", b"WRONGTYPE no", b"NOAUTH no", b"LOADING no", b"MOVED 1 127.0.0.1:1", b"READONLY no", b""),
            *(b"NOPERM no", b"OOM no", b"MISCONF no", b"ERR max number of clients reached", b"\xff\xfe", b"BUSY no"),
        ),
    )
)
_NUMBERS = (0, 1, -1, 2, -2, 7, 2**63 - 1, 2**63, -(10**30), 10**400)


def any_value(chance: random.Random, depth: int = 0) -> object:
    """A value of any type, nested to any depth."""
    kind = chance.randrange(5 if depth < 3 else 4)
    if kind == 0:
        return None
    if kind == 1:
        return chance.choice(_NUMBERS)
    if kind == 2:
        return chance.choice(_ERRORS)
    if kind == 3:
        return chance.choice(_TEXTS)
    if chance.random() < 0.5:  # of one type, and short or long: what a list that is trusted would be
        value = any_value(chance, depth + 1)
        return [value] * chance.choice((1, 2, 3, 4, 60))
    return [any_value(chance, depth + 1) for _ in range(chance.randrange(5))]


_BROKEN = (
    *(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xfe\x00\r\n", b"\r\n", b"\x00" * 100 + b"\r\n"),
    *(b":x\r\n", b":\r\n", b":1e3\r\n", b":" + b"9" * 5000 + b"\r\n", b"$x\r\n", b"$-99\r\nx\r\n", b"*x\r\n"),
    *(b"$99\r\nabc\r\n", b"$99999999999999\r\n", b"*1000000000\r\n", b"*3\r\n:1\r\n", b"*1\r\n" * 5000),
    *(b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(3492890328409238509324850943850943825024385\r\n", b"%1\r\n+a\r\n:1\r\n"),
    *(b"~1\r\n+a\r\n", b"|1\r\n+a\r\n+b\r\n:1\r\n", b">2\r\n+message\r\n+x\r\n", b"=7\r\ntxt:abc\r\n"),
)
"""What no reader of this protocol makes a value of."""


def _endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    yield from itertools.repeat(piece)


def _dribbled(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece
        time.sleep(0.03)


ENDLESS = (
    Reply("a line that never ends", lambda: _endless(b"+", b"x" * 65536)),
    Reply("a text that never ends", lambda: _endless(b"$99999999999\r\n", b"x" * 65536)),
    Reply("numbers without an end", lambda: _endless(b"*1000000000\r\n", b":1\r\n" * 10_000)),
    Reply("lists without an end", lambda: _endless(b"*1000000000\r\n", b"*0\r\n" * 10_000)),
    Reply("texts without an end", lambda: _endless(b"*1000000000\r\n", b"$1\r\nx\r\n" * 10_000)),
    Reply("a line that dribbles", lambda: _dribbled(b"+")),
    Reply("a list that dribbles", lambda: itertools.chain([b"*100000\r\n"], _dribbled(b":1\r\n"))),
    Reply("silence", lambda: itertools.chain([b"$"], _dribbled(b""))),
)


def any_reply(chance: random.Random) -> Reply:
    """Any reply: most are values, some are broken off, broken, or never end."""
    kind = chance.random()
    if kind < 0.05:
        return chance.choice(ENDLESS)
    if kind < 0.2:
        broken = chance.choice(_BROKEN)
        return Reply(f"{broken[:30]!r}", lambda: (broken, CLOSE))
    value = any_value(chance)
    content = encoded(value)
    if isinstance(value, bytes) and b"\r" not in value and chance.random() < 0.5:
        content = b"+%s\r\n" % value
    if kind < 0.3:
        cut = chance.randrange(len(content))
        return Reply(f"{content[:cut][:30]!r} and no more", lambda: (content[:cut], CLOSE))
    return Reply(f"{content[:60]!r}", lambda: (content,), value)


Answer = Callable[[int, Command], Reply | None]
"""What the n-th command, from 1, is answered; None: what the real server says."""


class HostileServer:
    """A server in front of the one at ``upstream`` that answers some commands itself, or all where there is none.

    ``sent`` counts its own bytes.
    """

    def __init__(self, upstream: Path | None, answer: Answer, *, tcp: bool = False) -> None:
        self._upstream = upstream
        self._answer = answer
        self._counting = threading.Lock()
        self._commands = 0
        self.sent = 0
        self._open: list[socket.socket] = []
        self._folder = Path(tempfile.mkdtemp(prefix="noonmark-stranger-"))
        self._listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if tcp else str(self._folder / "socket"))
        self._listener.listen()
        self.port = self._listener.getsockname()[1] if tcp else 0
        self.url = f"redis://127.0.0.1:{self.port}" if tcp else f"unix://{quote(str(self._folder / 'socket'))}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        shutil.rmtree(self._folder)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client, socket.socket(socket.AF_UNIX) as server:
            if self._upstream:
                server.connect(str(self._upstream))
            asked, answered = client.makefile("rb"), server.makefile("rb")
            while command := _command(asked):
                with self._counting:
                    self._commands += 1
                    reply = self._answer(self._commands, command)
                if reply is None:
                    server.sendall(encoded(command))
                    client.sendall(b"".join(_raw_reply(answered)))
                    continue
                for piece in reply.pieces():
                    if piece is CLOSE:
                        return
                    client.sendall(piece)
                    self.sent += len(piece)


def _command(stream: BufferedReader) -> Command:
    head = stream.readline()
    words = []
    for _ in range(int(head[1:]) if head else 0):
        length = int(stream.readline()[1:])
        words.append(stream.read(length + 2)[:-2])
    return words


def _raw_reply(stream: BufferedReader) -> Iterator[bytes]:
    line = stream.readline()
    yield line
    if line[:1] == b"$" and line[1:2] != b"-":
        yield stream.read(int(line[1:]) + 2)
    elif line[:1] == b"*":
        for _ in range(int(line[1:])):
            yield from _raw_reply(stream)
