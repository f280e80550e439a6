"""How much a Redis would remember after a crash: what its own settings say.

Its loss costs a scan and nothing else. A person who pays for durability should still know where it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Durability:
    """What a server says of itself; None for what it does not say."""

    version: str | None
    role: str | None
    append_only: bool | None
    flush: str | None
    eviction: str | None
    replicas: int | None

    def shortcomings(self) -> list[tuple[str, str]]:
        """What could lose index entries, each with the command that prevents it, for redis-cli on that server."""
        found = []
        if self.append_only is False:
            found.append(("it keeps no append-only file: a restart forgets", "redis-cli CONFIG SET appendonly yes"))
        if self.append_only and self.flush == "no":
            found.append(("its append-only file is never flushed", "redis-cli CONFIG SET appendfsync everysec"))
        if self.eviction not in (None, "noeviction"):
            found.append((f"it evicts keys ({self.eviction})", "redis-cli CONFIG SET maxmemory-policy noeviction"))
        if self.role == "slave":
            found.append(("it is a replica, which takes no writes", "point NOONMARK_REDIS_URL at the primary"))
        return found


def durability_of(info: Mapping[str, str], flush: str | None) -> Durability:
    """Read the fields of INFO, any of which may be lacking; ``flush`` is the setting ``appendfsync``."""
    append_only = info.get("aof_enabled")
    replicas = info.get("connected_slaves", "")
    return Durability(
        version=info.get("valkey_version") or info.get("redis_version"),
        role=info.get("role"),
        append_only=None if append_only is None else append_only == "1",
        flush=flush,
        eviction=info.get("maxmemory_policy"),
        replicas=int(replicas) if replicas.isdecimal() else None,
    )
