"""How far a run has come: counted by those who compute, shown by the run's own thread now and then."""

from __future__ import annotations

import threading


class Progress:
    """Counts days; shows nothing. ``days`` of ``total`` have an outcome."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.days = 0
        self._lock = threading.Lock()

    def advance(self, days: int) -> None:
        """Count days that are settled; any thread may."""
        with self._lock:
            self.days = min(self.days + days, self.total)

    def show(self) -> None:
        """Called by the run's own thread, often: at least twice a second while it waits."""
