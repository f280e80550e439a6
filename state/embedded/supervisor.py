"""The parent process of an embedded server. It ends the server once all users are gone, however they ended.

Runs isolated (``python -I -S``), so it imports the standard library only. The module ``server`` takes the names of
files from here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

USERS_LOCK = "users.lock"
SERVER_LOCK = "server.lock"
LEAVING_LOCK = "leaving.lock"
SOCKET_FILE = "socket"
LOG_FILE = "server.log"
APPEND_ONLY = "appendonlydir"

_FOLDER_PREFIX = "noonmark-"
_SOCKET_LIMIT = 100  # bytes of a socket's path: 107 fit on Linux, 103 on macOS
_TERMINATE_SECONDS = 3.0
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


def named_socket(directory: str, identity: int) -> str | None:
    """The socket recorded in ``directory``, or None where there is none or its folder is not private to this user.

    ``identity`` is the inode of the directory's ``users.lock``: a copy of the directory also records the socket of the
    original.
    """
    try:
        with open(os.path.join(directory, SOCKET_FILE), encoding="utf-8") as file:
            owner, _, path = file.read(4096).partition("\n")
        folder = os.lstat(os.path.dirname(path))
    except (OSError, ValueError):
        return None
    private = stat.S_ISDIR(folder.st_mode) and folder.st_uid == os.geteuid() and not folder.st_mode & 0o077
    named = os.path.basename(os.path.dirname(path)).startswith(_FOLDER_PREFIX)
    return path if owner == str(identity) and os.path.isabs(path) and private and named else None


def ask(path: str, command: bytes, seconds: float) -> bytes:
    """The first line that the server at ``path`` answers, without its end; empty where it closed. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        until = time.monotonic() + seconds
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(command + b"\r\n")
        reply = b""
        while b"\r\n" not in reply and len(reply) < 4096:
            connection.settimeout(max(until - time.monotonic(), 0.001))
            if not (part := connection.recv(4096)):
                break
            reply += part
        return reply.partition(b"\r\n")[0]


def answers(path: str, seconds: float = 1.0) -> bool:
    """Whether a server at ``path`` is ready; one that still loads its data is not."""
    try:
        return ask(path, b"PING", seconds) == b"+PONG"
    except OSError:
        return False


def forget(directory: str, identity: int) -> None:
    """Remove the socket of a server that is gone, and its name. Only for a holder of ``server.lock``."""
    if path := named_socket(directory, identity):
        _remove_socket(path)
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(directory, SOCKET_FILE))


def _remove_socket(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def _log(line: str) -> None:
    sys.stdout.write(f"noonmark: {line}\n")  # stdout is the server's log
    sys.stdout.flush()


def _new_socket(identity: int) -> str:
    """A socket path in a private folder of its own, short enough for the kernel, named by the current directory."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108 - mkdtemp makes it safe
        if not parent.isprintable() or len(os.fsencode(parent)) + 24 > _SOCKET_LIMIT:
            continue
        try:
            path = os.path.join(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent), "socket")
        except OSError as error:
            _log(f"no folder for the socket in {parent}: {error}")
            continue
        with open(f"{SOCKET_FILE}.new", "w", encoding="utf-8") as file:
            file.write(f"{identity}\n{path}")
        os.replace(f"{SOCKET_FILE}.new", SOCKET_FILE)
        return path
    raise SystemExit("noonmark: no temporary directory (TMPDIR, /tmp) can hold the server's socket")


class _Server:
    """The server's process. One thread runs it and waits for its end, another one stops it."""

    def __init__(self, binary: str, path: str, lock: int) -> None:
        self._command = [binary, "--dir", "./", "--port", "0", "--unixsocket", path, "--unixsocketperm", "700"]
        self._command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"]
        # The append-only file is read whole at each start; by default it may grow to 64 MB first, which takes 0.7 s.
        self._command += ["--auto-aof-rewrite-min-size", "4mb"]
        self._command += ["--maxmemory-policy", "noeviction", "--always-show-logo", "no"]
        self._path = path
        self._lock = lock
        self._gate = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = threading.Event()
        self._stopping = False

    def run(self) -> tuple[bool, int]:
        """Start the server and wait until it ends: whether it became ready, and its exit status."""
        with self._gate:
            if self._stopping:
                return True, 0
            # It inherits the directory's lock: no second server can start while this one lives.
            process = subprocess.Popen(  # noqa: S603 - no shell, and no word of it comes from a user
                self._command, stdin=subprocess.DEVNULL, pass_fds=(self._lock,), env={}
            )
            self._process = process
            self._gone.clear()
        ready = False
        while process.poll() is None and not (ready := answers(self._path)):
            time.sleep(0.01)
        status = process.wait()
        self._gone.set()
        return ready or self._stopping, status

    def stop(self) -> None:
        """End the server: by SIGTERM, so that it flushes its append-only file, then by SIGKILL."""
        with self._gate:
            self._stopping = True
            process = self._process
        if process is not None:
            process.terminate()
            if not self._gone.wait(_TERMINATE_SECONDS):
                process.kill()


def _run_with_fallback(server: _Server) -> None:
    """Run the server; where it refuses its append-only file, set that aside and run again: the index can be rebuilt."""
    ready, status = server.run()
    if ready or not (status > 0 or -status in _CRASHES):
        return
    number = 1
    while os.path.lexists(aside := f"{APPEND_ONLY}.damaged-{number}"):
        number += 1
    try:
        os.rename(APPEND_ONLY, aside)
    except FileNotFoundError:
        return
    _log(f"the server did not start with its append-only file; that is now {aside}")
    ready, _ = server.run()
    if not ready:
        os.rename(aside, APPEND_ONLY)  # not the file's fault; replaces an empty folder, fails on any other
        _log("nor did it without; the append-only file is back in its place")


def _name_process() -> None:
    """Set a name of its own in ``ps``, so that ``killall python3`` does not leave the server without its supervisor."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write("noonmark-reaper")
    except OSError:
        pass


def main(binary: str, lock: int, identity: int) -> None:
    """Run a server for the current directory until its last user is gone, holding its lock (descriptor ``lock``)."""
    if os.fork():  # the user's process keeps no child that it has to wait for
        os._exit(0)
    _name_process()
    users = os.open(USERS_LOCK, os.O_RDWR | os.O_NOFOLLOW)
    if os.fstat(users).st_ino != identity:
        raise SystemExit("noonmark: the directory was replaced while the server was starting")
    forget(".", identity)
    path = _new_socket(identity)
    server = _Server(binary, path, lock)

    def stop_when_unused() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)  # held until exit: a new user waits, then starts a new server
        server.stop()

    def stop_now(_number: int, _frame: object) -> None:
        threading.Thread(target=server.stop, daemon=True).start()

    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # these are inherited from the starting process
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop_now)
    signal.signal(signal.SIGINT, stop_now)
    threading.Thread(target=stop_when_unused, daemon=True).start()
    try:
        _run_with_fallback(server)
    finally:
        server.stop()
        forget(".", identity)
        _remove_socket(path)  # ``forget`` finds no socket where somebody deleted the directory


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
