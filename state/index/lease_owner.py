"""Who holds a lease: written into its token, so that a run can distinguish a dead worker from a live one.

The answer saves a wait and nothing else, so a token that cannot be proven dead counts as held by somebody alive: its
lease ends by itself.
"""

from __future__ import annotations

import os
import socket
import uuid
from functools import cache
from pathlib import Path

_UNKNOWN = "?"
_NO_SUCH_THING = "-"
_ENDED = "ended"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_OWN = Path("/proc/self")


def new_token() -> bytes:
    """A token of this process and no other: host name (for people), where it runs, number, when it began, a nonce."""
    pid, host = os.getpid(), socket.gethostname().replace("|", "")
    return "|".join((host, *_where(pid), str(pid), _began(pid), uuid.uuid4().hex)).encode()


def is_dead(token: bytes) -> bool:
    """Whether the process that wrote a token ran where this one can see it, and runs no more. False when unsure."""
    parts = token.decode("utf-8", "replace").split("|")
    if len(parts) != 7 or _UNKNOWN in parts[1:6] or tuple(parts[1:4]) != _where(os.getpid()):
        return False
    number, written = parts[4:6]
    if not number.isdecimal() or len(number) > 9:
        return False
    pid = int(number)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _began(pid) not in (written, _UNKNOWN)


@cache
def _where(pid: int) -> tuple[str, str, str]:
    """The boot of the machine, the namespace of process numbers, and that of the clock since boot.

    Two hosts can share a name, and the numbers of their namespaces; no two boots share an id. What ``/proc`` says of a
    process is valid within all three. It may itself be that of other namespaces than this ``pid``'s.
    """
    try:
        if os.readlink(_OWN) != str(pid):
            return _UNKNOWN, _UNKNOWN, _UNKNOWN
        return _BOOT.read_text("ascii").strip() or _UNKNOWN, os.readlink(_OWN / "ns/pid"), _clock()
    except (OSError, ValueError):
        return _UNKNOWN, _UNKNOWN, _UNKNOWN


def _clock() -> str:
    try:
        return os.readlink(_OWN / "ns/time")
    except FileNotFoundError:  # a kernel that has none: then all processes share the clock
        return _NO_SUCH_THING


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks since boot. A zombie has ended: without an init its state stays."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return _ENDED if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return _UNKNOWN
