"""The facts of raw files: what a listing proves, what only the bytes prove, and that a change is never read over."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from state.inputs import files as inputs
from state.inputs.files import Contents, FileStat, InputChanged, day_files, newest_ns, read_contents
from state.inputs.root import InputRoot


def _read(root: Path, files: Sequence[FileStat], *, keep: bool) -> Contents:
    """Read and digest files below a root."""
    with InputRoot(root) as opened:
        return read_contents(opened.fd, files, keep=keep)


def listed(root: Path, *names: str) -> tuple[FileStat, ...]:
    """What a listing shows of these files now."""
    found = []
    for name in names:
        status = os.stat(root / name)
        found.append(FileStat(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    return tuple(found)


def digest(root: Path, *names: str) -> str:
    """The digest of these files' contents."""
    return _read(root, listed(root, *names), keep=False).digest


NUMBERS = st.integers(0, 5)
FILES = st.lists(
    st.builds(FileStat, st.sampled_from(["a", "b", "a\n1 1 1 1"]), NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    unique_by=lambda file: file.path,
)


@given(FILES, FILES)
def test_the_stat_digest_tells_every_difference(one: list[FileStat], other: list[FileStat]) -> None:
    """Two listings have one digest only where every path, size, time and inode is equal, in whatever order."""
    assert (day_files(tuple(one)).stat == day_files(tuple(other)).stat) == (set(one) == set(other))


def test_the_size_of_a_day_is_that_of_all_its_files() -> None:
    """Bytes are summed, and the newest time is the latest of both kinds."""
    files = (FileStat("a", 3, 10, 50, 1), FileStat("b", 4, 40, 20, 2))
    assert day_files(files).bytes == 7
    assert newest_ns(files) == 50
    assert newest_ns(()) == 0


def test_copying_over_with_the_times_kept_is_noticed(tmp_path: Path) -> None:
    """``cp -p`` keeps size and mtime; ctime and inode tell."""
    (tmp_path / "a.csv").write_text("1\n")
    os.utime(tmp_path / "a.csv", ns=(10**18, 10**18))
    before = listed(tmp_path, "a.csv")
    (tmp_path / "b.csv").write_text("2\n")
    os.utime(tmp_path / "b.csv", ns=(10**18, 10**18))
    shutil.copy2(tmp_path / "b.csv", tmp_path / "a.csv")
    after = listed(tmp_path, "a.csv")
    assert (before[0].size, before[0].mtime_ns) == (after[0].size, after[0].mtime_ns)
    assert day_files(before).stat != day_files(after).stat
    (tmp_path / "a.csv").write_text("1\n")
    os.utime(tmp_path / "a.csv", ns=(10**18, 10**18))
    os.replace(tmp_path / "b.csv", tmp_path / "a.csv")
    assert day_files(listed(tmp_path, "a.csv")).stat not in {day_files(before).stat, day_files(after).stat}


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_is_not_what_the_listing_showed_is_not_read(tmp_path: Path, field: str, keep: bool) -> None:
    """Each single fact that differs means that the file changed since."""
    (tmp_path / "a.csv").write_text("1\n")
    [file] = listed(tmp_path, "a.csv")
    facts = {name: getattr(file, name) for name in ("path", "size", "mtime_ns", "ctime_ns", "inode")}
    facts[field] += 1
    with pytest.raises(InputChanged, match=r"a\.csv"):
        _read(tmp_path, [FileStat(**facts)], keep=keep)


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at before and after: an edit in between is a change, whatever was read."""
    monkeypatch.setattr(inputs, "CHUNK", 4)
    path = tmp_path / "a.csv"
    path.write_text("1\n2\n3\n4\n")
    files = listed(tmp_path, "a.csv")
    real = os.fstat
    looks: list[int] = []

    def fstat(fd: int) -> os.stat_result:
        looks.append(fd)
        if len(looks) == 1:
            status = real(fd)
            path.write_text("9\n2\n3\n4\n")
            return status
        return real(fd)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(InputChanged):
        _read(tmp_path, files, keep=True)


def test_a_file_that_is_gone_or_no_file_is_a_change(tmp_path: Path) -> None:
    """A file that vanished, became a folder or a pipe since the listing: the day is looked at anew, nothing hangs."""
    (tmp_path / "a.csv").write_text("1\n")
    files = listed(tmp_path, "a.csv")
    (tmp_path / "a.csv").unlink()
    with pytest.raises(InputChanged, match="is gone"):
        _read(tmp_path, files, keep=False)
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputChanged):
        _read(tmp_path, files, keep=False)
    (tmp_path / "a.csv").unlink()
    (tmp_path / "a.csv").mkdir()
    with pytest.raises((InputChanged, IsADirectoryError)):
        _read(tmp_path, files, keep=False)


def test_what_is_kept_is_what_was_digested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes come back whole and in order, over any number of pieces; without ``keep`` none do."""
    monkeypatch.setattr(inputs, "CHUNK", 7)
    contents = {"a.csv": b"", "b.csv": b"x" * 7, "c.csv": bytes(range(256)) * 3}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    kept = _read(tmp_path, listed(tmp_path, *contents), keep=True)
    assert kept.buffers == tuple(contents.values())
    plain = _read(tmp_path, listed(tmp_path, *contents), keep=False)
    assert plain.buffers is None
    assert plain.digest == kept.digest


def test_files_moved_elsewhere_under_their_names_are_no_change(tmp_path: Path) -> None:
    """The digest knows a file's name and its bytes, and neither its folder nor its times."""
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("1\n")
        (tmp_path / folder / "b.csv").write_text("2\n")
    os.utime(tmp_path / "other/a.csv", ns=(1, 1))
    assert digest(tmp_path, "one/a.csv", "one/b.csv") == digest(tmp_path, "other/a.csv", "other/b.csv")
    assert digest(tmp_path / "one", "a.csv", "b.csv") == digest(tmp_path, "other/a.csv", "other/b.csv")


def test_every_other_difference_is_a_change(tmp_path: Path) -> None:
    """Bytes, names, order, number and the border between two files all count."""
    for name, content in (("a", "12"), ("b", "3"), ("c", "1"), ("d", "23"), ("ab", "12"), ("e", "")):
        (tmp_path / name).write_text(content)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_text("1")
    (tmp_path / "x" / "b").write_text("23")
    days = [["a", "b"], ["b", "a"], ["c", "d"], ["x/a", "x/b"], ["a"], ["ab"], ["a", "b", "e"], ["a", "a"], []]
    assert len({digest(tmp_path, *names) for names in days}) == len(days)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """An I/O error is no change and no absence."""
    (tmp_path / "a").write_text("1")
    loop = FileStat("loop", 1, 1, 1, 1)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        _read(tmp_path, [loop], keep=False)


def test_names_of_any_bytes_are_digested(tmp_path: Path) -> None:
    """A name that is no UTF-8 is a name."""
    names = [os.fsdecode(name) for name in (b"\xff.csv", b"\xfe.csv")]
    for name in names:
        (tmp_path / name).write_text("1")
    assert digest(tmp_path, names[0]) != digest(tmp_path, names[1])
    assert day_files(listed(tmp_path, names[0])).stat != day_files(listed(tmp_path, names[1])).stat


def test_large_files_are_digested_by_blake3_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day with a large file has a digest of another kind, told by its beginning; small days keep theirs."""
    (tmp_path / "a.csv").write_bytes(small := b"1\n")
    (tmp_path / "b.csv").write_bytes(large := b"2" * 1000)
    before = digest(tmp_path, "a.csv", "b.csv")
    monkeypatch.setattr(inputs, "LARGE", 1000)
    found = _read(tmp_path, listed(tmp_path, "a.csv", "b.csv"), keep=True)
    assert found.each == (hashlib.sha256(small).digest(), blake3(large).digest())
    assert found.buffers == (small, large)
    assert found.digest.startswith("blake3:")
    assert len({before, found.digest, digest(tmp_path, "b.csv")}) == 3
    (tmp_path / "b.csv").write_bytes(b"2" * 999)
    assert len(digest(tmp_path, "a.csv", "b.csv")) == 64


@pytest.mark.parametrize("at", [0, 499_999, 999_999])
def test_each_byte_of_a_large_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """It is read piece by piece."""
    monkeypatch.setattr(inputs, "LARGE", 1000)
    monkeypatch.setattr(inputs, "CHUNK", 4096)
    content = bytearray(b"2" * 1_000_000)
    (tmp_path / "a.csv").write_bytes(content)
    before = digest(tmp_path, "a.csv")
    content[at] ^= 1
    (tmp_path / "a.csv").write_bytes(content)
    assert digest(tmp_path, "a.csv") != before
