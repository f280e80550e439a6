"""Finds older results in the place of newer ones, where no run can compute the newer one again.

A restored backup looks like any commit. Only the day's lock file remembers that a higher generation stood there, so it
is read for the commits that have no input any more, or no aggregation: a file each, and of no other day.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from state.acceptance import Accepted, Entries
from state.errors import StorageError
from state.partition import Partition
from state.planner.current import Declared
from state.planner.decide import Facts, regression
from state.planner.plan import Selection
from state.result.classify import Commit, commits
from state.store.base import Store
from state.threads import map_in_threads

log = logging.getLogger("noonmark")


def published(
    declared: Sequence[Declared],
    facts: Facts,
    selection: Selection,
    accepted: Accepted,
    root: Store,
    threads: int,
) -> dict[Partition, int]:
    """The highest generation that surely was published for each commit that cannot be recomputed.

    Without those that a person accepted as they are, and those that are not asked for.
    """
    asked = [
        (name, day)
        for (name, day), commit in _irreplaceable(declared, facts, retired=not selection.only).items()
        if selection.covers(day) and accepted.older_results.get(name, {}).get(day) != commit.record.nonce
    ]
    return _read(asked, root, threads)


def acceptable(declared: Sequence[Declared], facts: Facts, root: Store, threads: int) -> Entries:
    """What a person accepts who says that the newer results are gone for good."""
    found = _irreplaceable(declared, facts, retired=True)
    facts = replace(facts, published=_read(found, root, threads))
    entries: dict[str, dict[str, str]] = {}
    for (name, day), commit in found.items():
        if regression(name, day, commit, facts, ""):
            entries.setdefault(name, {})[day] = commit.record.nonce
    return entries


def expired(declared: Sequence[Declared], facts: Facts, accepted: Accepted) -> Entries:
    """Accepted entries that apply no longer: there is another commit, or its input is back."""
    if not accepted.older_results:
        return {}
    nonces = {place: commit.record.nonce for place, commit in _irreplaceable(declared, facts, retired=True).items()}
    return {
        name: {day: nonce for day, nonce in days.items() if nonces.get((name, day)) != nonce}
        for name, days in accepted.older_results.items()
    }


def _irreplaceable(declared: Sequence[Declared], facts: Facts, *, retired: bool) -> dict[Partition, Commit]:
    """The commits that no run can recompute: those whose input is gone, and those of ``retired`` aggregations."""
    by_name = {one.name: one for one in declared}
    found: dict[Partition, Commit] = {}
    for name, days in facts.output.items():
        one = by_name.get(name)
        if one or retired:
            for day, commit in commits(days).items():
                if not one or _is_orphaned(one, day, commit, facts):
                    found[name, day] = commit
    return found


def _is_orphaned(one: Declared, day: str, commit: Commit, facts: Facts) -> bool:
    reads = one.daily_reads(day)
    return not facts.has_input(reads) or facts.has_lost_files(one, reads, commit.record)


def _read(partitions: Collection[Partition], root: Store, threads: int) -> dict[Partition, int]:
    def read(partition: Partition) -> int:
        try:
            return root.published_generation(partition)
        except (OSError, StorageError) as error:
            log.warning("%s %s: whether a newer result stood there cannot be read: %s", *partition, error)
            return 0

    return dict(zip(partitions, map_in_threads(read, list(partitions), threads), strict=True))
