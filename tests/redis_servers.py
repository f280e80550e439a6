"""Real Redis servers for tests: the Valkey that Noonmark brings along, and Debian's Redis 7.0 where it is installed."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from state.embedded import server as embedded
from state.embedded.server import EmbeddedServer
from state.index.connection import Connection
from state.index.index import Index

NAMESPACE = "noonmark"
DEADLINE = 20.0
CONTRACT = re.compile(
    rb"noonmark:(root|\{[A-Za-z][A-Za-z0-9_]*\}:(processed_days|last_processed_day|commits|failures|lease:.+))",
    re.DOTALL,
)
"""The key names that the contract allows."""


def client_of(url: str) -> redis.Redis:
    """A plain client, for looking at a server from outside."""
    client: redis.Redis = redis.Redis.from_url(url, socket_timeout=DEADLINE, retry=None)
    return client


def wait_until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Return once ``condition`` holds, which it must in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.01)


@dataclass(frozen=True)
class Server:
    """A server of a test's own, which the test may harm."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    def stop(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a stopped server go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, even of a stopped one."""
        self.process.kill()
        self.process.wait()


def valkey() -> str:
    """The binary of the embedded server; as a Sentinel it serves too."""
    return embedded._binary()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(
    *arguments: str, binary: str | None = None, wait: bool = True, folder: Path | None = None
) -> Iterator[Server]:
    """A server on a socket of its own, without persistence; gone afterwards, whatever was done to it."""
    own = Path(tempfile.mkdtemp(prefix="noonmark-redis-"))
    path = own / "socket"
    command = [binary or valkey(), "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        [*command, "--dir", str(folder or own), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(process, f"unix://{quote(str(path))}", own)
    try:
        wait_until(lambda: process.poll() is not None or _answers(path, wait))
        assert process.poll() is None, "the server did not start"
        yield server
    finally:
        server.kill()
        shutil.rmtree(own)


def _answers(path: Path, in_earnest: bool) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.settimeout(1)
        probe.connect(str(path))
        probe.sendall(b"PING\r\n")
        answer = probe.recv(100)
        return bool(answer) and (not in_earnest or answer.startswith((b"+PONG", b"-NOAUTH")))
    return False


@contextmanager
def speaking(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of something that listens where Redis should, and does ``answer`` with each connection."""
    folder = Path(tempfile.mkdtemp(prefix="noonmark-fake-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"unix://{quote(str(folder / 'socket'))}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(DEADLINE)
        shutil.rmtree(folder)


@pytest.fixture(scope="session", params=["valkey", "redis-7.0"])
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of each kind that Noonmark supports; shared, so nothing may be done to the server itself."""
    if request.param == "valkey":
        with EmbeddedServer(tmp_path_factory.mktemp("embedded")) as server:
            yield server.url
        return
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on the PATH (apt-get install redis-server): tested with Valkey alone")
    with started(binary=binary) as debian:
        yield debian.url


@pytest.fixture
def client(server_url: str) -> Iterator[redis.Redis]:
    """A client of the shared server, which is empty. A test that leaves another key than the contract's fails."""
    with client_of(server_url) as client:
        client.flushall()
        yield client
        foreign = [key for key in client.scan_iter() if not CONTRACT.fullmatch(key)]
        assert not foreign, f"keys that the contract does not know: {foreign}"


@pytest.fixture
def index(server_url: str, client: redis.Redis) -> Iterator[Index]:
    """An index on the shared, empty server."""
    with closing(Connection(server_url)) as connection:
        yield Index(connection, NAMESPACE)


def dump(client: redis.Redis) -> dict[bytes, object]:
    """Every key with its value, as bytes, in a form that compares equal where the values are."""
    found: dict[bytes, object] = {}
    for key in client.scan_iter():
        kind = client.type(key)
        if kind == b"hash":
            found[key] = client.hgetall(key)
        elif kind == b"set":
            found[key] = client.smembers(key)
        elif kind == b"string":
            found[key] = client.get(key)
        else:
            found[key] = kind
    return found
