"""A second store, for tests alone: an object store in memory, with conditional puts and what a power cut would undo.

It passes the conformance suite and runs the tour, which shows that nothing above ``state.store.base`` needs a path or a
descriptor. An object has a version that rises with every change of its key, deletions too.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from state.errors import StorageError
from state.filesystem.durable import read_whole
from state.partition import Partition
from state.result import verify
from state.result.classify import Commit, Damaged, Found, Unreadable, classify
from state.result.record import CommitRecord
from state.result.schemas import schema_of
from state.result.writing import write_result
from state.store.base import Broken, Output, RunNote, Staged, Superseded, Token, Unread

OWN = "_noonmark"
STAGED = f"{OWN}/tmp"
SET_ASIDE = f"{OWN}/set_aside"


def data_key(partition: Partition) -> str:
    """Where a result is published."""
    aggregation, day = partition
    return f"{aggregation}/day={day}/data.parquet"


Interfere = Callable[[str, str], None]


def undisturbed(operation: str, key: str) -> None:
    """Let every operation take place."""


class Conflict(Exception):
    """The object is not the one that a conditional put names."""


@dataclass(slots=True)
class Blob:
    """The content of an object, and whether a power cut leaves it."""

    content: bytes
    flushed: bool = False


class Bucket:
    """Objects by key, shared by all who have the output open. ``durable`` has those that a power cut leaves.

    ``generations`` has the highest that was published under a key, beyond a deletion; ``writers`` what is being staged.

    ``interfere(operation, key)`` is called before an operation (``read``, ``write``, ``flush``, ``move``), and after a
    move (``moved``); what it raises is the operation's answer.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Blob] = {}
        self.durable: dict[str, Blob] = {}
        self.versions: Counter[str] = Counter()
        self.generations: Counter[str] = Counter()
        self.writers: set[str] = set()
        self.interfere: Interfere = undisturbed
        self._lock = threading.RLock()

    def read(self, key: str) -> tuple[bytes | None, int]:
        """The content of an object, or None, and the key's version. Raises OSError."""
        self.interfere("read", key)
        with self._lock:
            blob = self.objects.get(key)
            return (blob.content if blob else None), self.versions[key]

    def put(self, key: str, content: bytes) -> None:
        """Replace an object, whatever it is."""
        self.interfere("write", key)
        self.set(key, Blob(content))

    def publish(self, source: str, key: str, over: int, generation: int) -> None:
        """Give an object another key, if that key's version is still ``over``. Raises Conflict, OSError."""
        self.interfere("move", key)
        with self._lock:
            if self.versions[key] != over:
                raise Conflict
            self.set(key, self.objects[source])
            self.generations[key] = max(self.generations[key], generation)
        self.interfere("moved", key)

    def set(self, key: str, blob: Blob | None) -> None:
        """Let a key have this object, or none."""
        with self._lock:
            self.versions[key] += 1
            self.objects.pop(key, None)
            if blob is not None:
                self.objects[key] = blob

    def flush(self, key: str) -> None:
        """Make an object's content durable, and then its name."""
        self.interfere("flush", key)
        with self._lock:
            if blob := self.objects.get(key):
                blob.flushed = True
                self.durable[key] = blob
            else:
                self.durable.pop(key, None)

    def power_cut(self, *, names_stay: bool) -> None:
        """Lose what was not flushed. ``names_stay``: the names did get to the device, and the contents not."""
        self.writers.clear()
        self.objects = dict(self.objects if names_stay else self.durable)
        for key, blob in self.objects.items():
            self.objects[key] = blob if blob.flushed else Blob(bytes(len(blob.content)), flushed=True)
        self.durable = dict(self.objects)


