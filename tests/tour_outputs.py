"""Outputs for the tour, on a disk and in memory: as a run opens them, and as anybody's hands reach them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import polars as pl

from state import outputs
from state.partition import Partition
from state.store.base import Store
from state.store.local import layout
from state.store.local.root import open_store
from tests.bucket import Blob, Bucket
from tests.memory_store import SET_ASIDE, MemoryStore, data_key


class Output(Protocol):
    """Where results lie."""

    def open(self) -> Store:
        """The store, as a run opens it."""

    def content(self, partition: Partition) -> bytes:
        """The bytes of a result."""

    def overwrite(self, partition: Partition, content: bytes) -> None:
        """Put other bytes in the place of a result."""

    def set_aside(self) -> list[bytes]:
        """What was set aside."""

    def read(self, aggregation: str) -> pl.DataFrame:
        """All results, as Noonmark reads them."""


class OnDisk:
    """An output in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> Store:
        """As ``Output.open``."""
        return open_store(self.folder, create=True, remembered=False)

    def content(self, partition: Partition) -> bytes:
        """As ``Output.content``."""
        return (self.folder / layout.data_file(*partition)).read_bytes()

    def overwrite(self, partition: Partition, content: bytes) -> None:
        """As ``Output.overwrite``."""
        (self.folder / layout.data_file(*partition)).write_bytes(content)

    def set_aside(self) -> list[bytes]:
        """As ``Output.set_aside``."""
        return [path.read_bytes() for path in (self.folder / layout.SET_ASIDE).iterdir()]

    def read(self, aggregation: str) -> pl.DataFrame:
        """As ``Output.read``."""
        return outputs.scan(aggregation, output=self.folder).collect()


class InMemory:
    """An output in an object store, which is nowhere on a disk."""

    def __init__(self, folder: Path) -> None:
        self.bucket = Bucket()

    def open(self) -> Store:
        """As ``Output.open``."""
        return MemoryStore(self.bucket)

    def content(self, partition: Partition) -> bytes:
        """As ``Output.content``."""
        return self.bucket.objects[data_key(partition)].content

    def overwrite(self, partition: Partition, content: bytes) -> None:
        """As ``Output.overwrite``."""
        self.bucket.set(data_key(partition), Blob(content))

    def set_aside(self) -> list[bytes]:
        """As ``Output.set_aside``."""
        return [self.bucket.objects[key].content for key in self.bucket.names(SET_ASIDE)]

    def read(self, aggregation: str) -> pl.DataFrame:
        """As ``Output.read``."""
        with self.open() as store:
            return outputs.scan_store(store, aggregation).collect()
