"""The child process of ``tasks.compute.isolation``: computes and commits the results that its parent asks for.

It ends as soon as its parent is gone, however that one ended: the pipe to its standard input breaks then.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from state.filesystem.durable import write_whole
from state.planner.decide import Item
from tasks.compute.outcomes import Committed, Failed, Outcome, traceback_log
from tasks.user_code import exit_process


def main() -> None:
    """Serve requests, one JSON object a line on standard input, until there are no more."""
    with suppress(OSError):  # where memory runs out, the system shall choose this process and not its parent
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    requests = os.fdopen(os.dup(0), "rb")
    sys.stdin.close()  # the user's code shall not read what is meant for this one
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    first = json.loads(requests.readline())
    sys.path[:] = first["path"]
    if first["tracebacks"]:
        logging.basicConfig(format="%(message)s")
        traceback_log.setLevel(logging.DEBUG)
    asked: queue.SimpleQueue[list[Item]] = queue.SimpleQueue()
    # Not in the main thread: there, what the user's code raises could not be distinguished from a signal.
    threading.Thread(target=_serve, args=(first, asked), name="compute", daemon=True).start()
    for line in requests:
        asked.put([Item(**one) for one in json.loads(line)])
    exit_process(0)


def _serve(first: dict[str, Any], asked: queue.SimpleQueue[list[Item]]) -> None:
    from tasks.compute.context import RunContext, RunSpec
    from tasks.compute.group import compute  # after sys.path is the parent's

    try:
        run = RunContext.open(RunSpec(**first["run"]))
        while True:
            for outcome in compute(run, asked.get()):
                named = {"aggregation": outcome.aggregation, "day": outcome.day}
                write_whole(first["answers"], json.dumps(named | _answer(outcome)).encode() + b"\n")
    except BaseException:  # noqa: BLE001 the parent sees the end, and a person the trace
        sys.excepthook(*sys.exc_info())
        exit_process(1)


def _answer(outcome: Outcome) -> dict[str, Any]:
    """What the parent cannot read for itself."""
    if isinstance(outcome, Committed):
        return {"nonce": outcome.update.commit.record.nonce, "predecessor": outcome.update.predecessor}
    if isinstance(outcome, Failed):
        return {"kind": outcome.kind, "error": outcome.error, "summary": outcome.summary}
    return {"status": outcome.status}


if __name__ == "__main__":
    main()
