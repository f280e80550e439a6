"""Removes one protection at a time from the real modules, to show that the campaign sees what it is for.

Each is entered around a whole campaign, and patches names that the stage does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import flows.planned_run  # noqa: F401 its names are patched
from state.errors import StorageError
from state.filesystem.folder import CREATE, READ_OR_CREATE, Folder
from state.index.scripts import COMMIT, RECONCILE
from state.partition import Partition
from state.planner.decide import Item, decide
from state.result.classify import Commit, Damaged, Unreadable
from state.store.base import Superseded
from state.store.digest_cache import DigestCache
from state.store.footer_cache import FooterCache
from state.store.local import layout
from state.store.local.store import LocalStore
from tasks.compute.job import Job
from tasks.compute.outcomes import JobSkipped
from tests.chaos.campaign import Mutant, without
from tests.chaos.mutants.deciding import read_then_claim
from tests.chaos.simulation.world.inputs import Inputs

commits: Any = import_module("state.store.local.commit")
drafts: Any = import_module("state.store.local.staging")
footers: Any = import_module("state.store.footer_cache")
lookup: Any = import_module("state.store.local.lookup")
leases: Any = import_module("state.index.leases")
locks: Any = import_module("state.store.local.day_lock")
scan: Any = import_module("state.store.local.scan")


def _patched(**replacements: Any) -> Mutant:
    """A mutant that puts something else under each name; ``__`` stands for a dot."""
    return without({name.replace("__", "."): new for name, new in replacements.items()})


def _held(target: Any, **attributes: Any) -> Mutant:
    """A mutant that replaces attributes of a class."""

    @contextmanager
    def mutant() -> Iterator[None]:
        with patch.multiple(target, **attributes):
            yield

    return mutant


_identify, _lookup, _entries = lookup.identify, lookup.lookup, scan._entries
_day_lock, _wait, _flush = locks.day_lock, locks._wait, Folder.flush
_try_lock_range = locks.try_lock_range


def _by_number(folder: Folder, partition: Partition) -> Any:
    found, seen = _identify(folder, partition)
    return found, str(found.record.generation) if isinstance(found, Commit) else seen


@contextmanager
def _without_mark(*place: Any) -> Iterator[Any]:
    with _day_lock(*place):
        yield SimpleNamespace(mark=b"", raise_mark=_nothing, note_published=_nothing)


@contextmanager
def _unlinking(folder: Folder, partition: Partition) -> Iterator[Any]:
    with _day_lock(folder, partition) as lock:
        try:
            yield lock
        finally:
            folder.unlink(locks.place_of(folder, partition).path)


def _impatient(*lock: Any) -> None:
    try:
        _wait(*lock)
    except StorageError:
        return


def _flushing(chosen: Callable[[str], bool]) -> Mutant:
    """Folders are flushed whose path is chosen."""

    def flush(folder: Folder, path: str = ".") -> None:
        if chosen(path):
            _flush(folder, path)

    return _held(Folder, flush=flush)


def _planned_if_different(aggregation: Any, day: str, facts: Any, *, force: bool) -> Any:
    found = facts.found(aggregation, day)
    if (
        isinstance(found, Commit)
        and found.record.version > aggregation.version
        and facts.has_input(aggregation.reads(day))
    ):
        return Item(aggregation.name, day, "outdated", found.record.nonce)
    return decide(aggregation, day, facts, force=force)


def _claim_anyway(self: Any) -> None:
    with suppress(JobSkipped):
        _claim(self)


def _done_by_redis(aggregation: Any, day: str, facts: Any, *, force: bool) -> Any:
    if facts.found(aggregation, day) is None and day in facts.index.get(aggregation.name, ()):
        return "done"
    return decide(aggregation, day, facts, force=force)


_claim = Job.claim


def _publish_over_damage(folder: Folder, partition: Partition, token: Any, new: Any) -> None:
    with locks.day_lock(folder, partition) as lock:
        _, seen = _identify(folder, partition)
        if not isinstance(token.found, Damaged) and (seen, lock.mark) != (token.identity, token.mark):
            raise Superseded
        folder.make(layout.day_folder(*partition))
        if isinstance(token.found, Damaged):
            commits.set_aside(folder, partition, seen)
        lock.raise_mark(token.generation)
        new.move(layout.data_file(*partition))


def _unlocked(folder: Folder, path_of: Callable[[str], str]) -> Any:
    nonce = drafts.uuid.uuid4().hex
    return drafts.StagedFile(folder, nonce, path_of(nonce), folder.open_file(path_of(nonce), CREATE, lockable=True))


def _shared(folder: Folder, _: Callable[[str], str]) -> Any:
    path = f"{layout.STAGING}/shared.tmp"
    return drafts.StagedFile(
        folder, drafts.uuid.uuid4().hex, path, folder.open_file(path, READ_OR_CREATE, lockable=True)
    )


def _listed_or_empty(folder: Folder, path: str) -> tuple[list[str], set[str]]:
    try:
        names, odd = _entries(folder, path)
        return names, odd
    except StorageError:
        return [], set()


def _damaged_if_unread(folder: Folder, partition: Partition, classified: Any = None) -> Any:
    found = _lookup(folder, partition, classified)
    return Damaged(found.why) if isinstance(found, Unreadable) else found


def _known_by_name(self: FooterCache, partition: Partition, _: object) -> Commit | None:
    entry = self._known.get(partition)
    return Commit(footers._record(entry[3]), (1, 1)) if entry else None


def _known_by_day(self: DigestCache, source: str, day: str, _: object) -> str | None:
    return self._known.get((source, day), ("", None))[1]


def _every_lease_counts(self: Any, token: bytes | None, milliseconds: object) -> Any:
    return leases._Lease(token or b"", alive=token is not None)


def _elsewhere(fd: int, start: int, length: int) -> bool:
    return bool(_try_lock_range(fd, start + fd * layout.LONGEST_LOCKS, length))


def _always(*_: object) -> bool:
    return True


def _nothing(*_: object) -> None: ...


_ANY_ENTRY = "not known or old['generation'] < generation or old['nonce'] == predecessor"
_COMPARED = "(redis.call('HGET', commits, day) or '') == expected"
_NO_MARK: dict[str, Any] = {
    "state__store__local__commit__read_mark": lambda *_: locks.HighWater(b""),
    "state__store__local__commit__day_lock": _without_mark,
}

MUTANTS: dict[str, Mutant] = {
    "no file flush": _patched(state__store__local__staging__flush=_nothing),
    "no directory flush": _flushing(lambda path: "=" not in path),
    "no parent flush": _flushing(lambda path: "=" in path or "/" in path),
    "no flush before reporting another's commit": _held(LocalStore, sync=_nothing),
    "set-aside without re-check": _patched(state__store__local__commit___publish=_publish_over_damage),
    "damaged file overwritten": _patched(state__store__local__commit__set_aside=_nothing),
    "repair without the lock": _patched(state__store__local__set_aside__day_lock=lambda *_: nullcontext()),
    "set-aside not flushed": _flushing(lambda path: path != layout.SET_ASIDE),
    "temporary file not exclusive": _patched(state__store__local__staging___create_locked=_shared),
    "temporary file not locked": _patched(state__store__local__staging___create_locked=_unlocked),
    "number-only token": _patched(state__store__local__commit__identify=_by_number, **_NO_MARK),
    "no high-water mark": _patched(**_NO_MARK),
    "no lock": _patched(
        state__store__local__day_lock__try_lock=_always, state__store__local__day_lock__try_lock_range=_always
    ),
    # The range depends on who locks it.
    "a lock on the wrong range": _patched(state__store__local__day_lock__try_lock_range=_elsewhere),
    "unlinked lock file": _patched(state__store__local__commit__day_lock=_unlinking),
    "deadline frees the lock": _patched(state__store__local__day_lock___wait=_impatient),
    "version differs": _patched(
        state__planner__plan__decide=_planned_if_different, tasks__compute__job__Job__claim=_claim_anyway
    ),
    "token read after the input, no re-check": _held(Job, claim=_nothing, read=read_then_claim, verify=_nothing),
    "no ctime": _held(Inputs, ctime=False),
    "recent times trusted": _patched(tasks__reading__day_input__RECENT_NS=-(1 << 62)),
    "Redis believed": _patched(state__planner__plan__decide=_done_by_redis),
    "lease blocks for ever": _patched(
        state__index__leases__Leases___classify=_every_lease_counts,
        state__index__leases__LeaseWait__goes_on=lambda *_: True,
    ),
    "lease not renewed": _held(leases.Leases, _renew_until_closed=_nothing),
    "lease released without token": _patched(state__index__scripts__RELEASE="return redis.call('DEL', KEYS[1])"),
    "root id ignored": _patched(state__index__index__Index__bind=lambda *_: True),
    "listing error as empty": _patched(state__store__local__scan___entries=_listed_or_empty),
    "EIO as corrupt": _patched(
        state__store__local__scan__lookup=_damaged_if_unread, state__store__local__lookup__lookup=_damaged_if_unread
    ),
    "footers known by name": _held(FooterCache, known=_known_by_name),
    "recent footers kept": _patched(state__store__footer_cache__RECENT_NS=-(1 << 62)),
    "digests known by day": _held(DigestCache, known=_known_by_day),
    "recent digests kept": _patched(state__store__digest_cache__RECENT_NS=-(1 << 62)),
    "index set without compare": _patched(state__index__scripts__RECONCILE=RECONCILE.replace(_COMPARED, "true")),
    "older entry over newer": _patched(state__index__scripts__COMMIT=COMMIT.replace(_ANY_ENTRY, "true")),
    "no second decision under the lease": _held(Job, skip_if_current=_nothing),
}
"""The protections that this campaign guards; names as in the list of known failures where they stand there."""
