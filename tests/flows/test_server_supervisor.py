"""The parent process of the temporary server, around a small server of the tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

from flows.cli import server_supervisor

SERVER = """
import signal, sys, time

def end(*_):
    print("a write was cancelled", file=sys.stderr, flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print("the database is locked", flush=True)
time.sleep(60)
"""
BROKEN = """
import sys
sys.exit("cannot open the database")
"""


@contextlib.contextmanager
def supervised(server: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor, with a server that is this Python code."""
    alive, write = os.pipe()
    with socket.socket() as bound:
        passed = (write, bound.fileno())
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", server_supervisor.__file__, *map(str, (os.getpid(), *passed))],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            text=True,
        )
    os.close(write)
    with supervisor:
        assert supervisor.stdin
        supervisor.stdin.write(json.dumps([sys.executable, "-c", server]))
        supervisor.stdin.close()
        supervisor.stdin = None
        try:
            yield supervisor
        finally:
            supervisor.kill()
            os.close(alive)


def test_what_a_server_prints_is_shown_until_it_is_told_to_end() -> None:
    """The writes that its own end cancels are no concern of someone who pressed Ctrl-C."""
    with supervised(SERVER) as supervisor:
        assert supervisor.stderr
        assert supervisor.stderr.readline() == "the database is locked\n"
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.communicate(timeout=30)[1] == ""
        assert supervisor.returncode == 0


def test_why_a_server_ended_by_itself_is_shown() -> None:
    """Its last lines are on stderr before the supervisor ends as it did."""
    with supervised(BROKEN) as supervisor:
        assert supervisor.communicate(timeout=30)[1] == "cannot open the database\n"
        assert supervisor.returncode == 1
