"""Why no file matches a source: where its template stops matching, and the nearest name that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.inputs.root import InputRoot
from tasks.inputs.unmatched import why_unmatched
from tasks.templates.template import Template

CASES = [
    ("sale/{day}/*.csv", "nothing in ROOT matches 'sale'; did you mean 'sales'?"),
    ("takings/{day}/*.csv", "nothing in ROOT matches 'takings'; it holds 'empty', 'notes.txt', 'orders' and 2 more"),
    ("sales/{day}/*.csv", "nothing in ROOT/sales matches '{day}'; it holds '2024-1-5', '2024-1-6', '2024-1-7'"),
    ("orders/{day}/*.csv", "nothing in ROOT/orders/2024-01-05 matches '*.csv'; it holds 'orders.CSV', 'orders.json'"),
    ("orders/{day}/order.json", "nothing in ROOT/orders/2024-01-05 matches 'order.json'; did you mean 'orders.json'?"),
    (
        "returns/{day}/*.csv",
        "ROOT/returns/2024-02-30/a.csv matches, but its day is not valid or it is not a regular file",
    ),
    ("empty/{day}.csv", "ROOT/empty is empty, expected '{day}.csv' there"),
    ("notes.txt/{day}.csv", "ROOT/notes.txt cannot be listed: Not a directory"),
    ("orders/**/{day}.csv", "no file below ROOT/orders matches '**/{day}.csv'"),
    ("order/**/{day}.csv", "nothing in ROOT matches 'order'; did you mean 'orders'?"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sales with days that no template means, orders of one day, an empty folder and a file."""
    for day in ("2024-1-5", "2024-1-6", "2024-1-7"):
        (tmp_path / "sales" / day).mkdir(parents=True)
    (tmp_path / "orders/2024-01-05").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "returns/2024-02-30").mkdir(parents=True)
    for name in (
        "notes.txt",
        "returns/2024-02-30/a.csv",
        "orders/2024-01-05/orders.json",
        "orders/2024-01-05/orders.CSV",
    ):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(("template", "told"), CASES, ids=[template for template, _ in CASES])
def test_where_a_template_stops_matching(root: Path, template: str, told: str) -> None:
    """The folder, the part of the template, and the nearest name or what is there instead."""
    with InputRoot(root) as opened:
        assert why_unmatched(opened, Template.parse(template)).replace(str(root), "ROOT") == told


def test_an_absolute_template_is_followed_from_the_root(root: Path) -> None:
    """Wherever the input root lies, or whether there is one."""
    with InputRoot(root / "gone") as opened:
        told = why_unmatched(opened, Template.parse(f"{root}/order/{{day}}/*.json"))
    assert told == f"nothing in {root} matches 'order'; did you mean 'orders'?"


def test_an_input_root_that_is_gone_is_said(root: Path) -> None:
    """Its error is the reason."""
    with InputRoot(root / "gone") as opened:
        told = why_unmatched(opened, Template.parse("sales/{day}/*.csv"))
    assert told == f"{root}/gone cannot be listed: No such file or directory"
