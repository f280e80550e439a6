"""Interleaves workers at every call that leaves them: one thread, one simulated clock, a seeded choice of who is next.

Each worker runs the real code in greenlets. Every simulated call asks ``step`` first, and most of the time goes on at
once: only where a turn ends or an event is due does control go back to the loop. The turns are drawn and recorded; a
recorded list of turns, or a part of it, can be played again.
"""

from __future__ import annotations

import random
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

STEP_NS = 1_000_000
"""How long every call takes on the simulated clock."""
NEVER = 1 << 62
JUMPS = 0.02
"""How often some seconds pass between two quanta."""
STALLS = 0.08
"""How often a worker that gives way stays behind for as long as others need for a day."""
LIMIT = 6000
"""More calls than any schedule can need."""


TIME = "time"
"""Whose turn it is where nobody's is, and time passes."""


class Turn(NamedTuple):
    """One turn: a thread makes so many calls, or goes on until it waits where ``calls`` is 0.

    Afterwards it stays behind for ``rest`` nanoseconds. A turn of ``TIME`` only lets these pass.
    """

    who: str
    calls: int
    rest: int


class Killed(BaseException):
    """What a process meets that was killed: nothing that it still tries has any effect."""


class Endless(Exception):
    """A schedule that does not come to its end."""


class Process:
    """A worker's process: what dies together, stands still together, and has descriptors of its own."""

    def __init__(self, name: str, version: int, rng: random.Random) -> None:
        self.name = name
        self.rng = rng
        self.version = version
        self.is_local = bool(zlib.crc32(name.encode()) % 2)
        """Whether others on this machine can see that it died."""
        self.threads = 0
        self.alive = True
        self.paused_until = 0
        self.disturbed = False
        self.calls = 0
        """How many of its threads are in a call to Redis, which ends within seconds in the real world."""
        self.fibers: list[Fiber] = []
        self.descriptors: set[int] = set()
        self.seen: dict[str, Any] = {}
        """What the properties remember of its present run."""


class Fiber(greenlet):  # type: ignore[misc]
    """One thread of a process."""

    process: Process
    name: str = ""
    wake: int = 0
    waits_for: Fiber | None = None
    background: bool = False

    @property
    def due(self) -> int:
        """When it can go on."""
        if self.waits_for is not None and not self.waits_for.dead:
            return NEVER
        return max(self.wake, self.process.paused_until)


