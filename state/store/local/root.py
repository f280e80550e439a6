"""The output root: opened once, marked once, and from then on reached through its descriptor only.

The marker tells an output directory from an empty mount point. Its id tells which output an index belongs to.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from state.errors import ConfigurationError, Refused, StorageError
from state.filesystem.durable import flush, flush_folder, is_missing, make_folders, read_whole, write_whole
from state.filesystem.folder import InTheWay, Parent, open_file, open_folder
from state.result.record import is_token
from state.store.local import layout
from state.store.local.set_aside import move_aside
from state.store.local.staging import draft
from state.store.local.store import LocalStore

FORMAT = 1
ACCEPT = "python -m flows.repair --accept-output"
_WRITABLE = "make it writable for the user of this run, or correct NOONMARK_OUTPUT"


def find_root(path: Path) -> LocalStore | None:
    """Open an output root without writing anything; None where there is no folder, or no marker in it.

    Raises StorageError where that cannot be told, ConfigurationError where it is a file, and Refused where the marker
    is of no use.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            return None
        if isinstance(error, NotADirectoryError):
            raise ConfigurationError(
                f"the output root {path} is a file, or lies below one; expected a folder",
                command="set NOONMARK_OUTPUT to the folder for the results",
            ) from error
        raise StorageError(f"the output root {path} cannot be opened: {error.strerror}", command=_WRITABLE) from error
    try:
        identity = _read_marker(fd, path)
    except BaseException:
        os.close(fd)
        raise
    if identity is None:
        os.close(fd)
        return None
    return LocalStore(fd, identity, path)


def see_root(path: Path, *, create: bool, remembered: bool) -> LocalStore | None:
    """Open the output root without writing anything; None where there is none and a run may create it.

    ``create`` is the setting NOONMARK_CREATE_OUTPUT. ``remembered`` says that the index knows commits: then a root
    without its marker is an unmounted or wrong directory. Raises Refused, and what ``find_root`` raises.
    """
    if root := find_root(path):
        try:
            require_folders(root)
        except BaseException:
            os.close(root.fd)
            raise
        return root
    if remembered:
        raise Refused(
            f"the output root {path} has no {layout.MARKER}, but the index remembers commits: "
            "it looks unmounted, moved or wrong. Expected the directory that earlier runs wrote to",
            command=f"mount it or correct NOONMARK_OUTPUT; if a new, empty output is meant: {ACCEPT}",
        )
    if not create:
        raise Refused(
            f"the output root {path} is missing or has no {layout.MARKER}, and NOONMARK_CREATE_OUTPUT is false",
            command="mount it, correct NOONMARK_OUTPUT, or run once with NOONMARK_CREATE_OUTPUT=true",
        )
    return None


def open_root(
    path: Path, *, create: bool, remembered: bool, before_creating: Callable[[], object] = lambda: None
) -> LocalStore:
    """Open the output root for writing, creating and marking a new one where ``see_root`` allows it.

    ``before_creating`` may raise what speaks against a new one.
    """
    if root := see_root(path, create=create, remembered=remembered):
        return _made_ready(root)
    before_creating()
    return create_root(path)


def create_root(path: Path) -> LocalStore:
    """Create and mark an output root. Where several do so at once, all end with the one marker. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _mark(fd)
        finally:
            os.close(fd)
    except InTheWay as error:
        raise _refused(path, error) from error
    except OSError as error:
        raise StorageError(f"the output root {path} cannot be created: {error.strerror}", command=_WRITABLE) from error
    root = find_root(path)
    if root is None:
        raise StorageError(f"the output root {path} lost its {layout.MARKER} as soon as it had it")
    return _made_ready(root)


def set_marker_aside(path: Path) -> None:
    """Move a marker that is of no use out of the way, to where a person finds it. Raises Refused, OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        make_folders(fd, layout.SET_ASIDE)
        move_aside(fd, layout.MARKER, f"{layout.SET_ASIDE}/root.json.{uuid.uuid4().hex[:8]}")
    except InTheWay as error:
        raise _refused(path, error) from error
    finally:
        os.close(fd)


