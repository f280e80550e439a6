"""Runs a command: reads its line, acts, reports as text or JSON, and exits with a code that tells."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TextIO, TypeVar

from flows.cli.arguments import Arguments, CommandLine
from flows.cli.signals import Termination, exit_with, install_handlers, requested_termination
from flows.cli.streams import STDERR, print_to_stderr, redirect_to_null, reserve_stdout
from flows.report.finish import ProblemsRemain
from flows.report.log import set_detail
from flows.report.models import Report
from state.errors import ConfigurationError, NoonmarkError, StorageError, next_steps
from state.settings import Settings, read_settings
from tasks.compute.outcomes import traceback_log

BROKEN = 4

_PREFECTS_OWN = ("prefect.flow_runs", "prefect.task_runs", "EventsWorker", "APILogWorker")
"""The loggers of what its server shows, and of what reports at the end of a run that something is left to be sent."""

Shown = TypeVar("Shown", bound=Report)


def run_command(
    line: CommandLine,
    act: Callable[[Mapping[str, Any], Settings], Shown],
    show: Callable[[Shown, Settings], None],
) -> NoReturn:
    """Read the command line, act, report, and exit. ``show`` prints the report of ``act`` for a person."""
    gc.disable()  # until ``garbage.collecting``
    words = sys.argv[1:]
    stdout = _Stdout(reserve_stdout(), as_json="--json" in words)  # errors of the command line too
    _log_to_stderr()
    install_handlers(stdout.print_termination)
    try:
        code = _run(line, act, show, words, stdout)
    except BaseException as error:  # noqa: BLE001 any error ends with a documented exit code
        code = _report_error(error, line.prog, stdout)
    stdout.flush()
    # After a KeyboardInterrupt inside exec(), Python would exit by SIGINT. Another exec() resets that.
    exec("pass")  # noqa: S102
    gc.freeze()  # the collection at exit would take a fifth of a second
    exit_with(code)


def _run(
    line: CommandLine,
    act: Callable[[Mapping[str, Any], Settings], Shown],
    show: Callable[[Shown, Settings], None],
    words: list[str],
    stdout: _Stdout,
) -> int:
    arguments = line.parse(words)
    if not isinstance(arguments, Arguments):
        return stdout.print_report(arguments, 0)
    printing = arguments.printing
    set_detail(quiet=printing.quiet, verbose=printing.verbose, tracebacks=printing.traceback)
    settings = read_settings()
    with contextlib.redirect_stdout(sys.stderr):  # what an aggregation prints is not part of the report
        report = act(arguments.given, settings)
    code = ProblemsRemain.exit_code if report.failure() else 0
    return stdout.print_report(
        lambda: print(json.dumps(report.to_json())) if printing.json else show(report, settings), code
    )


def _report_error(error: BaseException, prog: str, stdout: _Stdout) -> int:
    """Print why a command failed. Returns its exit code; only a signal that arrived counts as an interruption."""
    if termination := requested_termination():
        stdout.print_termination(termination)
        return termination.code
    if isinstance(error, NoonmarkError):
        command, hint = error.command, error.hint
        if not (command or hint):
            command, hint = _usual_step(error, prog)
        stdout.print_error(error.kind, error.message, command, hint)
        if error.__cause__:
            traceback_log.debug("raised by:", exc_info=error.__cause__)
        return error.exit_code
    if _raised_by_prefect(error):
        hint = (
            "check that PREFECT_API_URL is a server that runs, and ends in /api as http://HOST:4200/api does; "
            "or unset it to use a temporary server"
        )
        stdout.print_error("prefect", f"Prefect's server cannot be reached: {error}", None, hint)
    else:
        print_to_stderr("".join(traceback.format_exception(error)).rstrip())
        stdout.print_error("broken", f"the run itself broke: {type(error).__name__}: {error}", None, None)
    return BROKEN


def _usual_step(error: NoonmarkError, prog: str) -> tuple[str | None, str | None]:
    """The next command and the hint of an error that has none of its own."""
    if isinstance(error, StorageError):
        return prog, f"fix the storage, then run again: {prog}"
    return (f"{prog} --help", None) if isinstance(error, ConfigurationError) else (None, None)


class _Stdout:
    """Prints one report or one error on stdout, whichever thread comes first."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._as_json = as_json
        self._first = threading.Lock()

    def shown(self) -> contextlib.AbstractContextManager[object]:
        """A context in which ``print`` and rich write to stdout."""
        return contextlib.redirect_stdout(self._stream)

    def print_report(self, show: Callable[[], object], code: int) -> int:
        """Print the report. Returns the exit code, which a reader that stops reading (``| head``) does not change."""
        if not self._first.acquire(blocking=False):
            return code
        try:
            with self.shown():
                show()
            self._stream.flush()
            return code
        except SystemExit:  # rich raises it where a reader stopped reading
            return code
        except OSError as error:
            redirect_to_null(self._stream)
            if isinstance(error, BrokenPipeError):
                return code
            print_to_stderr(f"noonmark: the report cannot be written: {error.strerror}; what was committed stays")
            return BROKEN

    def print_error(self, kind: str, message: str, command: str | None, hint: str | None) -> None:
        """Print an error: as JSON on stdout, for a person on stderr."""
        self._print_json_error(kind, message, command, hint)
        print_to_stderr("\n  → ".join([f"noonmark: {message}", *next_steps(command, hint)]))

    def print_termination(self, termination: Termination) -> None:
        """Print a termination that is an error as JSON. The person's message was printed when it was requested."""
        if termination.kind:
            self._print_json_error(termination.kind, termination.message, termination.command, None)

    def flush(self) -> None:
        """Write what is buffered, unless nobody reads it."""
        try:
            self._stream.flush()
        except OSError:
            redirect_to_null(self._stream)

    def _print_json_error(self, kind: str, message: str, command: str | None, hint: str | None) -> None:
        if self._as_json and self._first.acquire(blocking=False):
            with contextlib.suppress(OSError):  # nobody reads it; the exit code remains
                error = {"kind": kind, "message": message, "command": command, "hint": hint}
                print(json.dumps({"error": error}), file=self._stream, flush=True)


def _raised_by_prefect(error: BaseException) -> bool:
    """Whether Prefect's client raised it: its server cannot be reached, and a traceback through the client is noise."""
    innermost = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        innermost = str(frame.f_globals.get("__name__"))
    return innermost.partition(".")[0] in {"prefect", "httpx", "httpcore"}


def _log_to_stderr() -> None:
    """Log Noonmark's lines to stderr without decoration, and enable tracebacks of segmentation faults.

    Prefect's lines about flow and task runs go to its server alone, unless a ``PREFECT_LOGGING_`` variable is set.
    """
    faulthandler.enable(STDERR)
    logger = logging.getLogger("noonmark")
    if any(name.startswith("PREFECT_LOGGING_") for name in os.environ):
        return
    for console in logging.getLogger().handlers:
        console.setLevel(logging.WARNING)
        console.addFilter(lambda record: not record.name.startswith(_PREFECTS_OWN))
    logger.propagate = False
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)


class _Stderr(logging.Handler):
    """Writes to the current ``sys.stderr``: rich replaces it to print lines above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            print(self.format(record), file=sys.stderr)
        except Exception:  # noqa: BLE001 as the handlers of the standard library do
            self.handleError(record)
