"""A store under test, with the hands of everybody who is not one: readers, people, other processes, and the device.

The conformance suite asks a ``Harness`` for what the protocol of stores does not have. Whoever adds a store writes one.
"""

from __future__ import annotations

import errno
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

import pytest

from state.partition import Partition
from state.store.base import Store
from tests.bucket import Interfere, undisturbed
from tests.memory_store import OWN, STAGED, data_key

Step = Literal["list", "read", "stage", "flush", "publish", "flush published", "read note", "write note"]
"""A step of a store that can fail: listing results, reading one, writing a staged one, making its content durable,
publishing it, making that durable; and what is done to notes.
"""


class Killed(BaseException):
    """The process ends here."""


class _Hook(Protocol):
    """What a store stands on, which tells of every operation on an object before it is done.

    Operations are ``list``, ``read``, ``write``, ``flush`` and ``move``; ``moved`` comes after a move. What is raised
    is the operation's answer.
    """

    interfere: Interfere


class Harness(ABC):
    """An empty output, and what others do to it."""

    store: Store
    hook: _Hook

    @abstractmethod
    def another(self) -> Store:
        """The same output, opened by another process."""

    @abstractmethod
    def content(self, partition: Partition) -> bytes | None:
        """What a reader gets who opens the place of a result."""

    @abstractmethod
    def overwrite(self, partition: Partition, content: bytes) -> None:
        """Put something there by a foreign hand, durably."""

    @abstractmethod
    def delete(self, partition: Partition) -> None:
        """Take a result away by a foreign hand, durably."""

    @abstractmethod
    def forget(self, partition: Partition) -> None:
        """As ``delete``, with whatever the store remembers of the partition."""

    @abstractmethod
    def readable(self) -> list[str]:
        """Whatever readers of all Parquet files below the output would read."""

    @abstractmethod
    def kept(self) -> list[bytes]:
        """What was set aside."""

    @abstractmethod
    def staged(self) -> int:
        """How many staged results lie there, whoever wrote them."""

    @abstractmethod
    def left_by_a_dead_writer(self) -> None:
        """Leave a staged result whose writer was killed."""

    @abstractmethod
    def left_by_a_dead_run(self, *partitions: Partition) -> None:
        """Leave the note of a run that was killed while it computed these."""

    @abstractmethod
    def overwrite_note(self, name: str, content: bytes) -> None:
        """Put something in a note's place by a foreign hand."""

    @abstractmethod
    def lost_reply(self, *, landed: bool, meanwhile: Callable[[], object] = int) -> AbstractContextManager[object]:
        """Let the next publication have an error for an answer, whether it ``landed`` or not; ``meanwhile`` happens.

        May skip the test.
        """

    @abstractmethod
    def power_cut(self, *, names_stay: bool) -> None:
        """Lose all that was not flushed, and open ``store`` again.

        ``names_stay``: what was published stays visible, and content that was not flushed is gone from it.
        """

    @contextmanager
    def failing(self, step: Step, partition: Partition | None = None) -> Iterator[None]:
        """Let a step fail by an I/O error: of one partition where that is known, or of all."""
        operation = {"stage": "write", "publish": "move"}.get(step, step.split()[0])
        place = partition and data_key(partition)

        def interfere(done: str, key: str) -> None:
            private = key.startswith(OWN)
            concerned = key.startswith(STAGED) if step in ("stage", "flush") else private == step.endswith("note")
            if done == operation and concerned and (not place or private or key in (place, os.path.dirname(place))):
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with self._interfering(interfere):
            yield

    @contextmanager
    def killed_after_publishing(self) -> Iterator[None]:
        """Let the process end, by ``Killed``, as soon as one result is visible."""

        def interfere(operation: str, key: str) -> None:
            if operation == "moved" and not key.startswith(OWN):
                raise Killed

        with self._interfering(interfere), pytest.raises(Killed):
            yield

    @contextmanager
    def meeting(self, call: Callable[[], object]) -> Iterator[None]:
        """At the last instant before a publication, let another thread begin ``call``, and give it time."""
        begun: list[threading.Thread] = []

        def interfere(operation: str, key: str) -> None:
            if operation == "move" and not begun and not key.startswith(OWN):
                begun.append(threading.Thread(target=call))
                begun[0].start()
                begun[0].join(0.2)  # a store may let it wait until it has published

        with self._interfering(interfere):
            yield
        begun[0].join()

    @contextmanager
    def _interfering(self, interfere: Callable[[str, str], None]) -> Iterator[None]:
        self.hook.interfere = interfere
        try:
            yield
        finally:
            self.hook.interfere = undisturbed
