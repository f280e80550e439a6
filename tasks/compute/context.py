"""What every computation of a run shares, and how much of it is done together."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from state.inputs.root import InputRoot
from state.planner.decide import Item
from state.result.schemas import Schemas
from state.store.base import RunNote
from state.store.local.run_note import LocalRunNote
from state.store.local.store import LocalStore
from tasks.catalog.load import Catalog
from tasks.compute.progress import Progress
from tasks.inputs.run_listing import RunListing

Days = Sequence[tuple[str, Sequence[Item]]]
"""Days with their planned results."""

OPEN_DRAFTS = 128
"""How many files a whole run's results have open at most, two each: a process may have 256 open, and needs others."""


class AdaptiveBatchSize:
    """How many results are computed and flushed together: as many as take about half a second, so that a run that
    ends early drops no more than that.
    """

    WANTED_SECONDS = 0.5

    def __init__(self, workers: int = 1) -> None:
        self._most = max(1, OPEN_DRAFTS // (2 * workers))
        self.results = min(4, self._most)

    def took(self, results: int, seconds: float) -> None:
        """Learn from a group that was computed."""
        if seconds > self.WANTED_SECONDS:
            self.results = max(1, min(self.results, results) // 2)
        elif results >= self.results and seconds < self.WANTED_SECONDS / 2:
            self.results = min(2 * self.results, self._most)


@dataclass(frozen=True)
class RunContext:
    """What every computation of a run shares.

    ``stopping`` is set when the run is told to end, ``note`` says on disk what is being computed, and ``module`` is
    where another process finds the catalog.

    ``passed_over`` has the broken links that the survey met, by the key of their source; ``schemas`` are those of the
    results that the run found, and of those that it makes.
    """

    catalog: Catalog
    input_root: InputRoot
    root: LocalStore
    pace: AdaptiveBatchSize = field(default_factory=AdaptiveBatchSize)
    progress: Progress = field(default_factory=Progress)
    schemas: Schemas = field(default_factory=Schemas)
    stopping: threading.Event = field(default_factory=threading.Event)
    passed_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: RunNote = field(default_factory=LocalRunNote)
    module: str = ""

    @cached_property
    def listing(self) -> RunListing:
        """What is listed of the inputs while the run goes on."""
        return RunListing(self.input_root, self.passed_over)
