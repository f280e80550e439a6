"""Tells whether a Prefect server is configured, and runs a command's flow with a temporary one under a supervisor.

Prefect would start the temporary server as a plain child: a SIGKILL of the command left it running, and a command whose
server died waited for it for many minutes. The supervisor ends the server when the command is gone, and the command
ends when the supervisor reports no server.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings

from flows.cli import server_supervisor
from flows.cli.command import BROKEN
from flows.cli.signals import Termination, terminate_run, what_stays
from flows.report.log import log
from state.errors import ConfigurationError

SILENCE_SECONDS = 6.0
"""After twice so long without a heartbeat from the supervisor, it and the server are given up."""
_BY_FORCE = (None, -signal.SIGKILL, 128 + signal.SIGKILL)
_UNSET = "start that server and correct PREFECT_API_URL, or unset it to use a temporary one"
_HOST = "127.0.0.1"
_reserved: dict[int, socket.socket] = {}
"""The sockets of ports that were chosen for a server which has not been started yet."""


def is_configured() -> bool:
    """Whether PREFECT_API_URL names a server, which then sees every run.

    Raises ConfigurationError where it is not a URL.
    """
    url = PREFECT_API_URL.value()
    if url and not url.startswith(("http://", "https://")):
        found = url.rpartition("@")[2]  # what stands before may be a password
        raise ConfigurationError(f"PREFECT_API_URL={found} is not a URL; expected http://HOST:4200/api", hint=_UNSET)
    return bool(url)


@contextlib.contextmanager
def temporary_server() -> Iterator[None]:
    """A context for a flow run without a configured server: Prefect starts a temporary one when the flow is called.

    Raises ConfigurationError where it could not keep its database.
    """
    _require_home()
    _supervise()
    if sys.stderr.isatty():
        log.info("starting a temporary Prefect server, which takes some seconds …")
    # Nothing reads heartbeats there, and stopping their sender takes up to a second.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _require_home() -> None:
    """Raise ConfigurationError where Prefect's folder cannot be written: its server would try for five minutes."""
    home = PREFECT_HOME.value()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"Prefect's folder {home} cannot be written: {error.strerror}; its temporary server keeps a database there",
            hint="set PREFECT_HOME to a folder that can be written, or PREFECT_API_URL to a server that runs",
        ) from None


def _supervise() -> None:
    """Let Prefect start its temporary server through the supervisor, at a port that nobody else can take.

    Prefect has no option for either, so this replaces ``subprocess`` in its module and the method that chooses a port.
    A Prefect that starts its server in another way does so without the supervisor.
    """
    from prefect.server.api import server as prefects  # the import takes a second

    setattr(prefects, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": _Supervised}))  # noqa: B010 types differ
    setattr(prefects.SubprocessASGIServer, "find_available_port", _reserve_port)  # noqa: B010 types differ


def _reserve_port(_: object) -> int:
    """Bind a free port, for the server to listen at.

    Prefect chooses one of a thousand that is free at that moment. Of two runs that chose the same, one registered its
    flow with the server of the other, and failed when that one ended.
    """
    bound = socket.socket()
    bound.bind((_HOST, 0))
    port: int = bound.getsockname()[1]
    _reserved[port] = bound
    return port


class _Supervised(subprocess.Popen[bytes]):
    """Prefect's server under its supervisor, in a session of its own that a terminal's signals do not reach."""

    def __init__(self, args: Sequence[str], *, env: Mapping[str, str]) -> None:
        self._terminated = False
        bound = _reserved.pop(int(args[args.index("--port") + 1]))
        alive, write = os.pipe()
        passed = (write, bound.fileno())
        words = [sys.executable, "-I", "-S", server_supervisor.__file__, *map(str, (os.getpid(), *passed))]
        with bound:
            try:
                super().__init__(words, env=env, stdin=subprocess.PIPE, pass_fds=passed, start_new_session=True)
            finally:
                os.close(write)
            command = [*args, "--fd", str(bound.fileno())]
        assert self.stdin
        with contextlib.suppress(BrokenPipeError), self.stdin:
            self.stdin.write(json.dumps(command).encode())
        threading.Thread(target=self._watch, args=(alive,), name="prefect-server", daemon=True).start()

    def terminate(self) -> None:
        """End the server on purpose."""
        self._terminated = True
        super().terminate()

    def kill(self) -> None:
        """Kill both."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def _watch(self, alive: int) -> None:
        """Terminate the run if its server ends or stops responding, unless that was on purpose."""
        silences = 0
        while silences < 2:  # one may be a machine that was asleep
            if not select.select([alive], [], [], SILENCE_SECONDS)[0]:
                silences += 1
            elif os.read(alive, 4096):
                silences = 0
            else:
                break
        os.close(alive)
        if self._terminated:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(1.0)
        code = self.returncode
        if code is None or code < 0:  # the supervisor hangs or was killed
            self.kill()
        end = "was killed or stopped" if code in _BY_FORCE else f"ended with exit code {code}"
        again = shlex.join(["python", *sys.orig_argv[1:]])
        message = f"Prefect's temporary server {end}; {what_stays()}"
        terminate_run(Termination(BROKEN, message, kind="prefect", command=again))
