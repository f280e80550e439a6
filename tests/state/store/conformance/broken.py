"""Stores that lack one protection each."""

# ruff: noqa: D102 a method here is the one that the docstring of its class is about

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa

from state.errors import StorageError
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found, Newer, classify
from state.result.record import CommitRecord
from state.store.base import Broken, Staged, Token
from tests.bucket import Bucket
from tests.memory_store import OWN, RUNS, SET_ASIDE, STAGED, Classify, InMemory, MemoryStore, data_key
from tests.state.store.conformance.harness.steps import accept

# Buckets


class Unconditional(Bucket):
    """Puts whatever stands there: a store that only looks before it publishes."""

    def publish(self, source: str, key: str, over: int, generation: int) -> None:
        self.interfere("move", key)
        self.set(key, self.objects[source])
        self.interfere("moved", key)


class FlushesNoContent(Bucket):
    """Makes a result visible before its content is durable."""

    def flush(self, key: str) -> None:
        if not key.startswith(STAGED):
            super().flush(key)


class FlushesNoPublication(Bucket):
    """Reports a result whose name may not survive a power cut."""

    def flush(self, key: str) -> None:
        if key.startswith(OWN):
            super().flush(key)


class FlushesNothingSetAside(Bucket):
    """Replaces damage while what is kept of it may not survive a power cut."""

    def flush(self, key: str) -> None:
        if not key.startswith(SET_ASIDE):
            super().flush(key)


class HidesFailedFlushes(Bucket):
    """Goes on after a flush that failed."""

    def flush(self, key: str) -> None:
        with suppress(OSError):
            super().flush(key)


class ErrorIsEmpty(Bucket):
    """Takes an error of listing for an empty output."""

    def names(self, prefix: str = "") -> list[str]:
        try:
            return super().names(prefix)
        except OSError:
            return []


class ErrorIsAbsence(Bucket):
    """Takes an error of reading for an absence."""

    def read(self, key: str) -> tuple[bytes | None, int]:
        try:
            return super().read(key)
        except OSError:
            return None, self.versions[key]


# Stores


class BlindPut(MemoryStore):
    """Publishes over whatever stands there as it begins to publish."""

    def _is_current(self, token: Token, now: Token) -> bool:
        return True


class NumberAlone(MemoryStore):
    """Takes a generation's number for its identity."""

    def _is_current(self, token: Token, now: Token) -> bool:
        return token.generation == now.generation


class IdentityAlone(MemoryStore):
    """Takes an absence for the same absence."""

    def _is_current(self, token: Token, now: Token) -> bool:
        return token.identity == now.identity


class NoHighWater(MemoryStore):
    """Counts from the commit that it finds."""

    def token(self, partition: Partition) -> Token:
        seen = super().token(partition)
        return Token(seen.found, seen.identity, seen.mark)


class DamageIsDamage(MemoryStore):
    """Tells one damage from another by nothing."""

    def token(self, partition: Partition) -> Token:
        seen = super().token(partition)
        return Token(seen.found, "", b"0") if isinstance(seen.found, Damaged) else seen


class NewerIsDamage(MemoryStore):
    """Takes a result of later code for damage."""

    def token(self, partition: Partition) -> Token:
        seen = super().token(partition)
        found = Damaged("unknown") if isinstance(seen.found, Newer) else seen.found
        return Token(found, seen.identity, seen.mark, seen.high_water)


class NoReadBack(MemoryStore):
    """Takes a lost reply for a failure."""

    def _settle(self, one: InMemory, error: OSError) -> None:
        raise StorageError("it was not published") from error


class TrustsLostReplies(MemoryStore):
    """Takes a lost reply for a success."""

    def _settle(self, one: InMemory, error: OSError) -> None:
        pass


class SetsNothingAside(MemoryStore):
    """Overwrites what is damaged."""

    def _set_aside(self, partition: Partition, token: Token) -> str:
        return ""


class TakesDamageAway(MemoryStore):
    """Takes a damaged head away before it is replaced."""

    def _set_aside(self, partition: Partition, token: Token) -> str:
        kept = super()._set_aside(partition, token)
        self.bucket.objects.pop(data_key(partition))
        return kept


