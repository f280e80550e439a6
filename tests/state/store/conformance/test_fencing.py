"""What is published over what: exactly over what the token saw, at the instant of publication."""

from __future__ import annotations

import threading

import pytest

from state.errors import StorageError
from state.partition import Partition
from state.result.classify import Commit
from state.store.base import Store, Superseded
from tests.builders import DAY, DEADLINE, NAME, rows_of
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    NEXT,
    OTHER,
    accept,
    assert_committed,
    assert_superseded,
    attempt,
    commit,
    in_threads,
    stage,
)


def test_generations_rise_from_one(given: Harness) -> None:
    """Each commit replaces the one that its writer saw, and counts one further."""
    for generation in (1, 2, 3):
        answer = commit(given.store)
        assert answer.record.generation == generation
        assert_committed(given, answer)
    assert given.staged() == 0
    assert given.kept() == []


def test_partitions_are_independent(given: Harness) -> None:
    """A commit changes no other day's token, and no other aggregation's."""
    before = given.store.token(NEXT), given.store.token((OTHER[0], DAY))
    commit(given.store)
    assert (given.store.token(NEXT), given.store.token((OTHER[0], DAY))) == before


def test_every_commit_has_its_own_nonce(given: Harness) -> None:
    """Equal rows of equal input are still two commits: the store tells them apart."""
    records = [commit(given.store, HERE, None, rows_of(1)).record for _ in range(3)]
    assert len({one.nonce for one in records}) == 3


def test_another_writers_commit_supersedes(given: Harness) -> None:
    """Promise 3: a paused writer replaces no newer commit, be it the first one or a later one."""
    for _ in range(2):
        paused = given.store.token(HERE)
        commit(given.another())
        assert_superseded(given, paused)


def test_a_superseded_writer_tries_again_with_a_new_token(given: Harness) -> None:
    """Promise 7: it has only to read the token again, and its input."""
    paused = given.store.token(HERE)
    commit(given.another())
    assert_superseded(given, paused)
    assert commit(given.store).record.generation == 2


def test_an_absence_that_was_filled_meanwhile_supersedes(given: Harness) -> None:
    """Promise 3: committed and deleted meanwhile, a day looks as it did; the store remembers."""
    paused = given.store.token(HERE)
    commit(given.store)
    given.delete(HERE)
    assert_superseded(given, paused)
    assert commit(given.store).record.generation > 1


def test_a_deleted_day_repeats_no_number(given: Harness) -> None:
    """Promise 3: a writer that is paused over generation 1 is superseded by a first commit that came after it."""
    commit(given.store)
    paused = given.store.token(HERE)
    given.delete(HERE)
    assert commit(given.store).record.generation > 1
    assert_superseded(given, paused)


def test_the_same_number_is_not_the_same_commit(given: Harness) -> None:
    """Promise 3: where the store's memory went with the day, the nonce tells two first commits apart."""
    commit(given.store)
    paused = given.store.token(HERE)
    given.forget(HERE)
    assert commit(given.store).record.generation == 1
    assert_superseded(given, paused)


def test_other_damage_supersedes(given: Harness) -> None:
    """Promise 6: other damage than the writer saw could be a newer commit that was cut short."""
    given.overwrite(HERE, b"torn")
    paused = given.store.token(HERE)
    given.overwrite(HERE, b"torn otherwise")
    assert_superseded(given, paused)


def test_a_repair_supersedes_who_saw_the_damage(given: Harness) -> None:
    """Promise 6: a good commit that came over damage is neither replaced nor set aside."""
    given.overwrite(HERE, b"torn")
    paused = given.store.token(HERE)
    commit(given.store)
    assert given.kept() == [b"torn"]
    assert_superseded(given, paused)


def test_of_two_staged_results_of_one_token_one_is_committed(given: Harness) -> None:
    """Promise 3, within one group as between groups."""
    token = given.store.token(HERE)
    with stage(given.store, HERE, token) as one, stage(given.store, HERE, token) as two:
        answers = given.store.commit([one, two], accept)
    assert sorted(type(answer).__name__ for answer in answers) == ["Commit", "Superseded"]
    assert_committed(given, next(answer for answer in answers if isinstance(answer, Commit)))


def test_many_threads_have_one_winner(given: Harness) -> None:
    """Promise 3: of writers that saw the same, exactly one publishes; every success is one generation."""
    writers, rounds = 8, 5
    barrier = threading.Barrier(writers, timeout=DEADLINE)
    answers: list[Commit | Exception] = []

    def write(store: Store) -> None:
        for _ in range(rounds):
            token = store.token(HERE)
            barrier.wait()
            answers.append(attempt(store, HERE, token))
            barrier.wait()

    in_threads(write, [given.another() for _ in range(writers)])
    committed = [one.record.generation for one in answers if isinstance(one, Commit)]
    assert sorted(committed) == list(range(1, rounds + 1))
    assert [type(one) for one in answers if not isinstance(one, Commit)] == [Superseded] * (writers - 1) * rounds
    assert given.staged() == 0


def test_threads_with_days_of_their_own_hinder_nobody(given: Harness) -> None:
    """Any thread may stage and commit, through one store."""
    partitions = [(NAME, str(number)) for number in range(12)]
    answers: dict[Partition, Commit | Exception] = {}

    def write(partition: Partition) -> None:
        answers[partition] = attempt(given.store, partition)

    in_threads(write, partitions)
    for partition in partitions:
        assert_committed(given, answers[partition], partition)


def test_a_lost_reply_is_settled_by_reading_back(given: Harness) -> None:
    """Promise 5: the answer was lost and the result stands there: it is committed."""
    with stage(given.store) as one, given.lost_reply(landed=True):
        (answer,) = given.store.commit([one], accept)
    assert_committed(given, answer)
    given.power_cut(names_stay=False)
    assert_committed(given, answer)


def test_a_request_that_did_not_land_is_an_error(given: Harness) -> None:
    """Promise 5: what was there before is still there. The result is not reported, and may still land."""
    old = commit(given.store)
    with stage(given.store) as one, given.lost_reply(landed=False):
        (answer,) = given.store.commit([one], accept)
    assert isinstance(answer, StorageError)
    assert_committed(given, old)


@pytest.mark.parametrize("landed", [True, False])
def test_a_lost_reply_and_anothers_commit_is_superseded(given: Harness, landed: bool) -> None:
    """Promise 3: whether it landed or not, a newer commit stands there, and stays."""
    newer: list[Commit] = []

    def meanwhile() -> None:
        newer.append(commit(given.another()))

    with stage(given.store) as one, given.lost_reply(landed=landed, meanwhile=meanwhile):
        (answer,) = given.store.commit([one], accept)
    assert isinstance(answer, Superseded)
    assert_committed(given, newer[0])
