"""The real worker in a child process, which can be stopped, failed or killed at any system call.

It runs what ``python -m flows.daily`` runs, without Prefect's engine: that takes seconds for each process and has no
part in the promises. A fork server that has imported everything starts it, so that ten thousand of them are affordable.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from state.errors import NoonmarkError
from tests.chaos.harness import scene as scenes
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import Told, run
from tests.chaos.harness.scene import Scene

DEADLINE = 60.0
"""Seconds that a worker may take; longer breaks promise 12."""
_FORKSERVER = multiprocessing.get_context("forkserver")
_PRELOADED = [
    __name__,
    "tests.chaos.mutants",
    "tests.chaos.harness.invariants",
    "tests.chaos.concurrency.successors",
]
_FORKSERVER.set_forkserver_preload(_PRELOADED)
for _version in (1, 2):
    for _one in scenes.catalog(_version).values():
        _ = _one.code  # computed once in the fork server: fingerprinting is not attacked


class Worker:
    """A function in a forked process. It waits for ``let_go``, so that a tracer can attach first.

    ``told`` collects what it sends, ``result`` is what it returns, ``error`` the traceback of what it raises. It may be
    killed at any instant.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, mutants: tuple[str, ...] = ()) -> None:
        self._go, gate = _FORKSERVER.Pipe()
        self._answers, answers = _FORKSERVER.Pipe(duplex=False)
        self.process: BaseProcess = _FORKSERVER.Process(
            target=_in_child, args=(gate, answers, function, arguments, mutants), daemon=True
        )
        self.process.start()
        gate.close()
        answers.close()
        self.told: list[Any] = []
        self.result: Any = None
        self.error: str | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self.process.pid is not None
        return self.process.pid

    def wait_ready(self) -> None:
        """Wait until it is about to begin: a tracer attached earlier would count what Python does to start."""
        self._go.poll(DEADLINE)

    def let_go(self) -> None:
        """Let it begin, if it is alive."""
        with suppress(BrokenPipeError):
            self._go.send_bytes(b"go")

    def wait(self, seconds: float = DEADLINE) -> bool:
        """Wait for its end; False where it passed the deadline and was killed."""
        in_time = True
        self.process.join(seconds)
        if self.process.is_alive():
            in_time = False
            self.kill()
        self._collect()
        return in_time

    def kill(self) -> None:
        """Send SIGKILL, also to a stopped process; does nothing where it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.process.join()

    def _collect(self) -> None:
        while self._answers.poll():
            try:
                kind, value = self._answers.recv()
            except (EOFError, OSError):
                break
            if kind == "told":
                self.told.append(value)
            elif kind == "result":
                self.result = value
            else:
                self.error = value
        self._answers.close()
        self._go.close()

    @property
    def ended_well(self) -> bool:
        """Whether it returned a result."""
        return self.process.exitcode == 0 and self.error is None


def call(function: Callable[..., Any], *arguments: Any, mutants: tuple[str, ...] = ()) -> Any:
    """Run a function in a forked process, undisturbed; returns its result. Raises RuntimeError for what it raises."""
    worker = Worker(function, *arguments, mutants=mutants)
    worker.let_go()
    if not worker.wait():
        raise RuntimeError(f"it took longer than {DEADLINE:g} s")
    if not worker.ended_well:
        raise RuntimeError(worker.error or f"it ended with {worker.process.exitcode}")
    return worker.result


def _in_child(
    gate: Connection,
    answers: Connection,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    mutants: tuple[str, ...],
) -> None:
    from tests.chaos import mutants as switch

    logging.disable(logging.CRITICAL)  # nobody reads the logs of ten thousand runs
    gate.send_bytes(b"ready")
    gate.recv_bytes()
    try:
        with ExitStack() as removed:
            for name in mutants:
                removed.enter_context(switch.MUTANTS[name]())
            answers.send(("result", function(*arguments, lambda *told: answers.send(("told", told)))))
    except BaseException:  # noqa: BLE001 the parent checks it
        answers.send(("error", traceback.format_exc()))


def run_in_child(scene: Scene, options: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """The function of a worker: one run; returns its report."""
    return run(scene, **options, told=told).to_json()


def mend_in_child(scene: Scene, version: int, _: Told) -> list[str]:
    """The function of a worker after all faults have stopped: one more run; returns what is wrong even then."""
    try:
        failed = run(scene, version=version).to_json()["failed"]
    except NoonmarkError as error:
        return [f"the next run ended with {type(error).__name__}: {error}"]
    return [f"the next run failed: {one}" for one in failed] + inspect(scene, version)


def inspect_in_child(scene: Scene, version: int, _: Told) -> list[str]:
    """The function of a worker that only inspects the output."""
    return inspect(scene, version)
