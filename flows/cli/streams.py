"""Keeps stdout for the report alone: whatever else is written there, by C code or a child process too, goes to stderr.

Standard library only: it is needed before anything else is imported.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from typing import TextIO

STDOUT, STDERR = 1, 2


def open_closed_streams() -> None:
    """Open on /dev/null what is closed of stdin, stdout and stderr (``>&-``).

    The next file to be opened would get the number, and whatever is printed would be written into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def claim_stdout() -> TextIO:
    """What stdout was, for the report. From now on stdout is stderr, for this process and for every child.

    What the stream's encoding does not have is escaped: a report is complete, whatever the terminal can show.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    private = fcntl.fcntl(STDOUT, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    os.dup2(STDERR, STDOUT)
    report = open(private, "w", encoding=sys.stdout.encoding, errors="backslashreplace")  # noqa: SIM115 until the end
    sys.stdout = sys.stderr
    return report


def give_up(stream: TextIO) -> None:
    """Point a stream that takes nothing any more at /dev/null, so that its last flush cannot raise."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno(), inheritable=False)
    os.close(nowhere)


def say(line: str) -> None:
    """Print a line on stderr, where somebody takes it."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
