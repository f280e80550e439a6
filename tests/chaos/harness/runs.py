"""A whole run in this process: what ``python -m flows.daily`` runs, without Prefect's engine.

The engine takes seconds for each process, and has no part in the promises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from unittest.mock import patch

from flows import planned_run
from flows.report.models import DailyReport
from state.filesystem import flushing
from state.result.classify import Commit
from tasks.catalog.load import Catalog
from tasks.compute import isolation
from tasks.compute import runner as batches
from tasks.compute.group import compute
from tasks.compute.job import Job
from tests.chaos.harness import scene as scenes
from tests.chaos.harness.scene import Scene


class Told(Protocol):
    """Receives each committed result at once."""

    def __call__(self, aggregation: str, day: str, generation: int) -> None:
        """Called for a result that is durable."""


class _Future:
    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> object:
        try:
            return self._call()
        except Exception as error:
            if raise_on_failure:
                raise
            return error


class _Direct:
    """A task runner that runs each task where it is submitted, without Prefect's engine."""

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers

    def __enter__(self) -> _Direct:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, task: Any, parameters: Mapping[str, Any]) -> _Future:
        plain = {name: getattr(value, "value", value) for name, value in parameters.items()}
        return _Future(lambda: task.fn(**plain))


def run(
    scene: Scene,
    *,
    version: int = 1,
    force: bool = False,
    told: Told | None = None,
    catalog: Callable[[int], Catalog] = scenes.catalog,
) -> DailyReport:
    """One whole run in this process, of the code of a version. Raises what a run raises."""
    settle = Job.settle

    def settle_and_tell(self: Job, answer: Commit | Exception) -> None:
        settle(self, answer)
        if told and isinstance(answer, Commit):
            told(*self.partition, answer.record.generation)

    with (
        without_prefect(),
        patch.object(isolation, "compute_isolated", compute),  # its catalog is in no module that a child could import
        patch.object(flushing, "AT_ONCE", 1),  # in the thread that is held
        patch.object(Job, "settle", settle_and_tell),
    ):
        settings = scene.settings()
        return planned_run.run(settings, catalog(version), scenes.selection(force=force), 1)


@contextmanager
def without_prefect() -> Iterator[None]:
    """Run tasks where they are submitted, and all days in one group."""
    with (
        patch.object(batches, "ThreadPoolTaskRunner", _Direct),
        patch.multiple(batches, SINGLE_DAYS=0, TASKS=1, TURNS=1),
    ):
        yield
