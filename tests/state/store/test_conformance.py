"""What every store of results promises; each implementation has to pass all of it.

The numbers are those of the promises in docs/design.md. Whoever adds a store adds a harness for it to ``STORES``.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from state.errors import StorageError
from state.partition import Partition
from state.result.classify import Commit, Damaged, Newer
from state.result.record import KEY
from state.result.writing import arrow_table, rows_digest
from state.store.base import Staged, Store, Superseded, Token
from tests.builders import DAY, DEADLINE, NAME, RECORD, rows_of
from tests.state.store.harness import Harness, in_memory, on_disk

HERE = (NAME, DAY)
NEXT = (NAME, "2013-01-02")
OTHER = ("others", "10")

STORES: dict[str, Callable[[Path], AbstractContextManager[Harness]]] = {
    "local": lambda folder: on_disk(folder / "output"),
    "memory": lambda _: in_memory(),
}


@pytest.fixture(params=list(STORES))
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """An empty output of each kind."""
    if request.param == "local" and sys.platform == "darwin":
        pytest.skip("flushes through fcntl there")
    with STORES[request.param](tmp_path) as harness:
        yield harness


def accept(one: Staged) -> None:
    """Verify nothing."""


def stage(
    store: Store, partition: Partition = HERE, token: Token | None = None, frame: pl.DataFrame | None = None
) -> AbstractContextManager[Staged]:
    """A staged result, whose rows tell its generation unless they are given."""
    token = token or store.token(partition)
    table = arrow_table(rows_of(token.generation) if frame is None else frame)
    name, day = partition
    record = RECORD._replace(aggregation=name, day=day, rows=table.num_rows, result=rows_digest(table))
    return store.stage(partition, token, record, table)


def attempt(store: Store, *arguments: Any) -> Commit | Exception:
    """Stage a result and commit it; its answer."""
    with stage(store, *arguments) as one:
        (answer,) = store.commit([one], accept)
        return answer


def commit(store: Store, *arguments: Any) -> Commit:
    """Commit a result, which must go well."""
    answer = attempt(store, *arguments)
    assert isinstance(answer, Commit), answer
    return answer


def in_threads(call: Callable[[Any], object], arguments: Sequence[Any]) -> None:
    """Call something in as many threads at once; raises what one of them raised."""
    with ThreadPoolExecutor(len(arguments)) as threads:
        list(threads.map(call, arguments))


def generations(content: bytes | None) -> set[int]:
    """The generations that the rows of a result tell: one, where it is whole."""
    assert content is not None
    try:
        table = pq.read_table(BytesIO(content))
    except pa.ArrowException as error:
        pytest.fail(f"a reader finds no whole result: {error}")
    return set(table.column("generation").to_pylist())


def assert_superseded(given: Harness, token: Token, partition: Partition = HERE) -> None:
    """Nothing is published over ``token``, and nothing changes."""
    before, kept = given.content(partition), given.kept()
    assert isinstance(attempt(given.store, partition, token, rows_of(99)), Superseded)
    assert given.content(partition) == before
    assert given.kept() == kept
    assert given.staged() == 0


def assert_committed(given: Harness, answer: Commit | Exception, partition: Partition = HERE) -> None:
    """What was reported stands there."""
    assert isinstance(answer, Commit), answer
    found = given.store.token(partition).found
    assert isinstance(found, Commit), found
    assert found.record == answer.record
    assert generations(given.content(partition)) == {answer.record.generation}


def newer_format() -> bytes:
    """A result of later code."""
    text = json.dumps({"format": 2, "check": "otherwise"})
    sink = BytesIO()
    pq.write_table(arrow_table(rows_of(1)).replace_schema_metadata({KEY: text.encode()}), sink)
    return sink.getvalue()


# Tokens


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
    assert given.store.token(HERE).found == Newer(2)


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


# What is published over what


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


# Staged results


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


# Groups


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


# Damage is kept


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


# Durability


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


# Lost replies


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
