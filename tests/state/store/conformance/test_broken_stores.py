"""The conformance suite catches stores that break a promise: each of these lacks one protection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import pyarrow as pa
import pytest

from state.errors import StorageError
from state.partition import Partition
from state.result.classify import Commit, Damaged, Newer
from state.result.record import CommitRecord
from state.store.base import Staged, Store, Token
from tests.memory_store import SET_ASIDE, STAGED, Bucket, InMemory, MemoryStore, data_key
from tests.state.store.conformance import test_damage, test_durability, test_fencing, test_staging, test_tokens
from tests.state.store.conformance.harness import Harness
from tests.state.store.conformance.in_memory import in_memory
from tests.state.store.conformance.steps import accept

# Buckets


class _Unconditional(Bucket):
    """Puts whatever stands there: a store that only looks before it publishes."""

    def publish(self, source: str, key: str, over: int, generation: int) -> None:
        self.interfere("move", key)
        self.set(key, self.objects[source])
        self.interfere("moved", key)


class _FlushesNoContent(Bucket):
    """Makes a result visible before its content is durable."""

    def flush(self, key: str) -> None:
        if not key.startswith(STAGED):
            super().flush(key)


class _FlushesNoPublication(Bucket):
    """Reports a result whose name may not survive a power cut."""

    def flush(self, key: str) -> None:
        if key.startswith("_noonmark/"):
            super().flush(key)


class _FlushesNothingSetAside(Bucket):
    """Replaces damage while what is kept of it may not survive a power cut."""

    def flush(self, key: str) -> None:
        if not key.startswith(SET_ASIDE):
            super().flush(key)


class _HidesFailedFlushes(Bucket):
    """Goes on after a flush that failed."""

    def flush(self, key: str) -> None:
        with suppress(OSError):
            super().flush(key)


class _ErrorIsAbsence(Bucket):
    """Takes an error of reading for an absence."""

    def read(self, key: str) -> tuple[bytes | None, int]:
        try:
            return super().read(key)
        except OSError:
            return None, self.versions[key]


# Stores


class _BlindPut(MemoryStore):
    """Publishes over whatever stands there as it begins to publish."""

    def _is_current(self, token: Token, now: Token) -> bool:
        return True


class _NumberAlone(MemoryStore):
    """Takes a generation's number for its identity."""

    def _is_current(self, token: Token, now: Token) -> bool:
        return token.generation == now.generation


class _IdentityAlone(MemoryStore):
    """Takes an absence for the same absence."""

    def _is_current(self, token: Token, now: Token) -> bool:
        return token.identity == now.identity


class _NoHighWater(MemoryStore):
    """Counts from the commit that it finds."""

    def token(self, partition: Partition) -> Token:
        seen = super().token(partition)
        return Token(seen.found, seen.identity, seen.mark)


class _DamageIsDamage(MemoryStore):
    """Tells one damage from another by nothing."""

    def token(self, partition: Partition) -> Token:
        seen = super().token(partition)
        return Token(seen.found, "", b"0") if isinstance(seen.found, Damaged) else seen


class _NewerIsDamage(MemoryStore):
    """Takes a result of later code for damage."""

    def token(self, partition: Partition) -> Token:
        seen = super().token(partition)
        found = Damaged("unknown") if isinstance(seen.found, Newer) else seen.found
        return Token(found, seen.identity, seen.mark, seen.high_water)


class _NoReadBack(MemoryStore):
    """Takes a lost reply for a failure."""

    def _settle(self, one: InMemory, error: OSError) -> None:
        raise StorageError("it was not published") from error


class _TrustsLostReplies(MemoryStore):
    """Takes a lost reply for a success."""

    def _settle(self, one: InMemory, error: OSError) -> None:
        pass


class _SetsNothingAside(MemoryStore):
    """Overwrites what is damaged."""

    def _set_aside(self, partition: Partition, token: Token) -> str:
        return ""


class _TakesDamageAway(MemoryStore):
    """Takes a damaged head away before it is replaced."""

    def _set_aside(self, partition: Partition, token: Token) -> str:
        kept = super()._set_aside(partition, token)
        self.bucket.objects.pop(data_key(partition))
        return kept


class _IgnoresVerify(MemoryStore):
    """Publishes whatever was found to be wrong with it."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        def ignored(one: Staged) -> None:
            with suppress(Exception):
                verify(one)

        return super().commit(group, ignored)


class _VerifiesFirst(MemoryStore):
    """Verifies before the flush, which may take long and fail."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        for one in group:
            verify(one)
        return super().commit(group, accept)


class _VerifiesLast(MemoryStore):
    """Verifies what readers see already."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        answers = super().commit(group, accept)
        for one in group:
            verify(one)
        return answers


class _AllOrNone(MemoryStore):
    """Lets the first error of a group be the answer of all that come after it."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        answers: list[Commit | Exception] = []
        for one in group:
            failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
            answers.append(failed or super().commit([one], verify)[0])
        return answers


