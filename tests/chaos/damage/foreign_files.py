"""Foreign files in place of a result or of the root marker: every kind that a file system has.

Each replaces a good file. ``seen`` returns what can be compared later.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl

from state.result.record import CommitRecord, load
from state.result.writing import arrow_table, rows_digest, write_result
from state.store.local import layout
from tests.builders import RECORD, rows_of

Matter = Callable[[Path, random.Random], None]
"""Takes the place of a good file at a path."""

KEY = "noonmark"


def seen(path: Path) -> tuple[str, bytes]:
    """What stands at a path: its kind, and all of its content. Names in a folder may change as it is set aside, and
    links are kept as texts.
    """
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "file", b"link to " + os.fsencode(os.readlink(path)) + b"\n"
    if stat.S_ISDIR(mode):
        return "folder", repr(sorted(seen(one) for one in path.rglob("*"))).encode()
    return ("file", path.read_bytes()) if stat.S_ISREG(mode) else (f"kind {stat.S_IFMT(mode):o}", b"")


def _text(content: bytes) -> Matter:
    def put(path: Path, _: random.Random) -> None:
        path.write_bytes(content)

    return put


def _garbage(path: Path, chance: random.Random) -> None:
    noise = chance.randbytes(chance.randrange(400))
    length = chance.randrange(len(noise) + 12).to_bytes(4, "little")
    path.write_bytes(b"PAR1" + noise + length + b"PAR1")


def _parquet(path: Path, chance: random.Random) -> None:
    rows_of(chance.randrange(5)).write_parquet(path)


def _claims(path: Path, _: random.Random) -> None:
    """Another program's file that bears the key of a commit record."""
    rows_of(1).write_parquet(path, metadata={KEY: '{"format":1}'})


def _of_another_day(path: Path, _: random.Random) -> None:
    other = next(one for one in sorted(path.parent.parent.glob("day=*/data.parquet")) if one != path)
    path.write_bytes(other.read_bytes())


def _of_another_aggregation(path: Path, _: random.Random) -> None:
    place = path.relative_to(path.parents[2])
    other = next(one for one in sorted(path.parents[2].glob(f"[a-z]*/{place.parent.name}/data.parquet")) if one != path)
    path.write_bytes(other.read_bytes())


def sealed(path: Path, frame: pl.DataFrame, **fields: object) -> CommitRecord:
    """A file that is whole and sealed as ours are, with a record that says whatever it is told to."""
    table = arrow_table(frame)
    record = RECORD._replace(rows=table.num_rows, result=rows_digest(table), **fields)  # type: ignore[arg-type]
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    with closing(os.fdopen(fd, "rb")):
        write_result(fd, table, record)
    return record


def _names_a_path(path: Path, chance: random.Random) -> None:
    """A whole, sealed result whose record names places outside of the output."""
    up = "../" * chance.randrange(1, 6)
    names = {"aggregation": f"{up}escaped", "day": chance.choice((f"{up}escaped", "/tmp/escaped", "2024-01-01"))}
    sealed(path, rows_of(1), **names)


def _of_other_types(path: Path, chance: random.Random) -> None:
    """A whole, sealed result of this very day, one value of whose record is of another type."""
    place = {"aggregation": path.parents[1].name, "day": path.parent.name.removeprefix("day=")}
    name = chance.choice(("version", "generation", "nonce", "code", "libraries", "committed_at"))
    sealed(path, rows_of(1), **place, **{name: chance.choice((None, True, math.nan, "\ud800", [1], -1))})


def _folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "part-0.txt").write_text("somebody's")


def _folder_of_parquet(path: Path, chance: random.Random) -> None:
    """What Spark and dask write where others write a file."""
    path.unlink()
    (path / "nested.parquet").mkdir(parents=True)
    for name in ("part-0.parquet", "PART-1.PARQUET", "nested.parquet/part-2.parquet"):
        rows_of(chance.randrange(1, 5)).write_parquet(path / name)
    (path / "link.parquet").symlink_to("part-0.parquet")


def _link(leads_to: Callable[[Path], str]) -> Matter:
    def put(path: Path, _: random.Random) -> None:
        target = leads_to(path)
        path.unlink()
        path.symlink_to(target)

    return put


def _moved_away(path: Path) -> str:
    """A good result of this very day, outside of the output."""
    elsewhere = path.parents[3] / "elsewhere.parquet"
    shutil.copyfile(path, elsewhere)
    return str(elsewhere)


def _fifo(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path, _: random.Random) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


FOREIGN: dict[str, Matter] = {
    "an empty file": _text(b""),
    "a text": _text(b"day,items\n2024-01-01,3\n" * 9),
    "garbage between two magics": _garbage,
    "another program's Parquet file": _parquet,
    "another program's file with our key": _claims,
    "another day's result": _of_another_day,
    "another aggregation's result": _of_another_aggregation,
    "a sealed result that names a path": _names_a_path,
    "a sealed result of other types": _of_other_types,
    "a folder": _folder,
    "another program's folder of Parquet files": _folder_of_parquet,
    "a dangling link": _link(lambda path: str(path.parent / "nowhere")),
    "a link to a good result": _link(_moved_away),
    "a link to itself": _link(lambda path: path.name),
    "a pipe": _fifo,
    "a socket": _socket,
}
"""What is put in a result's place."""


def names_in(content: bytes) -> CommitRecord | None:
    """The record in a file's footer, whatever it says; what a careless program would trust."""
    begin = content.rfind(b'{"aggregation"')
    end = content.find(b"}", content.find(b'"version"', begin)) + 1
    return load(content[begin:end]) if begin >= 0 else None


def kept(output: Path) -> list[tuple[str, bytes]]:
    """All that was set aside in an output."""
    return [seen(path) for path in sorted((output / layout.SET_ASIDE).iterdir())]
