"""Tokens: what a store says of a partition, and never says where it cannot read."""

from __future__ import annotations

import pytest

from state.errors import StorageError
from state.result.classify import Commit, Damaged, Newer
from state.result.record import FORMAT
from tests.builders import DAY
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    NEXT,
    accept,
    assert_committed,
    commit,
    newer_format,
    stage,
)


def test_the_token_of_nothing(given: Harness) -> None:
    """Promise 3: an absence has a token too. What comes over it is generation 1."""
    token = given.store.token(HERE)
    assert (token.found, token.identity, token.nonce, token.generation) == (None, "", "", 1)


def test_the_token_of_a_commit(given: Harness) -> None:
    """Promise 3: a commit is identified by its nonce, and what replaces it is one generation above it."""
    record = commit(given.store).record
    token = given.store.token(HERE)
    assert isinstance(token.found, Commit)
    assert token.found.record == record
    assert (token.identity, token.nonce, token.generation) == (record.nonce, record.nonce, 2)


def test_the_token_of_damage(given: Harness) -> None:
    """Promise 6: damage is no commit and no absence, and one damage is not another."""
    commit(given.store)
    tokens = []
    for damage in (b"torn", b"torn otherwise", b""):
        given.overwrite(HERE, damage)
        tokens.append(given.store.token(HERE))
    assert all(isinstance(one.found, Damaged) and one.nonce == "" and one.generation > 1 for one in tokens)
    assert len({one.identity for one in tokens} - {""}) == 3


def test_the_token_of_a_newer_format(given: Harness) -> None:
    """A result of later code is told apart from damage: it is not this code's to replace."""
    given.overwrite(HERE, newer_format())
    assert given.store.token(HERE).found == Newer(FORMAT + 1)


def test_a_result_in_anothers_place_is_damage(given: Harness) -> None:
    """Promise 6: a whole result, copied where it does not belong, is not adopted: it says whose it is, and is kept."""
    commit(given.store)
    content = given.content(HERE) or b""
    given.overwrite(NEXT, content)
    found = given.store.token(NEXT).found
    assert isinstance(found, Damaged)
    assert DAY in found.why
    assert_committed(given, commit(given.store, NEXT), NEXT)
    assert given.kept() == [content]


def test_an_error_is_no_token(given: Harness) -> None:
    """Promise 5: what cannot be read is neither absent nor damaged."""
    commit(given.store)
    with given.failing("read"), pytest.raises(StorageError):
        given.store.token(HERE)


def test_an_error_publishes_nothing(given: Harness) -> None:
    """Promise 5: where the place cannot be read, its staged result is kept back."""
    commit(given.store)
    before = given.content(HERE)
    with stage(given.store) as one, given.failing("read"):
        (answer,) = given.store.commit([one], accept)
    assert isinstance(answer, StorageError | OSError)
    assert given.content(HERE) == before
    assert given.kept() == []
