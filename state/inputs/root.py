"""The input root: opened once at a run's start, and from then on read through its descriptor.

A path that starts again at ``/`` may lead to another folder in the middle of a run: beneath a mount point whose file
system went away, or to a tree that was renamed into its place. What is held cannot be mixed with what came after it.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from pathlib import Path

from state.errors import StorageError

_OPEN = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""O_PATH, where there is one: a root that may be entered but not listed serves sources in its folders."""


class InputRootGone(StorageError):
    """The path of the input root no longer leads to the folder that the run opened: unmounted, renamed, replaced."""


class InputRoot:
    """An input root, held open. ``path`` is for messages and for readers that need a path.

    A root that cannot be opened is no error yet: sources with absolute templates do without it. ``fd`` is the
    descriptor where it is open already: a child process inherits it.
    """

    def __init__(self, path: Path, fd: int | None = None) -> None:
        self.path = path
        self._fd = fd
        self._error: OSError | None = None
        if fd is None:
            try:
                self._fd = os.open(path, _OPEN)
            except OSError as error:
                self._error = error
        # One that nobody closes is closed with the last that reads from it.
        self._close = None if self._fd is None else weakref.finalize(self, os.close, self._fd)

    def __enter__(self) -> InputRoot:
        return self

    def __exit__(self, *_: object) -> None:
        if self._close:
            self._close()

    @property
    def is_open(self) -> bool:
        """Whether there was a folder to hold."""
        return self._fd is not None

    @property
    def fd(self) -> int:
        """The descriptor to open files and folders from. Raises the OSError that its opening ended with."""
        if self._fd is None:
            assert self._error is not None
            raise self._error.with_traceback(None)
        return self._fd

    def of(self, *, absolute: bool) -> InputRoot:
        """The root that a template's paths begin at: this one, or ``/`` for an absolute template."""
        return _file_system() if absolute else self

    def check(self) -> None:
        """Raise InputRootGone where the path leads elsewhere than to the folder that is held, or nowhere any more.

        Nothing is said of a root that could not be opened: nothing is held then.
        """
        if self._fd is None:
            return
        try:
            now = os.stat(self.path)
            found = "leads to another folder"
        except (FileNotFoundError, NotADirectoryError):
            now, found = None, "does not exist any more"
        except OSError as error:
            raise InputRootGone(f"the input root {self.path} cannot be opened any more: {error.strerror}") from error
        held = os.fstat(self._fd)
        if now is None or (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino):
            raise InputRootGone(
                f"the input root {self.path} {found} since the run began: unmounted, renamed or replaced; "
                "expected the folder that the plan was made from"
            )


@cache
def _file_system() -> InputRoot:
    return InputRoot(Path("/"))
