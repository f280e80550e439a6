"""A proxy between a run and its Redis: something can happen at an exact call, or to one reply.

Its address stays the same while the servers behind it are killed and replaced, as in production.
"""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

_HOLD_SECONDS = 10.0
_PIECE = 1 << 20


class Proxy:
    """Forwards connections to the server at ``upstream`` (the path of a socket). What it sees of a run are its calls.

    ``before`` is asked with each call's number, from 1, and its bytes, before the server sees it. ``swallow`` is the
    number of the call whose reply is lost with its connection, ``hold`` that of the call whose reply comes too late.
    """

    def __init__(self, upstream: Path) -> None:
        self.upstream = upstream
        self.calls = 0
        self.before: Callable[[int, bytes], None] = _nothing
        self.swallow = self.hold = 0
        self._counting = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="noonmark-proxy-"))
        self._listener: socket.socket | None = None
        self.url = f"unix://{quote(str(self._folder / 'socket'))}"
        self.open()

    def open(self) -> None:
        """Take connections."""
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._folder / "socket"))
            self._listener.listen()
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Take no connection: there is no server at the address."""
        listener, self._listener = self._listener, None
        if listener:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            (self._folder / "socket").unlink()

    def close(self) -> None:
        """Forward no more."""
        self.shut()
        shutil.rmtree(self._folder)

    def undisturbed(self) -> None:
        """Count anew, and do nothing but forward."""
        self.calls = self.swallow = self.hold = 0
        self.before = _nothing

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(connection,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self.upstream))
            while self._pass_on(client, server):
                pass

    def _pass_on(self, client: socket.socket, server: socket.socket) -> bool:
        readable, _, _ = select.select([client, server], [], [])
        if server in readable:
            reply = server.recv(_PIECE)
            client.sendall(reply)
            return bool(reply)
        call = client.recv(_PIECE)
        if not call:
            return False
        with self._counting:
            self.calls += 1
            number = self.calls
            self.before(number, call)  # under the lock: nothing else is asked while something happens
        server.sendall(call)
        if number not in (self.swallow, self.hold):
            return True
        server.recv(_PIECE)  # it was applied
        if number == self.hold:
            select.select([client], [], [], _HOLD_SECONDS)  # until the client gives up
        return False


def _nothing(_: int, __: bytes) -> None:
    pass
