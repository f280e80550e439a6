"""What happens to a schedule from outside: to its input, its results, its workers, its disk and its Redis.

An event is drawn with a seed of its own, so that leaving one out leaves the others as they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.simulation.stage import Stage
from tests.chaos.simulation.world.disk import Node
from tests.chaos.simulation.world.scheduler import Process
from tests.chaos.simulation.world.stubs import LEASE_SECONDS

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Event:
    """What happens at which step; ``draw`` decides the rest of it."""

    step: int
    kind: str
    draw: int


class Happenings:
    """Makes events happen on a stage."""

    def __init__(self, stage: Stage, aggregations: Sequence[str], begin: Callable[[Event], object]) -> None:
        self.stage = stage
        self.aggregations = aggregations
        self.begin = begin
        self.rng = random.Random()
        self.event: Event
        self.trace: Callable[[str], None] | None = None

    def happen(self, event: Event) -> None:
        """Let it happen."""
        self.rng = random.Random(event.draw)
        self.event = event
        if self.trace:
            self.trace(f"      --- {event.kind}: {(KINDS[event.kind].__doc__ or '').splitlines()[0]}")
        KINDS[event.kind](self)

    def _day(self) -> str:
        return self.rng.choice(sorted(self.stage.inputs.days))

    def _alive(self) -> list[Process]:
        running = {fiber.process.name for fiber in self.stage.scheduler.fibers}
        return [one for one in self.stage.scheduler.processes if one.alive and one.name in running]

    # Input

    def change(self) -> None:
        """A day's files get new contents: all of them, or one of equal size."""
        inputs, day = self.stage.inputs, self._day()
        if self.rng.random() < 0.4:
            inputs.write(day, 1 + (self.rng.random() < 0.3))
        else:
            inputs.write_one(day, self.rng.randrange(2), keep_mtime=self.rng.random() < 0.5)

    def arrive(self) -> None:
        """A new day arrives."""
        self.stage.inputs.write(str(len(self.stage.inputs.days) + len(self.stage.inputs.gone) + 1), 1)

    def touch(self) -> None:
        """Times change, bytes do not."""
        day = self._day()
        self.stage.watch.meddled.add(day)
        self.stage.inputs.touch(day)

    def vanish(self) -> None:
        """A day's files go; the last day's never do."""
        if len(self.stage.inputs.days) > 1:
            day = self._day()
            self.stage.watch.meddled.add(day)
            self.stage.inputs.vanish(day)

    def come_back(self) -> None:
        """They come back as they were."""
        for day in sorted(self.stage.inputs.gone):
            self.stage.inputs.come_back(day)

    # Results

    def _result(self) -> tuple[tuple[str, str], Node] | None:
        """A result that nobody is about to replace: a person takes no lock, but is not quicker than a system call."""
        disk = self.stage.storage.disk
        found = []
        for aggregation in self.aggregations:
            for day in sorted(self.stage.inputs.days):
                node = disk.find(f"{aggregation}/day={day}/data.parquet")
                if node is not None and not self.stage.is_locked((aggregation, day)):
                    found.append(((aggregation, day), node))
        return self.rng.choice(found) if found else None

    def delete(self) -> None:
        """Somebody deletes a result."""
        if (found := self._result()) is not None:
            place, node = found
            self.stage.watch.meddle(place, self.stage.watch.standing(place), node, None)
            folder = self.stage.storage.disk.walk(f"{place[0]}/day={place[1]}")
            assert folder.entries is not None
            del folder.entries["data.parquet"]
            folder.stable.pop("data.parquet", None)

    def damage(self) -> None:
        """Somebody damages a result: its bytes, or a folder or a foreign file takes its place."""
        if (found := self._result()) is None:
            return
        place, gone = found
        node = gone
        self.stage.storage.disk.flush_path(f"{place[0]}/day={place[1]}/data.parquet")
        standing = self.stage.watch.standing(place)
        choice = self.rng.random()
        if choice < 0.6 and node.entries is None:
            at = self.rng.randrange(max(len(node.content), 1))
            torn = node.content[:at]
            node.content = node.durable = torn if choice < 0.3 else torn + b"\0" + node.content[at + 1 :]
        else:
            folder = self.stage.storage.disk.walk(f"{place[0]}/day={place[1]}")
            assert folder.entries is not None
            node = self.stage.storage.disk.new(folder=choice < 0.8)
            node.content = node.durable = b"" if choice < 0.8 else b"written by another program"
            folder.entries["data.parquet"] = folder.stable["data.parquet"] = node
        node.mtime = self.stage.storage.now()  # who writes leaves a trace; rot that leaves none is for the deep check
        self.stage.watch.meddle(place, standing, gone, node)

    # Workers

    def start(self) -> None:
        """One more worker."""
        self.begin(self.event)

    def repair(self) -> None:
        """Somebody runs the deep repair."""
        scheduler = self.stage.scheduler
        scheduler.process(f"repair{self.event.step}", min(self.stage.catalogs), self.stage.mend)

    def kill(self) -> None:
        """SIGKILL."""
        if alive := self._alive():
            self._end(self.rng.choice(alive))

    def _end(self, process: Process) -> None:
        process.disturbed = True
        self.stage.scheduler.kill(process)
        self.stage.storage.close_all(process)

    def power(self) -> None:
        """The machine loses its power: every worker dies, and what was not flushed may be gone."""
        for process in self._alive():
            self._end(process)
        self.stage.storage.disk.lose_power(self.rng)
        self.stage.watch.after_power_cut()

    def pause(self) -> None:
        """A worker stands still, often for longer than its lease or the deadline of a lock."""
        if alive := self._alive():
            process = self.rng.choice(alive)
            seconds = self.rng.choice((5, LEASE_SECONDS // 2, LEASE_SECONDS + 5, LEASE_SECONDS * 3))
            process.disturbed = True
            process.paused_until = self.stage.scheduler.now + seconds * SECOND + 1
            # Others go on for a moment first: what matters is what they do while it stands still.
            self.stage.scheduler.advance(int(seconds * SECOND * self.rng.choice((0.1, 0.95))))

    # Storage and Redis

    def disk_error(self) -> None:
        """The next call that can fail fails."""
        self.stage.watch.fault = "hard"

    def disk_full(self) -> None:
        """The next write finds no space."""
        self.stage.watch.fault = "full"

    def redis_error(self) -> None:
        """A command or its reply is lost, or it is applied twice."""
        self.stage.server.fault = self.rng.choice(("lost", "reply lost", "twice"))

    def redis_down(self) -> None:
        """Redis serves nobody for a while."""
        self.stage.server.down_until = self.stage.scheduler.now + self.rng.randrange(1, 100) * SECOND // 2

    def redis_flush(self) -> None:
        """FLUSHALL."""
        self.stage.server.data.clear()
        self.stage.server.ends.clear()

    def redis_save(self) -> None:
        """Redis takes a snapshot."""
        self.stage.server.save()

    def redis_restore(self) -> None:
        """Redis comes back from its snapshot."""
        self.stage.server.restore()

    def redis_hostile(self) -> None:
        """Somebody writes what he likes into the keys."""
        server, rng = self.stage.server, self.rng
        prefix = f"noonmark:{{{rng.choice(self.aggregations)}}}:".encode()
        day = self._day().encode()
        kind = rng.randrange(8)
        if kind < 3:
            token = rng.choice((b"somebody|else", b"w1|guess", b"\xff\xfe", b""))
            server.data[prefix + b"lease:" + day] = [b"x"] if kind == 0 else token
            server.ends.pop(prefix + b"lease:" + day, None)
            if kind == 1:
                server.ends[prefix + b"lease:" + day] = self.stage.scheduler.now + 10**6 * SECOND
        elif kind < 6:
            lie = b'{"generation":99999,"nonce":"0","fingerprint":"0","stat":[1,1]}'
            value = rng.choice((b"", b"[1]", b"7", b"{", b'{"generation":"x"}', lie))
            server.data[prefix + b"commits"] = rng.choice((b"text", {day: value}, {day: value, b"../etc": b"{}"}))
            server.data[prefix + b"processed_days"] = rng.choice(({day}, {b"..", b"9"}, b"text"))
        else:
            server.data[prefix + b"last_processed_day"] = rng.choice((b"zzz", {b"x"}, b"9"))

    def redis_foreign(self) -> None:
        """The index is bound to another output."""
        self.stage.server.data[b"noonmark:root"] = f"other-{self.rng.randrange(1 << 30)}".encode()


_NAMES = """
change arrive touch vanish come_back delete damage start repair kill power pause disk_error disk_full
redis_error redis_down redis_flush redis_save redis_restore redis_hostile redis_foreign
"""
KINDS: dict[str, Callable[[Happenings], None]] = {name: getattr(Happenings, name) for name in _NAMES.split()}
FAULTS = {name for name in KINDS if name.startswith(("disk", "redis")) and name != "redis_save"}
"""What lets a day fail, or be computed twice."""
