"""Ends a command that was told to end: by a signal, or because what it stands on has gone.

Only what was noted here ends a run as "interrupted": user code and libraries raise KeyboardInterrupt, SystemExit and
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
"""How long a run that was told to end may take. A thread inside polars cannot be interrupted, so it is left then."""
EXIT_SECONDS = 20.0
"""How long a command may take to leave once its report is printed: Prefect sends what it has not sent yet, and would
wait for a server that is gone for many minutes."""

_BARRIER = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run ends before its time: the exit code, and for what is an error and no signal its kind and next step."""

    code: int
    message: str = "interrupted; every committed day is safe, and the next run goes on from here"
    kind: str | None = None
    command: str | None = None


class _State:
    """What this process was told of its end. The first reason counts."""

    def __init__(self) -> None:
        self.ending: Ending | None = None
        self.report: Callable[[Ending], None] = lambda _: None
        self.leaving: int | None = None
        self.write = -1
        self.passed = threading.Event()
        self.gate = threading.Lock()


_state = _State()


def end_soon_when_signalled(report: Callable[[Ending], None]) -> None:
    """End the process a few seconds after a signal at the latest; ``report`` is called before it is left by force.

    The exception that the main thread meets ends it at once as a rule. Commits are whole or not there at any instant,
    so leaving in the middle of one is safe. A signal that this process was started to ignore (``nohup``) stays ignored.
    """
    read, _state.write = os.pipe()
    _state.report = report
    os.set_blocking(_state.write, False)
    signal.set_wakeup_fd(_state.write, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    threading.Thread(target=_watch, args=(read,), name="end-soon", daemon=True).start()


def end_run(ending: Ending) -> None:
    """End the run from another thread, as a signal does: say why, interrupt the main thread, and leave after grace."""
    if _state.leaving is not None:
        exit_process(_state.leaving)
    if _note(ending):
        os.kill(os.getpid(), signal.SIGTERM)
        _leave_after_grace(ending)


def leave(code: int) -> NoReturn:
    """End the process with its report printed, in seconds at most. Raises SystemExit."""
    _state.leaving = code

    def by_force() -> None:
        time.sleep(EXIT_SECONDS)
        exit_process(code)

    threading.Thread(target=by_force, name="leave", daemon=True).start()
    sys.exit(code)


def told_to_end() -> Ending | None:
    """Why the run was told to end, if it was. Every signal that arrived before this call is known to it."""
    if _state.ending is None and _state.write >= 0:
        _state.passed.clear()
        os.write(_state.write, bytes([_BARRIER]))
        _state.passed.wait(1.0)
    return _state.ending


def _watch(read: int) -> None:
    while True:
        number = os.read(read, 1)[0]
        if number == _BARRIER:
            _state.passed.set()
        elif number in SIGNALS and _note(ending := Ending(128 + number)):
            _leave_after_grace(ending)


def _note(ending: Ending) -> bool:
    """Whether this is the first; then it is said at once, and what Prefect logs of its own end is not."""
    with _state.gate:
        if _state.ending is not None:
            return False
        _state.ending = ending
    logging.disable(logging.CRITICAL)
    told = f"noonmark: {ending.message}" + (f"\n  → {ending.command}" if ending.command else "") + "\n"
    with suppress(OSError):  # a terminal that is gone
        os.write(STDERR, told.encode())  # the main thread may be in the middle of a print
    return True


def _leave_after_grace(ending: Ending) -> NoReturn:
    time.sleep(GRACE_SECONDS)
    _state.report(ending)
    exit_process(ending.code)  # the servers that were started for this run end with it


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(number)
