"""Plays one schedule again and prints it, call by call: ``python -m tests.chaos.simulation.replay NUMBER [--least]``.

``--least`` leaves out first what the violation does not need.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.chaos.simulation.schedule import Play, draw, shrunk
from tests.chaos.simulation.stage import Stage, staged

_CALLS = ("open", "listdir", "stat", "pread", "pwrite", "fsync", "sync", "mkdir", "unlink", "link", "rename")


def replay(number: int, tell: Callable[[str], None] = print, *, least: bool = False) -> list[str]:
    """Play the schedule of this number, telling each step; what it broke."""
    with staged() as stage:
        shape = draw(number)
        if least and Play(stage, shape).run():
            shape = shrunk(stage, shape)
        tell(str(shape))
        for name in _CALLS:
            setattr(stage.storage, name, _told(stage, name, getattr(stage.storage, name), tell))
        for owner, name in ((stage.locks, "flock"), (stage.inputs, "step")):
            setattr(owner, name, _told(stage, name, getattr(owner, name), tell))
        stage.server._apply = _told(stage, "redis", stage.server._apply, tell)  # type: ignore[method-assign]
        broken = Play(stage, shape, tell).run()
    for what in broken:
        tell(f"BROKEN {what}")
    return broken


def _told(stage: Stage, name: str, call: Callable[..., Any], tell: Callable[[str], None]) -> Callable[..., Any]:
    def told(*arguments: Any, **options: Any) -> Any:
        process = stage.scheduler.current.name
        shown = ", ".join(_short(one) for one in arguments)
        try:
            result = call(*arguments, **options)
        except BaseException as error:
            tell(f"{stage.scheduler.steps:5} {process} {name}({shown}) raised {type(error).__name__}: {error}")
            raise
        tell(f"{stage.scheduler.steps:5} {process} {name}({shown}) = {_short(result)}")
        return result

    return told


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:60]} … {text[-50:]}"


if __name__ == "__main__":
    replay(int(sys.argv[1]), least="--least" in sys.argv)
