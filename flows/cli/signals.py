"""Terminates a command on a signal, or on request from another thread (Prefect's temporary server is gone).

Only what was recorded here counts as an interruption: user code and libraries raise KeyboardInterrupt, SystemExit and
CancelledError too, and those are errors like any other.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from flows.cli.streams import STDERR
from state.errors import Interrupted
from tasks.user_code import exit_process

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
GRACE_SECONDS = 5.0
"""How long a run may take to end once asked to; then it is killed. A thread inside polars cannot be interrupted."""
EXIT_SECONDS = 20.0
"""How long the exit may take once the report is printed: Prefect sends its last events, and would wait minutes for a
server that is gone."""

_BARRIER = 0


@dataclass(frozen=True, slots=True)
class Termination:
    """Why a run ends early. ``kind`` and ``command`` are those of an error, and None for a signal."""

    code: int
    message: str
    kind: str | None = None
    command: str | None = None


class _State:
    """The termination of this process. The first request counts."""

    def __init__(self) -> None:
        self.termination: Termination | None = None
        self.report: Callable[[Termination], None] = lambda _: None
        self.exit_code: int | None = None
        self.wakeup_fd = -1
        self.barrier_passed = threading.Event()
        self.lock = threading.Lock()


_state = _State()


def install_handlers(report: Callable[[Termination], None]) -> None:
    """Handle the signals that end a run: raise Interrupted in the main thread, and exit after ``GRACE_SECONDS``.

    ``report`` is called before a forced exit, which is safe at any instant: a commit is one rename. A signal that this
    process was started to ignore (``nohup``) stays ignored.
    """
    read, _state.wakeup_fd = os.pipe()
    _state.report = report
    os.set_blocking(_state.wakeup_fd, False)
    signal.set_wakeup_fd(_state.wakeup_fd, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    threading.Thread(target=_watch, args=(read,), name="signals", daemon=True).start()


def terminate_run(termination: Termination) -> None:
    """Terminate the run from another thread, as a signal does: print why, interrupt the main thread, then exit."""
    if _state.exit_code is not None:
        exit_process(_state.exit_code)
    if _record(termination):
        os.kill(os.getpid(), signal.SIGTERM)
        _exit_after_grace(termination)


def exit_with(code: int) -> NoReturn:
    """Exit once the report is printed, by force after ``EXIT_SECONDS``. Raises SystemExit."""
    _state.exit_code = code

    def by_force() -> None:
        time.sleep(EXIT_SECONDS)
        exit_process(code)

    threading.Thread(target=by_force, name="exit", daemon=True).start()
    sys.exit(code)


def requested_termination() -> Termination | None:
    """The termination requested so far, or None. Every signal that arrived before this call is considered."""
    if _state.termination is None and _state.wakeup_fd >= 0:
        _state.barrier_passed.clear()
        os.write(_state.wakeup_fd, bytes([_BARRIER]))
        _state.barrier_passed.wait(1.0)
    return _state.termination


def what_stays() -> str:
    """What an early end leaves, and how the rest is computed. Days that were forced count as current afterwards."""
    rest = "the same command computes all of them again" if "--force" in sys.argv else "the next run computes the rest"
    return f"every committed day is safe, and {rest}"


def _of_signal(number: int) -> Termination:
    return Termination(128 + number, f"interrupted; {what_stays()}")


def _watch(read: int) -> None:
    while True:
        number = os.read(read, 1)[0]
        if number == _BARRIER:
            _state.barrier_passed.set()
        elif number in SIGNALS and _record(termination := _of_signal(number)):
            _exit_after_grace(termination)


def _record(termination: Termination) -> bool:
    """Record and print the first termination, and silence what Prefect logs about it. False for a later one."""
    with _state.lock:
        if _state.termination is not None:
            return False
        _state.termination = termination
    logging.disable(logging.CRITICAL)
    line = f"noonmark: {termination.message}" + (f"\n  → {termination.command}" if termination.command else "") + "\n"
    with suppress(OSError):  # the terminal is gone
        os.write(STDERR, line.encode())  # not print(): the main thread may be inside one
    return True


def _exit_after_grace(termination: Termination) -> NoReturn:
    time.sleep(GRACE_SECONDS)
    _state.report(termination)
    exit_process(termination.code)  # the servers started for this run end with it


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(number)
