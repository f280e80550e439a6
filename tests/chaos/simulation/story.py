"""Tells a play as a story, and saves a failing schedule as a file that a person can read and that plays again exactly.

The file is JSON: what was broken, the story line by line, and the schedule itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.chaos.simulation.play import Play, Trace
from tests.chaos.simulation.schedule import AT_THE_END, Schedule
from tests.chaos.simulation.stage import Stage

FAILURES = Path(__file__).parent / "failures"
"""Where campaigns save the schedules that failed."""
_CHANGES = ("write", "fsync", "sync", "mkdir", "unlink", "link", "rename")
_READS = ("open", "listdir", "stat", "pread")
_WIDEST = 120


def tell(stage: Stage, schedule: Schedule, line: Trace, *, every_call: bool = False) -> list[str]:
    """Play a schedule and tell who does what at which step; what it broke. ``every_call`` tells what is read, too."""
    for text in _opening(schedule):
        line(text)
    with _listened_to(stage, line, (*_CHANGES, *_READS) if every_call else _CHANGES):
        broken = Play(stage, schedule, line).run()
    for what in broken:
        line(f"BROKEN: {what}")
    return broken


def save(stage: Stage, schedule: Schedule, folder: Path, number: int | None = None) -> Path:
    """Write the file of a failing schedule, found as ``number``; returns its path."""
    story: list[str] = []
    broken = tell(stage, schedule, story.append)
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z]+", "-", broken[0].partition(":")[2].lower()).strip("-")[:50]
    path = folder / f"{name}-{schedule.number if number is None else number}.json"
    text = json.dumps({"broken": broken, "story": story, "schedule": schedule.to_json()}, indent=1)
    path.write_text(re.sub(r'\[\s+("[^"]+"),\s+(\d+),\s+(\d+)\s+\]', r"[\1, \2, \3]", text) + "\n")  # a turn is a line
    return path


def load(path: Path) -> Schedule:
    """The schedule of a file."""
    return Schedule.of(json.loads(path.read_text())["schedule"])


def _opening(schedule: Schedule) -> Iterator[str]:
    with_redis = "with" if schedule.redis else "without"
    yield f"{', '.join(schedule.aggregations)}; {with_redis} Redis; days {'together' if schedule.grouped else 'singly'}"
    for at, word in enumerate(schedule.standing, 1):
        yield f"day {at}: {word}{' result' * (word != 'nothing')} in its place"
    for one in schedule.workers:
        runs = f"{one.runs} runs" if one.runs > 1 else "one run"
        yield f"{one.name}: {runs} of code version {one.version}, after {one.delay_ns // 1_000_000} ms"
    for event in schedule.events:
        yield f"{event.kind}: {'at the end' if event.step == AT_THE_END else f'at step {event.step}'}"


@contextmanager
def _listened_to(stage: Stage, line: Trace, calls: tuple[str, ...]) -> Iterator[None]:
    """Tells each call of a worker, with the step at which it had its effect."""

    def said(text: str) -> None:
        line(f"{stage.scheduler.steps:5} {stage.scheduler.current.name}: {text}")

    def told(owner: object, name: str, shown: Callable[..., str]) -> None:
        call = getattr(owner, name)

        def telling(*arguments: Any, **options: Any) -> Any:
            try:
                result = call(*arguments, **options)
            except Exception as error:
                said(f"{shown(*arguments, **options)} raises {type(error).__name__}: {error}")
                raise
            said(shown(*arguments, **options) + (f" = {_short(result)}" if result is not None else ""))
            return result

        stack.enter_context(patch.object(owner, name, telling))

    def shown_as(name: str) -> Callable[..., str]:
        def shown(*arguments: Any, **options: Any) -> str:
            if name in ("link", "rename"):
                within = (options.get("src_dir_fd"), options.get("dst_dir_fd"))
                return f"{name} {' to '.join(map(stage.storage.full, arguments, within))}"
            first = arguments[0] if arguments else ""
            if isinstance(first, int):
                opened = stage.storage.table.get(first)
                first = opened.path if opened else "a file that is closed"
            elif first:
                first = stage.storage.full(first, options.get("dir_fd"))
            return f"{name} {first}".rstrip()

        return shown

    with ExitStack() as stack:
        for name in calls:
            told(stage.storage, name, shown_as(name))
        told(stage.locks, "flock", lambda fd, _: shown_as("lock")(fd))
        told(stage.locks, "fcntl", lambda fd, *_: shown_as("lock")(fd))
        told(stage.inputs, "step", lambda call, path: f"{call} {path}")
        told(stage.server, "_apply", _command)
        stack.enter_context(patch.object(stage, "note", said))
        yield


def _command(command: tuple[object, ...]) -> str:
    words = command[2:] if command[0] == "EVAL" else command[1:]
    return f"Redis {command[0]} " + " ".join(map(_short, words))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST // 2]} … {text[-_WIDEST // 3 :]}"
