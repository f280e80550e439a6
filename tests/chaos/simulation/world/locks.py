"""Stands in for the module ``fcntl``: a lock belongs to the open file, and goes with its last descriptor."""

from __future__ import annotations

import errno
import fcntl
import struct

from tests.chaos.simulation.world.disk import Opened
from tests.chaos.simulation.world.scheduler import Killed
from tests.chaos.simulation.world.storage import Storage

_RANGE = struct.Struct("hhqqi0q")


class Locks:
    """Locks without waiting, as the product takes them: of whole files, and of ranges."""

    LOCK_EX, LOCK_SH, LOCK_NB, LOCK_UN = (
        fcntl.LOCK_EX,
        fcntl.LOCK_SH,
        fcntl.LOCK_NB,
        fcntl.LOCK_UN,
    )
    F_WRLCK, F_UNLCK = fcntl.F_WRLCK, fcntl.F_UNLCK
    F_FULLFSYNC = 51

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def flock(self, fd: int, operation: int) -> None:
        """As ``fcntl.flock``, never waiting."""
        opened = self._opened(fd)
        node = opened.node
        if operation == fcntl.LOCK_UN:
            if node.holder is opened:
                node.holder = None
        elif node.holder not in (None, opened):
            self._refuse(opened)
        else:
            node.holder = opened

    def fcntl(self, fd: int, command: int, argument: bytes = b"") -> None:
        """As ``fcntl.fcntl`` with F_OFD_SETLK, or with F_FULLFSYNC: how macOS flushes."""
        if command == self.F_FULLFSYNC:
            self._storage.fsync(fd)
            return
        kind, _, start, length, pid = _RANGE.unpack(argument)
        assert pid == 0
        opened = self._opened(fd)
        node, end = opened.node, start + length
        if kind == fcntl.F_UNLCK:
            node.ranges = [one for one in node.ranges if one[2] is not opened or one[0] >= end or start >= one[1]]
        elif node.holder_of(start, end) not in (None, opened):
            self._refuse(opened)
        else:
            node.ranges.append((start, end, opened))

    def _opened(self, fd: int) -> Opened:
        self._storage.step("flock", "")
        opened = self._storage.table.get(fd)
        if opened is None:
            raise Killed
        return opened

    def _refuse(self, opened: Opened) -> None:
        if opened.path.endswith((".lock", ".locks")):  # a day's, whose holder may stand still for longer than one waits
            self._storage.scheduler.current.disturbed = True
            self._storage.scheduler.current.seen["waited"] = True
        raise BlockingIOError(errno.EWOULDBLOCK, "Resource temporarily unavailable")
