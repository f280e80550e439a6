"""What a person accepted, where a run would otherwise refuse or fail: the word of ``flows.repair --accept-output``.

Each entry names exactly what was there when it was given, so that a later loss is refused again. The next run that
finds an entry of no use any more takes it back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from state import layout
from state.errors import StorageError
from state.filesystem.durable import flush, flush_folder, is_missing, read_whole, write_whole
from state.filesystem.folder import InTheWay, open_file, rename
from state.store.local.set_aside import clear_place
from state.store.local.staging import draft
from state.store.local.store import LocalStore

Entries = Mapping[str, Mapping[str, str]]
"""Of a source or an aggregation: day → what is accepted of it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """``empty_sources``: sources (by template) that match no file although their aggregations have commits.

    ``fewer_files[source][day]``: the digest of the paths that are left of a day whose commit had more files.
    ``older_results[aggregation][day]``: the nonce of a commit that stands where a newer one stood and cannot come back.
    """

    empty_sources: frozenset[str] = frozenset()
    fewer_files: Entries = field(default_factory=dict)
    older_results: Entries = field(default_factory=dict)

    def without(self, other: Accepted) -> Accepted:
        """What is left of it where ``other`` is taken back."""
        return Accepted(
            self.empty_sources - other.empty_sources,
            _difference(self.fewer_files, other.fewer_files),
            _difference(self.older_results, other.older_results),
        )


def _difference(these: Entries, others: Entries) -> Entries:
    left = {
        name: {day: what for day, what in days.items() if others.get(name, {}).get(day) != what}
        for name, days in these.items()
    }
    return {name: days for name, days in left.items() if days}


def read_accepted(root: LocalStore) -> Accepted:
    """What was accepted. A file that holds something else accepts nothing. Raises StorageError."""
    try:
        fd = open_file(root.fd, layout.ACCEPTED, os.O_RDONLY)
        try:
            content = read_whole(fd)
        finally:
            os.close(fd)
    except InTheWay:
        return Accepted()
    except OSError as error:
        if is_missing(error):
            return Accepted()
        raise StorageError(f"{root.path / layout.ACCEPTED} cannot be read: {error.strerror}") from error
    found = _object(content)
    empty = found.get("empty_sources")
    named = frozenset(name for name in empty if isinstance(name, str)) if isinstance(empty, list) else frozenset()
    return Accepted(named, _entries(found.get("fewer_files")), _entries(found.get("older_results")))


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


def revoke_accepted(root: LocalStore, outdated: Accepted) -> None:
    """Accept no longer what a run found to be of no use. Raises StorageError, OSError."""
    if outdated == Accepted():
        return
    accepted = read_accepted(root)
    if (left := accepted.without(outdated)) != accepted:
        write_accepted(root, left)


def write_accepted(root: LocalStore, accepted: Accepted) -> None:
    """Replace all that is accepted, durably. Raises OSError."""
    content: dict[str, object] = {"empty_sources": sorted(accepted.empty_sources)}
    if accepted.fewer_files:
        content["fewer_files"] = accepted.fewer_files
    if accepted.older_results:
        content["older_results"] = accepted.older_results
    with draft(root.fd) as new:
        write_whole(new.fd, json.dumps(content, sort_keys=True).encode() + b"\n")
        flush(new.fd)
        clear_place(root.fd, layout.ACCEPTED, lambda content: "empty_sources" in _object(content))
        rename(root.fd, layout.temporary_file(new.nonce), layout.ACCEPTED)
        new.published = True
    flush_folder(root.fd, layout.OWN)
