"""The temporary Prefect server that a command starts where none is configured."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Around a command's flow run: where there is no server, Prefect starts one of its own; say so on a terminal."""
    if PREFECT_API_URL.value() is None:
        _keep_ctrl_c_from_the_server()
        if sys.stderr.isatty():
            print("starting a temporary Prefect server, which takes some seconds …", file=sys.stderr)
    with _without_heartbeats():
        yield


def _without_heartbeats() -> contextlib.AbstractContextManager[object]:
    """On a temporary server nobody watches heartbeats, and a flow run waits up to a second for who sends them."""
    if PREFECT_API_URL.value() is not None:
        return contextlib.nullcontext()
    return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def _keep_ctrl_c_from_the_server() -> None:
    """A terminal sends Ctrl-C to Prefect's temporary server too; it would die before it took in how the run ended."""
    from prefect.server.api.server import SubprocessASGIServer  # takes a second, and is needed without a server only

    # Prefect offers no way to start it otherwise. Where this name goes, a Ctrl-C is only noisier.
    start = getattr(SubprocessASGIServer, "_run_uvicorn_command", None)
    if start is None:
        return

    def start_deaf(server: SubprocessASGIServer) -> Any:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a child inherits the mask
        try:
            return start(server)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    SubprocessASGIServer._run_uvicorn_command = start_deaf  # type: ignore[method-assign, assignment]
