"""An object store in memory: conditional puts, and what a power cut would undo."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

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

    A key's version rises with every change, deletions too. ``generations`` has the highest that was published under a
    key, also after a deletion. ``living`` has the keys of what living writers use alone.

    ``interfere(operation, key)`` is called before a ``list``, ``read``, ``write``, ``flush`` or ``move``, and after a
    move (``moved``); what it raises is the operation's answer.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Blob] = {}
        self.durable: dict[str, Blob] = {}
        self.versions: Counter[str] = Counter()
        self.generations: Counter[str] = Counter()
        self.living: set[str] = set()
        self.interfere: Interfere = undisturbed
        self._lock = threading.RLock()

    def names(self, prefix: str = "") -> list[str]:
        """The keys with a prefix, sorted. Raises OSError."""
        self.interfere("list", prefix)
        with self._lock:
            return sorted(key for key in self.objects if key.startswith(prefix))

    def read(self, key: str) -> tuple[bytes | None, int]:
        """The content of an object, or None, and the key's version. Raises OSError."""
        self.interfere("read", key)
        with self._lock:
            blob = self.objects.get(key)
            return (blob.content if blob else None), self.versions[key]

    def put(self, key: str, content: bytes) -> None:
        """Replace an object, whatever it is. Raises OSError."""
        self.interfere("write", key)
        self.set(key, Blob(content))

    def delete(self, key: str, over: int | None = None) -> None:
        """Remove an object, where there is one and its version is ``over``. Raises Conflict."""
        with self._lock:
            if over not in (None, self.versions[key]):
                raise Conflict
            self.set(key, None)

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
        """Make an object's content durable, and then its name. Raises OSError."""
        self.interfere("flush", key)
        with self._lock:
            if blob := self.objects.get(key):
                blob.flushed = True
                self.durable[key] = blob
            else:
                self.durable.pop(key, None)

    def power_cut(self, *, names_stay: bool) -> None:
        """Lose what was not flushed. ``names_stay``: the names did get to the device, and the contents not."""
        self.living.clear()
        self.objects = dict(self.objects if names_stay else self.durable)
        for key, blob in self.objects.items():
            self.objects[key] = blob if blob.flushed else Blob(bytes(len(blob.content)), flushed=True)
        self.durable = dict(self.objects)
