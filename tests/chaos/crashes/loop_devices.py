"""File systems on loop devices whose power can be cut: what was not flushed is gone, as if the plug had been pulled.

The cut is FS_IOC_SHUTDOWN, which ext4 and xfs know: from then on nothing reaches the device. Needs root.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from state.filesystem.durable import flush_file_system

_FS_IOC_SHUTDOWN = 0x8004587D
_BYTES = 320 << 20
"""xfs takes no less than 300 MB; the file is sparse."""
_UMOUNT_SECONDS = 10.0
_MEMORY = "/dev/shm"
KINDS = ("ext4", "xfs")
JOURNAL_FLUSHED, JOURNAL_LOST = 1, 2
"""What the journal had in memory at the cut: written by the last spark, or gone."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Disk:
    """A mounted file system of one ``kind``."""

    kind: str
    device: str
    place: Path

    def flush(self) -> None:
        """Make everything on it durable."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            flush_file_system(fd)
        finally:
            os.close(fd)

    def cut(self, how: int) -> None:
        """Cut the power. Whatever is open stays open, and can be neither read nor written."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _FS_IOC_SHUTDOWN, how.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def restart(self) -> None:
        """Restore the power: unmount and mount, which replays the journal."""
        self.unmount()
        self.mount()

    def mount(self) -> None:
        """Mount it."""
        if _libc.mount(self.device.encode(), os.fsencode(self.place), self.kind.encode(), 0, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount {self.kind}: {os.strerror(ctypes.get_errno())}")

    def unmount(self) -> None:
        """Unmount it, as soon as the last dead process has released it."""
        until = time.monotonic() + _UMOUNT_SECONDS
        while _libc.umount2(os.fsencode(self.place), 0) != 0:
            if ctypes.get_errno() != errno.EBUSY or time.monotonic() > until:
                raise OSError(ctypes.get_errno(), f"umount: {os.strerror(ctypes.get_errno())}")
            time.sleep(0.002)


def lacking(kind: str) -> str | None:
    """Why this machine cannot cut the power of such a file system, or None."""
    if os.geteuid() != 0:
        return "power cuts need root, for loop devices"
    for tool in (f"mkfs.{kind}", "losetup"):
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"{tool} is not installed (apt-get install {'xfsprogs' if kind == 'xfs' else 'e2fsprogs mount'})"
    try:
        with disk(kind) as made:
            made.cut(JOURNAL_LOST)
            made.restart()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{kind} on a loop device is not to be had here: {error}"
    return None


@contextmanager
def disk(kind: str) -> Iterator[Disk]:
    """A new, empty file system, mounted in a folder of its own; gone afterwards."""
    # In memory where that is to be had: what a cut takes away is what this file system had not written to its device.
    folder = Path(tempfile.mkdtemp(prefix="noonmark-disk-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    image, place = folder / "image", folder / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(_BYTES)
    made: Disk | None = None
    try:
        _run(f"mkfs.{kind}", "-q", str(image))
        device = _run("losetup", "--find", "--show", str(image)).strip()
        try:
            made = Disk(kind, device, place)
            made.mount()
            yield made
        finally:
            with suppress(OSError):
                Disk(kind, device, place).unmount()
            _run("losetup", "--detach", device)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: str) -> str:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
