"""Mutants of the campaigns about damage: each removes one protection from reading or from keeping."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from state.errors import Refused
from state.result import record
from state.result.classify import Damaged
from state.store.local import layout, root, set_aside
from tests.chaos.campaign import Mutant, replaced, replaced_all
from tests.chaos.damage.foreign_files import names_in


class _Alike(str):
    """A digest that is equal to everything."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False

    __hash__ = str.__hash__


def _no_seal() -> Any:
    return replaced_all(
        {"state.store.local.verify.broken_seal": lambda *_: None, "state.outputs.broken_seal": lambda *_: None}
    )


def _no_record_digest() -> Any:
    real = record._check

    def check(fields: Mapping[str, Any]) -> str:
        return _Alike(real(fields))

    return replaced("state.result.record._check", check)


def _damaged_overwritten() -> Any:
    return replaced("state.store.local.commit.set_aside", lambda *_: "")


def _suffix_kept() -> Any:
    return replaced("state.store.local.set_aside.hide", lambda *_: [])


def _deep_deletes() -> Any:
    return replaced("state.store.local.verify.set_aside", lambda *_: "")


def _marker_overwritten() -> Any:
    real = root._read_marker

    def read(fd: int, path: Path) -> str | None:
        try:
            return real(fd, path)
        except Refused:
            os.unlink(layout.MARKER, dir_fd=fd)
            return None

    return replaced("state.store.local.root._read_marker", read)


def _eio_as_corrupt() -> Any:
    return replaced("state.result.classify.Unreadable", Damaged)


def _footer_names_paths() -> Any:
    real = set_aside.set_aside

    def trusting(root_fd: int, aggregation: str, day: str, identity: str) -> str:
        fd = os.open(layout.data_file(aggregation, day), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=root_fd)
        with os.fdopen(fd, "rb") as file:
            named = names_in(file.read())
        if named is None:
            return real(root_fd, aggregation, day, identity)
        kept = f"{layout.SET_ASIDE}/{named.aggregation}.{named.day}.{uuid.uuid4().hex[:8]}.damaged"
        os.link(layout.data_file(aggregation, day), kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
        return kept

    return replaced_all(
        {"state.store.local.verify.set_aside": trusting, "state.store.local.commit.set_aside": trusting}
    )


def _types_unchecked() -> Any:
    unchecked = (
        "state.result.record.has_types",
        "state.result.record._is_within_bounds",
        "state.store.footer_cache.has_types",
    )
    return replaced_all(dict.fromkeys(unchecked, lambda *_: True))


def _links_followed() -> Any:
    return replaced("state.result.classify._OPEN", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


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
