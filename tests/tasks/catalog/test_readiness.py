"""What ``marker=`` and ``settle=`` declare, and what is refused at import."""

from __future__ import annotations

from typing import Any

import pytest

from state.errors import DeclarationError
from state.inputs.files import FileStat, day_files
from tasks.catalog.readiness import Readiness
from tasks.catalog.source import Source
from tasks.templates.template import Template


def declared(text: str, **rules: Any) -> Readiness:
    """The rules of a source with this template."""
    return Readiness.declared(Template.parse(text), rules.get("marker"), rules.get("settle"))


@pytest.mark.parametrize(
    ("text", "marker", "file", "expected"),
    [
        ("sales/{day}/*.csv", "_SUCCESS", "sales/2024-01-05/a.csv", "sales/2024-01-05/_SUCCESS"),
        ("sales/{day}/h=*/*.csv", "_SUCCESS", "sales/2024-01-05/h=1/a.csv", "sales/2024-01-05/_SUCCESS"),
        ("{day:%Y/%m/%d}/**", ".done", "2024/01/05/a/b/c.csv", "2024/01/05/.done"),
        ("shop=*/{day}/*.csv", "_SUCCESS", "shop=1/2024-01-05/a.csv", "shop=1/2024-01-05/_SUCCESS"),
        ("**/{day}/*.csv", "ok", "a/b/2024-01-05/a.csv", "a/b/2024-01-05/ok"),
        ("sales/{day}.csv", "{day}.done", "sales/2024-01-05.csv", "sales/2024-01-05.done"),
        ("{day}.csv", "{day:%Y%m%d}_ok", "2024-01-05.csv", "20240105_ok"),
        ("**/{day}.csv", ".{day}", "a/b/2024-01-05.csv", "a/b/.2024-01-05"),
        ("{day:%Y}/{day:%m}-{day:%d}.csv", "{day:%m%d}.ok", "2024/01-05.csv", "2024/0105.ok"),
        ("/mnt/{day}/*.csv", "ok", "mnt/2024-01-05/a.csv", "mnt/2024-01-05/ok"),
    ],
)
def test_a_marker_lies_in_the_folder_whose_path_names_the_day(text: str, marker: str, file: str, expected: str) -> None:
    """However deep the files lie; where days share a folder, the marker's own name says the day."""
    found = declared(text, marker=marker).marker
    assert found is not None
    files = day_files([FileStat(file, 1, 2, 3, 4)])
    assert found.paths_of("2024-01-05", files) == [expected]
    assert found.without("2024-01-05", day_files([*files.files, FileStat(expected, 1, 2, 3, 4)])) == files


def test_a_marker_is_no_input_though_a_wildcard_matches_it() -> None:
    """It is taken out by its place; a file of its name elsewhere is input like any other."""
    marker = declared("{day}/**", marker="ok").marker
    assert marker is not None
    day = "2024-01-05"
    files = day_files(FileStat(f"{day}/{name}", 1, 2, 3, 4) for name in ("a.csv", "ok", "b/ok"))
    kept = marker.without(day, files)
    assert [file.path for file in kept.files] == [f"{day}/a.csv", f"{day}/b/ok"]
    assert kept.stat == day_files(kept.files).stat
    assert marker.without(day, kept) is kept


@pytest.mark.parametrize(
    ("text", "marker", "found"),
    [
        ("sales/{day}.csv", "_SUCCESS", "shares with other days"),
        ("{day:%Y}/{day}.csv", "{day:%Y}.ok", "shares with other days"),
        ("{day}/*.csv", "{day:int}.ok", "as the template has it"),
        ("{day}/*.csv", "", "no name of a file"),
        ("{day}/*.csv", "a/b", "no name of a file"),
        ("{day}/*.csv", "{day:%Y/%m}", "no name of a file"),
        ("{day}/*.csv", "..", "no name of a file"),
        ("{day}/*.csv", "*.ok", "wildcard"),
        ("{day}/*.csv", "{date}", "{date} is not a placeholder"),
        ("{day}/*.csv", True, "no name of a file"),
        ("{day}/a.csv", "a.csv", "is the input itself"),
        ("{day}.csv", "{day}.csv", "is the input itself"),
    ],
)
def test_a_marker_that_cannot_serve_is_refused_at_import(text: str, marker: Any, found: str) -> None:
    """Each with the source, what is wrong and what to write."""
    with pytest.raises(DeclarationError) as raised:
        Source(text, marker=marker)
    assert raised.value.message.startswith(f"source {text!r}: marker={marker!r}")
    assert found in raised.value.message


@pytest.mark.parametrize(("settle", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86400)])
def test_a_time_without_changes_has_a_unit(settle: str, seconds: int) -> None:
    """Seconds, minutes, hours or days."""
    assert declared("{day}.csv", settle=settle).settle_ns == seconds * 10**9


@pytest.mark.parametrize("settle", ["", "15", "0s", "m", "1.5h", "15 m", "-1m", "1w", 900, True])
def test_a_time_that_is_none_is_refused_at_import(settle: Any) -> None:
    """With what is expected."""
    with pytest.raises(DeclarationError, match="'15m'"):
        Source("{day}.csv", settle=settle)


def test_sources_that_are_ready_at_other_times_have_keys_of_their_own() -> None:
    """They are listed apart, and a message says which is meant. Without rules the key is the template."""
    plain, marked, settled = (
        Source("{day}/*.csv"),
        Source("{day}/*.csv", marker="ok"),
        Source("{day}/*.csv", settle="1m"),
    )
    assert plain.key == "{day}/*.csv"
    assert marked.key == "{day}/*.csv (marker='ok')"
    assert len({plain.key, marked.key, settled.key}) == len({one.digest_key for one in (plain, marked, settled)}) == 3
