"""The harness of the store in memory, which shares its bucket with whoever interferes."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from state.partition import Partition
from state.store.base import Store
from tests.bucket import Blob, Bucket, undisturbed
from tests.memory_store import OWN, RUNS, SET_ASIDE, STAGED, MemoryStore, data_key
from tests.state.store.conformance.harness.base import Harness


@contextmanager
def in_memory(kind: type[Bucket | MemoryStore] = MemoryStore) -> Iterator[Harness]:
    """A store in memory: a variant of one, or one on a variant of a bucket."""
    yield _InMemory(MemoryStore, kind()) if issubclass(kind, Bucket) else _InMemory(kind, Bucket())


class _InMemory(Harness):
    def __init__(self, make: type[MemoryStore], bucket: Bucket) -> None:
        self._make = make
        self.bucket = self.hook = bucket
        self.store = self.another()

    def another(self) -> Store:
        return self._make(self.bucket)

    def content(self, partition: Partition) -> bytes | None:
        blob = self.bucket.objects.get(data_key(partition))
        return blob.content if blob else None

    def overwrite(self, partition: Partition, content: bytes) -> None:
        self.bucket.set(data_key(partition), Blob(content))
        self.bucket.flush(data_key(partition))

    def delete(self, partition: Partition) -> None:
        self.bucket.set(data_key(partition), None)
        self.bucket.flush(data_key(partition))

    def forget(self, partition: Partition) -> None:
        self.delete(partition)
        del self.bucket.versions[data_key(partition)], self.bucket.generations[data_key(partition)]

    def readable(self) -> list[str]:
        return [key for key in self.bucket.objects if key.endswith(".parquet")]

    def kept(self) -> list[bytes]:
        return [blob.content for key, blob in self.bucket.objects.items() if key.startswith(SET_ASIDE)]

    def staged(self) -> int:
        return sum(key.startswith(STAGED) for key in self.bucket.objects)

    def left_by_a_dead_writer(self) -> None:
        self.bucket.set(STAGED + "a" * 32, Blob(b"half a result"))

    def left_by_a_dead_run(self, *partitions: Partition) -> None:
        self.bucket.set(RUNS + "b" * 32, Blob(json.dumps(partitions).encode()))

    def overwrite_note(self, name: str, content: bytes) -> None:
        self.bucket.set(OWN + name, Blob(content))

    @contextmanager
    def lost_reply(self, *, landed: bool, meanwhile: Callable[[], object] = int) -> Iterator[None]:
        def interfere(operation: str, key: str) -> None:
            if operation == ("moved" if landed else "move"):
                self.hook.interfere = undisturbed
                meanwhile()
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

        with self._interfering(interfere):
            yield

    def power_cut(self, *, names_stay: bool) -> None:
        self.bucket.power_cut(names_stay=names_stay)
        self.store = self.another()
