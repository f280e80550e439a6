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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from state.errors import StorageError
from state.filesystem.durable import read_whole
from state.partition import Partition
from state.result.classify import Commit, Damaged, Found, judge
from state.result.record import CommitRecord
from state.result.schemas import schema_of
from state.result.writing import write_result
from state.store.base import Staged, Superseded, Token

STAGED = "_noonmark/tmp"
SET_ASIDE = "_noonmark/set_aside"


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

    def token(self, partition: Partition) -> Token:
        """As ``Store.token``."""
        key = data_key(partition)
        try:
            content, version = self.bucket.read(key)
        except OSError as error:
            raise StorageError(f"{key} cannot be read: {error.strerror}") from error
        found = classify(content, partition)
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

    def _set_aside(self, partition: Partition, token: Token) -> None:
        kept = f"{SET_ASIDE}/{'.'.join(partition)}.{token.mark.decode()}"
        self.bucket.put(kept, self.bucket.read(data_key(partition))[0] or b"")
        self.bucket.flush(kept)

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


def classify(content: bytes | None, partition: Partition) -> Found | None:
    """What an object is, where this partition's result should be."""
    if content is None:
        return None
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return judge(file.fileno(), *partition)
