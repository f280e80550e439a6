"""The harness of the local disk's store, on a device that loses what nobody flushed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from state.partition import Partition
from state.store.local import layout
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tests.memory_store import data_key
from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.device import Device


@contextmanager
def on_disk(folder: Path) -> Iterator[Harness]:
    """A store on a file system."""
    with pytest.MonkeyPatch.context() as patch:
        one = _OnDisk(folder, patch)
        try:
            yield one
        finally:
            one.close()


class _OnDisk(Harness):
    """A store on a file system, whose device loses what nobody flushed."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self._root = root
        self._device = self.hook = Device(root, patch)
        self._opened: list[LocalStore] = []
        self.store = self.another()

    def close(self) -> None:
        """Close what was opened."""
        for one in self._opened:
            with one:
                pass
        self._opened.clear()
        self._device.close()

    def another(self) -> LocalStore:
        self._opened.append(open_store(self._root, create=True, remembered=False))
        return self._opened[-1]

    def content(self, partition: Partition) -> bytes | None:
        path = self._root / data_key(partition)
        return path.read_bytes() if path.exists() else None

    def overwrite(self, partition: Partition, content: bytes) -> None:
        path = self._root / data_key(partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._device.flush_all()

    def delete(self, partition: Partition) -> None:
        (self._root / data_key(partition)).unlink()
        self._device.flush_all()

    def forget(self, partition: Partition) -> None:
        self.delete(partition)
        path, at = layout.lock_slot(*partition)
        with (self._root / path).open("r+b") as file:
            file.seek(at)
            file.write(bytes(layout.SLOT))

    def readable(self) -> list[str]:
        return [str(path.relative_to(self._root)) for path in self._root.rglob("*.parquet")]

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in (self._root / layout.SET_ASIDE).iterdir()]

    def staged(self) -> int:
        return len(list((self._root / layout.STAGING).iterdir()))

    def left_by_a_dead_writer(self) -> None:
        (self._root / layout.temporary_file("a" * 32)).write_bytes(b"half a result")

    def left_by_a_dead_run(self, *partitions: Partition) -> None:
        (self._root / layout.run_note("b" * 32)).write_text(json.dumps(partitions))

    def overwrite_note(self, name: str, content: bytes) -> None:
        path = self._root / layout.note_file(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def lost_reply(self, *, landed: bool, meanwhile: Callable[[], object] = int) -> AbstractContextManager[object]:
        pytest.skip("a rename on a local disk has an answer")

    def power_cut(self, *, names_stay: bool) -> None:
        self._device.power_cut(names_stay=names_stay)
        self.store = self.another()
