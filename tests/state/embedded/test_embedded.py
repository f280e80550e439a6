"""The embedded server: one for a directory, private, shared, and gone with its last user, however that one ends."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
import redis

from state.embedded import server as embedded
from state.embedded.server import EmbeddedServer, running
from state.errors import IndexUnavailable

PROJECT = Path(__file__).resolve().parents[3]

USE = """
import os, sys, time
from pathlib import Path
from state.embedded.server import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])) as server:
    if "fork" in sys.argv and os.fork() == 0:
        os.close(1)
        time.sleep(30)
    print(server.url, flush=True)
    sys.stdin.readline()
"""

CHURN = """
import json, random, sys, time
from pathlib import Path
import redis
from state.embedded.server import EmbeddedServer
chance = random.Random(int(sys.argv[2]))
until = time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    with EmbeddedServer(Path(sys.argv[1])) as server:
        start = time.monotonic()
        with redis.Redis.from_url(server.url, retry=None, socket_timeout=5) as client:
            run = client.info("server")["run_id"]
            client.incr("uses")
            time.sleep(chance.random() * 0.02)
            client.ping()
        print(json.dumps([start, time.monotonic(), run]), flush=True)
    time.sleep(chance.random() * 0.3)
"""


class User:
    """Another process that uses the server of ``directory``."""

    def __init__(
        self, directory: Path, *words: str, wait: bool = True, environment: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, str(directory), *words],
            cwd=PROJECT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.url = self._url() if wait else ""

    def _url(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line, "the user could not enter"
        return line

    def leave(self) -> None:
        """Leave in order; returns when the process has ended."""
        self.process.communicate("leave\n", timeout=20)
        assert self.process.returncode == 0

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End by a signal to its whole process group, as a terminal would."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, number)
            self.process.communicate(timeout=20)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return once ``condition`` holds, which it must within some seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.005)


def identity(url: str) -> tuple[str, int]:
    """Run id and process id of the server that answers at ``url``."""
    with redis.Redis.from_url(url, retry=None, socket_timeout=5) as client:
        found = client.info("server")
    assert isinstance(found, dict)
    return str(found["run_id"]), int(found["process_id"])


def shown(pid: int, column: str) -> str:
    """What ``ps`` shows in ``column`` for a process; empty where there is none."""
    return subprocess.run(
        ["ps", "-o", f"{column}=", "-p", str(pid)], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits for its parent's notice does not."""
    return shown(pid, "stat")[:1] not in ("", "Z")


