"""Scans, lookups and reads: what was committed is found, as it is, and no error looks like an absence."""

from __future__ import annotations

import pytest

from state.errors import StorageError
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found, Newer, Unreadable
from state.result.record import FORMAT
from state.store.base import Broken, Unread
from tests.builders import NAME
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.steps import (
    HERE,
    NEXT,
    OTHER,
    attempt,
    commit,
    generations,
    newer_format,
    stage,
)


def scanned(given: Harness) -> dict[Partition, Found]:
    """What a scan finds, by partition."""
    days = given.store.scan().days
    return {(name, day): found for name, some in days.items() for day, found in some.items()}


def altered(content: bytes) -> bytes:
    """The same result with one bit of its rows turned over: its end still says what it was."""
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


def any_commit(found: Commit) -> bool:
    """Want every commit."""
    return True


def test_an_empty_output_holds_nothing(given: Harness) -> None:
    """A new output is no error."""
    output = given.store.scan()
    assert (output.days, output.strays, output.blocked) == ({}, (), {})
    assert (given.store.aggregations(), given.store.days(NAME)) == ([], [])
    assert given.store.lookup(HERE) is None
    assert given.store.read(HERE, any_commit) == (None, b"")
    assert given.store.published_generation(HERE) == 0


def test_a_scan_finds_exactly_what_was_committed(given: Harness) -> None:
    """Promise 4: the index is made of what a scan finds or a commit answers: they are equal, their ``stat`` too."""
    answers = {partition: commit(given.store, partition) for partition in (HERE, NEXT, OTHER)}
    answers[NEXT] = commit(given.store, NEXT)
    assert scanned(given) == answers
    assert {one: given.store.lookup(one) for one in answers} == answers
    assert given.store.aggregations() == sorted({name for name, _ in answers})
    assert sorted(given.store.days(NAME)) == [HERE[1], NEXT[1]]
    assert given.store.days(OTHER[0]) == [OTHER[1]]


def test_a_scan_sees_nothing_staged_and_nothing_deleted(given: Harness) -> None:
    """Promise 2: what is not published is not found, and what was taken away is not either."""
    answer = commit(given.store)
    commit(given.store, NEXT)
    given.delete(NEXT)
    with stage(given.store), stage(given.store, NEXT), stage(given.store, OTHER):
        assert scanned(given) == {HERE: answer}
        assert (given.store.lookup(NEXT), given.store.lookup(OTHER)) == (None, None)


def test_a_scan_follows_every_change(given: Harness) -> None:
    """Promise 6: whatever a scan learned and kept for the next one, that one says what stands there now."""

    def seen() -> Found | None:
        output = given.store.scan()
        if output.footers:
            output.footers.save()
        found = output.days.get(NAME, {}).get(HERE[1])
        assert found == given.store.lookup(HERE)
        return found

    first = commit(given.store)
    assert [seen(), seen()] == [first, first]
    old = given.content(HERE) or b""
    second = commit(given.store)
    assert [seen(), seen()] == [second, second]
    given.overwrite(HERE, b"torn")
    assert isinstance(seen(), Damaged)
    given.overwrite(HERE, old)
    found = seen()
    assert isinstance(found, Commit)
    assert found.record == first.record
    given.delete(HERE)
    assert seen() is None


def test_what_is_found_is_told_apart(given: Harness) -> None:
    """Promises 5, 6 and 10: damage, results of later code, errors and absences are told apart, and hide nothing."""
    good = commit(given.store, OTHER)
    given.overwrite(HERE, b"torn")
    given.overwrite(NEXT, newer_format())
    found = scanned(given)
    assert found == {HERE: found[HERE], NEXT: Newer(FORMAT + 1), OTHER: good}
    assert isinstance(found[HERE], Damaged)
    with given.failing("read", OTHER):
        found = scanned(given)
        assert isinstance(found[OTHER], Unreadable)
        assert isinstance(given.store.lookup(OTHER), Unreadable)
        assert (isinstance(found[HERE], Damaged), found[NEXT]) == (True, Newer(FORMAT + 1))


def test_an_error_of_listing_is_an_error(given: Harness) -> None:
    """Promise 5: days that cannot be listed are not days that are missing."""
    commit(given.store)
    with given.failing("list"):
        with pytest.raises((StorageError, OSError)):
            given.store.scan()
        with pytest.raises((StorageError, OSError)):
            given.store.aggregations()
        with pytest.raises((StorageError, OSError)):
            given.store.days(NAME)


def test_a_deep_scan_finds_any_altered_byte(given: Harness) -> None:
    """Promise 6: it reports each result that is damaged or cannot be read, and no other."""
    good = commit(given.store, OTHER)
    for partition in (HERE, NEXT):
        commit(given.store, partition)
    given.overwrite(HERE, altered(given.content(HERE) or b""))
    assert isinstance(given.store.lookup(HERE), Commit)
    reported: list[Broken | Unread] = []
    with given.failing("read", NEXT):
        output = given.store.scan_deep(2, reported.append)
    assert {(type(one), (one.aggregation, one.day)) for one in reported} == {(Broken, HERE), (Unread, NEXT)}
    assert isinstance(output.days[NAME][HERE[1]], Damaged)
    assert isinstance(output.days[NAME][NEXT[1]], Unreadable)
    assert output.days[OTHER[0]][OTHER[1]] == good


def test_a_read_gives_one_whole_generation(given: Harness) -> None:
    """Promise 2: a commit and its bytes, of one opening."""
    for generation in (1, 2):
        answer = commit(given.store)
        found, content = given.store.read(HERE, any_commit)
        assert found == answer
        assert generations(content) == {generation}
        assert content == given.content(HERE)


def test_a_read_gives_only_what_is_wanted(given: Harness) -> None:
    """A commit that nobody wants is named, and not read."""
    answer = commit(given.store)
    assert given.store.read(HERE, lambda one: one.record.version > 1) == (answer, b"")


def test_a_read_gives_nothing_of_what_is_damaged(given: Harness) -> None:
    """Promise 6: every byte is checked before any is given."""
    commit(given.store)
    for damage in (b"torn", altered(given.content(HERE) or b"")):
        given.overwrite(HERE, damage)
        found, content = given.store.read(HERE, any_commit)
        assert isinstance(found, Damaged)
        assert content == b""
    given.overwrite(HERE, newer_format())
    assert given.store.read(HERE, any_commit) == (Newer(FORMAT + 1), b"")
    with given.failing("read"):
        found, content = given.store.read(HERE, any_commit)
    assert isinstance(found, Unreadable)
    assert content == b""


def test_the_highest_published_generation_is_remembered(given: Harness) -> None:
    """Promise 6: an older result that was put where a newer one stood can be told from it."""
    commit(given.store)
    old = given.content(HERE) or b""
    commit(given.store)
    given.overwrite(HERE, old)
    assert given.store.published_generation(HERE) == 2
    given.delete(HERE)
    assert given.another().published_generation(HERE) == 2


def test_what_was_not_published_is_not_remembered_as_published(given: Harness) -> None:
    """A writer that fails as it publishes has published nothing: no day is called an older result for it."""
    commit(given.store)
    with given.failing("publish"):
        assert not isinstance(attempt(given.store), Commit)
    assert given.store.published_generation(HERE) == 1
