"""What the conformance suite does again and again: stage, commit, and compare what readers find."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from state.partition import Partition
from state.result.classify import Commit
from state.result.record import FORMAT, KEY
from state.result.writing import arrow_table, rows_digest
from state.store.base import Staged, Store, Superseded, Token
from tests.builders import DAY, NAME, RECORD, rows_of
from tests.state.store.conformance.harness.base import Harness

HERE = (NAME, DAY)
NEXT = (NAME, "2013-01-02")
OTHER = ("others", "10")


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
    text = json.dumps({"format": FORMAT + 1, "check": "otherwise"})
    sink = BytesIO()
    pq.write_table(arrow_table(rows_of(1)).replace_schema_metadata({KEY: text.encode()}), sink)
    return sink.getvalue()
