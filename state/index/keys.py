"""Every Redis key is built here. The names do not change: dashboards read them.

The literal braces make the keys of one aggregation share a cluster slot, so that one script can write all of them.
"""

from __future__ import annotations

import re

from state.partition import is_aggregation_name


def root(namespace: str) -> str:
    """String: the id of the output that this index belongs to."""
    return f"{namespace}:root"


def processed_days(namespace: str, aggregation: str) -> str:
    """Set: the days that have a commit."""
    return f"{namespace}:{{{aggregation}}}:processed_days"


def last_processed_day(namespace: str, aggregation: str) -> str:
    """String: the highest of the processed days."""
    return f"{namespace}:{{{aggregation}}}:last_processed_day"


def commits(namespace: str, aggregation: str) -> str:
    """Hash: day to JSON of the commit's generation, nonce, fingerprint and file stat."""
    return f"{namespace}:{{{aggregation}}}:commits"


def failures(namespace: str, aggregation: str) -> str:
    """Hash: day to JSON of its last failure, a copy of ``_noonmark/failed/`` for dashboards. Nobody here reads it."""
    return f"{namespace}:{{{aggregation}}}:failures"


def of_aggregation(namespace: str, aggregation: str) -> tuple[str, str, str]:
    """The keys that a commit updates in one atomic step, in the order that the scripts take them."""
    return (
        commits(namespace, aggregation),
        processed_days(namespace, aggregation),
        last_processed_day(namespace, aggregation),
    )


def all_of(namespace: str, aggregation: str) -> tuple[str, ...]:
    """Every key that is kept of an aggregation, leases apart."""
    return (*of_aggregation(namespace, aggregation), failures(namespace, aggregation))


def lease(namespace: str, aggregation: str, day: str) -> str:
    """String with a lifetime: the token of the run that computes the day."""
    return f"{namespace}:{{{aggregation}}}:lease:{day}"


def pattern(namespace: str) -> str:
    """What a scan asks for: the keys of any aggregation. A namespace's own signs stand for themselves in it."""
    return re.sub(r"([\\*?\[\]^-])", r"\\\1", namespace) + ":{*"


def aggregation_of(namespace: str, key: bytes) -> str | None:
    """The aggregation that a key remembers anything of, leases apart; None for every other key."""
    text = key.decode("utf-8", "replace")
    name = text.removeprefix(f"{namespace}:{{").partition("}:")[0]
    return name if is_aggregation_name(name) and text in of_aggregation(namespace, name) else None
