"""The promises as a schedule can break them: watched at every publication, asked at every power cut and at the end."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from typing import Any

from state.index.index import entry
from state.partition import is_aggregation_name
from state.result.classify import Commit, Damaged
from state.store.local import layout
from tests.chaos.simulation.world.disk import Disk, Node
from tests.chaos.simulation.world.inputs import Inputs, value_of
from tests.chaos.simulation.world.results import found_in, rows_of
from tests.chaos.simulation.world.scheduler import Process, Scheduler
from tests.chaos.simulation.world.storage import place_of

Partition = tuple[str, str]

_LOSABLE = (layout.note_file("cache"), layout.note_file("failed"), layout.STAGING)
"""What a survey may fail to read: it costs time, or the order of what failed. The rest below ``_noonmark`` raises."""


class Watch:
    """Watches one schedule. ``broken`` says what it broke, with the promise's number."""

    disk: Disk

    def __init__(self, scheduler: Scheduler, inputs: Inputs) -> None:
        self.scheduler, self.inputs = scheduler, inputs
        self.broken: list[str] = []
        self.fault: str | None = None
        self.publications = 0
        self.computations: dict[tuple[Partition, int, str], list[Process]] = {}
        self.faulty = False
        """Whether storage or Redis failed, so that work may be done twice and a day may fail."""
        self.leasing = True
        """Whether there are leases, so that work is done once."""
        self.meddled: set[str] = set()
        """Days whose input or result was touched, so that the same may be computed again."""
        self.bound: Callable[[], bytes]
        """The other output that the index belongs to now; empty for none."""
        self._published: dict[Partition, tuple[int, int, bool]] = {}
        self._reported: dict[Partition, int] = {}
        self._meddled: dict[Partition, int] = {}
        self._hurt: list[Node] = []

    def say(self, promise: int, what: str) -> None:
        """A promise is broken."""
        self.broken.append(f"promise {promise}: {what} (step {self.scheduler.steps})")

    def failing(self, call: str, path: str) -> None:
        """The armed fault, if this is a call that it can meet."""
        fault, process = self.fault, self.scheduler.current
        if fault == "full" and call == "write":
            self.fault = None
            process.disturbed = True
            process.seen["met"] = True
            raise OSError(errno.ENOSPC, "No space left on device", path)
        if fault == "hard" and call not in ("flock", "stat"):
            self.fault = None
            process.disturbed = True
            process.seen["met"] = True
            losable = path == layout.OWN or path.startswith(_LOSABLE)
            looks = call in ("open", "listdir", "pread", "list input") and not losable
            if looks and "survey" not in process.seen:
                process.seen["unread"] = call, path
            raise OSError(errno.EIO, "Input/output error", path)

    # While it runs

    def standing(self, place: Partition) -> Commit | Damaged | None:
        """What stands in a day's place."""
        node = self.disk.find(f"{place[0]}/day={place[1]}/data.parquet")
        return None if node is None else found_in(node, place)

    def publishing(self, place: Partition, new: Node, old: Node | None) -> None:
        """Promises 2, 3 and 6, at the instant of a rename."""
        self.publications += 1
        commit = found_in(new, place)
        if not isinstance(commit, Commit):
            self.say(2, f"{place} gets a file that is no commit: {commit.why}")
            return
        record, process = commit.record, self.scheduler.current
        if commit.record.result != rows_of(place[0], record.version, record.inputs["raw"].contents):
            self.say(2, f"{place} gets rows that its record does not describe")
        was = None if old is None else found_in(old, place)
        token = process.seen["tokens"].get(place)
        if token is not None and token.nonce != (was.record.nonce if isinstance(was, Commit) else ""):
            self.say(3, f"{process.name} replaces what its token did not see in {place}")
        floor, since, cut = self._published.get(place, (0, -1, False))
        if isinstance(was, Commit):
            floor = was.record.generation if cut else max(floor, was.record.generation)
            if was.record.version > record.version:
                self.say(3, f"{place} goes back from version {was.record.version} to {record.version}")
        elif cut:
            floor = 0  # the mark, too, may be lost with what it marked
        if record.generation <= floor:
            self.say(3, f"the generation of {place} goes from {floor} to {record.generation}")
        gone = self.inputs.ended.get(record.inputs["raw"].contents)
        if gone is None or gone < since:
            self.say(3, f"{process.name} publishes {place} from input that was gone when the commit before it appeared")
        if isinstance(was, Damaged) and old is not None:
            self._kept(place, old)
        self._published[place] = (record.generation, self.scheduler.steps, False)

    def leaving(self, place: Partition, node: Node, *, removed: bool) -> None:
        """Nobody takes a good commit away, and what is damaged is kept first."""
        if isinstance(found_in(node, place), Commit):
            self.say(6, f"a good commit is taken from {place}")
        elif removed:
            self._kept(place, node)

    def written(self, node: Node) -> None:
        """Nobody writes into a file that readers can see."""
        for place in self._published:
            if self.disk.find(f"{place[0]}/day={place[1]}/data.parquet") is node:
                self.say(2, f"{place} is written in place")

    def _kept(self, place: Partition, node: Node) -> None:
        folder = self.disk.find("_noonmark/set_aside")
        if folder is None or node not in folder.stable.values():
            self.say(6, f"what was damaged in {place} is overwritten before it was kept durably")

    def computed(self, aggregation: str, version: int, digest: str) -> None:
        """Promise 8: two workers whom nothing disturbed do the same work once."""
        process = self.scheduler.current
        place = (aggregation, digest.partition(":")[0])
        done = self.computations.setdefault((place, version, digest), [])
        if self.leasing and not self.faulty and place[1] not in self.meddled:
            for other in done:
                if not (other.disturbed or process.disturbed or process is other):
                    self.say(8, f"{other.name} and {process.name} both compute {place}")
        done.append(process)

    def index_changes(self, key: bytes, day: bytes, old: bytes, new: bytes, *, reconciling: bool) -> None:
        """A repair never sets the entry of the commit that stands back to an older one."""
        process = self.scheduler.current
        if (other := process.seen["foreign"]) and other == self.bound():
            self.say(4, f"{process.name} writes into an index that belongs to another output")
        if not reconciling or not old:
            return
        place = (key.decode().partition("{")[2].partition("}")[0], day.decode("utf-8", "replace"))
        standing = self.standing(place)
        if isinstance(standing, Commit) and entry(standing) == old != new:
            self.say(7, f"{process.name} sets the right entry of {place} back")

    def planned_unread(self, unread: tuple[str, str], found: Any) -> None:
        """Promise 5: a survey that could not list says so, and what it could not read is not planned."""
        call, path = unread
        place = place_of(path) or place_of(f"{path}/{layout.DATA}")  # a day's folder is opened before its file
        # On the way to a file, an aggregation's folder may be the one that cannot be opened: then its day is named.
        on_the_way = call == "open" and place is None and is_aggregation_name(path) and found.plan.blocked
        if call in ("listdir", "list input") or (call == "open" and place is None and not on_the_way):
            self.say(5, f"{self.scheduler.current.name} plans although it could not {call} {path}")
        elif call == "pread" and not found.plan.blocked:
            self.say(5, f"{self.scheduler.current.name} plans over a result that it could not read")
        elif any((item.aggregation, item.day) == place for item in found.plan.items):
            self.say(5, f"{self.scheduler.current.name} plans {path} that it could not open")

    def lease_ends(self, key: bytes, token: object) -> None:
        """A worker ends its own lease and nobody else's."""
        process = self.scheduler.current
        if isinstance(token, bytes) and not token.startswith(f"{process.name}|".encode()):
            self.say(8, f"{process.name} removes {key!r}, the lease of {token!r}")

    # What a person or a power cut does

    def meddle(self, place: Partition, standing: Commit | Damaged | None, gone: Node, damaged: Node | None) -> None:
        """Somebody deleted or damaged a result by hand: nothing is promised about it any more but that it is kept."""
        self._reported.pop(place, None)
        self._hurt = [node for node in self._hurt if node is not gone]
        generation = standing.record.generation if isinstance(standing, Commit) else 0
        self._meddled[place] = max(generation, self._meddled.get(place, 0), self._published.get(place, (0,))[0])
        self.meddled.add(place[1])
        if damaged is not None:
            self._hurt.append(damaged)

    def damaged_before(self, node: Node) -> None:
        """What was damaged before all began is to be kept, too."""
        self._hurt.append(node)

    def report(self, place: Partition, generation: int) -> None:
        """A worker told somebody that this generation, or a later one, is committed."""
        if generation > self._meddled.get(place, 0):
            self._reported[place] = max(generation, self._reported.get(place, 0))

    def after_power_cut(self) -> None:
        """Promises 1 and 2: what was reported is there, and nothing torn is."""
        for place, (generation, since, _) in self._published.items():
            self._published[place] = (generation, since, True)
            node = self.disk.find(f"{place[0]}/day={place[1]}/data.parquet")
            standing = None if node is None else found_in(node, place)
            if isinstance(standing, Damaged) and node not in self._hurt:
                self.say(2, f"{place} is torn after a power cut: {standing.why}")
            reported = self._reported.get(place)
            if reported and not (isinstance(standing, Commit) and standing.record.generation >= reported):
                self.say(1, f"generation {reported} of {place} was reported, and is gone after a power cut")
        self._all_kept()

    def _all_kept(self) -> None:
        there = set(map(id, self.disk.nodes()))
        if any(id(node) not in there for node in self._hurt):
            self.say(6, "a damaged file is nowhere any more")

    # At the end

    def converged(self, versions: dict[str, int]) -> None:
        """Promises 6 and 7, after one undisturbed run."""
        for aggregation, version in versions.items():
            for day in self.inputs.days:
                standing = self.standing((aggregation, day))
                if not isinstance(standing, Commit):
                    self.say(7, f"{aggregation}, {day} is not committed: {standing}")
                    continue
                record, digest = standing.record, self.inputs.digest(day)
                if (record.version, record.inputs["raw"].contents) != (version, digest):
                    self.say(
                        7,
                        f"{aggregation}, {day} is v{record.version} of {record.inputs['raw'].contents}; "
                        f"expected v{version} of {digest}: {value_of(digest)}",
                    )
        drafts = self.disk.find("_noonmark/tmp")
        if drafts is None or drafts.entries:
            self.say(7, "a temporary file is left")
        self._all_kept()

    def index_is_right(self, index: dict[bytes, Any], versions: dict[str, int], when: str) -> None:
        """The index equals the output."""
        for aggregation in versions:
            folder = self.disk.find(aggregation)
            days = [name.removeprefix("day=") for name in (folder.entries or {})] if folder else []
            found = {day: one for day in days if isinstance(one := self.standing((aggregation, day)), Commit)}
            wanted = {day.encode(): entry(one) for day, one in found.items()}
            key = f"noonmark:{{{aggregation}}}:".encode()
            last = max(wanted, default=None)
            if (index.get(key + b"commits", {}), index.get(key + b"processed_days", set())) != (wanted, set(wanted)):
                self.say(
                    7,
                    f"{when}, the index is not what the output of {aggregation} is: "
                    f"{index.get(key + b'commits')} is not {json.dumps(sorted(found))}",
                )
            elif index.get(key + b"last_processed_day") != last:
                self.say(7, f"{when}, the last processed day of {aggregation} is wrong")
