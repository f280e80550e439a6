"""Staged results, alone and in groups: seen by nobody, verified last, answered each for itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from state.errors import StorageError
from state.partition import Partition
from state.result.classify import Commit
from state.store.base import Staged, Superseded
from tests.builders import DAY, NAME, RECORD
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    NEXT,
    OTHER,
    accept,
    assert_committed,
    attempt,
    commit,
    stage,
)


def test_a_staged_result_is_invisible(given: Harness) -> None:
    """Promise 2: no reader of the output sees what is not published, and no token tells of it."""
    with stage(given.store):
        assert given.readable() == []
        assert given.content(HERE) is None
        assert given.another().token(HERE).found is None
    commit(given.store)
    before, readable = given.content(HERE), given.readable()
    with stage(given.store), stage(given.store, NEXT):
        assert given.content(HERE) == before
        assert given.readable() == readable


def test_a_staged_result_knows_itself(given: Harness) -> None:
    """Its record has the nonce and the generation that the store gave it, and readers will find its bytes."""
    commit(given.store)
    token = given.store.token(HERE)
    with stage(given.store, HERE, token) as one:
        assert (one.partition, one.token) == (HERE, token)
        assert (one.record.aggregation, one.record.day, one.record.generation) == (*HERE, 2)
        assert one.record.nonce not in ("", token.nonce, RECORD.nonce)
        content = one.content()
        (answer,) = given.store.commit([one], accept)
    assert isinstance(answer, Commit)
    assert answer.record == one.record
    assert given.content(HERE) == content


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_staged_result_that_is_left_is_gone(given: Harness, error: type[BaseException] | None) -> None:
    """Whatever ends a computation, what it staged goes with it."""
    with ExitStack() as stack:
        if error:
            stack.enter_context(pytest.raises(error))
        with stage(given.store):
            assert given.staged() == 1
            if error:
                raise error
    assert given.staged() == 0
    assert given.content(HERE) is None


def test_what_was_committed_stays_when_it_is_left(given: Harness) -> None:
    """A published result is not the writer's to remove any more."""
    with stage(given.store) as one:
        (answer,) = given.store.commit([one], accept)
        assert given.readable() == [f"{NAME}/day={DAY}/data.parquet"]
    assert_committed(given, answer)
    assert given.staged() == 0


def test_staging_that_fails_leaves_nothing(given: Harness) -> None:
    """Promise 9: a full or broken device costs the new result, and the last good one stays."""
    answer = commit(given.store)
    with given.failing("stage"), pytest.raises((StorageError, OSError)), stage(given.store):
        pass
    assert given.staged() == 0
    assert_committed(given, answer)


def test_stale_results_are_removed_and_living_ones_kept(given: Harness) -> None:
    """What a killed writer left is removed by whoever comes next; what a living one has staged is not."""
    given.left_by_a_dead_writer()
    with stage(given.store) as one:
        assert given.another().remove_stale() == 1
        assert given.staged() == 1
        (answer,) = given.store.commit([one], accept)
    assert_committed(given, answer)
    assert given.store.remove_stale() == 0
    assert_committed(given, answer)


def test_an_empty_group_is_committed(given: Harness) -> None:
    """Nothing to commit is no error."""
    assert given.store.commit([], accept) == []


def test_answers_stand_in_the_groups_order(given: Harness) -> None:
    """Each answer is that of the result in the same position."""
    partitions = [OTHER, HERE, NEXT, ("others", "9")]
    paused = given.store.token(NEXT)
    commit(given.another(), NEXT)
    with ExitStack() as stack:
        tokens = [None, None, paused, None]
        pairs = zip(partitions, tokens, strict=True)
        group = [stack.enter_context(stage(given.store, *pair)) for pair in pairs]
        answers = given.store.commit(group, accept)
    assert [type(one) for one in answers] == [Commit, Commit, Superseded, Commit]
    for partition, answer in zip(partitions, answers, strict=True):
        if isinstance(answer, Commit):
            assert_committed(given, answer, partition)


def test_what_verify_raises_is_the_answer(given: Harness) -> None:
    """Promise 3: a result whose input changed is kept back, and its neighbours are committed."""
    changed = RuntimeError("its input changed")

    def verify(one: Staged) -> None:
        if one.partition == HERE:
            raise changed

    old = commit(given.store)
    with stage(given.store, OTHER) as first, stage(given.store) as second, stage(given.store, NEXT) as third:
        answers = given.store.commit([first, second, third], verify)
    assert answers[1] is changed
    assert_committed(given, answers[0], OTHER)
    assert_committed(given, old)
    assert_committed(given, answers[2], NEXT)
    assert given.staged() == 0


def test_verify_comes_before_publication(given: Harness) -> None:
    """Promise 3: it is asked once for each result, while readers still find what was there before."""
    old = commit(given.store)
    seen: list[tuple[Partition, bytes | None]] = []

    def verify(one: Staged) -> None:
        seen.append((one.partition, given.content(one.partition)))

    before = given.content(HERE)
    with stage(given.store) as one, stage(given.store, NEXT) as two:
        answers = given.store.commit([one, two], verify)
    assert seen == [(HERE, before), (NEXT, None)]
    assert all(isinstance(one, Commit) and one.record != old.record for one in answers)


def test_a_commit_that_lands_in_verify_supersedes(given: Harness) -> None:
    """Promise 3: what the token saw has to stand there at the instant of publication, and not only before."""

    def verify(one: Staged) -> None:
        newer.append(commit(given.another()))

    newer: list[Commit] = []
    with stage(given.store) as one:
        (answer,) = given.store.commit([one], verify)
    assert isinstance(answer, Superseded)
    assert_committed(given, newer[0])


def test_a_commit_at_the_last_instant_loses_nothing(given: Harness) -> None:
    """Promise 3: looking and publishing are one step: of two writers that meet there, one wins and one is told."""
    token = given.store.token(HERE)
    answers: list[Commit | Exception] = []

    def write() -> None:
        answers.append(attempt(given.another(), HERE, token))

    with stage(given.store, HERE, token) as one, given.meeting(write):
        answers += given.store.commit([one], accept)
    assert sorted(type(answer).__name__ for answer in answers) == ["Commit", "Superseded"]
    assert_committed(given, next(answer for answer in answers if isinstance(answer, Commit)))


@pytest.mark.parametrize("step", ["publish", "flush published"])
def test_an_error_of_one_is_no_others(given: Harness, step: Any) -> None:
    """Promise 10: in one group, a bad day harms that day alone."""
    partitions = [HERE, OTHER, ("others", "9")]
    with ExitStack() as stack:
        group = [stack.enter_context(stage(given.store, one)) for one in partitions]
        with given.failing(step, OTHER):
            answers = given.store.commit(group, accept)
    assert isinstance(answers[1], StorageError | OSError)
    assert_committed(given, answers[0], HERE)
    assert_committed(given, answers[2], ("others", "9"))
    given.power_cut(names_stay=False)
    assert_committed(given, answers[0], HERE)
    assert_committed(given, answers[2], ("others", "9"))
