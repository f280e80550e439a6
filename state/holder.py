"""Who holds a lease: written into its token, so that a run can tell a worker that died from one that lives.

The answer saves a wait and nothing else, so a token that cannot be read counts as held by somebody alive.
"""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import suppress
from pathlib import Path


def new_token() -> bytes:
    """A token of this process and no other: where it runs, its number, when it began, and a nonce."""
    return "|".join((_machine(), str(os.getpid()), _began(os.getpid()) or "?", uuid.uuid4().hex)).encode()


def is_dead(token: bytes) -> bool:
    """Whether the process that wrote a token ran on this machine and runs no more. In doubt it lives."""
    parts = token.decode("utf-8", "replace").split("|")
    if len(parts) != 4 or parts[0] != _machine() or not parts[1].isdecimal() or len(parts[1]) > 9:
        return False
    pid = int(parts[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    began = _began(pid)
    return _is_zombie(pid) or (began is not None and parts[2] != "?" and began != parts[2])


def _machine() -> str:
    # A container has a process table of its own, and may share the host's name.
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()}{space}".replace("|", "")


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
