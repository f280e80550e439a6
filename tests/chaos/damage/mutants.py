"""Mutants of the campaigns about damage: each removes one protection from reading or from keeping."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Any

from state.errors import Refused
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result import record
from state.result.classify import Damaged, Unreadable
from state.store.local import layout, lookup, marker, set_aside
from state.store.local.marker import Marker
from tests.chaos.campaign import Mutant, replaced, replaced_all
from tests.chaos.damage.foreign_files import names_in
from tests.chaos.damage.foreign_objects import open_through_links


class _Alike(str):
    """A digest that is equal to everything."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False

    __hash__ = str.__hash__


def _no_seal() -> Any:
    return replaced("state.result.verify.broken_seal", lambda *_: None)


def _no_record_digest() -> Any:
    real = record._check

    def check(fields: Mapping[str, Any]) -> str:
        return _Alike(real(fields))

    return replaced("state.result.record._check", check)


def _damaged_overwritten() -> Any:
    return replaced("state.store.local.commit.set_aside", lambda *_: "")


def _suffix_kept() -> Any:
    return replaced("state.filesystem.hiding.hide_below", lambda *_: [])


def _deep_deletes() -> Any:
    return replaced("state.store.local.set_aside.set_aside", lambda *_: "")


def _marker_overwritten() -> Any:
    real = marker.read_marker

    def read(folder: Folder) -> Marker | None:
        try:
            return real(folder)
        except Refused:
            folder.unlink(layout.MARKER)
            return None

    return replaced("state.store.local.root.read_marker", read)


def _eio_as_corrupt() -> Any:
    real = lookup.lookup

    def condemning(*place: Any) -> Any:
        found = real(*place)
        return Damaged(found.why) if isinstance(found, Unreadable) else found

    modules = ("lookup", "scan", "set_aside", "store")
    return replaced_all(
        {f"state.store.local.{module}.lookup": condemning for module in modules}
        | {"state.store.local.lookup._digest": lambda *_: "unread"}
    )


def _footer_names_paths() -> Any:
    real = set_aside.set_aside

    def trusting(folder: Folder, partition: Partition, identity: str) -> str:
        root_fd, place = folder.fd, layout.data_file(*partition)
        fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=root_fd)
        with os.fdopen(fd, "rb") as file:
            named = names_in(file.read())
        if named is None:
            return real(folder, partition, identity)
        kept = f"{layout.SET_ASIDE}/{named.aggregation}.{named.day}.{uuid.uuid4().hex[:8]}.damaged"
        os.link(place, kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
        return kept

    return replaced_all(
        {"state.store.local.set_aside.set_aside": trusting, "state.store.local.commit.set_aside": trusting}
    )


def _types_unchecked() -> Any:
    unchecked = (
        "state.result.record.has_types",
        "state.result.record._is_within_bounds",
        "state.store.footer_cache.has_types",
    )
    return replaced_all(dict.fromkeys(unchecked, lambda *_: True))


def _links_followed() -> Any:
    return replaced("state.filesystem.folder.Folder.open_anything", open_through_links)


def _inputs_not_rehashed() -> Any:
    return replaced("tasks.deep_check.edited_inputs", lambda *_: iter(()))


MUTANTS: dict[str, Mutant] = {
    "no seal": _no_seal,
    "no record digest": _no_record_digest,
    "damaged file overwritten": _damaged_overwritten,
    "set aside keeps its suffix": _suffix_kept,
    "--deep deletes": _deep_deletes,
    "marker overwritten": _marker_overwritten,
    "EIO as corrupt": _eio_as_corrupt,
    "a name from a footer used as a path": _footer_names_paths,
    "record's types unchecked": _types_unchecked,
    "links followed": _links_followed,
    "inputs not rehashed": _inputs_not_rehashed,
}
"""``no seal`` and ``no record digest`` are what ``damage`` catches, all others ``damage_whole``."""
