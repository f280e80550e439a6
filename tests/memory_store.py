"""A second store, for tests alone, on an object store in memory.

It passes the conformance suite and runs the tour, which shows that nothing above ``state.store.base`` needs a path or a
descriptor.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pyarrow as pa

from state.errors import StorageError
from state.filesystem.durable import read_whole
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found, Unreadable, classify
from state.result.record import CommitRecord
from state.result.schemas import schema_of
from state.result.verify import verify as verify_result
from state.result.writing import write_result
from state.store.base import Broken, Output, RunNote, Staged, Superseded, Token, Unread
from tests.bucket import Bucket, Conflict

OWN = "_noonmark/"
STAGED = f"{OWN}tmp/"
RUNS = f"{OWN}runs/"
SET_ASIDE = f"{OWN}set_aside/"

Classify = Callable[[int, str, str], Found]


def data_key(partition: Partition) -> str:
    """Where a result is published."""
    aggregation, day = partition
    return f"{aggregation}/day={day}/data.parquet"


class MemoryStore:
    """A store on a bucket; as many as there are processes share it."""

    id = "1" * 32
    path = Path("memory")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def handle(self) -> tuple[list[int], list[int | str]]:
        """As ``Store.handle``: no other process sees this one's memory."""
        raise NotImplementedError

    # Reading

    def aggregations(self) -> list[str]:
        """As ``Store.aggregations``."""
        return sorted({name for name, _ in self._partitions()})

    def days(self, aggregation: str) -> list[str]:
        """As ``Store.days``."""
        return [day for name, day in self._partitions() if name == aggregation]

    def _partitions(self) -> list[Partition]:
        try:
            keys = [key.split("/") for key in self.bucket.names() if not key.startswith(OWN)]
        except OSError as error:
            raise StorageError(f"the bucket cannot be listed: {error.strerror}") from error
        return [(name, day.removeprefix("day=")) for name, day, _ in keys]

    def scan(self, classified: Classify = classify) -> Output:
        """As ``Store.scan``."""
        days: dict[str, dict[str, Found]] = {}
        for name, day in self._partitions():
            if found := self.lookup((name, day), classified):
                days.setdefault(name, {})[day] = found
        return Output(days)

    def scan_deep(self, threads: int, report: Callable[[Broken | Unread], None]) -> Output:
        """As ``Store.scan_deep``."""
        output = self.scan(verify_result)
        for name, days in output.days.items():
            for day, found in days.items():
                if isinstance(found, Damaged):
                    report(Broken(name, day, found.why))
                elif isinstance(found, Unreadable):
                    report(Unread(name, day, f"its result {found.why}"))
        return output

    def lookup(self, partition: Partition, classified: Classify = classify) -> Found | None:
        """As ``Store.lookup``."""
        return self._read(partition, classified)[0]

    def read(self, partition: Partition, wanted: Callable[[Commit], bool]) -> tuple[Found | None, bytes]:
        """As ``Store.read``."""

        def classified(fd: int, *place: str) -> Found:
            found = classify(fd, *place)
            return verify_result(fd, *place) if not isinstance(found, Commit) or wanted(found) else found

        found, _, content = self._read(partition, classified)
        return found, content if isinstance(found, Commit) and wanted(found) else b""

    def _read(self, partition: Partition, classified: Classify) -> tuple[Found | None, int, bytes]:
        try:
            content, version = self.bucket.read(data_key(partition))
        except OSError as error:
            return Unreadable(f"cannot be read: {error.strerror}"), 0, b""
        if content is None:
            return None, version, b""
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            found = classified(file.fileno(), *partition)
        if isinstance(found, Commit):
            found = replace(found, stat=(len(content), version))
        return found, version, content

    def published_generation(self, partition: Partition) -> int:
        """As ``Store.published_generation``."""
        return self.bucket.generations[data_key(partition)]

    # Writing

    def token(self, partition: Partition) -> Token:
        """As ``Store.token``."""
        found, version, content = self._read(partition, classify)
        if isinstance(found, Unreadable):
            raise StorageError(f"{data_key(partition)} {found.why}")
        digest = hashlib.sha256(content).hexdigest() if found else ""
        identity = found.record.nonce if isinstance(found, Commit) else digest
        return Token(found, identity, b"%d" % version, self.published_generation(partition))

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        """As ``Store.stage``."""
        record = record._replace(nonce=uuid.uuid4().hex, generation=token.generation)
        with tempfile.TemporaryFile() as file:
            write_result(file.fileno(), table, record)
            content = read_whole(file.fileno())
        one = InMemory(partition, token, record, content, schema_of(table))
        with self._private(one.key):
            self.bucket.put(one.key, content)
            yield one

    @contextmanager
    def _private(self, key: str) -> Iterator[None]:
        self.bucket.living.add(key)
        try:
            yield
        finally:
            self.bucket.delete(key)
            self.bucket.living.discard(key)

    def commit(self, group: Sequence[Staged], verify: Callable[[Staged], None]) -> list[Commit | Exception]:
        """As ``Store.commit``."""
        return [self._commit(one, verify) for one in group if isinstance(one, InMemory)]

    def _commit(self, one: InMemory, verify: Callable[[Staged], None]) -> Commit | Exception:
        try:
            self.bucket.flush(one.key)
            verify(one)
            self._publish(one)
            self.bucket.flush(data_key(one.partition))
        except Exception as error:  # noqa: BLE001 it is this result's answer, and no other's
            return error
        return Commit(one.record, (len(one.body), int(one.token.mark) + 1), one.schema)

    def _publish(self, one: InMemory) -> None:
        now = self.token(one.partition)
        if not self._is_current(one.token, now):
            raise Superseded
        if isinstance(now.found, Damaged):
            self._set_aside(one.partition, now)
        try:
            self.bucket.publish(one.key, data_key(one.partition), int(now.mark), one.token.generation)
        except Conflict as error:
            raise Superseded from error
        except OSError as error:
            self._settle(one, error)

    def _is_current(self, token: Token, now: Token) -> bool:
        return (now.identity, now.mark) == (token.identity, token.mark)

    def _settle(self, one: InMemory, error: OSError) -> None:
        """Read back what came of a request whose reply is lost."""
        now = self.token(one.partition)
        if now.identity == one.record.nonce:
            return
        if self._is_current(one.token, now):
            raise StorageError(f"{one.partition} was not published, and may still be: {error.strerror}") from error
        raise Superseded from error

    def _set_aside(self, partition: Partition, token: Token) -> str:
        kept = f"{SET_ASIDE}{'.'.join(partition)}.{token.mark.decode()}"
        self.bucket.put(kept, self.bucket.read(data_key(partition))[0] or b"")
        self.bucket.flush(kept)
        return kept

    def set_aside_damaged(self, partition: Partition) -> Broken | None:
        """As ``Store.set_aside_damaged``."""
        token, found = self.token(partition), self.lookup(partition, verify_result)
        if not isinstance(found, Damaged):
            return None
        kept = self._set_aside(partition, token)
        try:
            self.bucket.delete(data_key(partition), over=int(token.mark))
        except Conflict:  # a good commit landed meanwhile
            return None
        self.bucket.flush(data_key(partition))
        return Broken(*partition, found.why, kept)

    def sync(self) -> None:
        """As ``Store.sync``."""
        for key in self.bucket.names():
            self.bucket.flush(key)

    # Housekeeping

    def remove_stale(self) -> int:
        """As ``Store.remove_stale``."""
        return sum(self._remove(key) for key in self.bucket.names(STAGED) if key not in self.bucket.living)

    def _remove(self, key: str) -> bool:
        self.bucket.delete(key)
        return True

    @contextmanager
    def run_note(self) -> Iterator[RunNote]:
        """As ``Store.run_note``."""
        key = f"{RUNS}{uuid.uuid4().hex}"
        with self._private(key):
            yield _InMemoryNote(self.bucket, key)

    @contextmanager
    def interrupted(self) -> Iterator[set[Partition]]:
        """As ``Store.interrupted``."""
        dead = [key for key in self.bucket.names(RUNS) if key not in self.bucket.living]
        noted = [json.loads(self.bucket.read(key)[0] or b"[]") for key in dead]
        yield {(name, day) for some in noted for name, day in some}
        for key in dead:
            self.bucket.delete(key)

    def foreign_files(self, output: Output) -> list[str]:
        """As ``Store.foreign_files``."""
        return [key for key in self.bucket.names() if not key.startswith(OWN) and not key.endswith("/data.parquet")]

    def visible_own_files(self) -> list[str]:
        """As ``Store.visible_own_files``: no name of ours is one."""
        return []

    def hide_own_files(self) -> list[str]:
        """As ``Store.hide_own_files``."""
        return []

    # Notes

    def read_note(self, name: str, *, longest: int | None = None) -> bytes | None:
        """As ``Notes.read_note``."""
        content, _ = self.bucket.read(OWN + name)
        return content if content is None else content[:longest]

    def write_note(self, name: str, content: bytes, *, is_ours: Callable[[bytes], bool], durable: bool = False) -> None:
        """As ``Notes.write_note``."""
        before, version = self.bucket.read(OWN + name)
        if before and not is_ours(before):
            self.bucket.put(f"{SET_ASIDE}{name}.{version}", before)
        self.bucket.put(OWN + name, content)
        if durable:
            self.bucket.flush(OWN + name)

    def append_note(self, name: str, content: bytes) -> None:
        """As ``Notes.append_note``."""
        self.bucket.put(OWN + name, (self.read_note(name) or b"") + content)

    def remove_note(self, name: str) -> None:
        """As ``Notes.remove_note``."""
        self.bucket.delete(OWN + name)

    def note_names(self, folder: str) -> list[str]:
        """As ``Notes.note_names``."""
        return [key.removeprefix(OWN) for key in self.bucket.names(f"{OWN}{folder}/")]


@dataclass(frozen=True, slots=True)
class InMemory:
    """A staged result: an object that no reader takes for one."""

    partition: Partition
    token: Token
    record: CommitRecord
    body: bytes
    schema: str

    @property
    def key(self) -> str:
        """Where it is until it is published."""
        return STAGED + self.record.nonce

    def content(self) -> bytes:
        """As ``Staged.content``."""
        return self.body


class _InMemoryNote:
    """What the threads of a run compute, in one object."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._computing: dict[int, list[Partition]] = {}

    @contextmanager
    def computing(self, partitions: Iterable[Partition]) -> Iterator[None]:
        """As ``RunNote.computing``."""
        self._computing[threading.get_ident()] = list(partitions)
        self._write()
        try:
            yield
        finally:
            del self._computing[threading.get_ident()]
            self._write()

    def _write(self) -> None:
        noted = [one for some in list(self._computing.values()) for one in some]
        self._bucket.put(self._key, json.dumps(noted).encode())
