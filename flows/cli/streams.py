"""Reserves stdout for the report: what anything else writes there, C code and child processes too, goes to stderr.

Standard library only: it is imported before anything else.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from typing import TextIO

STDOUT, STDERR = 1, 2


def open_closed_streams() -> None:
    """Open stdin, stdout and stderr on /dev/null where they are closed (``>&-``).

    The next file opened would get that descriptor, and whatever is printed would be written into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free descriptor
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def reserve_stdout() -> TextIO:
    """Make stdout an alias of stderr, for this process and its children. Returns the original stdout.

    Characters that its encoding lacks are escaped.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    private = fcntl.fcntl(STDOUT, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    os.dup2(STDERR, STDOUT)
    report = open(private, "w", encoding=sys.stdout.encoding, errors="backslashreplace")  # noqa: SIM115 until the end
    sys.stdout = sys.stderr
    return report


def redirect_to_null(stream: TextIO) -> None:
    """Point a broken stream at /dev/null, so that its last flush cannot raise."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno(), inheritable=False)
    os.close(nowhere)


def print_to_stderr(line: str) -> None:
    """Print a line on stderr. Never raises."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
