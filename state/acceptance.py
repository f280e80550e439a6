"""What a person accepted where a run would refuse or fail, by ``flows.repair --accept-output``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Entries = Mapping[str, Mapping[str, str]]
"""By source or aggregation: day → what is accepted of it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Each entry names exactly what was there when it was accepted, so that a later loss is refused again.

    ``empty_sources``: sources (by template) that match no file although their aggregations have commits.
    ``fewer_files[source][day]``: the digest of the paths that are left of a day whose commit had more files.
    ``older_results[aggregation][day]``: the nonce of a commit where a newer one stood that cannot come back.
    """

    empty_sources: frozenset[str] = frozenset()
    fewer_files: Entries = field(default_factory=dict)
    older_results: Entries = field(default_factory=dict)

    def without(self, other: Accepted) -> Accepted:
        """The entries that ``other`` does not have."""
        return Accepted(
            self.empty_sources - other.empty_sources,
            _difference(self.fewer_files, other.fewer_files),
            _difference(self.older_results, other.older_results),
        )

    def to_json(self) -> bytes:
        """The record as it is written."""
        content: dict[str, object] = {"empty_sources": sorted(self.empty_sources)}
        if self.fewer_files:
            content["fewer_files"] = self.fewer_files
        if self.older_results:
            content["older_results"] = self.older_results
        return json.dumps(content, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Accepted:
        """Read a record; whatever is not an entry accepts nothing."""
        found = _object(content)
        empty = found.get("empty_sources")
        named = frozenset(name for name in empty if isinstance(name, str)) if isinstance(empty, list) else frozenset()
        return cls(named, _entries(found.get("fewer_files")), _entries(found.get("older_results")))

    @staticmethod
    def is_record(content: bytes) -> bool:
        """Whether this is a record at all."""
        return "empty_sources" in _object(content)


def _difference(these: Entries, others: Entries) -> Entries:
    left = {
        name: {day: what for day, what in days.items() if others.get(name, {}).get(day) != what}
        for name, days in these.items()
    }
    return {name: days for name, days in left.items() if days}


def _object(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _entries(found: object) -> Entries:
    if not isinstance(found, dict):
        return {}
    return {
        name: {day: what for day, what in days.items() if isinstance(what, str)}
        for name, days in found.items()
        if isinstance(days, dict)
    }
