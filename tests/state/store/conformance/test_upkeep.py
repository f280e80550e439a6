"""Upkeep: what a deep check sets aside, what died, and what lies beside results."""

from __future__ import annotations

import pytest

from state.errors import StorageError
from state.result.classify import Commit
from state.store.base import Superseded
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    NEXT,
    OTHER,
    assert_committed,
    attempt,
    commit,
    stage,
)
from tests.state.store.conformance.test_scans_and_reads import altered


def damage(given: Harness) -> bytes:
    """Alter a committed result; its bytes from now on."""
    commit(given.store)
    content = altered(given.content(HERE) or b"")
    given.overwrite(HERE, content)
    return content


@pytest.mark.parametrize("cut", [False, True])
def test_damage_is_set_aside_on_demand(given: Harness, cut: bool) -> None:
    """Promise 6: kept byte for byte, and no commit stands there any more; a power cut changes neither."""
    content = damage(given)
    broken = given.store.set_aside_damaged(HERE)
    assert broken is not None
    assert ((broken.aggregation, broken.day), bool(broken.why), bool(broken.kept)) == (HERE, True, True)
    if cut:
        given.power_cut(names_stay=False)
    assert given.kept() == [content]
    assert given.store.lookup(HERE) is None
    assert given.store.scan().days.get(HERE[0], {}) == {}
    answer = commit(given.store)
    assert answer.record.generation > 1
    assert_committed(given, answer)


def test_what_is_not_damaged_is_not_set_aside(given: Harness) -> None:
    """Promise 6: a good commit stays, also one that came over the damage meanwhile, and nothing is nothing."""
    assert given.store.set_aside_damaged(HERE) is None
    answer = commit(given.store)
    assert given.store.set_aside_damaged(HERE) is None
    assert_committed(given, answer)
    assert given.kept() == []


def test_what_cannot_be_read_is_not_set_aside(given: Harness) -> None:
    """Promise 5: an error says nothing of the result."""
    content = damage(given)
    with given.failing("read"), pytest.raises((StorageError, OSError)):
        given.store.set_aside_damaged(HERE)
    assert given.content(HERE) == content
    assert given.kept() == []


def test_who_saw_damage_that_was_set_aside_is_superseded(given: Harness) -> None:
    """Promise 3: an absence is not the damage that was there."""
    damage(given)
    given.overwrite(HERE, b"torn")
    paused = given.store.token(HERE)
    given.store.set_aside_damaged(HERE)
    assert isinstance(attempt(given.store, HERE, paused), Superseded)
    assert given.content(HERE) is None


def test_results_of_dead_runs_are_known(given: Harness) -> None:
    """Promise 10: the next run can tell what a run was computing as it died; what living ones compute is theirs."""
    given.left_by_a_dead_run(HERE, OTHER)
    with given.another().run_note() as note, note.computing([NEXT]), given.store.interrupted() as found:
        assert found == {HERE, OTHER}
    with given.store.interrupted() as found:
        assert found == set()


def test_notes_of_dead_runs_stay_until_they_are_dealt_with(given: Harness) -> None:
    """Promise 10: a run that fails while it records them leaves them to the next; removing what is stale does too."""
    given.left_by_a_dead_run(HERE)
    with pytest.raises(ValueError, match="no record"), given.store.interrupted():
        raise ValueError("no record")
    given.store.remove_stale()
    with given.store.interrupted() as found:
        assert found == {HERE}


def test_a_run_that_ends_leaves_no_note(given: Harness) -> None:
    """However it ends, where Python can see it: nobody is suspected."""
    with given.store.run_note() as note:
        with note.computing([HERE]):
            pass
        with pytest.raises(KeyboardInterrupt), note.computing([NEXT]):
            raise KeyboardInterrupt
    with given.store.interrupted() as found:
        assert found == set()
    assert given.staged() == 0


def test_nothing_of_a_stores_own_is_seen_by_readers(given: Harness) -> None:
    """Promise 2: neither what is staged, nor kept, nor noted, nor remembered is among the results."""
    damage(given)
    with stage(given.store, NEXT), given.store.run_note() as note, note.computing([OTHER]):
        commit(given.store, OTHER)
        given.store.set_aside_damaged(HERE)
        given.store.write_note("cache/some", b"some", is_ours=bool)
        assert given.readable() == [f"{OTHER[0]}/day={OTHER[1]}/data.parquet"]
        assert given.store.foreign_files(given.store.scan()) == []
        assert given.store.visible_own_files() == given.store.hide_own_files() == []
    assert isinstance(given.store.lookup(OTHER), Commit)
