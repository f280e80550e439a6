"""Who holds a lease: only a process that certainly ended, here, counts as dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.holder import is_dead, new_token
from tests.project import wait_until

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process began")
HOLDS = "import sys; from state.holder import new_token; print(new_token().decode(), flush=True); sys.stdin.read()"


@contextmanager
def holder() -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """A process that holds a token, and the token."""
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def _changed(token: bytes, part: int, value: bytes) -> bytes:
    parts = token.split(b"|")
    parts[part] = value
    return b"|".join(parts)


def test_tokens_of_one_process_differ() -> None:
    """Two runs of one process (a worker's threads) are two holders."""
    assert len({new_token() for _ in range(100)}) == 100


def test_a_process_is_dead_once_it_was_killed_and_not_while_it_is_stopped() -> None:
    """A stopped process will wake up and go on: its lease must run out by itself."""
    with holder() as (process, token):
        assert not is_dead(token)
        process.send_signal(signal.SIGSTOP)
        assert not is_dead(token)
        process.kill()
        process.wait()
        assert is_dead(token)


@linux
def test_a_killed_process_that_nobody_waits_for_is_dead() -> None:
    """In a container without an init a killed run stays a zombie for ever; its lease must not."""
    with holder() as (process, token):
        process.kill()
        wait_until(lambda: is_dead(token), 20)
        assert process.returncode is None  # it was not waited for


@linux
def test_another_process_with_the_same_number_does_not_stand_in_for_a_dead_one() -> None:
    """Process numbers come around again, after a restart of a container at once."""
    token = new_token()
    assert not is_dead(token)
    assert is_dead(_changed(token, 2, b"1"))
    assert not is_dead(_changed(token, 2, b"?"))  # written where the system does not tell


def test_nothing_is_known_of_another_machine() -> None:
    """A number that is free here may be a living process there."""
    with holder() as (process, token):
        process.kill()
        process.wait()
        assert is_dead(token)
        assert not is_dead(_changed(token, 0, b"elsewhere"))


@pytest.mark.parametrize("number", ["", "0", "-1", "x", "1e3", "²", "9999999999999999999999", "\x00", "٣²"])
def test_a_token_with_a_senseless_number_counts_as_held(number: str) -> None:
    """In doubt the holder lives: no value in Redis may end a run, or signal a process."""
    assert not is_dead(_changed(new_token(), 1, number.encode()))


@given(
    st.binary() | st.text().map(str.encode) | st.lists(st.text(), min_size=4, max_size=4).map("|".join).map(str.encode)
)
def test_any_bytes_can_be_asked_about(token: bytes) -> None:
    """Whatever Redis holds, the answer is no, and no error."""
    assert not is_dead(token)


def test_a_process_of_another_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not being allowed to signal it says that it is there."""

    def forbidden(_: int, __: int) -> None:
        raise PermissionError

    token = new_token()
    monkeypatch.setattr(os, "kill", forbidden)
    assert not is_dead(token)
