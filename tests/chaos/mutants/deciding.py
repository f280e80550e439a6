"""Mutants of what a run believes and plans: unknown, input, only what changed, Redis, one bad day."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from unittest.mock import patch

from state.errors import StorageError
from state.index import leases
from state.index import limits as index_limits
from state.index.scripts import COMMIT, RECONCILE
from state.inputs import files as inputs
from state.planner import decide as deciding
from state.result import classify as found
from state.result.classify import Commit, Damaged, Unreadable
from state.result.seal import read_footer
from state.store.local import lookup, scan
from tasks.compute.job import Job
from tasks.compute.outcomes import JobSkipped
from tasks.inputs.walk import Walk
from tasks.user_code import Raised
from tests.chaos.campaign import Mutant, without
from tests.chaos.mutants.publishing import nothing

_LONG_AGO = -(10**19)


def _always(*_: object, **__: object) -> bool:
    return True


@contextmanager
def _errors_as_empty() -> Iterator[None]:
    entries = scan._entries

    def entries_or_none(*place: Any) -> tuple[list[str], set[str]]:
        try:
            return entries(*place)
        except StorageError:
            return [], set()

    with patch.object(scan, "_entries", entries_or_none), patch.object(Walk, "_note_error", nothing):
        yield


@contextmanager
def _errors_as_damage() -> Iterator[None]:
    real = lookup.lookup

    def look_and_condemn(*place: Any) -> Any:
        what = real(*place)
        return Damaged(what.why) if isinstance(what, Unreadable) else what

    with (
        patch.object(scan, "lookup", look_and_condemn),
        patch.object(lookup, "lookup", look_and_condemn),
        patch.object(lookup, "_digest", lambda *_: "unread"),
    ):
        yield


@contextmanager
def _without_ctime() -> Iterator[None]:
    def size_and_mtime(path: str, status: os.stat_result) -> inputs.FileStat:
        return inputs.FileStat(path, status.st_size, status.st_mtime_ns, 0, 0)

    def compare(file: Any, now: os.stat_result) -> None:
        if (file.size, file.mtime_ns) != (now.st_size, now.st_mtime_ns):
            raise inputs.InputChanged(file.path)

    of = staticmethod(size_and_mtime)
    with patch.object(inputs.FileStat, "of", of), patch.object(inputs, "_compare", compare):
        yield


def _scan_paths(scan: Any, files: Any, options: Any) -> Any:
    return scan([str(file) for file in files], **options)


@contextmanager
def _token_last() -> Iterator[None]:
    """The input is taken, then the token; and nobody looks at the input again."""
    with patch.multiple(Job, claim=nothing, read=read_then_claim, verify=nothing):
        yield


_claim = Job.claim


def read_then_claim(self: Any, inputs: Any) -> None:
    """The two steps of a job in the wrong order."""
    self.inputs = self._taken(inputs)
    _claim(self)
    self.skip_if_current({}, {(source, day): (self.inputs[name].contents.digest,) for name, source, day in self._reads})


@contextmanager
def _other_version_is_older() -> Iterator[None]:
    """A result of any other version is outdated, a higher one too."""
    judge, claim = deciding.decide, Job.claim

    def judge_by_difference(aggregation: Any, day: str, facts: Any, *, force: bool) -> Any:
        stands = facts.found(aggregation, day)
        if isinstance(stands, Commit) and stands.record.version > aggregation.version:
            return deciding.Item(aggregation.name, day, "outdated", stands.record.nonce)
        return judge(aggregation, day, facts, force=force)

    def claim_anyway(self: Any) -> None:
        with suppress(JobSkipped):
            claim(self)

    with patch("state.planner.plan.decide", judge_by_difference), patch.object(Job, "claim", claim_anyway):
        yield


@contextmanager
def _index_believed() -> Iterator[None]:
    judge = deciding.decide

    def judge_by_index(aggregation: Any, day: str, facts: Any, *, force: bool) -> Any:
        remembered = day in facts.index.get(aggregation.name, ())
        return "done" if remembered and not force else judge(aggregation, day, facts, force=force)

    with patch("state.planner.plan.decide", judge_by_index):
        yield


@contextmanager
def _names_believed() -> Iterator[None]:
    """A result is whose its footer says, and what is kept of it is named so."""
    classify = found.classify

    def judge_any(fd: int, aggregation: str, day: str) -> Any:
        what = classify(fd, aggregation, day)
        if not isinstance(what, Damaged) or not what.why.startswith("it is the result of "):
            return what
        status = os.fstat(fd)
        record, schema = found._record(read_footer(fd, status.st_size))
        return Commit(record, (status.st_size, status.st_mtime_ns), schema)

    with patch.object(found, "classify", judge_any):
        yield


@contextmanager
def _no_deadline() -> Iterator[None]:
    with patch.object(index_limits, "CALL_SECONDS", 3600.0):
        yield


_RELEASE_ANY = "return redis.call('DEL', KEYS[1])"
_COMMIT_ANY = COMMIT.replace("if not known or old['generation'] < generation or old['nonce'] == predecessor then", "do")
_RECONCILE_ANY = RECONCILE.replace("if (redis.call('HGET', commits, day) or '') == expected then", "do")
assert COMMIT != _COMMIT_ANY
assert RECONCILE != _RECONCILE_ANY


def _lives(_: object, token: bytes | None, __: object) -> Any:
    return leases._Lease(token or b"", alive=token is not None)


def _lasts(*_: object) -> bool:
    return True


def _all_due(self: Any, now: float) -> Any:
    for batch in self._held.values():
        batch.progress_at = now
    return _due(self, now)


_due = leases.Leases._due


def _attempt_exceptions(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 the mutant's point
        return Raised(error)


DECIDING: dict[str, Mutant] = {
    # Removes the difference between a folder that cannot be listed and an empty one.
    "listing error as empty": _errors_as_empty,
    # Removes the difference between a result that cannot be read and a damaged one.
    "EIO as corrupt": _errors_as_damage,
    # Removes ctime and inode from what tells a file from its former self.
    "no ctime": _without_ctime,
    # Removes the doubt about times that are younger than a tick.
    "recent times trusted": without({"tasks.reading.day_input.RECENT_NS": _LONG_AGO}),
    # Removes the order of token and input, and the second look at the input.
    "token read after the input": _token_last,
    # Removes the second look at the input alone.
    "input not looked at again": without({"tasks.compute.job.Job.verify": nothing}),
    # Removes the order of versions: two deployments replace each other's results.
    'version "differs"': _other_version_is_older,
    # Removes the second decision once the lease is held.
    "no second decision under the lease": without({"tasks.compute.job.Job.skip_if_current": nothing}),
    # Removes the token from the release: a late holder gives up its successor's lease.
    "lease released without token": without({"state.index.scripts.RELEASE": _RELEASE_ANY}),
    # Removes the end of a lease: who is dead holds it, and for as long as it says.
    "lease blocks for ever": without(
        {"state.index.leases.Leases._classify": _lives, "state.index.leases.LeaseWait.goes_on": _lasts}
    ),
    # Removes the end of the wait for a holder that lives and hangs.
    "hanging holder waited for": without({"state.index.leases.LeaseWait.goes_on": _lasts}),
    # Removes the end of a lease whose run does not get on.
    "renewal without progress": without({"state.index.leases.Leases._due": _all_due}),
    # Removes the comparison from the index's two writers.
    "index set without compare": without(
        {"state.index.scripts.COMMIT": _COMMIT_ANY, "state.index.scripts.RECONCILE": _RECONCILE_ANY}
    ),
    # Removes the output from the decision: what Redis remembers is done.
    "Redis believed about done": _index_believed,
    # Removes the owner from the index: any output's will do.
    "root id ignored": without({"state.index.best_effort.BestEffortIndex.belongs_to": _always}),
    # Removes the deadline of calls to Redis.
    "no deadline on a call": _no_deadline,
    # Removes the care for panics, which are no Exceptions.
    "only Exception caught": without({"tasks.compute.evaluate.guarded_call": _attempt_exceptions}),
    # Removes the care for os._exit, which raises nothing.
    "os._exit let through": without({"tasks.compute.evaluate.exit_guard": nullcontext}),
    # Removes what a run that died tells the next one.
    "note of a dead run not read": without({"flows.planned_run.record_deaths": nothing}),
    # Removes the order of what failed: it is computed first again.
    "failed days first": without({"state.planner.decide.Item.repeats_failure": False}),
    # Removes the names under which polars reads files on disk in pieces.
    "polars maps the input": without({"tasks.formats.formats.scan_files": _scan_paths}),
    # Removes the comparison of a footer's names with the place where it lies.
    "names from a footer believed": _names_believed,
}