class IgnoresVerify(MemoryStore):
    """Publishes whatever was found to be wrong with it."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        def ignored(one: Staged) -> None:
            with suppress(Exception):
                verify(one)

        return super().commit(group, ignored)


class VerifiesFirst(MemoryStore):
    """Verifies before the flush, which may take long and fail."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        for one in group:
            verify(one)
        return super().commit(group, accept)


class VerifiesLast(MemoryStore):
    """Verifies what readers see already."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        answers = super().commit(group, accept)
        for one in group:
            verify(one)
        return answers


class AllOrNone(MemoryStore):
    """Lets the first error of a group be the answer of all that come after it."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        answers: list[Commit | Exception] = []
        for one in group:
            failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
            answers.append(failed or super().commit([one], verify)[0])
        return answers


class OrdersAnswers(MemoryStore):
    """Answers in an order of its own."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        return super().commit(sorted(group, key=lambda one: one.partition), verify)


class KeepsNonces(MemoryStore):
    """Publishes a record as it is given."""

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        with super().stage(partition, token, record, table) as one:
            assert isinstance(one, InMemory)
            yield InMemory(partition, token, one.record._replace(nonce=record.nonce), one.body, one.schema)


class StagesInSight(MemoryStore):
    """Stages where readers look."""

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        with super().stage(partition, token, record, table) as one:
            visible = f"{partition[0]}/day={partition[1]}/.{one.record.nonce}.parquet"
            self.bucket.put(visible, one.content())
            yield one
        self.bucket.set(visible, None)


class LeavesStaged(MemoryStore):
    """Forgets what it staged."""

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        with super().stage(partition, token, record, table) as one:
            yield one
        self.bucket.put(STAGED + one.record.nonce, one.content())


class RemovesAll(MemoryStore):
    """Removes what living writers have staged."""

    def remove_stale(self) -> int:
        self.bucket.living.clear()
        return super().remove_stale()


class RemovesNothing(MemoryStore):
    """Leaves what dead writers staged."""

    def remove_stale(self) -> int:
        return 0


class SyncsNothing(MemoryStore):
    """Reports what others published and did not flush."""

    def sync(self) -> None:
        pass


class AnswersOtherwise(MemoryStore):
    """Says another thing of a commit than a scan finds."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        answers = super().commit(group, verify)
        return [replace(one, stat=(*one.stat, 0)) if isinstance(one, Commit) else one for one in answers]


class ScansEndsAlone(MemoryStore):
    """Checks no more in a deep scan than in any."""

    def lookup(self, partition: Partition, classified: Classify = classify) -> Found | None:
        return super().lookup(partition)


class ReadsUnchecked(MemoryStore):
    """Gives bytes that it did not check."""

    def _read(self, partition: Partition, classified: Classify) -> tuple[Found | None, int, bytes]:
        return super()._read(partition, classify)


class ForgetsPublished(MemoryStore):
    """Takes what stands there for the highest that ever did."""

    def published_generation(self, partition: Partition) -> int:
        found = self.lookup(partition)
        return found.record.generation if isinstance(found, Commit) else 0


class SetsAsideWhateverIsThere(MemoryStore):
    """Sets a good commit aside because it was damaged a moment ago."""

    def set_aside_damaged(self, partition: Partition) -> Broken | None:
        kept = self._set_aside(partition, self.token(partition))
        self.bucket.delete(data_key(partition))
        return Broken(*partition, "it was damaged", kept)


class SuspectsLivingRuns(MemoryStore):
    """Takes living runs for dead ones."""

    @contextmanager
    def interrupted(self) -> Iterator[set[Partition]]:
        self.bucket.living.clear()
        with super().interrupted() as found:
            yield found


class DropsNotesOfDeadRuns(MemoryStore):
    """Removes the notes of dead runs as stale."""

    def remove_stale(self) -> int:
        for key in self.bucket.names(RUNS):
            self.bucket.delete(key)
        return super().remove_stale()


class OverwritesNotes(MemoryStore):
    """Overwrites what somebody put in a note's place."""

    def write_note(self, name: str, content: bytes, *, is_ours: Callable[[bytes], bool], durable: bool = False) -> None:
        super().write_note(name, content, is_ours=lambda _: True, durable=durable)


class FlushesNoNotes(MemoryStore):
    """Keeps no note durably."""

    def write_note(self, name: str, content: bytes, *, is_ours: Callable[[bytes], bool], durable: bool = False) -> None:
        super().write_note(name, content, is_ours=is_ours)
