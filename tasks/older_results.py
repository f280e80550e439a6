"""Finds older results in the place of newer ones, where no run can compute the newer one anew.

A restored backup looks like any commit. Only the day's lock file remembers that a higher generation stood there, so it
is read for the commits that have no input any more, or no aggregation: a file each, and of no other day.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from state.acceptance import Accepted, Entries
from state.errors import StorageError
from state.partition import Partition
from state.planner.current import Declared
from state.planner.decide import Facts, irreplaceable, regression
from state.planner.plan import Selection
from state.result.classify import Commit
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
    places = [
        (name, day)
        for name, day, nonce in _irreplaceable(declared, facts, retired=not selection.only)
        if selection.covers(day) and accepted.older_results.get(name, {}).get(day) != nonce
    ]
    return _read(places, root, threads)


def acceptable(declared: Sequence[Declared], facts: Facts, root: Store, threads: int) -> Entries:
    """What a person accepts who says that the newer results are gone for good."""
    there = {(name, day): nonce for name, day, nonce in _irreplaceable(declared, facts, retired=True)}
    facts = replace(facts, published=_read(list(there), root, threads))
    entries: dict[str, dict[str, str]] = {}
    for (name, day), nonce in there.items():
        found = facts.output[name][day]
        if isinstance(found, Commit) and regression(name, day, found, facts, ""):
            entries.setdefault(name, {})[day] = nonce
    return entries


def expired(declared: Sequence[Declared], facts: Facts, accepted: Accepted) -> Entries:
    """Accepted entries that apply no longer: there is another commit, or its input is back."""
    if not accepted.older_results:
        return {}
    needed = set(_irreplaceable(declared, facts, retired=True))
    return {
        name: {day: nonce for day, nonce in days.items() if (name, day, nonce) not in needed}
        for name, days in accepted.older_results.items()
    }


def _irreplaceable(declared: Sequence[Declared], facts: Facts, *, retired: bool) -> Iterator[tuple[str, str, str]]:
    """Aggregation, day and nonce of each commit that no run can recompute."""
    for one in declared:
        yield from ((one.name, day, _nonce(facts, one.name, day)) for day in irreplaceable(one, facts))
    for name in facts.output.keys() - {one.name for one in declared} if retired else ():
        yield from ((name, day, nonce) for day in facts.output[name] if (nonce := _nonce(facts, name, day)))


def _nonce(facts: Facts, name: str, day: str) -> str:
    found = facts.output[name][day]
    return found.record.nonce if isinstance(found, Commit) else ""


def _read(places: Sequence[Partition], root: Store, threads: int) -> dict[Partition, int]:
    def read(place: Partition) -> int:
        try:
            return root.published_generation(place)
        except (OSError, StorageError) as error:
            log.warning("%s %s: whether a newer result stood there cannot be read: %s", *place, error)
            return 0

    return dict(zip(places, map_in_threads(read, places, threads), strict=True))
