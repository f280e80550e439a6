"""Opens the output root, and marks a new one.

The marker tells an output from an empty mount point. Its id tells which output an index belongs to.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from state.errors import ACCEPT, ConfigurationError, NoonmarkError, Refused, StorageError
from state.filesystem.file_locks import knows_ranges
from state.filesystem.folder import Folder, InTheWay
from state.filesystem.hiding import move_hidden
from state.store.local import layout
from state.store.local.marker import Marker, read_marker, refused
from state.store.local.staging import staged_file
from state.store.local.store import LocalStore
from state.store.local.takeover import join, lock_files, locks_by_range, remove_lock_files

_WRITABLE = "make it writable for the user of this run, or correct NOONMARK_OUTPUT"
_FOLDERS = (layout.STAGING, layout.LOCKS, layout.SET_ASIDE)
"""The folders that every run needs."""


def find_store(path: Path) -> LocalStore | None:
    """Open an output for reading; None where there is no folder, or no marker in it. Nothing is written.

    Raises StorageError where that cannot be told, ConfigurationError where it is a file, and Refused where the marker
    is damaged or of newer code.
    """
    try:
        root = Folder.open(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return None
        if isinstance(error, NotADirectoryError):
            raise ConfigurationError(
                f"the output root {path} is a file, or lies below one; expected a folder",
                hint="set NOONMARK_OUTPUT to the folder for the results",
            ) from error
        raise StorageError(f"the output root {path} cannot be opened: {error.strerror}", hint=_WRITABLE) from error
    marker = None
    try:
        marker = read_marker(root)
    finally:
        if marker is None:
            root.close()
    if marker is None:
        return None
    root.lock_ranges = marker.lock_ranges
    return LocalStore(root, marker.id)


def preview_store(path: Path, *, create: bool, remembered: bool) -> LocalStore | None:
    """Open an output as a run would, without writing anything; None where a run would create it.

    ``create`` is the setting NOONMARK_CREATE_OUTPUT. ``remembered``: the index knows commits, so that a root without
    its marker is an unmounted or wrong directory. Raises Refused, and what ``find_store`` raises.
    """
    if store := find_store(path):
        return _with_folders(store)
    if remembered:
        raise Refused(
            f"the output root {path} has no {layout.MARKER}, but the index remembers commits: "
            "it looks unmounted, moved or wrong. Expected the directory that earlier runs wrote to",
            command=ACCEPT,
            hint=f"mount it or correct NOONMARK_OUTPUT; if a new, empty output is meant: {ACCEPT}",
        )
    if not create:
        raise Refused(
            f"the output root {path} is missing or has no {layout.MARKER}, and NOONMARK_CREATE_OUTPUT is false",
            hint="mount it, correct NOONMARK_OUTPUT, or run once with NOONMARK_CREATE_OUTPUT=true",
        )
    return None


def open_store(
    path: Path, *, create: bool, remembered: bool, before_creating: Callable[[], object] = lambda: None
) -> LocalStore:
    """Open an output for writing; create and mark a new one where ``preview_store`` allows it.

    ``before_creating`` may raise what speaks against a new one.
    """
    if store := preview_store(path, create=create, remembered=remembered):
        return _made_ready(store)
    before_creating()
    return _create(path)


def accept_store(path: Path) -> LocalStore:
    """Open an output for writing as it is, or create it; a damaged marker is set aside. A person asked for that.

    Raises Refused where newer code wrote the marker, or where a person has to move something; StorageError, OSError.
    """
    try:
        store = find_store(path)
        return _made_ready(_with_folders(store)) if store else _create(path)
    except Refused as error:
        if error.command != ACCEPT:
            raise
    with Folder.open(path) as root:
        try:
            root.make(layout.SET_ASIDE)
            move_hidden(root, layout.MARKER, f"{layout.SET_ASIDE}/root.json.{uuid.uuid4().hex[:8]}")
        except InTheWay as error:
            raise refused(path, error) from error
    return _create(path)


def _create(path: Path) -> LocalStore:
    """Create and mark an output. Where several processes do so at once, all end with one marker."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with Folder.open(path) as root:
            _mark(root)
    except InTheWay as error:
        raise refused(path, error) from error
    except OSError as error:
        raise StorageError(f"the output root {path} cannot be created: {error.strerror}", hint=_WRITABLE) from error
    store = find_store(path)
    if store is None:
        raise StorageError(f"the output root {path} lost its {layout.MARKER} right after it was created")
    return _made_ready(store)


def _mark(root: Folder) -> None:
    root.make(layout.STAGING)
    with staged_file(root) as new:
        by_range = locks_by_range(root, new) and not _has_lock_files(root)
        new.write(Marker(uuid.uuid4().hex, by_range).content())
        new.flush()
        with suppress(FileExistsError):  # another run was first: its marker is read back
            root.link(new.path, layout.MARKER)


def _has_lock_files(root: Folder) -> bool:
    """Whether days are locked here by files: an output that lost its marker still has their marks to be taken over."""
    try:
        return any(lock_files(root))
    except FileNotFoundError:
        return False


def _with_folders(store: LocalStore) -> LocalStore:
    """The store, unless something else stands in place of a folder that no run can do without."""
    if store.folder.lock_ranges and not knows_ranges():
        store.close()
        raise Refused(
            f"the days of {store.path} are locked by ranges of files, which this system cannot: Linux has F_OFD_SETLK",
            hint="write to this output on Linux only, or set NOONMARK_OUTPUT to another folder",
        )
    for folder in _FOLDERS:
        try:
            store.folder.require(folder)
        except InTheWay as error:
            store.close()
            raise refused(store.path, error) from error
        except OSError:
            continue  # whoever needs it will report that
    return store


def _made_ready(store: LocalStore) -> LocalStore:
    """The store for writing, for as long as which it counts as one of the output's writers."""
    root = store.folder
    try:
        for folder in _FOLDERS:
            root.make(folder)
        marker, writing = join(root)
        store = replace(store, id=marker.id, writing=writing)
        root.lock_ranges = marker.lock_ranges
        _flush_parents(root)
        if root.lock_ranges:
            remove_lock_files(root)
    except OSError as error:
        store.close()
        if isinstance(error, InTheWay):
            raise refused(store.path, error) from error
        message = f"{store.path / layout.OWN} cannot be written: {error.strerror}"
        raise StorageError(message, hint=_WRITABLE) from error
    except NoonmarkError:
        store.close()
        raise
    return store


def _flush_parents(root: Folder) -> None:
    """Make the way to the marker durable. Always: who made a folder may have been killed before it flushed it."""
    root.flush(layout.OWN)
    root.flush()
    device = root.status().st_dev
    for parent in root.path.absolute().parents:
        if parent.stat().st_dev != device:
            break  # beyond a mount point, which was there before
        with suppress(PermissionError), Folder.open(parent) as above:  # not ours to create
            above.flush()
