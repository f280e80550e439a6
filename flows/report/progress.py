"""Shows how far a run has come: a line on a terminal, an artifact on a Prefect server that is there to stay."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.settings import PREFECT_API_URL
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from state.index.best_effort import log
from tasks.compute.progress import Progress as Counted

PATIENCE_SECONDS = 3.0
"""A run that ends sooner needs no artifact; a longer one updates it this often. Each call takes some 20 ms."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Days a second."""
        return Text(f"{task.speed:,.0f} a second" if task.speed else "", style="dim")


class _Line(Counted):
    """A line on the terminal that is gone once the run has ended."""

    def __init__(self, total: int, line: Progress) -> None:
        super().__init__(total)
        self._line = line
        self._task = line.add_task("computing", total=total)

    def show(self) -> None:
        self._line.update(self._task, completed=self.days)


class _Artifact(Counted):
    """An artifact of the flow run. A server that does not take it harms nothing."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._id: UUID | None = None
        self._next = time.monotonic() + PATIENCE_SECONDS
        self._broken = False

    def show(self) -> None:
        if time.monotonic() >= self._next:
            self._tell()
            self._next = time.monotonic() + PATIENCE_SECONDS

    def finish(self) -> None:
        """Leave it as the run leaves the days."""
        if self._id is not None:
            self._tell()

    def _tell(self) -> None:
        """Create or update it."""
        if self._broken:
            return
        done, told = 100 * self.days / max(self.total, 1), f"{self.days:,} of {self.total:,} days"
        try:
            if self._id is None:
                self._id = _id(create_progress_artifact(done, key="noonmark-days", description=told))
            else:
                update_progress_artifact(self._id, done, description=told)
        except Exception as error:  # noqa: BLE001 whatever the server says of a picture, the work goes on
            self._broken = True
            log.warning("Prefect takes no progress artifact, so none is shown: %s", error)


@contextmanager
def shown_progress(total: int) -> Iterator[Counted]:
    """Count and show the progress of so many days."""
    if total and sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("days"), _Rate())
        console = Console(file=sys.stderr)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, refresh_per_second=4) as line:
            yield _Line(total, line)
    elif total and PREFECT_API_URL.value() is not None:
        artifact = _Artifact(total)
        try:
            yield artifact
        finally:
            artifact.finish()
    else:
        yield Counted(total)


def _id(created: object) -> UUID:
    assert isinstance(created, UUID)  # it is a coroutine inside one only
    return created
