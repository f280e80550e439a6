"""The example with numbered days: its made-up orders, and that no item is lost on the way."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from examples.orders import CATEGORIES, generate, items_by_hour, main


def _path(root: Path, day: int) -> Path:
    return root / str(day) / f"orders_{day}.csv"


def test_the_table_is_wide_and_its_names_hold_spaces(tmp_path: Path) -> None:
    """134 categories, which is what makes this example differ from the flights."""
    generate(tmp_path, [3], seed=1)
    header = _path(tmp_path, 3).read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header == ["order_id", "order_day", "hour", *CATEGORIES]
    assert len(set(CATEGORIES)) == 134
    assert all(" " in category for category in CATEGORIES)


def test_a_day_is_a_function_of_its_number_and_the_seed(tmp_path: Path) -> None:
    """Days may arrive in any order, one by one or together: their files are the same, and another seed's are not."""
    together = generate(tmp_path / "a", range(12), seed=7)
    for day in (10, 9, *range(9), 11, 0):
        assert generate(tmp_path / "b", [day], seed=7) == {day: together[day]}
    generate(tmp_path / "c", range(12), seed=8)
    for day in range(12):
        assert _path(tmp_path / "a", day).read_bytes() == _path(tmp_path / "b", day).read_bytes()
        assert _path(tmp_path / "a", day).read_bytes() != _path(tmp_path / "c", day).read_bytes()


@pytest.mark.parametrize("day", [0, 6, 9, 10])
def test_items_out_are_items_in(tmp_path: Path, day: int) -> None:
    """Each item of the file is counted once, under its day of the week, hour and category."""
    written = generate(tmp_path, [day], seed=3)
    expected: Counter[tuple[int, int, str]] = Counter()
    with _path(tmp_path, day).open(encoding="utf-8", newline="") as file:
        for order in csv.DictReader(file):
            for category in CATEGORIES:
                expected[day % 7, int(order["hour"]), category] += int(order[category])

    result = items_by_hour(pl.scan_csv(_path(tmp_path, day))).collect()

    assert result.columns == ["day_of_week", "hour", "category", "items"]
    assert result.rows() == [(*key, items) for key, items in sorted(expected.items()) if items]
    assert result.schema["items"] == pl.Int64
    assert result["items"].sum() == expected.total() == written[day]


def test_the_command_says_how_many_items_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever tries the example can count the items in the results against that line."""
    main([str(tmp_path), "--days", "3", "--seed", "5"])
    items = sum(generate(tmp_path / "again", range(3), seed=5).values())
    assert capsys.readouterr().out == f"Orders: 3 days with {items:,} items in {tmp_path}\n"