class MemoryStore:
    """A store on a bucket; as many as there are processes share it."""

    id = "1" * 32
    path = Path("memory")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def handle(self) -> tuple[list[int], list[int | str]]:
        """As ``Store.handle``: no other process sees this one's memory."""
        raise NotImplementedError

    def aggregations(self) -> list[str]:
        """As ``Store.aggregations``."""
        return sorted({name for name, _ in self._partitions()})

    def days(self, aggregation: str) -> list[str]:
        """As ``Store.days``."""
        return [day for name, day in self._partitions() if name == aggregation]

    def _partitions(self) -> list[Partition]:
        keys = [key.split("/") for key in sorted(self.bucket.objects) if key.endswith("/data.parquet")]
        return [(name, day.removeprefix("day=")) for name, day, _ in keys]

    def scan(self) -> Output:
        """As ``Store.scan``."""
        return self._scan(classify)

    def scan_deep(self, threads: int, report: Callable[[Broken | Unread], None]) -> Output:
        """As ``Store.scan_deep``."""
        output = self._scan(verify.verify)
        for name, days in output.days.items():
            for day, found in days.items():
                if isinstance(found, Damaged):
                    report(Broken(name, day, found.why))
                elif isinstance(found, Unreadable):
                    report(Unread(name, day, f"its result {found.why}"))
        return output

    def _scan(self, classified: Callable[[int, str, str], Found]) -> Output:
        days: dict[str, dict[str, Found]] = {}
        for name, day in self._partitions():
            if found := self._found((name, day), classified):
                days.setdefault(name, {})[day] = found
        return Output(days)

    def lookup(self, partition: Partition) -> Found | None:
        """As ``Store.lookup``."""
        return self._found(partition, classify)

    def read(self, partition: Partition, wanted: Callable[[Commit], bool]) -> tuple[Found | None, bytes]:
        """As ``Store.read``."""
        content, _ = self.bucket.read(data_key(partition))
        found = found_in(content, partition)
        if isinstance(found, Commit) and not wanted(found):
            return found, b""
        found = found_in(content, partition, verify.verify)
        return found, (content or b"") if isinstance(found, Commit) else b""

    def _found(self, partition: Partition, classified: Callable[[int, str, str], Found]) -> Found | None:
        try:
            content, _ = self.bucket.read(data_key(partition))
        except OSError as error:
            return Unreadable(f"cannot be read: {error.strerror}")
        return found_in(content, partition, classified)

    def published_generation(self, partition: Partition) -> int:
        """As ``Store.published_generation``."""
        return self.bucket.generations[data_key(partition)]

    def set_aside_damaged(self, partition: Partition) -> Broken | None:
        """As ``Store.set_aside_damaged``."""
        token = self.token(partition)
        found = self._found(partition, verify.verify)
        if not isinstance(found, Damaged):
            return None
        kept = self._set_aside(partition, token)
        self.bucket.set(data_key(partition), None)
        self.bucket.flush(data_key(partition))
        return Broken(*partition, found.why, kept)

    @contextmanager
    def run_note(self) -> Iterator[RunNote]:
        """As ``Store.run_note``: what is in memory dies with its run."""
        yield _NoNote()

    @contextmanager
    def interrupted(self) -> Iterator[set[Partition]]:
        """As ``Store.interrupted``."""
        yield set()

    def foreign_files(self, output: Output) -> list[str]:
        """As ``Store.foreign_files``."""
        return []

    def visible_own_files(self) -> list[str]:
        """As ``Store.visible_own_files``."""
        return []

    def hide_own_files(self) -> list[str]:
        """As ``Store.hide_own_files``."""
        return []

    def read_note(self, name: str, *, longest: int | None = None) -> bytes | None:
        """As ``Notes.read_note``."""
        blob = self.bucket.objects.get(f"{OWN}/{name}")
        return blob.content[:longest] if blob else None

    def write_note(self, name: str, content: bytes, *, is_ours: Callable[[bytes], bool], durable: bool = False) -> None:
        """As ``Notes.write_note``."""
        self.bucket.put(f"{OWN}/{name}", content)
        if durable:
            self.bucket.flush(f"{OWN}/{name}")

    def append_note(self, name: str, content: bytes) -> None:
        """As ``Notes.append_note``."""
        self.bucket.put(f"{OWN}/{name}", (self.read_note(name) or b"") + content)

    def remove_note(self, name: str) -> None:
        """As ``Notes.remove_note``."""
        self.bucket.set(f"{OWN}/{name}", None)

    def note_names(self, folder: str) -> list[str]:
        """As ``Notes.note_names``."""
        start = f"{OWN}/{folder}/"
        return sorted(key.removeprefix(f"{OWN}/") for key in self.bucket.objects if key.startswith(start))

    def token(self, partition: Partition) -> Token:
        """As ``Store.token``."""
        key = data_key(partition)
        try:
            content, version = self.bucket.read(key)
        except OSError as error:
            raise StorageError(f"{key} cannot be read: {error.strerror}") from error
        found = found_in(content, partition)
        digest = hashlib.sha256(content).hexdigest() if content is not None else ""
        identity = found.record.nonce if isinstance(found, Commit) else digest
        return Token(found, identity, b"%d" % version, self.bucket.generations[key])

    @contextmanager
    def stage(self, partition: Partition, token: Token, record: CommitRecord, table: pa.Table) -> Iterator[Staged]:
        """As ``Store.stage``."""
        record = record._replace(nonce=uuid.uuid4().hex, generation=token.generation)
        with tempfile.TemporaryFile() as file:
            write_result(file.fileno(), table, record)
            content = read_whole(file.fileno())
        one = InMemory(partition, token, record, content, schema_of(table))
        self.bucket.writers.add(one.key)
        self.bucket.put(one.key, content)
        try:
            yield one
        finally:
            self.bucket.set(one.key, None)
            self.bucket.writers.discard(one.key)

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
        return Commit(one.record, (len(one.body),), one.schema)

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
        kept = f"{SET_ASIDE}/{'.'.join(partition)}.{token.mark.decode()}"
        self.bucket.put(kept, self.bucket.read(data_key(partition))[0] or b"")
        self.bucket.flush(kept)
        return kept

    def sync(self) -> None:
        """As ``Store.sync``."""
        for key in list(self.bucket.objects):
            self.bucket.flush(key)

    def remove_stale(self) -> int:
        """As ``Store.remove_stale``."""
        stale = [key for key in self.bucket.objects if key.startswith(STAGED) and key not in self.bucket.writers]
        for key in stale:
            self.bucket.set(key, None)
        return len(stale)


class _NoNote:
    """A note that is kept nowhere."""

    @contextmanager
    def computing(self, partitions: Iterable[Partition]) -> Iterator[None]:
        """As ``RunNote.computing``."""
        yield


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
        return f"{STAGED}/{self.record.nonce}"

    def content(self) -> bytes:
        """As ``Staged.content``."""
        return self.body


def found_in(
    content: bytes | None, partition: Partition, classified: Callable[[int, str, str], Found] = classify
) -> Found | None:
    """What an object is, where this partition's result should be."""
    if content is None:
        return None
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return classified(file.fileno(), *partition)
