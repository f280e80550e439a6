"""What every command does alike: read options, print for a person or a program, end with the contract's code."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import NoReturn, TextIO, TypeVar

from flows.cli.signals import Ending, end_soon_when_signalled, leave, told_to_end
from flows.cli.streams import STDERR, claim_stdout, give_up, say
from flows.report.finish import ProblemsRemain
from flows.report.models import Report
from state.errors import ConfigurationError, NoonmarkError, StorageError
from state.settings import Settings, read_settings

BROKEN = 4

Shown = TypeVar("Shown", bound=Report)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours, so that ``--json`` shows them too. No option is shortened."""

    def __init__(self, *, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError instead of leaving."""
        raise ConfigurationError(message, command=f"{self.prog} --help")


def run_command(
    parser: Parser,
    act: Callable[[argparse.Namespace, Settings], Shown],
    show: Callable[[Shown, Settings], None],
    argv: list[str] | None = None,
) -> NoReturn:
    """Parse, act, report, and leave with the exit code. ``show`` prints the report of ``act`` for a person."""
    gc.freeze()  # what was imported stays, and is not looked through again
    arguments = sys.argv[1:] if argv is None else argv
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    stdout = _Stdout(claim_stdout(), as_json="--json" in arguments)
    _speak_on_stderr()
    end_soon_when_signalled(stdout.tell_ending)
    try:
        code = _run(parser, act, show, arguments, stdout)
    except BaseException as error:  # noqa: BLE001 whatever it is, a command ends with a code that tells
        code = _code_of(error, parser.prog, stdout)
    stdout.flush()
    # Where a KeyboardInterrupt left an exec() of the user's, Python would end by SIGINT: the next exec() forgets that.
    exec("pass")  # noqa: S102
    gc.freeze()  # or Python would look through everything once more before it ends, for a fifth of a second
    leave(code)


def _run(
    parser: Parser,
    act: Callable[[argparse.Namespace, Settings], Shown],
    show: Callable[[Shown, Settings], None],
    arguments: list[str],
    stdout: _Stdout,
) -> int:
    try:
        with stdout.shown():
            options = parser.parse_args(arguments)
    except SystemExit as error:  # --help; every other way out of here is ours
        return int(error.code or 0)
    settings = read_settings(strict=True)
    with contextlib.redirect_stdout(sys.stderr):  # a print in an aggregation is no part of the report
        report = act(options, settings)
    code = ProblemsRemain.exit_code if report.failure() else 0
    return stdout.print_report(
        lambda: print(json.dumps(report.to_json())) if options.json else show(report, settings), code
    )


def _code_of(error: BaseException, prog: str, stdout: _Stdout) -> int:
    """Tell what ended a command, and give its exit code. It was interrupted only where a signal arrived."""
    if ending := told_to_end():
        stdout.tell_ending(ending)
        return ending.code
    if isinstance(error, NoonmarkError):
        next_steps = {
            ConfigurationError.kind: f"{prog} --help",
            StorageError.kind: f"fix the storage, then run again: {prog}",
        }
        stdout.tell_error(error.kind, error.message, error.command or next_steps.get(error.kind))
        return error.exit_code
    if _is_prefects(error):
        next_step = "start that server, or unset PREFECT_API_URL to use a temporary one"
        stdout.tell_error("prefect", f"Prefect's server cannot be reached: {error}", next_step)
    else:
        say("".join(traceback.format_exception(error)).rstrip())
        stdout.tell_error("broken", f"the run itself broke: {type(error).__name__}: {error}", None)
    return BROKEN


class _Stdout:
    """What a command prints on stdout: one report, or one error, whoever of its threads comes first."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._as_json = as_json
        self._first = threading.Lock()

    def shown(self) -> contextlib.AbstractContextManager[object]:
        """While entered, ``print`` and rich print there."""
        return contextlib.redirect_stdout(self._stream)

    def print_report(self, show: Callable[[], None], code: int) -> int:
        """Print the report; the exit code. A reader that went away (``| head``) changes nothing of what was done."""
        if not self._first.acquire(blocking=False):
            return code
        try:
            with self.shown():
                show()
            self._stream.flush()
            return code
        except SystemExit:  # rich's word for a reader that went away
            return code
        except OSError as error:
            give_up(self._stream)
            if isinstance(error, BrokenPipeError):
                return code
            say(f"noonmark: the report cannot be written: {error.strerror}; what was committed stays")
            return BROKEN

    def tell_error(self, kind: str, message: str, command: str | None) -> None:
        """Print what went wrong, for a program on stdout and for a person on stderr."""
        self._print_error(kind, message, command)
        say(f"noonmark: {message}" + (f"\n  → {command}" if command else ""))

    def tell_ending(self, ending: Ending) -> None:
        """Print the error of a run that was ended, where it is one; a person was told at once."""
        if ending.kind:
            self._print_error(ending.kind, ending.message, ending.command)

    def flush(self) -> None:
        """Write what is left, as far as somebody takes it."""
        try:
            self._stream.flush()
        except OSError:
            give_up(self._stream)

    def _print_error(self, kind: str, message: str, command: str | None) -> None:
        if self._as_json and self._first.acquire(blocking=False):
            with contextlib.suppress(OSError):  # nobody reads it any more; the exit code tells
                error = {"kind": kind, "message": message, "command": command}
                print(json.dumps({"error": error}), file=self._stream, flush=True)


def _is_prefects(error: BaseException) -> bool:
    """Whether Prefect's client raised it: its server is away, and a trace through the client tells nobody anything."""
    innermost = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        innermost = str(frame.f_globals.get("__name__"))
    return innermost.partition(".")[0] in {"prefect", "httpx", "httpcore"}


def _speak_on_stderr() -> None:
    """Send Noonmark's own lines to stderr as they are, and where the process was if it dies of a segmentation fault.

    Prefect's lines about flow and task runs go to its server alone, unless someone set how Prefect is to log.
    """
    faulthandler.enable(STDERR)
    logger = logging.getLogger("noonmark")
    if any(name.startswith("PREFECT_LOGGING_") for name in os.environ):
        return
    for console in logging.getLogger().handlers:
        console.setLevel(logging.WARNING)
        console.addFilter(lambda record: not record.name.startswith(("prefect.flow_runs", "prefect.task_runs")))
    logger.propagate = False
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)


class _Stderr(logging.Handler):
    """Writes to what stderr is now: while progress is shown there, lines go above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            print(self.format(record), file=sys.stderr)
        except Exception:  # noqa: BLE001 as every handler of the standard library
            self.handleError(record)
