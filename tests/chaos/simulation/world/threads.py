"""Stands in for the modules ``time`` and ``threading``: rest and background work belong to the schedule, too."""

from __future__ import annotations

from collections.abc import Callable

from greenlet import getcurrent  # type: ignore[import-untyped]

from tests.chaos.simulation.world.scheduler import Fiber, Killed, Scheduler

LEAST_REST = 5.0
"""Seconds."""


class Clock:
    """Stands in for the module ``time``."""

    def __init__(self) -> None:
        self.scheduler: Scheduler

    def monotonic(self) -> float:
        """Seconds."""
        return self.scheduler.now / 1e9

    def time_ns(self) -> int:
        """Nanoseconds."""
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        """Rest, for longer than was asked for: whoever asks again and again does so less often."""
        self.scheduler.sleep(int(max(seconds, LEAST_REST) * 1e9))


class Lock:
    """Stands in for ``threading.Lock`` around code that makes no call: nothing can come in between."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Threading:
    """Stands in for the module ``threading`` where the leases are renewed."""

    Lock = Lock

    def __init__(self) -> None:
        self.scheduler: Scheduler

    def Event(self) -> Event:  # noqa: N802 the module's name
        """An event that fibers wait for."""
        return Event(self.scheduler)

    def Thread(self, *, target: Callable[[], None], **_: object) -> Thread:  # noqa: N802 the module's name
        """A thread of the process that runs now."""
        return Thread(self.scheduler, target)


class Event:
    """Stands in for ``threading.Event``."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._set = False
        self._waiting: Fiber | None = None

    def set(self) -> None:
        """Wake who waits."""
        self._set = True
        if self._waiting is not None:
            self._waiting.wake = 0

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds at most."""
        if not self._set:
            fiber = getcurrent()
            assert isinstance(fiber, Fiber)
            self._waiting = fiber
            self._scheduler.sleep(int(timeout * 1e9))
            self._waiting = None
        return self._set


class Thread:
    """Stands in for ``threading.Thread``."""

    def __init__(self, scheduler: Scheduler, target: Callable[[], None]) -> None:
        self._scheduler = scheduler
        self._target = target
        self._fiber: Fiber | None = None

    def start(self) -> None:
        """Begin, as soon as the scheduler likes."""
        self._fiber = self._scheduler.spawn(self._scheduler.current, self._target, background=True)

    def join(self) -> None:
        """Wait for its end."""
        fiber = getcurrent()
        assert isinstance(fiber, Fiber)
        if not fiber.process.alive:
            raise Killed
        if self._fiber is not None and not self._fiber.dead:
            fiber.waits_for = self._fiber
            self._scheduler.hub.switch()
            fiber.waits_for = None
