"""Damage is set aside before it is replaced, and never destroyed."""

from __future__ import annotations

import pytest

from state.errors import StorageError
from tests.builders import DAY, NAME
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    accept,
    assert_committed,
    commit,
    stage,
)


def test_damage_is_set_aside_byte_for_byte(given: Harness) -> None:
    """Promise 6: damaged again and again, each is kept, and no reader of the output sees any of it."""
    commit(given.store)
    whole = given.content(HERE) or b""
    versions = [whole[:-1], whole[: len(whole) // 2], b""]
    last = 1
    for damaged in versions:
        given.overwrite(HERE, damaged)
        answer = commit(given.store)
        assert_committed(given, answer)
        assert answer.record.generation > last
        last = answer.record.generation
    assert sorted(given.kept()) == sorted(versions)
    assert given.readable() == [f"{NAME}/day={DAY}/data.parquet"]


@pytest.mark.parametrize("names_stay", [True, False])
def test_damage_is_kept_before_it_is_replaced(given: Harness, names_stay: bool) -> None:
    """Promise 6: whenever the process ends and the power fails, the damaged bytes are still somewhere."""
    given.overwrite(HERE, b"torn")
    with stage(given.store) as one, given.killed_after_publishing():
        given.store.commit([one], accept)
    given.power_cut(names_stay=names_stay)
    assert b"torn" in [*given.kept(), given.content(HERE)]
    assert names_stay or given.kept() == [b"torn"]


def test_a_failed_publication_over_damage_destroys_nothing(given: Harness) -> None:
    """Promise 6: it is still there, and set aside once more by the writer that succeeds."""
    given.overwrite(HERE, b"torn")
    with stage(given.store) as one, given.failing("publish", HERE):
        (answer,) = given.store.commit([one], accept)
    assert isinstance(answer, StorageError | OSError)
    assert given.content(HERE) == b"torn"
    assert_committed(given, commit(given.store))
    assert set(given.kept()) == {b"torn"}
