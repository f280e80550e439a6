"""What others do while a writer is stopped: change its input, commit, delete, or set aside."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from flows import repair
from state.store.local import layout
from tests.chaos.concurrency.races import MANY
from tests.chaos.harness import scene as scenes
from tests.chaos.harness.runs import Told
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import DAY, SITUATIONS, Base, Situation
from tests.chaos.harness.worker import Worker, run_in_child

_PATIENCE = 0.1
"""Seconds that a successor waits for a day's lock, instead of thirty: the stopped one may hold it."""
_LATER = (20, 30, 40)


def run_briefly(scene: Scene, options: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """The function of a successor: one run that does not wait long for a lock."""
    with patch("state.store.local.day_lock.LOCK_DEADLINE_SECONDS", _PATIENCE):
        return run_in_child(scene, options, told)


def repair_deep(scene: Scene, options: Mapping[str, Any], _: Told) -> dict[str, Any]:
    """``python -m flows.repair --deep``, without Prefect's engine."""
    catalog = scenes.catalog(options.get("version", 1))
    return repair.repair_output(scene.settings(), catalog, deep=True, accept=False, dry_run=False).to_json()


def _repair_briefly(scene: Scene, options: Mapping[str, Any], told: Told) -> dict[str, Any]:
    with ExitStack() as stack:
        stack.enter_context(patch("state.store.local.day_lock.LOCK_DEADLINE_SECONDS", _PATIENCE))
        return repair_deep(scene, options, told)


@dataclass
class Meanwhile:
    """What others did: ``told`` is to stand, ``ever`` was told at all; ``complete``: nothing of it failed.

    ``version`` is that of the newest code. ``untouched``: nobody deleted anything by hand. ``forgotten``: the memory of
    generations was deleted too.
    """

    scene: Scene
    base: Base
    mutants: tuple[str, ...]
    told: list[tuple[str, str, int]] = field(default_factory=list)
    ever: list[tuple[str, str, int]] = field(default_factory=list)
    complete: bool = True
    untouched: bool = True
    forgotten: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        self.version = self.base.version

    def run(self, function: Callable[..., Any] = run_briefly) -> None:
        """Run another worker to its end."""
        patient = replace(self.scene, lease_seconds=2)  # the stopped one's lease of a second runs out meanwhile
        worker = Worker(function, patient, {"version": self.version}, mutants=self.mutants)
        worker.let_go()
        in_time = worker.wait()
        skipped = worker.result.get("skipped", {}) if worker.ended_well else {}
        self.complete &= in_time and worker.ended_well and not worker.result.get("failed") and not skipped.get("leased")
        self.told += worker.told
        self.ever += worker.told

    def sell(self) -> None:
        """Change the input."""
        self.scene.sell(DAY, *_LATER)

    def delete(self, *, marks: bool = False) -> None:
        """Delete a day by hand, and the memory of its generations too."""
        for name in ("items_by_shop", "totals"):
            shutil.rmtree(self.scene.output / layout.day_folder(name, DAY), ignore_errors=True)
        if marks:  # emptied, not unlinked: an unlinked lock file locks nothing
            for path in (self.scene.output / layout.LOCKS).rglob("*.locks"):
                path.write_bytes(b"")
        self.told.clear()
        self.untouched = False
        self.forgotten |= marks


def _successor(meanwhile: Meanwhile) -> None:
    meanwhile.sell()
    meanwhile.run()


def _newer_code(meanwhile: Meanwhile) -> None:
    meanwhile.version = 2
    meanwhile.run()


def _deleted(meanwhile: Meanwhile) -> None:
    meanwhile.sell()
    meanwhile.run()
    meanwhile.delete()


def _republished(meanwhile: Meanwhile) -> None:
    meanwhile.delete(marks=True)
    meanwhile.sell()
    meanwhile.run()


def _deep(meanwhile: Meanwhile) -> None:
    meanwhile.sell()
    meanwhile.run()
    meanwhile.run(_repair_briefly)


def _flip(scene: Scene) -> None:
    """Flip one bit of the rows: only the deep check finds it."""
    for _, _, path in scene.results():
        content = bytearray(path.read_bytes())
        content[8] ^= 1
        path.write_bytes(content)


FLIPPED = Situation("flipped bit", {DAY: (1, 2, 3)}, {DAY: (1, 2, 3)}, harm=_flip)
OUTPUTS = (*(one for one in SITUATIONS if one.name in ("first run", "changed day", "damaged results")), FLIPPED, MANY)


@dataclass(frozen=True)
class Variant:
    """The situation that a writer begins in, what it runs, and what others do while it is stopped."""

    name: str
    output: str
    others: Callable[[Meanwhile], None]
    stopped: Callable[..., Any] = run_in_child


VARIANTS = (
    Variant("input changed", "changed day", _successor),
    Variant("newer code", "changed day", _newer_code),
    Variant("published and deleted", "first run", _deleted),
    Variant("deleted and published again", "changed day", _republished),
    Variant("damage repaired", "damaged results", _successor),
    Variant("deep check after it", "changed day", _deep),
    Variant("deep check stopped", "flipped bit", _successor, stopped=repair_deep),
    Variant("first runs at once", "first run", _successor),
)
