"""Computes results in a child process, after a run died of one: a child that dies harms the result that it computed.

Results are computed together as long as nothing happens. Where a child dies of several, each of them is computed alone,
and the one that dies alone has failed. The child commits by itself, through the same code: it inherits the descriptors
of both roots, and nothing else of the run.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from state.failure import DIED
from state.index.index import IndexUpdate
from state.partition import Partition
from state.planner.decide import Item
from state.result.classify import Commit
from tasks.compute.context import RunContext
from tasks.compute.outcomes import Committed, Failed, Outcome, Skipped, traceback_log

TOGETHER = 64
"""How many results are asked for at once."""
PLANNED = ("aggregation", "day", "reason", "over", "files", "basis")
"""What the child gets of an item."""
_PROJECT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.2


class _Died(Exception):
    """The child is gone; the text says how it ended."""


def compute_isolated(run: RunContext, items: Sequence[Item]) -> Iterator[Outcome]:
    """As ``tasks.compute.group.compute``, in processes that may die of what they compute.

    Once the run is stopping, the child is ended too: what it was computing has no outcome.
    """
    todo = deque(_portions(items))
    while todo and not run.stopping.is_set():
        with _Child(run) as child:
            while todo and not run.stopping.is_set():
                portion = todo.popleft()
                done: set[Partition] = set()
                try:
                    for outcome in child.compute(portion):
                        done.add(outcome.partition)
                        yield outcome
                except _Died as death:
                    left = [item for item in portion if item.partition not in done]
                    if len(left) > 1:
                        todo.extend([item] for item in left)
                    elif left:
                        yield Failed(*left[0].partition, DIED, f"the process that computed it {death}")
                    break


def _portions(items: Sequence[Item]) -> Iterator[list[Item]]:
    """What is asked for at once: what may kill is asked for alone."""
    for alone, some in groupby(items, key=lambda item: item.may_kill):
        together = list(some)
        size = 1 if alone else TOGETHER
        yield from (together[at : at + size] for at in range(0, len(together), size))


class _Child:
    """A process that computes what it is asked for; it ends with the run, however that one ends."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._answers, write = os.pipe()
        spec = run.spec()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.compute.isolated"],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=2,  # what it prints is no part of the report
            pass_fds=[write, *spec.descriptors],
            start_new_session=True,  # a signal to this run's group is not meant for it
        )
        os.close(write)
        self._unread = b""
        self._peak = 0
        path = [os.path.abspath(one) for one in sys.path]
        tracebacks = traceback_log.isEnabledFor(logging.DEBUG)
        self._send({"path": path, "run": spec._asdict(), "answers": write, "tracebacks": tracebacks})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._answers)
        assert self._process.stdin
        self._process.stdin.close()
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()

    def compute(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """Compute and commit results; fewer than were asked for where the run is stopping. Raises _Died."""
        asked = {item.partition: item for item in items}
        self._send([{name: getattr(item, name) for name in PLANNED} for item in items])
        while asked and (line := self._line()) is not None:
            answer = json.loads(line)
            yield _outcome(self._run, asked.pop((answer["aggregation"], answer["day"])), answer)

    def _line(self) -> bytes | None:
        """The next answer; None where the run is stopping."""
        while b"\n" not in self._unread:
            if self._run.stopping.is_set():
                return None
            # A process that the user's code left behind may hold the pipe open; and what the child wrote last is in it
            # by the time that the child is seen to be gone.
            ended = self._has_ended()
            if select.select([self._answers], [], [], 0 if ended else _POLL_SECONDS)[0]:
                if not (piece := os.read(self._answers, 1 << 16)):
                    raise _Died(self._end())
                self._unread += piece
            elif ended:
                raise _Died(self._end())
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _send(self, message: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it died before; that shows when its answer is read
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _has_ended(self, options: int = os.WNOHANG) -> bool:
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self._process.pid, options)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self._peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return self._process.returncode is not None

    def _end(self) -> str:
        """How the child ended, in words, with the most memory that it had."""
        self._has_ended(0)
        code = self._process.returncode
        if code >= 0:
            how = f"ended with exit code {code}"
        else:
            how = f"was killed by {signal.Signals(-code).name}"
            how += ", as the system does where memory runs out" if -code == signal.SIGKILL else ""
        return f"{how} (its peak memory was {self._peak / 1e6:,.0f} MB)"


def _outcome(run: RunContext, item: Item, answer: dict[str, Any]) -> Outcome:
    if "status" in answer:
        return Skipped(*item.partition, answer["status"])
    if "error" in answer:
        return Failed(*item.partition, answer["kind"], answer["error"], answer["summary"])
    found = run.store.lookup(item.partition)
    if isinstance(found, Commit) and found.record.nonce == answer["nonce"]:
        update = IndexUpdate(found, answer["predecessor"])
        return Committed(*item.partition, found.record.generation, found.record.rows, item.reason, update)
    return Skipped(*item.partition, "done")  # another run replaced it already, and recorded that
