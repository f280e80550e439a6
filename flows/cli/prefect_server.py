"""The temporary Prefect server that a command starts where none is configured: neither outlives the other for long.

Prefect starts it as a child, which a SIGKILL of the command left behind; and a command that lost its server waited for
it for many minutes. So a supervisor stands between the two: it ends the server when the command is gone, and the
command ends when it hears no more of the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.cli import server_supervisor
from flows.cli.command import BROKEN
from flows.cli.signals import Ending, end_run

SILENCE_SECONDS = 6.0
"""After twice so long without a sign from the supervisor, neither it nor the server is counted on."""
_BY_FORCE = (None, -signal.SIGKILL, 128 + signal.SIGKILL)
NOT_STARTED = 3
"""The server's exit code where its port is taken, for one; Prefect tries another."""


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Around a command's flow run: where there is no server, Prefect starts one of its own; say so on a terminal."""
    if PREFECT_API_URL.value() is None:
        _supervise()
        if sys.stderr.isatty():
            print("starting a temporary Prefect server, which takes some seconds …", file=sys.stderr)
    with _without_heartbeats():
        yield


def _without_heartbeats() -> contextlib.AbstractContextManager[object]:
    """On a temporary server nobody watches heartbeats, and a flow run waits up to a second for who sends them."""
    if PREFECT_API_URL.value() is not None:
        return contextlib.nullcontext()
    return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def _supervise() -> None:
    """Let Prefect start its temporary server through the supervisor. It offers no way for that.

    What its module calls ``subprocess`` is another one from now on, for it alone. Where Prefect starts its server in
    another way some day, it starts it as it does for everybody.
    """
    from prefect.server.api import server as prefects  # takes a second, and is needed without a server only

    setattr(prefects, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": _Supervised}))  # noqa: B010 not its type


class _Supervised(subprocess.Popen[bytes]):
    """Prefect's server below its supervisor, in a session of its own: a terminal's signals do not reach them."""

    def __init__(self, args: Sequence[str], *, env: Mapping[str, str]) -> None:
        self._asked_to_end = False
        alive, write = os.pipe()
        words = [sys.executable, "-I", "-S", server_supervisor.__file__, str(os.getpid()), str(write)]
        try:
            super().__init__(words, env=env, stdin=subprocess.PIPE, pass_fds=(write,), start_new_session=True)
        finally:
            os.close(write)
        assert self.stdin
        with contextlib.suppress(BrokenPipeError), self.stdin:
            self.stdin.write(json.dumps(list(args)).encode())
        threading.Thread(target=self._watch, args=(alive,), name="prefect-server", daemon=True).start()

    def terminate(self) -> None:
        """End the server, as somebody wants it to."""
        self._asked_to_end = True
        super().terminate()

    def kill(self) -> None:
        """End both by force."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def _watch(self, alive: int) -> None:
        """End the run where its server ended or is given up, and nobody asked for it."""
        silences = 0
        while silences < 2:  # after one, the whole machine may have been asleep
            if not select.select([alive], [], [], SILENCE_SECONDS)[0]:
                silences += 1
            elif os.read(alive, 4096):
                silences = 0
            else:
                break
        os.close(alive)
        if self._asked_to_end:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(1.0)
        code = self.returncode
        if code == NOT_STARTED:
            return
        if code is None or code < 0:  # the supervisor itself hangs, or was killed
            self.kill()
        told = "was killed or stopped" if code in _BY_FORCE else f"ended with exit code {code}"
        again = shlex.join(["python", *sys.orig_argv[1:]])
        message = f"Prefect's temporary server {told}; every committed day is safe, and the next run goes on from here"
        end_run(Ending(BROKEN, message, kind="prefect", command=again))
