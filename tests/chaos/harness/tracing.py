"""Attaches strace to a worker: lists its system calls, and kills, stops or fails it at one of them.

Only the worker's main thread is traced; everything that matters is done there. A kill or an error comes before the
call has any effect, a stop after it: to be killed after a call is to be killed before the next.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.chaos.campaign import NotStruck
from tests.chaos.harness.worker import Worker
from tests.project import wait_until

_ATTACH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Point:
    """The ``nth`` call of one system call, counted from 1; ``line`` is what it was when it was listed."""

    call: str
    nth: int
    line: str = ""

    def __str__(self) -> str:
        return f"{self.call} #{self.nth}"


KILL = "signal=SIGKILL"
STOP = "signal=SIGSTOP"


def error(name: str) -> str:
    """The strace effect of a call that does nothing and fails with this error."""
    return f"error={name}"


@cache
def lacking() -> str | None:
    """Why no worker can be traced on this machine, or None. Tried on a sleeping process."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        tracer = subprocess.Popen(
            ["strace", "-qqq", "-o", os.devnull, "-e", "inject=none:signal=SIGSTOP", "-p", str(sleeper.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: tracer.poll() is not None or _is_traced(sleeper.pid), 10)
        told = "" if tracer.poll() is None else tracer.communicate()[1]
        tracer.kill()
        tracer.communicate()
        return f"strace may not attach to a process here: {told.strip()[:200]}" if told else None
    finally:
        sleeper.kill()
        sleeper.wait()


def list_calls(worker: Worker, log: Path) -> list[Point]:
    """Run a worker to its end, undisturbed; returns every system call of its main thread, in order."""
    tracer = _attach(worker, log)
    worker.let_go()
    worker.wait()
    tracer.wait()
    if not worker.ended_well:
        raise RuntimeError(f"undisturbed, the worker failed: {worker.error or worker.process.exitcode}")
    seen: Counter[str] = Counter()
    points = []
    for line in log.read_text(errors="replace").splitlines():
        name = line.partition("(")[0]
        if name.isidentifier():
            seen[name] += 1
            points.append(Point(name, seen[name], line))
    return points


def let_go_until(worker: Worker, point: Point, effect: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a worker, with ``effect`` at one call; returns the tracer, which ends with the worker."""
    tracer = _attach(worker, log, f"inject={point.call}:{effect}:when={point.nth}", f"trace={point.call}")
    worker.let_go()
    return tracer


def let_go_failing(worker: Worker, call: str, name: str, path: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a worker in which every ``call`` on one path fails with an error, as on a bad sector."""
    tracer = _attach(worker, log, f"inject={call}:error={name}", f"trace={call}", paths=(path,))
    worker.let_go()
    return tracer


def wait_stopped(worker: Worker, log: Path, seconds: float = 30.0) -> bool:
    """Wait until a worker is stopped; False where it ended before that.

    strace stops the process for an instant at every traced call: only the tracer's ``log`` tells such a stop from the
    one that was asked for.
    """
    until = time.monotonic() + seconds
    while worker.process.is_alive():
        if _state(worker.pid) in ("T", "t") and "--- stopped by SIGSTOP" in log.read_text("utf-8", "replace"):
            return True
        assert time.monotonic() < until, "it neither stopped nor ended"
        time.sleep(0.001)
    return False


def stop_and_wake(worker: Worker, point: Point, log: Path, meanwhile: Callable[[], object]) -> bool:
    """Stop a worker at one call, do something meanwhile, continue it, and wait; returns whether it ended in time.

    Raises NotStruck where it ended before the call.
    """
    tracer = let_go_until(worker, point, STOP, log)
    stopped = wait_stopped(worker, log)
    if stopped:
        meanwhile()
        os.kill(worker.pid, signal.SIGCONT)
    in_time = worker.wait()
    tracer.wait()
    if not stopped:
        raise NotStruck
    return in_time


def _attach(worker: Worker, log: Path, *expressions: str, paths: tuple[Path, ...] = ()) -> subprocess.Popen[bytes]:
    worker.wait_ready()
    options = [part for expression in expressions or ("trace=all",) for part in ("-e", expression)]
    options += [part for path in paths for part in ("-P", str(path.resolve()))]
    tracer = subprocess.Popen(
        ["strace", "-qqq", "-s", "200", "-o", str(log), *options, "-p", str(worker.pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + _ATTACH_SECONDS
    while not (traced := _is_traced(worker.pid)) and tracer.poll() is None and time.monotonic() < until:
        time.sleep(0.0005)
    if traced:
        if tracer.stderr:
            tracer.stderr.close()
        return tracer
    late = tracer.poll() is None
    if late:
        tracer.kill()
    told = tracer.communicate()[1].decode()
    # If strace ended without a message it had attached, and the worker died at the call it was waiting in.
    if late or told:
        raise RuntimeError(f"strace did not attach: {told or f'it took longer than {_ATTACH_SECONDS} s'}")
    return tracer


def _is_traced(pid: int) -> bool:
    return _status(pid, "TracerPid") not in ("0", "")


def _state(pid: int) -> str:
    return _status(pid, "State")[:1]


def _status(pid: int, field: str) -> str:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{field}:")), "")
