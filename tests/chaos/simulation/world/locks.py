"""Stands in for the module ``fcntl``: a lock belongs to the open file, and goes with its last descriptor."""

from __future__ import annotations

import errno
import fcntl

from tests.chaos.simulation.world.scheduler import Killed
from tests.chaos.simulation.world.storage import Storage


class Locks:
    """Locks without waiting, as the product takes them."""

    LOCK_EX, LOCK_SH, LOCK_NB, LOCK_UN = (
        fcntl.LOCK_EX,
        fcntl.LOCK_SH,
        fcntl.LOCK_NB,
        fcntl.LOCK_UN,
    )
    F_FULLFSYNC = 51

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def flock(self, fd: int, operation: int) -> None:
        """As ``fcntl.flock``, never waiting."""
        storage = self._storage
        storage.step("flock", "")
        opened = storage.table.get(fd)
        if opened is None:
            raise Killed
        node = opened.node
        if operation == fcntl.LOCK_UN:
            if node.holder is opened:
                node.holder = None
        elif node.holder not in (None, opened):
            if opened.path.endswith(".lock"):  # a day's, whose holder may stand still for longer than this one waits
                storage.scheduler.current.disturbed = True
                storage.scheduler.current.seen["waited"] = True
            raise BlockingIOError(errno.EWOULDBLOCK, "Resource temporarily unavailable")
        else:
            node.holder = opened

    def fcntl(self, fd: int, command: int) -> None:
        """As ``fcntl.fcntl`` with F_FULLFSYNC: how macOS flushes."""
        self._storage.fsync(fd)