class Scheduler:
    """The loop, the clock, and who runs. ``events`` are (step, act), in their order.

    Turns are drawn, about ``quantum`` calls long, and kept in ``turns``. Where a ``script`` of turns is given, they are
    taken from it instead: a turn of a thread that is not there or waits is left out, and after the last one each thread
    in order goes on until it waits.
    """

    def __init__(
        self,
        seed: int,
        quantum: float,
        events: Sequence[tuple[int, Callable[[], None]]],
        script: Sequence[Turn] | None = None,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.quantum = quantum
        self.events = list(events)
        self.turns: list[Turn] = []
        self._script = None if script is None else deque(script)
        self.steps = 0
        self.stop = 0
        self.base = 1_700_000_000_000_000_000
        self.fibers: list[Fiber] = []
        self.processes: list[Process] = []
        self.current: Process = Process("world", 0, self.rng)
        self.hub = getcurrent()

    @property
    def now(self) -> int:
        """The simulated time in nanoseconds."""
        return self.base + self.steps * STEP_NS

    def process(self, name: str, version: int, main: Callable[[Process], None], delay: int = 0) -> Process:
        """A new process that begins after so many nanoseconds."""
        while any(one.name == name for one in self.processes):
            name += "'"
        new = Process(name, version, random.Random(f"{self.seed} {name}"))
        self.processes.append(new)
        self.spawn(new, lambda: main(new)).wake = self.now + delay
        return new

    def spawn(self, process: Process, function: Callable[[], None], *, background: bool = False) -> Fiber:
        """A new thread of a process."""
        fiber = Fiber(function, self.hub)
        fiber.process = process
        process.threads += 1
        fiber.name = process.name if process.threads == 1 else f"{process.name}+{process.threads - 1}"
        fiber.background = background
        process.fibers.append(fiber)
        self.fibers.append(fiber)
        return fiber

    def step(self) -> None:
        """A call of the worker that runs now. Others may run before it has its effect."""
        self.steps += 1
        if self.steps >= self.stop:
            self.give_way()

    def give_way(self) -> None:
        """Go back to the loop; who died meanwhile gets no further."""
        if not self.current.alive:
            raise Killed
        self.hub.switch()

    def sleep(self, nanoseconds: int) -> None:
        """Let this fiber rest; the clock does not wait for anybody else."""
        fiber = getcurrent()
        assert isinstance(fiber, Fiber)
        if not fiber.process.alive:
            raise Killed
        fiber.wake = self.now + nanoseconds
        self.hub.switch()

    def run(self) -> None:
        """Run until every process has ended and every event has happened. Raises Endless."""
        while True:
            while self.events and (self.events[0][0] <= self.steps or not self.fibers):
                self.events.pop(0)[1]()
            if self.steps > LIMIT:
                raise Endless
            ready = self._ready()
            if not ready and not self.events:
                return
            if ready and self._script is None:
                self._draw(ready)
            elif ready and self._script:
                self._follow(self._script.popleft(), ready)
            elif ready:
                self._run(ready[0], 0)

    def _draw(self, ready: list[Fiber]) -> None:
        """Draw the next turn, and take it."""
        if self.rng.random() < JUMPS:  # all are slow: who rests wakes in the midst of the others' work
            self.turns.append(Turn(TIME, 0, 5_000_000_000))
            self.advance(5_000_000_000)
            return
        fiber = ready[int(self.rng.random() * len(ready))]
        turn = self._run(fiber, 1 + int(self.rng.expovariate(1.0) * self.quantum))
        if fiber.wake <= self.now and self.rng.random() < STALLS:
            turn = turn._replace(rest=int(self.rng.random() * 100) * STEP_NS)  # others may do a whole day meanwhile
            fiber.wake = self.now + turn.rest
        self.turns.append(turn)

    def _follow(self, turn: Turn, ready: list[Fiber]) -> None:
        """Take a turn of the script, where it can be taken."""
        if turn.who == TIME:
            self.advance(turn.rest)
            return
        for fiber in ready:
            if fiber.name == turn.who:
                self._run(fiber, turn.calls)
                if turn.rest and fiber.wake <= self.now:
                    fiber.wake = self.now + turn.rest

    def _ready(self) -> list[Fiber]:
        """Who can go on; where nobody can, time passes until somebody can."""
        while self.fibers:
            now = self.now
            ready = [one for one in self.fibers if one.wake <= now and one.due <= now]
            if ready:
                return ready
            self.base += max(min(one.due for one in self.fibers) - now, 0)
        return []

    def _run(self, fiber: Fiber, calls: int) -> Turn:
        """Let a thread make so many calls, or go on until it waits; the turn as it was."""
        self.current = fiber.process
        began = self.steps
        self.stop = began + calls if calls else NEVER
        if self.events:
            self.stop = min(self.stop, max(self.events[0][0], began + 1))
        fiber.switch()
        if fiber.dead:
            self.fibers.remove(fiber)
        return Turn(fiber.name, self.steps - began if self.steps >= self.stop else 0, 0)

    def advance(self, nanoseconds: int) -> None:
        """Let time pass while nobody gets far; only the background threads that fall due do their work."""
        target = self.now + nanoseconds
        for process in self.processes:
            process.disturbed |= process.calls > 0
        while True:
            due = [one for one in self.fibers if one.background and one.due <= target]
            if not due:
                break
            first = min(due, key=lambda one: one.due)
            self.base += max(first.due - self.now, 0)
            self._run_alone(first)
        self.base += max(target - self.now, 0)

    def _run_alone(self, fiber: Fiber) -> None:
        self.current = fiber.process
        self.stop = NEVER
        fiber.switch()
        if fiber.dead:
            self.fibers.remove(fiber)

    def kill(self, process: Process) -> None:
        """End a process at once: none of its threads gets any further."""
        process.alive = False
        self.current = process
        self.stop = 0
        for fiber in process.fibers:
            if fiber in self.fibers:
                self.fibers.remove(fiber)
                if bool(fiber):  # it has begun: unwind it, without effect
                    with suppress(Killed):
                        fiber.throw(Killed)
        process.fibers.clear()
