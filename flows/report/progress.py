"""Shows how far a run has come: a line on a terminal, an artifact on a Prefect server that is there to stay."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.settings import PREFECT_API_URL
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from flows.report.log import log
from state.planner.decide import Item
from state.words import counted
from tasks.compute.outcomes import Committed, Failed, Observer, Outcome

PATIENCE_SECONDS = 3.0
"""A run that ends sooner needs no artifact; a longer one updates it this often. Each call takes some 20 ms."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Days a second."""
        return Text(f"{task.speed:,.0f} a second" if task.speed else "", style="dim")


class Logged(Observer):
    """Logs a line for each result, for ``--verbose``."""

    def on(self, outcome: Outcome) -> None:
        """Log what became of a result."""
        if not log.isEnabledFor(logging.DEBUG):
            return
        if isinstance(outcome, Committed):
            what = f"committed, {counted(outcome.rows, 'row')} ({outcome.reason})"
        elif isinstance(outcome, Failed):
            what = f"failed ({outcome.kind}): {outcome.error}"
        else:
            what = f"skipped: {outcome.status}"
        log.debug("%s %s: %s", *outcome.partition, what)


class Counted(Logged):
    """Counts days: ``days`` of ``total`` have all their outcomes."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._left = Counter(item.day for item in items)
        self._lock = threading.Lock()
        self.total = len(self._left)
        self.days = 0

    def on(self, outcome: Outcome) -> None:
        """Log and count a result."""
        super().on(outcome)
        with self._lock:
            self._left[outcome.day] -= 1
            self.days += not self._left[outcome.day]


class _Line(Counted):
    """A line on the terminal that is gone once the run has ended."""

    def __init__(self, items: Sequence[Item], line: Progress) -> None:
        super().__init__(items)
        self._line = line
        self._task = line.add_task("computing", total=self.total)

    def tick(self) -> None:
        self._line.update(self._task, completed=self.days)


class _Artifact(Counted):
    """An artifact of the flow run. A server that does not take it harms nothing."""

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__(items)
        self._id: UUID | None = None
        self._next = time.monotonic() + PATIENCE_SECONDS

    def tick(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PATIENCE_SECONDS
            self._send()

    def finish(self) -> None:
        """Leave it as the run leaves the days."""
        if self._id is not None:
            self._send()

    def _send(self) -> None:
        """Create or update it."""
        done, text = 100 * self.days / max(self.total, 1), f"{self.days:,} of {self.total:,} days"
        try:
            if self._id is None:
                created = create_progress_artifact(done, key="noonmark-days", description=text)
                assert isinstance(created, UUID)  # it is a coroutine inside of one alone
                self._id = created
            else:
                update_progress_artifact(self._id, done, description=text)
        except Exception as error:  # noqa: BLE001 whatever the server says of a picture, the work goes on
            self._id, self._next = None, math.inf
            log.warning("Prefect's server refused the progress artifact, so no progress is shown: %s", error)


@contextmanager
def shown_progress(items: Sequence[Item]) -> Iterator[Observer]:
    """Show how many days of a plan are done."""
    if items and sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("days"), _Rate())
        console = Console(file=sys.stderr)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, refresh_per_second=4) as line:
            yield _Line(items, line)
    elif items and PREFECT_API_URL.value() is not None:
        artifact = _Artifact(items)
        try:
            yield artifact
        finally:
            artifact.finish()
    else:
        yield Logged()