def _mark(fd: int) -> None:
    make_folders(fd, layout.DRAFTS)
    with draft(fd) as new:
        write_whole(new.fd, json.dumps({"format": FORMAT, "root": uuid.uuid4().hex}).encode() + b"\n")
        flush(new.fd)
        with (
            suppress(FileExistsError),  # another run was first: its marker is read back
            Parent(fd, layout.temporary_file(new.nonce)) as (drafts, name),
            Parent(fd, layout.MARKER) as (own, marker),
        ):
            os.link(name, marker, src_dir_fd=drafts, dst_dir_fd=own)


def _flush_parents(root: LocalStore) -> None:
    """Make the way to the marker durable. Always: who made a folder may have been killed before it flushed that."""
    flush_folder(root.fd, layout.OWN)
    flush(root.fd)
    device = os.fstat(root.fd).st_dev
    for parent in root.path.absolute().parents:
        if parent.stat().st_dev != device:
            break  # beyond a mount point, which was there before us
        with suppress(PermissionError):  # then it was not ours to create
            _flush_above(parent)


def _flush_above(parent: Path) -> None:
    """Make the names in a folder durable that the root lies in; the way to the root may lead through links."""
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flush(fd)
    finally:
        os.close(fd)


def require_folders(root: LocalStore) -> None:
    """Raise Refused where something else stands in the place of a folder that no run can do without."""
    for folder in (layout.DRAFTS, layout.LOCKS, layout.SET_ASIDE):
        try:
            os.close(open_folder(root.fd, folder))
        except InTheWay as error:
            raise _refused(root.path, error) from error
        except OSError:
            continue  # who needs it will tell


def _refused(path: Path, error: InTheWay) -> Refused:
    return Refused(
        f"{path / error.path} is {error.what}; expected a folder, and no link is followed below the output root",
        command=f"move it away, and put the folder in its place where it lies elsewhere: {path / error.path}",
    )


def _read_marker(fd: int, path: Path) -> str | None:
    try:
        file = open_file(fd, layout.MARKER, os.O_RDONLY)
        try:
            content = read_whole(file)
        finally:
            os.close(file)
    except InTheWay as error:
        if error.path != layout.MARKER:
            raise _refused(path, error) from error
        raise Refused(
            f"{path / layout.MARKER} is {error.what}; expected a file with a JSON object",
            command=f"restore it from a backup, or mark the output anew: {ACCEPT}",
        ) from error
    except OSError as error:
        if is_missing(error):
            return None
        raise StorageError(f"{path / layout.MARKER} cannot be read: {error.strerror}") from error
    try:
        marker = json.loads(content)
        number, identity = marker["format"], marker["root"]
        if number == FORMAT and isinstance(identity, str) and not is_token(identity):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(
            f"{path / layout.MARKER} is damaged: expected a JSON object with format and root, found {content[:60]!r}",
            command=f"restore it from a backup, or mark the output anew: {ACCEPT}",
        ) from error
    if number != FORMAT or not isinstance(identity, str):
        raise Refused(f"{path / layout.MARKER} has format {number!r}, this code knows {FORMAT}: use the newer code")
    return identity


def _made_ready(root: LocalStore) -> LocalStore:
    try:
        for folder in (layout.DRAFTS, layout.LOCKS, layout.SET_ASIDE):
            make_folders(root.fd, folder)
        _flush_parents(root)
    except InTheWay as error:
        os.close(root.fd)
        raise _refused(root.path, error) from error
    except OSError as error:
        os.close(root.fd)
        told = f"{root.path / layout.OWN} cannot be written: {error.strerror}"
        raise StorageError(told, command=_WRITABLE) from error
    return root
