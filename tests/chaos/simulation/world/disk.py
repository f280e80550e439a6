"""Files and folders in memory that can lose their power: what was flushed is known, and the rest is left to chance.

After a power cut every name that was not flushed is there or not, each by itself; only a rename never loses both of its
names. A real file system is kinder.
"""

from __future__ import annotations

import errno
import random


class Opened:
    """An open file: what ``dup`` shares, and what a lock belongs to."""

    __slots__ = ("appending", "count", "node", "path", "position")

    def __init__(self, node: Node, path: str, *, appending: bool = False) -> None:
        self.node = node
        self.path = path
        self.position = 0
        self.appending = appending
        self.count = 1


class Node:
    """A file or a folder: as every process sees it now, and as the device has it."""

    __slots__ = ("content", "durable", "entries", "holder", "ino", "moved", "mtime", "ranges", "stable")

    def __init__(self, ino: int, *, folder: bool) -> None:
        self.ino = ino
        self.entries: dict[str, Node] | None = {} if folder else None
        self.stable: dict[str, Node] = {}
        self.content = b""
        self.durable: bytes | None = None
        self.mtime = 0
        self.holder: Opened | None = None
        self.ranges: list[tuple[int, int, Opened]] = []
        self.moved = False

    def holder_of(self, start: int, end: int) -> Opened | None:
        """Who holds a part of a range; one of them."""
        return next((one for first, last, one in self.ranges if first < end and start < last), None)

    def free(self, opened: Opened) -> None:
        """What was locked through an open file is locked no more."""
        if self.holder is opened:
            self.holder = None
        self.ranges = [one for one in self.ranges if one[2] is not opened]

    def flush(self) -> None:
        """Bring it to the device."""
        if self.entries is None:
            self.durable = self.content
        else:
            self.stable = self.entries.copy()


class Disk:
    """The nodes, and what a power cut leaves of them."""

    def __init__(self) -> None:
        self.inodes = 1
        self.root = Node(1, folder=True)

    def new(self, *, folder: bool) -> Node:
        """A node that has no name yet."""
        self.inodes += 1
        return Node(self.inodes, folder=folder)

    def find(self, path: str) -> Node | None:
        """The node at a path, or None."""
        try:
            return self.walk(path)
        except OSError:
            return None

    def walk(self, path: str) -> Node:
        """The node at a path. Raises FileNotFoundError, NotADirectoryError."""
        node = self.root
        for part in path.split("/"):
            if part == ".":
                continue
            if node.entries is None:
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
            found = node.entries.get(part)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            node = found
        return node

    def parent(self, path: str) -> tuple[dict[str, Node], str]:
        """What is in the folder of a path, and the path's last name."""
        folder, _, name = path.rpartition("/")
        node = self.walk(folder) if folder else self.root
        if node.entries is None:
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
        return node.entries, name

    def put(self, path: str, content: bytes, now: int) -> Node:
        """A durable file at a path, whose folders are made: what somebody put there by hand, or before all began."""
        node = self.root
        *folders, name = path.split("/")
        for part in folders:
            assert node.entries is not None
            if part not in node.entries:
                node.entries[part] = node.stable[part] = self.new(folder=True)
            node = node.entries[part]
            # A folder that a worker made and did not flush stays as durable as that worker left it.
        assert node.entries is not None
        file = self.new(folder=False)
        file.content = file.durable = content
        file.mtime = now
        node.entries[name] = node.stable[name] = file
        return file

    def folder(self, path: str) -> Node:
        """A durable folder."""
        self.put(f"{path}/x", b"", 0)
        node = self.walk(path)
        assert node.entries is not None
        del node.entries["x"], node.stable["x"]
        return node

    def nodes(self) -> list[Node]:
        """Every node that has a name, each folder before what is in it."""
        found = [self.root]
        for node in found:
            if node.entries:
                found += node.entries.values()
        return found

    def flush_path(self, path: str) -> None:
        """Make the names that lead to a file durable."""
        node = self.root
        for part in path.split("/"):
            assert node.entries is not None
            node.stable[part] = node.entries[part]
            node = node.entries[part]

    def flush_all(self) -> None:
        """What ``syncfs`` does."""
        for node in self.nodes():
            node.flush()

    def lose_power(self, rng: random.Random) -> None:
        """Keep what was flushed, and of the rest what chance keeps."""
        self._settle(self.root, rng, set())

    def _settle(self, node: Node, rng: random.Random, done: set[int]) -> None:
        if node.ino in done:
            return
        done.add(node.ino)
        node.holder, node.ranges = None, []
        if node.entries is None:
            if node.content != node.durable:
                node.content = _survivor(node, rng)
            node.durable = node.content
            return
        kept = node.stable.copy()
        for name in sorted(node.entries.keys() | node.stable.keys()):
            now, then = node.entries.get(name), node.stable.get(name)
            if now is then or rng.random() < 0.5:
                continue
            if now is not None:
                kept[name] = now
            elif then is not None and not then.moved:  # of a rename the old name goes last
                del kept[name]
        node.entries, node.stable = kept, kept.copy()
        for one in kept.values():
            self._settle(one, rng, done)


def _survivor(node: Node, rng: random.Random) -> bytes:
    """What a file holds whose last bytes were not flushed: the old, the new, a part, or zeros."""
    choice = rng.random()
    if choice < 0.3:
        return node.durable or b""
    if choice < 0.5:
        return node.content
    part = int(rng.random() * len(node.content))
    return node.content[:part] + (b"\0" * (len(node.content) - part) if choice < 0.75 else b"")
