"""Remembers which raw files were found sound, so that an unchanged one is not checked again.

A file of events is read for several days, and every file once more where code or version changes. A file is known by
its bytes and by all that is asked of it, the code of the checks among that.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import polars as pl

from state.store.cache_file import CacheFile
from state.store.notes import Notes
from tasks.catalog.source import Source
from tasks.strict.finding import Checked

NAME = "cache/sound"
MOST = 1 << 17
"""How many files are kept for the next run, of those that were checked last: 4 MB, read in 40 ms."""
_FORM = "noonmark sound 1"
_LENGTH = 32
Kind = Literal["structure", "times"]
_Columns = tuple[str, ...] | None


class SoundFiles:
    """What is known of the files of all sources, and what one run learned. Threads may ask at once.

    ``notes`` keeps it for the next run; None: nowhere.
    """

    def __init__(self, notes: Notes | None = None) -> None:
        self._notes = notes
        self._file: CacheFile | None = None
        self._loading = threading.Lock()
        self._known: dict[str, _Columns] = {}
        self._learned: dict[str, _Columns] = {}

    def known(self, key: str) -> Checked | None:
        """What a check said of a sound file; None where it is not known to be one."""
        self._load()
        for known in (self._learned, self._known):
            if key in known:
                return Checked(known[key], ())
        return None

    def learn(self, key: str, columns: _Columns) -> None:
        """Remember a sound file."""
        self._learned[key] = columns

    def save(self) -> None:
        """Keep what was learned. Raises StorageError, OSError."""
        if self._file and self._learned:
            kept = [one for one in self._known.items() if one[0] not in self._learned]
            learned = list(self._learned.items())[-MOST:]
            self._file.save(kept[max(0, len(kept) + len(learned) - MOST) :], learned)

    def _load(self) -> None:
        with self._loading:
            if self._notes and not self._file:  # most runs check nothing
                self._file = CacheFile(self._notes, NAME, _FORM, _packed, _unpacked)
                self._known = dict(self._file.entries)


class DaySound:
    """What is known of one day's files of a source, each by its path.

    ``digests`` gives those of their bytes; it is called once, where there is anything to know.
    """

    def __init__(self, files: SoundFiles, source: Source, digests: Callable[[], Mapping[str, bytes]]) -> None:
        self._files = files
        self._source = source
        self._digests = cache(digests)
        self._unproven: dict[str, _Columns] = {}

    def known(self, kind: Kind, path: str) -> Checked | None:
        """What a check said of a file that has these bytes; None where nothing is known."""
        key = self._key(kind, path)
        return self._files.known(key) if key else None

    def learn(self, kind: Kind, path: str, columns: _Columns = None, *, proven: bool) -> None:
        """Remember that a file is sound. ``proven``: the digested bytes were checked, and not the file once more."""
        if not (key := self._key(kind, path)):
            return
        if proven:
            self._files.learn(key, columns)
        else:
            self._unproven[key] = columns

    def prove(self) -> None:
        """The files did not change since before they were digested."""
        for key, columns in self._unproven.items():
            self._files.learn(key, columns)

    def _key(self, kind: Kind, path: str) -> str | None:
        question = _question(kind, self._source)
        digest = self._digests().get(path) if question else None
        return _key(question, digest) if question and digest else None


def _key(question: bytes, digest: bytes) -> str:
    return hashlib.sha256(question + digest).hexdigest()[:_LENGTH]


@lru_cache(1024)
def _question(kind: Kind, source: Source) -> bytes | None:
    """What is asked of a source's files; None where it cannot be told.

    Of binary files nothing is, and what ``prepare=`` makes of the same bytes is another thing tomorrow.
    """
    if source.prepare is not None or source.format.text is None:
        return None
    columns = source.columns and [getattr(source.columns, field.name) for field in fields(source.columns)]
    try:
        said = _said([kind, source.format.text, source.codec, source.options, columns])
    except TypeError:
        return None
    return hashlib.sha256(_rules() + said.encode(errors="surrogatepass")).digest()


def _said(value: Any) -> str:
    """A value as text that no other value has. Raises TypeError for what has none, as a function."""
    if isinstance(value, Mapping):
        return f"{{{','.join(_said(pair) for pair in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_said, value))}]"
    if isinstance(value, set | frozenset):
        return f"set{_said(sorted(value))}"
    if isinstance(value, str | int | float | None) or _is_dtype(value):
        return repr(value)
    raise TypeError


def _is_dtype(value: Any) -> bool:
    return isinstance(value, pl.DataType) or (isinstance(value, type) and issubclass(value, pl.DataType))


@cache
def _rules() -> bytes:
    """Changes with the code of the checks, and with polars, which reads what some of them look at."""
    digest = hashlib.sha256(pl.__version__.encode())
    here = Path(__file__).parent
    for room in (here.parent / "strict", here.parent / "formats", here):
        for module in sorted(room.glob("*.py")):
            digest.update(module.read_bytes())
    return digest.digest()


def _packed(entries: Sequence[tuple[str, _Columns]]) -> list[Any]:
    by_columns: dict[_Columns, list[str]] = {}  # thousands of files have the same
    for key, columns in entries:
        by_columns.setdefault(columns, []).append(key)
    return [[columns, "".join(keys)] for columns, keys in by_columns.items()]


def _unpacked(block: list[Any]) -> list[tuple[str, _Columns]]:
    entries = []
    for columns, keys in block:
        names = None if columns is None else tuple(columns)
        if not isinstance(keys, str) or {*map(type, names or ())} - {str}:
            raise TypeError
        entries += [(keys[at : at + _LENGTH], names) for at in range(0, len(keys), _LENGTH)]
    return entries
