"""The parent process of Prefect's temporary server: ends the server when the run that started it ends in any way.

Runs isolated (``python -I -S``), so standard library only. Reads the server's command from stdin, and writes a byte to
a pipe every half second as long as the server runs: silence or end of file means that it does not.

What the server prints goes to stderr until it is told to end. From then on it is dropped: Prefect's server reports the
writes to its database that its own end cancels, and they belong to a run that is over.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time

TICK_SECONDS = 0.5
TERMINATE_SECONDS = 4.0
"""How long the server may take to end. Prefect waits a second longer for this process."""
STOPPED_SECONDS = 8.0
"""How long the server may be stopped (SIGSTOP) before it is given up."""


class _Server:
    """The child. ``status`` is its exit status once it has ended."""

    def __init__(self, command: list[str]) -> None:
        self.status: int | None = None
        self._stopped: float | None = None
        self._end_by: float | None = None
        self._output, printed = os.pipe()
        streams = [(os.POSIX_SPAWN_DUP2, printed, number) for number in (1, 2)]
        self._pid = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
        os.close(printed)
        # In a thread, since a terminal that is paused would hold up the heartbeats.
        self._forwarding = threading.Thread(target=self._forward, daemon=True)
        self._forwarding.start()

    @property
    def runs(self) -> bool:
        """Whether it is neither ended nor stopped."""
        return self.status is None and self._stopped is None

    def poll(self) -> None:
        """Update its status, and kill it where it stays stopped or does not end in time."""
        pid, status = os.waitpid(self._pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if pid and os.WIFSTOPPED(status):
            self._stopped = time.monotonic()
        elif pid and os.WIFCONTINUED(status):
            self._stopped = None
        elif pid:
            self.status = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            return
        given_up = self._stopped is not None and time.monotonic() > self._stopped + STOPPED_SECONDS
        if given_up or (self._end_by is not None and time.monotonic() > self._end_by):
            os.kill(self._pid, signal.SIGKILL)

    def end(self) -> None:
        """Send it SIGTERM, once."""
        if self._end_by is None:
            self._end_by = time.monotonic() + TERMINATE_SECONDS
            os.kill(self._pid, signal.SIGTERM)

    def wait_for_output(self) -> None:
        """Wait until the last lines of a server that has ended are on stderr, a second at most."""
        self._forwarding.join(1.0)

    def _forward(self) -> None:
        """Write what it prints to stderr, or drop it once it was told to end."""
        while printed := os.read(self._output, 65536):
            if self._end_by is None:
                with contextlib.suppress(OSError):  # nobody reads stderr
                    os.write(2, printed)


def main(parent: int, alive: int, bound: int) -> None:
    """Run the server until it ends, SIGTERM comes, or ``parent`` is gone. Exits as the server did.

    The server inherits ``bound``, the socket that it is to listen at.
    """
    terminated = []
    read, write = os.pipe()
    for descriptor in (alive, read, write):
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: terminated.append(True))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    command = sys.stdin.buffer.read()
    if not command:
        return  # the run has ended meanwhile
    server = _Server(json.loads(command))
    os.close(bound)  # a server that has ended is to refuse connections
    while server.status is None:
        if terminated or os.getppid() != parent:
            server.end()
        if server.runs:
            with contextlib.suppress(OSError):  # the pipe is full or closed
                os.write(alive, b".")
        select.select([read], [], [], TICK_SECONDS)
        with contextlib.suppress(BlockingIOError):
            os.read(read, 4096)
        server.poll()
    server.wait_for_output()
    os._exit(server.status)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
