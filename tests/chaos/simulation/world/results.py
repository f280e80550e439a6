"""Light stand-ins for polars and Parquet: a result is its real commit record with one line of rows, sealed by its ends.

What is damaged is still told from what is whole, by the real reading of the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from state.filesystem.durable import write_whole
from state.result.classify import Commit, Damaged, Found
from state.result.record import CommitRecord, Unfit, dump, load
from tasks.compute.evaluate import Evaluated
from tests.chaos.simulation.world.disk import Node
from tests.chaos.simulation.world.inputs import value_of

_HEAD, _TAIL = b"LIGHT\n", b"\nEND"


class _NoSchema:
    """As much of an Arrow schema as the product asks for."""

    def serialize(self) -> bytes:
        """Nothing."""
        return b""


class Rows(str):
    """A result of one row."""

    __slots__ = ()
    num_rows = 1
    schema = _NoSchema()


@dataclass(frozen=True)
class Declaration:
    """As much of an aggregation as the product asks for."""

    name: str
    version: int
    sources: Mapping[str, Any] = field(compare=False, hash=False)
    references = frozenset[str]()
    keeps_references = False

    @property
    def code(self) -> str:
        """The same for every version, as nothing hangs on it."""
        return "code"


def rows_of(aggregation: str, version: int, digest: str) -> Rows:
    """What an aggregation makes of its input."""
    return Rows(f"{aggregation} v{version} {value_of(digest)}")


def evaluator(computed: Callable[[str, int, str], None]) -> Callable[..., list[dict[str, Any]]]:
    """Stands in for ``tasks.compute.evaluate.evaluate``; tells what it computed."""

    def evaluate_day(aggregations: Sequence[Declaration], taken: Mapping[Any, Any]) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for one in aggregations:
            (digest,) = {taken[source].contents.digest for source in one.sources.values()}
            computed(one.name, one.version, digest)
            frame: Any = rows_of(one.name, one.version, digest)
            results[one.name] = Evaluated(frame, dict.fromkeys(one.sources, 1))
        return results

    def evaluate(days: Sequence[tuple[Sequence[Declaration], Mapping[Any, Any]]]) -> list[dict[str, Any]]:
        return [evaluate_day(*day) for day in days]

    return evaluate


def pack(record: CommitRecord, rows: str) -> bytes:
    """The bytes of a result."""
    return _HEAD + dump(record) + b"\n" + rows.encode() + _TAIL


@lru_cache(4096)
def unpack(content: bytes) -> CommitRecord | str:
    """The record of a whole result, or why it is damaged."""
    if not (content.startswith(_HEAD) and content.endswith(_TAIL)):
        return "its end is not where it should be"
    text, _, rows = content[len(_HEAD) : -len(_TAIL)].partition(b"\n")
    try:
        record = load(text)
    except Unfit as error:
        return str(error)
    return record if record.result == rows.decode() else "its rows do not match its record"


def found_in(node: Node, place: tuple[str, str]) -> Commit | Damaged:
    """What a node is, in a day's place."""
    if node.entries is not None:
        return Damaged("it is a folder")
    record = unpack(node.content)
    if isinstance(record, str):
        return Damaged(record)
    if (record.aggregation, record.day) != place:
        return Damaged("it is another's result")
    return Commit(record, (len(node.content), node.mtime))


def classify_with(read: Callable[[int], bytes], node: Callable[[int], Node]) -> Callable[[int, str, str], Found]:
    """Stands in for ``state.result.classify.classify``."""

    def classify(fd: int, aggregation: str, day: str) -> Found:
        if node(fd).entries is None:
            read(fd)  # a step, where it may fail
        return found_in(node(fd), (aggregation, day))

    return classify


def write_result(fd: int, table: Rows, record: CommitRecord) -> None:
    """Stands in for ``state.result.writing.write_result``."""
    write_whole(fd, pack(record, table))