class _OrdersAnswers(MemoryStore):
    """Answers in an order of its own."""

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        return super().commit(sorted(group, key=lambda one: one.partition), verify)


class _KeepsNonces(MemoryStore):
    """Publishes a record as it is given."""

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        with super().stage(partition, token, record, table) as one:
            assert isinstance(one, InMemory)
            yield InMemory(partition, token, one.record._replace(nonce=record.nonce), one.body, one.schema)


class _StagesInSight(MemoryStore):
    """Stages where readers look."""

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        with super().stage(partition, token, record, table) as one:
            visible = f"{partition[0]}/day={partition[1]}/.{one.record.nonce}.parquet"
            self.bucket.put(visible, one.content())
            yield one
        self.bucket.set(visible, None)


class _LeavesStaged(MemoryStore):
    """Forgets what it staged."""

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        with super().stage(partition, token, record, table) as one:
            yield one
        self.bucket.put(f"{STAGED}/{one.record.nonce}", one.content())


class _RemovesAll(MemoryStore):
    """Removes what living writers have staged."""

    def remove_stale(self) -> int:
        self.bucket.writers.clear()
        return super().remove_stale()


class _RemovesNothing(MemoryStore):
    """Leaves what dead writers staged."""

    def remove_stale(self) -> int:
        return 0


class _SyncsNothing(MemoryStore):
    """Reports what others published and did not flush."""

    def sync(self) -> None:
        pass


MUTANTS: list[tuple[type[Bucket], Callable[[Bucket], Store], Callable[[Harness], None]]] = [
    (_Unconditional, MemoryStore, test_staging.test_a_commit_at_the_last_instant_loses_nothing),
    (_FlushesNoContent, MemoryStore, test_durability.test_nothing_is_seen_before_its_content_is_durable),
    (
        _FlushesNoPublication,
        MemoryStore,
        partial(test_durability.test_a_reported_commit_survives_a_power_cut, before="nothing", names_stay=False),
    ),
    (
        _FlushesNothingSetAside,
        MemoryStore,
        partial(test_damage.test_damage_is_kept_before_it_is_replaced, names_stay=True),
    ),
    (_HidesFailedFlushes, MemoryStore, test_durability.test_what_cannot_be_made_durable_is_not_published),
    (_HidesFailedFlushes, MemoryStore, test_durability.test_a_publication_that_cannot_be_made_durable_is_told),
    (_ErrorIsAbsence, MemoryStore, test_tokens.test_an_error_is_no_token),
    (Bucket, _BlindPut, test_fencing.test_another_writers_commit_supersedes),
    (Bucket, _NumberAlone, test_fencing.test_the_same_number_is_not_the_same_commit),
    (Bucket, _IdentityAlone, test_fencing.test_an_absence_that_was_filled_meanwhile_supersedes),
    (Bucket, _NoHighWater, test_fencing.test_a_deleted_day_repeats_no_number),
    (Bucket, _DamageIsDamage, test_fencing.test_other_damage_supersedes),
    (Bucket, _NewerIsDamage, test_tokens.test_the_token_of_a_newer_format),
    (Bucket, _NoReadBack, test_fencing.test_a_lost_reply_is_settled_by_reading_back),
    (Bucket, _TrustsLostReplies, test_fencing.test_a_request_that_did_not_land_is_an_error),
    (Bucket, _SetsNothingAside, test_damage.test_damage_is_set_aside_byte_for_byte),
    (Bucket, _TakesDamageAway, test_damage.test_a_failed_publication_over_damage_destroys_nothing),
    (Bucket, _IgnoresVerify, test_staging.test_what_verify_raises_is_the_answer),
    (Bucket, _VerifiesFirst, test_durability.test_what_cannot_be_made_durable_is_not_published),
    (Bucket, _VerifiesLast, test_staging.test_verify_comes_before_publication),
    (Bucket, _AllOrNone, partial(test_staging.test_an_error_of_one_is_no_others, step="publish")),
    (Bucket, _OrdersAnswers, test_staging.test_answers_stand_in_the_groups_order),
    (Bucket, _KeepsNonces, test_fencing.test_every_commit_has_its_own_nonce),
    (Bucket, _StagesInSight, test_staging.test_a_staged_result_is_invisible),
    (Bucket, _LeavesStaged, test_staging.test_what_was_committed_stays_when_it_is_left),
    (Bucket, _RemovesAll, test_staging.test_stale_results_are_removed_and_living_ones_kept),
    (Bucket, _RemovesNothing, test_staging.test_stale_results_are_removed_and_living_ones_kept),
    (Bucket, _SyncsNothing, test_durability.test_sync_makes_durable_what_others_left),
]


@pytest.mark.parametrize(("bucket", "store", "test"), MUTANTS)
def test_a_broken_store_is_caught(
    bucket: type[Bucket], store: Callable[[Bucket], Store], test: Callable[[Harness], None]
) -> None:
    """A store without one protection fails the test that is there for it."""
    with in_memory(store, bucket()) as given, pytest.raises((AssertionError, pytest.fail.Exception)):
        test(given)
