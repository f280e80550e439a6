"""Who holds a lease: written into its token, so that a run can tell a worker that died from one that lives.

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
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_OWN = Path("/proc/self")


def new_token() -> bytes:
    """A token of this process and no other: host name (for people), where it runs, number, when it began, a nonce."""
    host, began = socket.gethostname().replace("|", ""), _began(os.getpid()) or _UNKNOWN
    return "|".join((host, *_where(os.getpid()), str(os.getpid()), began, uuid.uuid4().hex)).encode()


def is_dead(token: bytes) -> bool:
    """Whether the process that wrote a token ran where this one can see it, and runs no more. In doubt it lives."""
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
    began = _began(pid)
    return _is_zombie(pid) or (began is not None and began != written)


@cache
def _where(pid: int) -> tuple[str, str, str]:
    """The boot of the machine, the namespace of process numbers, and that of the clock since boot.

    Two hosts can share a name, and the numbers of their namespaces; no two boots share an id. What ``/proc`` tells of a
    process means something within all three. It may itself be that of other namespaces than this ``pid``'s.
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


def _began(pid: int) -> str | None:
    """When a process began, in the kernel's ticks since boot; None where the system does not tell."""
    fields = _fields(pid)
    return fields[19] if len(fields) > 19 else None


def _is_zombie(pid: int) -> bool:
    """Whether a process ended and its parent did not ask yet: in a container without an init it never does."""
    return _fields(pid)[:1] == ["Z"]


def _fields(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; nothing where it does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []
