"""Mutants of how a result is written, flushed and put in its place: durable, atomic, damage."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from state.filesystem.durable import read_whole, write_whole
from state.filesystem.file_locks import open_lockable
from state.filesystem.folder import Folder
from state.partition import Partition
from state.result import record
from state.result.classify import Damaged
from state.store.base import Broken
from state.store.local import commit as commits
from state.store.local import layout, root
from state.store.local import staging as drafts
from tasks.compute.job import Job
from tests.chaos.campaign import Mutant, without


def nothing(*_: object, **__: object) -> None:
    """What a removed step does."""


def _flushing_only(chosen: Callable[[str], bool]) -> Mutant:
    """Publications flush no folder but those whose path is chosen."""
    flush, flush_published = Folder.flush, commits._flush_published

    def flush_some(folder: Folder, path: str = ".") -> None:
        if chosen(path):
            flush(folder, path)

    def flush_published_some(folder: Folder, partitions: Sequence[Partition]) -> Any:
        with patch.object(Folder, "flush", flush_some):
            return flush_published(folder, partitions)

    return without({"state.store.local.commit._flush_published": flush_published_some})


def _move_by_writing(file: drafts.StagedFile, target: str) -> None:
    """What copies a result over the old one, as every writer of polars and pyarrow does."""
    if not target.endswith(layout.DATA):
        _move(file, target)
        return
    source, root_fd = file.path, file.root.fd
    draft = os.open(source, os.O_RDONLY, dir_fd=root_fd)
    place = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666, dir_fd=root_fd)
    try:
        content = read_whole(draft)
        for half in (content[: len(content) // 2], content[len(content) // 2 :]):
            write_whole(place, half)
        os.fsync(place)
        os.utime(place, ns=(os.fstat(draft).st_atime_ns, os.fstat(draft).st_mtime_ns))
    finally:
        os.close(place)
        os.close(draft)
    os.unlink(source, dir_fd=root_fd)
    file.published = True


_move = drafts.StagedFile.move


@contextmanager
def _knowing_places() -> Iterator[dict[str, Any]]:
    """Lets a draft know which result it is for: ``place`` holds it while one is written."""
    known: dict[str, Any] = {"place": None}
    write = Job.stage

    def write_knowing(self: Any, *arguments: Any) -> Any:
        known["place"] = self.partition
        try:
            return write(self, *arguments)
        finally:
            known["place"] = None

    with patch.object(Job, "stage", write_knowing):
        yield known


@contextmanager
def _not_exclusive() -> Iterator[None]:
    create = drafts._create_locked
    with _knowing_places() as known:

        def create_shared(folder: Folder, path_of: Callable[[str], str]) -> drafts.StagedFile:
            if known["place"] is None:
                return create(folder, path_of)
            path = f"{layout.STAGING}/{'-'.join(known['place'])}.tmp"
            fd = open_lockable(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, dir_fd=folder.fd)
            fcntl.flock(fd, fcntl.LOCK_SH)  # no sweeper takes it; every writer may
            return drafts.StagedFile(folder, uuid.uuid4().hex, path, fd)

        with patch.object(drafts, "_create_locked", create_shared):
            yield


@contextmanager
def _in_day_folder() -> Iterator[None]:
    create = drafts._create_locked
    with _knowing_places() as known:

        def create_beside(folder: Folder, path_of: Callable[[str], str]) -> drafts.StagedFile:
            if known["place"] is None:
                return create(folder, path_of)
            nonce = uuid.uuid4().hex
            folder.make(day := layout.day_folder(*known["place"]))
            path = f"{day}/.{nonce}.parquet"
            fd = open_lockable(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, dir_fd=folder.fd)
            return drafts.StagedFile(folder, nonce, path, fd)

        with patch.object(drafts, "_create_locked", create_beside):
            yield


@contextmanager
def _set_aside_before_looking() -> Iterator[None]:
    publish = commits._publish

    def publish_hastily(folder: Folder, partition: Partition, token: Any, new: Any) -> None:
        if isinstance(token.found, Damaged):
            folder.make(layout.SET_ASIDE)
            kept, root_fd = layout.set_aside_file(*partition, new.nonce), folder.fd
            with suppress(FileNotFoundError):
                os.rename(layout.data_file(*partition), kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
            token = commits.read_token(folder, partition)
        publish(folder, partition, token, new)

    with patch.object(commits, "_publish", publish_hastily):
        yield


def _take_away_unseen(store: Any, partition: Partition) -> Any:
    """``Store.set_aside_damaged`` without its lock and its second look."""
    kept = layout.set_aside_file(*partition, uuid.uuid4().hex)
    root_fd = store.folder.fd
    os.rename(layout.data_file(*partition), kept, src_dir_fd=root_fd, dst_dir_fd=root_fd)
    return Broken(*partition, "it is damaged", kept)


def _load_unproven(text: bytes) -> Any:
    """``state.result.record.load`` for a record that says anything of itself."""
    try:
        fields = json.loads(text)
        proof = {name: value for name, value in fields.items() if name not in ("check", "seal")}
        text = json.dumps({**fields, "check": record._check(proof)}).encode()
    except (ValueError, AttributeError):
        pass
    return record.load(text)


def _mark_by_rename(folder: Folder) -> None:
    folder.make(layout.STAGING)
    with drafts.staged_file(folder) as new:
        new.write(f'{{"format":1,"root":"{uuid.uuid4().hex}"}}\n'.encode())
        new.move(layout.MARKER)


def _by_path() -> AbstractContextManager[None]:
    """Every step begins at the root's path again, as ``makedirs`` and ``open`` with a whole path do."""
    known: dict[int, Path] = {}
    find = root.find_store

    def find_and_know(path: Path) -> Any:
        if found := find(path):
            known[found.folder.fd] = path.absolute()
        return found

    def resolved(name: str) -> Any:
        function = getattr(os, name)

        def call(path: Any, *rest: Any, **options: Any) -> Any:
            for key in ("dir_fd", "src_dir_fd"):
                if options.get(key) in known:
                    path = known[options.pop(key)] / path
                    if name == "mkdir":
                        os.makedirs(os.path.dirname(path), exist_ok=True)
            if options.get("dst_dir_fd") in known:
                rest = (known[options.pop("dst_dir_fd")] / rest[0], *rest[1:])
            return function(path, *rest, **options)

        return call

    names = ("open", "mkdir", "rename", "link", "unlink", "stat", "lstat")
    within = {f"os.{name}": resolved(name) for name in names}
    return without({**within, "state.store.local.root.find_store": find_and_know})()


PUBLISHING: dict[str, Mutant] = {
    # Removes the flush of the written result before it is renamed.
    "no file flush": without({"state.store.local.staging.flush": nothing}),
    # Removes the flush of the day's folder after the rename; its parents are still flushed.
    "no directory flush": _flushing_only(lambda path: "/day=" not in path),
    # Removes the flush of the folders above the day's, which may be new too.
    "no parent flush": _flushing_only(lambda path: "/day=" in path),
    # Removes every flush of a folder by a publication: on a journal, either of the two above does the other's work.
    "no folder flush at all": _flushing_only(lambda _: False),
    # Removes the flush of the whole file system by a run that calls another's renames done.
    "no flush before reporting another's commit": without({"state.store.local.store.LocalStore.sync": nothing}),
    # Removes the flushes that make the way to a new marker durable.
    "no flush of the marker's parents": without({"state.store.local.root._flush_parents": nothing}),
    # Removes the rename: the result is written over the old one.
    "written in place": without({"state.store.local.staging.StagedFile.move": _move_by_writing}),
    # Removes a draft's own name and the exclusion of other writers: all writers of a result share one.
    "temporary file not exclusive": _not_exclusive,
    # Removes the private folder: the draft lies, hidden, where readers look for results.
    "temporary file in the day's folder": _in_day_folder,
    # Removes the sweep: what a killed writer left stays for ever.
    "drafts not swept": without({"state.store.local.store.LocalStore.remove_stale": nothing}),
    # Removes the look under the lock before a damaged file is moved away by a writer, who then takes a new token.
    "set-aside without re-check": _set_aside_before_looking,
    # Removes the same look from `repair --deep`.
    "deep set-aside without re-check": without(
        {"state.store.local.store.LocalStore.set_aside_damaged": _take_away_unseen}
    ),
    # Removes the keeping of a damaged file: the new result is renamed over it.
    "damaged file overwritten": without({"state.store.local.commit.set_aside": nothing}),
    # Removes the exclusive creation of the marker: the last of two first runs wins.
    "marker overwritten": without({"state.store.local.root._mark": _mark_by_rename}),
    # Removes the root's descriptor: every step resolves its whole path anew.
    "path instead of root descriptor": _by_path,
    # Removes the check of a whole file's bytes.
    "no seal": without({"state.result.verify.broken_seal": nothing}),
    # Removes the record's digest of itself: any change of it goes unnoticed.
    "no record digest": without({"state.result.classify.load": _load_unproven}),
}
