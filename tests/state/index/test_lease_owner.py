"""Who holds a lease: only a process that certainly ended, here, counts as dead."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.index import lease_owner as holders
from state.index.lease_owner import is_dead, new_token
from tests.project import CHECKOUT, wait_until

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process began")
BOOT, PIDS, CLOCK, NUMBER, BEGAN = range(1, 6)
"""The parts of a token, after the host's name."""
HOLDS = (
    "import sys; from state.index.lease_owner import new_token; "
    "print(new_token().decode(), flush=True); sys.stdin.read()"
)


@contextmanager
def holder(*through: str) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """A process that holds a token, started ``through`` another command, and the token."""
    command = [*through, sys.executable, "-c", HOLDS]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
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


@linux
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
    assert is_dead(_changed(token, BEGAN, b"1"))
    assert not is_dead(_changed(token, BEGAN, b"?"))  # written where the system does not tell


@linux
def test_nothing_is_known_of_another_machine_or_namespace() -> None:
    """A number that is free here may be a living process there; hosts share names, and namespaces their numbers."""
    with holder() as (process, token):
        process.kill()
        process.wait()
        assert is_dead(token)
        assert is_dead(_changed(token, 0, b"renamed"))
        for part in (BOOT, PIDS, CLOCK):
            for other in (b"elsewhere", b"?", b""):
                assert not is_dead(_changed(token, part, other))
        host, *_, number, began, nonce = token.split(b"|")
        assert not is_dead(b"|".join((host, number, began, nonce)))  # as older code wrote it


@linux
def test_where_this_machine_tells_nothing_every_holder_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No boot id to be read, or a ``/proc`` that is another namespace's: nothing can be proven."""
    with holder() as (process, token):
        process.kill()
        process.wait()
        (tmp_path / "self").symlink_to("1")
        for name, path in (("_BOOT", tmp_path / "none"), ("_OWN", tmp_path / "none"), ("_OWN", tmp_path / "self")):
            with monkeypatch.context() as patched:
                patched.setattr(holders, name, path)
                holders._where.cache_clear()
                assert not is_dead(token)
                assert not is_dead(new_token())
        holders._where.cache_clear()
        assert is_dead(token)


NAMESPACES = {
    "processes": ("--pid", "--fork", "--mount-proc", "--kill-child"),
    "processes, with the host's /proc": ("--pid", "--fork", "--kill-child"),
    "the clock since boot": ("--time", "--boottime", "100000", "--fork", "--kill-child"),
}


@linux
@pytest.mark.parametrize("kind", NAMESPACES)
def test_a_run_in_another_namespace_lives_and_sees_that_this_one_does(kind: str) -> None:
    """A container's run and the host's: process numbers mean nothing to the other, nor does the time they began."""
    through = ("unshare", *NAMESPACES[kind])
    if not shutil.which("unshare") or subprocess.run([*through, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"no namespace of {kind} can be made here: unshare is missing, or forbidden")
    ask = "import sys; from state.index.lease_owner import is_dead; print(is_dead(sys.argv[1].encode()))"
    own = new_token()
    with holder(*through) as (_, token):
        assert token.split(b"|")[0] == own.split(b"|")[0]
        assert not is_dead(token)
        seen = subprocess.run([*through, sys.executable, "-c", ask, own], cwd=CHECKOUT, capture_output=True, check=True)
        assert seen.stdout == b"False\n"


@pytest.mark.parametrize("number", ["", "0", "-1", "x", "1e3", "²", "9999999999999999999999", "\x00", "٣²"])
def test_a_token_with_a_senseless_number_counts_as_held(number: str) -> None:
    """In doubt the holder lives: no value in Redis may end a run, or signal a process."""
    assert not is_dead(_changed(new_token(), NUMBER, number.encode()))


@given(
    st.binary() | st.text().map(str.encode) | st.lists(st.text(), min_size=7, max_size=7).map("|".join).map(str.encode)
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