def is_free(directory: Path) -> bool:
    """Whether neither a server nor a supervisor lives for ``directory``."""
    with open(directory / "server.lock", "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def socket_folder(url: str) -> Path:
    """The folder that holds the socket of ``url``."""
    return Path(unquote(url.removeprefix("unix://"))).parent


def read(url: str, key: str) -> object:
    """The value of ``key``, or None."""
    with redis.Redis.from_url(url, retry=None, socket_timeout=5) as client:
        return client.get(key)


def write(url: str, key: str, value: str) -> None:
    """Set ``key``."""
    with redis.Redis.from_url(url, retry=None, socket_timeout=5) as client:
        assert client.set(key, value)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory for a server, of which none may be left when the test is over."""
    path = tmp_path / "redis"
    yield path
    if path.is_dir() and (path / "server.lock").is_file():
        wait_until(lambda: is_free(path))
        assert not (path / "socket").is_file()


@pytest.fixture
def enter(directory: Path) -> Iterator[Callable[..., User]]:
    """Starts users, and ends those that the test did not."""
    users: list[User] = []

    def start(*words: str, wait: bool = True, environment: dict[str, str] | None = None) -> User:
        users.append(User(directory, *words, wait=wait, environment=environment))
        return users[-1]

    yield start
    for user in users:
        user.end()


def test_it_is_shared_and_ends_with_its_last_user(directory: Path, enter: Callable[..., User]) -> None:
    """Two processes get one server; it outlives the one that started it, and is gone once the last has left."""
    first, second = enter(), enter()
    server = identity(first.url)
    keeper = int(shown(server[1], "ppid"))
    assert identity(second.url) == server
    first.leave()
    assert identity(second.url) == server
    second.leave()
    assert not alive(server[1])
    assert not alive(keeper)
    assert is_free(directory)
    assert not socket_folder(second.url).is_dir()
    assert running(directory) is None


def test_two_that_start_at_once_share_it(enter: Callable[..., User]) -> None:
    """Several users that come while none has a server yet end up with a single one."""
    users = [enter(wait=False) for _ in range(4)]
    assert len({identity(user._url()) for user in users}) == 1


def test_leaving_returns_at_once_while_others_remain(directory: Path, enter: Callable[..., User]) -> None:
    """A user that is not the last does not wait, and leaves the server as it is; one process may use it twice."""
    with EmbeddedServer(directory) as first, EmbeddedServer(directory) as second:
        started = time.monotonic()
        second.close()
        assert time.monotonic() - started < 1
        assert identity(first.url)[0]
        second.close()


def test_killed_users_leave_no_server_behind(directory: Path, enter: Callable[..., User]) -> None:
    """SIGKILL of every user, who can tidy up nothing, ends the server all the same."""
    users = [enter() for _ in range(2)]
    server, folder = identity(users[0].url), socket_folder(users[0].url)
    for user in users:
        user.end(signal.SIGKILL)
    wait_until(lambda: is_free(directory))
    assert not alive(server[1])
    assert not folder.is_dir()


@pytest.mark.parametrize("seconds", [0, 0.01, 0.03, 0.06])
def test_a_starter_killed_halfway_leaves_no_server_behind(
    directory: Path, enter: Callable[..., User], seconds: float
) -> None:
    """A user killed while its server starts (the log is opened just before that) leaves nothing running."""
    user = enter(wait=False)
    wait_until((directory / "server.log").is_file)
    spawned = time.monotonic()
    wait_until(lambda: time.monotonic() - spawned >= seconds)
    user.end(signal.SIGKILL)
    wait_until(lambda: is_free(directory))
    assert not (directory / "socket").is_file()
    enter().leave()


def test_a_forked_child_does_not_keep_it(directory: Path, enter: Callable[..., User]) -> None:
    """A child that a user forked, and that outlives it, counts as no user: the server ends."""
    user = enter("fork")
    user.process.kill()
    user.process.communicate(timeout=20)
    try:
        wait_until(lambda: is_free(directory))
    finally:
        os.killpg(user.process.pid, signal.SIGKILL)


def test_an_interrupt_in_the_starting_terminal_does_not_reach_it(enter: Callable[..., User]) -> None:
    """Ctrl-C ends the command that started the server; the other terminal goes on with it."""
    first, second = enter(), enter()
    server = identity(first.url)
    first.end(signal.SIGINT)
    assert identity(second.url) == server


def test_data_survives_a_restart_and_a_kill(directory: Path, enter: Callable[..., User]) -> None:
    """What was written is there after the last user left, and after SIGKILL of the server; that is started anew."""
    first = enter()
    write(first.url, "restart", "kept")
    first.leave()
    second = enter()
    assert read(second.url, "restart") == b"kept"
    write(second.url, "kill", "kept")
    killed = identity(second.url)
    os.kill(killed[1], signal.SIGKILL)
    wait_until(lambda: is_free(directory))
    assert not socket_folder(second.url).is_dir()
    third = enter()
    fresh = identity(third.url)
    assert fresh != killed
    assert read(third.url, "kill") == b"kept"
    third.leave()
    assert alive(fresh[1]), "the second user holds the directory still"
    second.leave()
    assert not alive(fresh[1])


def test_its_append_only_file_stays_small(directory: Path) -> None:
    """Every start reads all of it: what was overwritten and taken back, as leases are, does not pile up there."""

    def size() -> int:
        found = 0
        for file in (directory / "appendonlydir").iterdir():
            with suppress(FileNotFoundError):  # it was replaced meanwhile
                found += file.stat().st_size
        return found

    with EmbeddedServer(directory) as server, redis.Redis.from_url(server.url) as client:
        for _ in range(5):
            client.set("the same", b"x" * (1 << 20))
        wait_until(lambda: size() < 2 << 20)
        assert client.strlen("the same") == 1 << 20
    with EmbeddedServer(directory) as server, redis.Redis.from_url(server.url) as client:
        assert client.strlen("the same") == 1 << 20


def test_it_works_and_ends_without_its_supervisor(directory: Path, enter: Callable[..., User]) -> None:
    """With the supervisor killed the next user finds the same server, and the last to leave in order ends it."""
    first = enter()
    server = identity(first.url)
    keeper = int(shown(server[1], "ppid"))
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not alive(keeper))
    assert not is_free(directory), "a second server could start"
    second = enter()
    assert identity(second.url) == server
    first.leave()
    assert identity(second.url) == server
    second.leave()
    assert not alive(server[1])
    assert is_free(directory)
    assert not socket_folder(second.url).is_dir()


def test_what_killed_processes_left_is_cleared_away(directory: Path, enter: Callable[..., User]) -> None:
    """With supervisor and server killed, the next user starts anew and removes the old socket's folder."""
    first = enter()
    server = identity(first.url)
    os.kill(int(shown(server[1], "ppid")), signal.SIGKILL)
    os.kill(server[1], signal.SIGKILL)
    wait_until(lambda: is_free(directory))
    second = enter()
    assert identity(second.url) != server
    assert not socket_folder(first.url).is_dir()


def test_terminating_the_supervisor_ends_the_server(directory: Path, enter: Callable[..., User]) -> None:
    """SIGTERM to the supervisor (a machine that goes down) flushes and ends the server, although it has users."""
    user = enter()
    server = identity(user.url)
    os.kill(int(shown(server[1], "ppid")), signal.SIGTERM)
    wait_until(lambda: is_free(directory))
    assert not alive(server[1])
    assert "ready to exit" in (directory / "server.log").read_text()


def test_a_hanging_server_is_reported_and_killed(directory: Path, enter: Callable[..., User]) -> None:
    """A server that does not answer is reported within the deadline; its last user leaves only once it is killed."""
    user = enter()
    server = identity(user.url)
    os.kill(server[1], signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(IndexUnavailable, match=r"did not answer within 0\.2 s"), EmbeddedServer(directory, 0.2):
        pass
    assert time.monotonic() - started < 5
    user.leave()
    assert not alive(server[1])


def test_who_comes_while_it_shuts_down_gets_a_fresh_one(directory: Path, enter: Callable[..., User]) -> None:
    """A user who enters when the supervisor has already given up the server waits for its end, then gets a new one."""
    user = enter()
    old = identity(user.url)
    os.kill(old[1], signal.SIGSTOP)
    user.end(signal.SIGKILL)

    def supervisor_shuts_down() -> bool:
        with open(directory / "users.lock", "r+") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    wait_until(supervisor_shuts_down)
    late = enter(wait=False)
    os.kill(old[1], signal.SIGCONT)
    fresh = identity(late._url())
    assert fresh != old
    assert not alive(old[1])


@pytest.mark.parametrize("name", ["with space", "größe 日本 'quoted\" #1?%20", "/".join(["deep" * 15] * 5)])
def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    """Spaces, unicode, what means something in a URL, and paths far beyond the limit of a socket's path work."""
    path = tmp_path / name
    with EmbeddedServer(path) as server:
        write(server.url, "key", "value")
        assert running(path) == server.url
    with EmbeddedServer(path) as server:
        assert read(server.url, "key") == b"value"
    assert is_free(path)


def test_a_relative_directory_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes the working directory meanwhile still leaves the server that was entered."""
    monkeypatch.chdir(tmp_path)
    server = EmbeddedServer(Path("redis"))
    monkeypatch.chdir("/")
    with server:
        monkeypatch.chdir(tmp_path)
    assert is_free(tmp_path / "redis")


@pytest.mark.parametrize("name", ["x" * 120, "odd #é?%41"])
def test_any_temporary_directory_will_do(tmp_path: Path, enter: Callable[..., User], name: str) -> None:
    """A TMPDIR too long for a socket is passed over; one with odd characters gives a URL that redis-py takes."""
    temporary = tmp_path / name
    temporary.mkdir()
    user = enter(environment={"TMPDIR": str(temporary)})
    assert identity(user.url)[0]
    assert (socket_folder(user.url).parent == temporary) == (len(os.fsencode(temporary)) < 77)


def test_nobody_else_may_connect(directory: Path) -> None:
    """Directory, socket, its folder and every file are closed to others, whatever the umask; no port is open."""
    before = os.umask(0)
    try:
        with EmbeddedServer(directory) as server, redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
            folder = socket_folder(server.url)
            for path in (directory, *directory.rglob("*"), folder, *folder.iterdir()):
                assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
            assert client.config_get("port")["port"] == "0"
            assert client.config_get("appendfsync")["appendfsync"] == "everysec"
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    finally:
        os.umask(before)


def test_an_open_directory_is_refused(directory: Path) -> None:
    """A directory that others can write is refused, with the command that closes it, and nothing is put there."""
    directory.mkdir()
    directory.chmod(0o770)
    with pytest.raises(IndexUnavailable, match="mode 0770, expected 0700") as refused, EmbeddedServer(directory):
        pass
    assert refused.value.command == f"chmod 700 {directory}"
    assert not list(directory.iterdir())


def test_an_open_socket_folder_is_not_trusted(directory: Path, enter: Callable[..., User]) -> None:
    """A socket is used only in a folder that is this user's and closed to all others."""
    user = enter()
    folder = socket_folder(user.url)
    assert running(directory) == user.url
    folder.chmod(0o755)
    assert running(directory) is None
    folder.chmod(0o700)
    assert running(directory) == user.url


def test_a_copied_directory_gets_its_own_server(directory: Path, tmp_path: Path, enter: Callable[..., User]) -> None:
    """A copy, taken while the server ran, does not use the original's server, nor remove its socket."""
    user = enter()
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    assert running(copy) is None
    with EmbeddedServer(copy) as server:
        assert identity(server.url) != identity(user.url)
    assert running(directory) == user.url


def test_a_directory_deleted_in_use_is_started_anew(directory: Path, enter: Callable[..., User]) -> None:
    """Deleting the directory under a server gives the next user a fresh one, and leaves neither behind."""
    first = enter()
    old = identity(first.url)
    shutil.rmtree(directory)
    second = enter()
    assert identity(second.url) != old
    assert identity(first.url) == old
    first.leave()
    wait_until(lambda: not socket_folder(first.url).is_dir())
    assert not alive(old[1])
    assert identity(second.url)[0]
    second.leave()


def test_a_damaged_append_only_file_is_set_aside(directory: Path, enter: Callable[..., User]) -> None:
    """Where the server refuses its file, that is kept under another name, and the server starts empty."""
    for number in (1, 2):
        user = enter()
        write(user.url, "key", "value")
        user.leave()
        file = next((directory / "appendonlydir").glob("*.incr.aof"))
        damaged = b"*3\r\n$3\r\nSET\r\nnot a command\r\n" + file.read_bytes()
        file.write_bytes(damaged)
        user = enter()
        assert read(user.url, "key") is None
        user.leave()
        assert (directory / f"appendonlydir.damaged-{number}" / file.name).read_bytes() == damaged


def test_a_server_that_cannot_start_is_reported_and_costs_no_data(
    directory: Path, enter: Callable[..., User], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error shows the end of the log; an append-only file that was not to blame is in its place afterwards."""
    user = enter()
    write(user.url, "key", "value")
    user.leave()
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    broken.chmod(0o700)
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "_binary", lambda: str(broken))
        with pytest.raises(IndexUnavailable, match=r"(?s)did not start.*no such luck"), EmbeddedServer(directory):
            pass
    assert not list(directory.glob("*damaged*"))
    user = enter()
    assert read(user.url, "key") == b"value"


def test_running_starts_and_writes_nothing(directory: Path) -> None:
    """Asking whether a server runs changes no file, makes no directory, and takes no part in its life."""

    def listing() -> dict[str, tuple[int, int]]:
        found = (directory, *directory.rglob("*"))
        return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in found}

    assert running(directory) is None
    assert not directory.parent.joinpath("redis").is_dir()
    with EmbeddedServer(directory) as server:
        before = listing()
        assert running(directory) == server.url
        assert listing() == before
    before = listing()
    assert running(directory) is None
    assert listing() == before


def test_many_that_come_and_go_never_meet_two_servers(directory: Path) -> None:
    """Eight processes enter and leave, some are killed: always a working server, at no instant two, no write lost."""
    chance = random.Random(7)
    until = time.monotonic() + 3
    processes: list[subprocess.Popen[str]] = []
    killed: list[subprocess.Popen[str]] = []

    def start() -> None:
        words = [sys.executable, "-c", CHURN, str(directory), str(chance.random())[2:], str(until - time.monotonic())]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(words, cwd=PROJECT, stdout=pipe, stderr=pipe, text=True))

    for _ in range(8):
        start()
    while time.monotonic() < until - 1:
        time.sleep(chance.random() * 0.3)  # the moment of the kill is the point
        victim = processes.pop(chance.randrange(len(processes)))
        victim.kill()
        killed.append(victim)
        start()
    uses: list[tuple[float, float, str]] = []
    for process in processes + killed:
        output, errors = process.communicate(timeout=30)
        assert process in killed or process.returncode == 0, errors
        uses += [tuple(json.loads(line)) for line in output.splitlines() if line.endswith("]")]
    wait_until(lambda: is_free(directory))
    uses.sort()
    assert len({run for _, _, run in uses}) > 2, "the server never went down, so nothing was shown"
    for index, (_, end, run) in enumerate(uses):
        for other_start, _, other in uses[index + 1 :]:
            if other_start > end:
                break
            assert other == run, "two servers at one time"
    with EmbeddedServer(directory) as server:
        count = read(server.url, "uses")
    assert isinstance(count, bytes)
    assert int(count) >= len(uses)
