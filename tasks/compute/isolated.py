"""The child process of ``tasks.compute.isolation``: computes and commits the results that its parent asks for.

It ends as soon as its parent is gone, however that one ended: the pipe to its standard input breaks then.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from state.filesystem.durable import write_whole
from state.inputs.root import InputRoot
from state.planner.decide import Item
from state.result.schemas import Schemas
from state.store.local.store import LocalStore
from tasks.compute.outcomes import Committed, Failed, Outcome
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
    asked: queue.SimpleQueue[list[Item]] = queue.SimpleQueue()
    # Not in the main thread: there, what the user's code raises could not be told from a signal.
    threading.Thread(target=_serve, args=(first, asked), name="compute", daemon=True).start()
    for line in requests:
        asked.put([Item(**one) for one in json.loads(line)])
    exit_process(0)


def _serve(first: dict[str, Any], asked: queue.SimpleQueue[list[Item]]) -> None:
    from tasks.catalog.load import load
    from tasks.compute.context import RunContext
    from tasks.compute.group import compute  # after sys.path is the parent's

    try:
        raw_fd, raw_path = first["input"]
        root = LocalStore.from_handle(*first["output"])
        passed_over = {name: tuple(paths) for name, paths in first["passed_over"].items()}
        shop = RunContext(
            *(load(first["module"]), InputRoot(Path(raw_path), raw_fd), root),
            schemas=Schemas(root.scan().days),
            passed_over=passed_over,
        )
        while True:
            days = [(day, list(some)) for day, some in groupby(asked.get(), key=lambda item: item.day)]
            for outcome in compute(shop, days):
                named = {"aggregation": outcome.aggregation, "day": outcome.day}
                write_whole(first["answers"], json.dumps(named | _told(outcome)).encode() + b"\n")
    except BaseException:  # noqa: BLE001 the parent sees the end, and a person the trace
        sys.excepthook(*sys.exc_info())
        exit_process(1)


def _told(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Committed):
        return {"nonce": outcome.news.commit.record.nonce, "predecessor": outcome.news.predecessor}
    if isinstance(outcome, Failed):
        return {"kind": outcome.kind, "error": outcome.error, "passing": outcome.passing}
    return {"status": outcome.status}


if __name__ == "__main__":
    main()
