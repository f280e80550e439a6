"""What is reported survives a power cut, and what readers see is whole after one."""

from __future__ import annotations

import pytest

from state.errors import StorageError
from state.result.classify import Commit
from state.store.base import Staged
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    OTHER,
    accept,
    assert_committed,
    commit,
    generations,
    stage,
)


@pytest.mark.parametrize("names_stay", [True, False])
@pytest.mark.parametrize("before", ["nothing", "a commit", "damage"])
def test_a_reported_commit_survives_a_power_cut(given: Harness, before: str, names_stay: bool) -> None:
    """Promise 1: it is durable before it is reported, with every folder that it lies in, and so is what was kept."""
    if before != "nothing":
        commit(given.store)
    if before == "damage":
        given.overwrite(HERE, b"torn")
    with stage(given.store) as one, stage(given.store, OTHER) as two:
        answers = given.store.commit([one, two], accept)
        given.power_cut(names_stay=names_stay)
    assert_committed(given, answers[0])
    assert_committed(given, answers[1], OTHER)
    assert given.kept() == [b"torn"] * (before == "damage")


def test_nothing_is_seen_before_its_content_is_durable(given: Harness) -> None:
    """Promises 1 and 2: a process ends as its result becomes visible, and the power fails: the result is whole."""
    commit(given.store)
    with stage(given.store) as one, given.killed_after_publishing():
        given.store.commit([one], accept)
    given.power_cut(names_stay=True)
    assert generations(given.content(HERE)) == {2}
    assert isinstance(given.store.token(HERE).found, Commit)


def test_a_result_that_was_not_reported_is_whole_or_absent_after_a_power_cut(given: Harness) -> None:
    """Promise 2: the old generation comes back as a whole."""
    commit(given.store)
    with stage(given.store) as one, given.killed_after_publishing():
        given.store.commit([one], accept)
    given.power_cut(names_stay=False)
    assert generations(given.content(HERE)) <= {1, 2}
    assert commit(given.store).record.generation > 1


def test_sync_makes_durable_what_others_left(given: Harness) -> None:
    """Promise 1: before a run reports another process's commit, it makes that durable: its writer may be dead."""
    with stage(given.another()) as one, given.killed_after_publishing():
        given.store.commit([one], accept)
    given.store.sync()
    given.power_cut(names_stay=False)
    assert generations(given.content(HERE)) == {1}
    assert isinstance(given.store.token(HERE).found, Commit)


def test_what_cannot_be_made_durable_is_not_published(given: Harness) -> None:
    """Promise 9: a failed flush costs the new result. It is not verified, and the last good day stays."""
    old = commit(given.store)
    verified: list[Staged] = []
    with stage(given.store) as one, stage(given.store, OTHER) as two, given.failing("flush"):
        answers = given.store.commit([one, two], verified.append)
    assert all(isinstance(answer, StorageError | OSError) for answer in answers)
    assert verified == []
    assert given.staged() == 0
    assert given.content(OTHER) is None
    assert_committed(given, old)


def test_a_publication_that_cannot_be_made_durable_is_told(given: Harness) -> None:
    """Promise 1: a result that may not survive a power cut is not reported as committed, though all see it."""
    commit(given.store)
    with stage(given.store) as one, given.failing("flush published"):
        (answer,) = given.store.commit([one], accept)
    assert isinstance(answer, StorageError | OSError)
    assert generations(given.content(HERE)) <= {1, 2}


def test_a_power_cut_leaves_staged_results_for_removal(given: Harness) -> None:
    """Promise 7: whatever is left of them, the next run removes it and commits."""
    with stage(given.store):
        given.power_cut(names_stay=True)
        given.store.remove_stale()
        assert given.staged() == 0
    assert_committed(given, commit(given.store))
