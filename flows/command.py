"""What every command does alike: read its options, print for a person or a program, and end with the contract's code.

An interrupted command ends within seconds and leaves no process behind, even where polars computes on in a thread.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.settings import Settings, read_settings
from state.errors import ConfigurationError, NoonmarkError, StorageError

GRACE_SECONDS = 5.0
BROKEN = 4


class ProblemsRemain(NoonmarkError):
    """A run that ended with days not committed, or with problems found; ``report`` is its JSON object."""

    kind = "problems"
    exit_code = 1

    def __init__(self, message: str, report: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.report = report


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours, so that ``--json`` shows them too. No option is shortened."""

    def __init__(self, *, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError instead of leaving."""
        raise ConfigurationError(message, command=f"{self.prog} --help")


def run_command(
    parser: Parser,
    act: Callable[[argparse.Namespace, Settings], Mapping[str, Any]],
    show: Callable[[Mapping[str, Any], Settings], None],
    argv: list[str] | None = None,
) -> NoReturn:
    """Run a command and leave with its exit code.

    ``act`` returns the JSON object that ``--json`` prints; ``show`` prints the same for a person.
    """
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    _speak_on_stderr()
    _end_soon_when_signalled()
    try:
        options = parser.parse_args(arguments)
        settings = read_settings(strict=True)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # a print in an aggregation is no part of the report
                report, code = act(options, settings), 0
        except ProblemsRemain as error:
            report, code = error.report, error.exit_code
        _leave(_print_report(lambda: print(json.dumps(report)) if as_json else show(report, settings), code))
    except NoonmarkError as error:
        next_step = {
            ConfigurationError.kind: f"{parser.prog} --help",
            StorageError.kind: f"mend the storage, then again: {parser.prog}",
        }
        _tell_error(error.kind, error.message, error.command or next_step.get(error.kind), as_json)
        _leave(error.exit_code)
    except KeyboardInterrupt:
        _tell_interrupted(signal.SIGINT)
    except Exception as error:  # noqa: BLE001 whatever else happens is a bug or a server's fault: exit 4, with its trace
        if _is_prefects(error):
            mend = "start that server, or unset PREFECT_API_URL to use a temporary one"
            _tell_error("prefect", f"Prefect does not serve: {error}", mend, as_json)
        else:
            traceback.print_exc()
            _tell_error("broken", f"the run itself broke: {type(error).__name__}: {error}", None, as_json)
        _leave(BROKEN)
    except BaseException as error:
        if isinstance(error, SystemExit) and not isinstance(error, _Terminated):
            raise  # argparse's --help
        _tell_interrupted(signal.SIGTERM)


def _print_report(show: Callable[[], None], code: int) -> int:
    """Print the report; the exit code. A reader that went away (``| head``) changes nothing of what was done."""
    try:
        show()
        sys.stdout.flush()
        return code
    except SystemExit:  # rich's word for a reader that went away
        return code
    except OSError as error:
        _give_stdout_up()
        if isinstance(error, BrokenPipeError):
            return code
        told = f"the report cannot be written: {error.strerror}; what was committed stays"
        _tell_error("storage", told, None, as_json=False)
        return BROKEN


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """Around a command's flow run: where there is no server, Prefect starts one of its own; say so on a terminal."""
    if PREFECT_API_URL.value() is None:
        _keep_ctrl_c_from_the_server()
        if sys.stderr.isatty():
            print("starting a temporary Prefect server, which takes some seconds …", file=sys.stderr)
    with _without_heartbeats():
        yield


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    """Garbage is collected, where a command has not done so until now (``flows/__init__.py``).

    What was found stays as long, and is not looked through: with 100,000 commits that would take 0.4 s. A process in
    which garbage is collected is left alone: freezing in every run would keep the garbage of all of them for good.
    """
    if gc.isenabled():
        yield
        return
    gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        gc.disable()
        gc.unfreeze()


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


def _is_prefects(error: BaseException) -> bool:
    """Whether Prefect's client raised it: its server is away, and a trace through the client tells nobody anything."""
    innermost = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        innermost = str(frame.f_globals.get("__name__"))
    return innermost.partition(".")[0] in {"prefect", "httpx", "httpcore"}


class _Terminated(SystemExit):
    """SIGTERM, as the main thread meets it."""


def _tell_error(kind: str, message: str, command: str | None, as_json: bool) -> None:
    if as_json:
        with contextlib.suppress(OSError):  # nobody reads it any more; the exit code tells
            print(json.dumps({"error": {"kind": kind, "message": message, "command": command}}))
    print(f"noonmark: {message}" + (f"\n  → {command}" if command else ""), file=sys.stderr)


def _tell_interrupted(number: int) -> NoReturn:
    _announce_end()
    _leave(128 + number)


_announced = threading.Lock()


def _announce_end() -> None:
    """Say at once, and once, that the run ends. What Prefect logs of its own end is of no use to anyone."""
    if _announced.acquire(blocking=False):
        logging.disable(logging.CRITICAL)
        told = b"noonmark: interrupted; every committed day is safe, and the next run goes on from here\n"
        os.write(2, told)  # the main thread may be in the middle of a print


def _leave(code: int) -> NoReturn:
    try:
        sys.stdout.flush()
    except OSError:
        _give_stdout_up()
    gc.freeze()  # or Python would look through everything once more before it ends, for a fifth of a second
    sys.exit(code)


def _give_stdout_up() -> None:
    """Send what is left for a stdout that takes nothing any more to nowhere; Python would complain as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _speak_on_stderr() -> None:
    """Send Noonmark's own lines to stderr as they are.

    Prefect's lines about flow and task runs go to its server alone, unless someone set how Prefect is to log.
    """
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


def _end_soon_when_signalled() -> None:
    """End the process a few seconds after SIGINT or SIGTERM at the latest.

    The signals' own exceptions end it at once as a rule. A thread inside polars cannot be interrupted, though, and
    Python would wait for it. Commits are whole or not there at any instant, so leaving in the middle of one is safe.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _terminate)

    def watch() -> None:
        while (number := os.read(read, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
            pass
        _announce_end()
        time.sleep(GRACE_SECONDS)
        atexit._run_exitfuncs()  # Prefect's temporary server is stopped there
        os._exit(128 + number)

    threading.Thread(target=watch, name="end-soon", daemon=True).start()


def _terminate(number: int, _: object) -> None:
    raise _Terminated(128 + number)
