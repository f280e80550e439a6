"""Files that serve every day, by the real command: a change of one is a change of all its days, or of those to come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.flows.test_health import command
from tests.project import Project, dates

pytestmark = pytest.mark.timeout(300)

NAMED = '''"""Sales by the name of the shop."""

import polars as pl

from tasks.catalog import Reference, Source, aggregation

sales = Source("sales/{{day}}/*.csv", schema={{"shop": pl.String, "items": pl.Int64}})
shops = Reference("shops.csv", schema={{"shop": pl.String, "name": pl.String}})


@aggregation(sales, references={{"shops": shops}}{since})
def by_name(sales: pl.LazyFrame, shops: pl.LazyFrame) -> pl.LazyFrame:
    """Items sold under each name."""
    return sales.join(shops, on="shop").group_by("name").agg(pl.col("items").sum()).sort("name")
'''
ALL, NEW = NAMED.format(since=""), NAMED.format(since=', references_from="new days"')
DAYS = dates(4)
TABLE = "shop,name\nnorth,Nord\nsouth,Sud\n"


@pytest.fixture
def shops(tmp_path: Path, api_url: str) -> Project:
    """Sales of three days, the names of the shops, and no output yet."""
    project = Project.create(tmp_path / "shops", api_url, DAYS[:3])
    project.declare(ALL)
    _table(project, TABLE)
    return project


def _table(project: Project, text: str) -> Path:
    path = project.raw / "shops.csv"
    path.write_text(text)
    return path


def test_a_changed_table_computes_every_day_anew(shops: Project) -> None:
    """Its digest stands in every record. A touched one computes nothing."""
    assert set(shops.run().committed) == {("by_name", day) for day in DAYS[:3]}
    assert shops.rows()["by_name", DAYS[0]] == [("Nord", 10), ("Sud", 1)]
    recorded = shops.record("by_name", DAYS[0])["inputs"]
    assert list(recorded) == ["sales", "shops"]
    assert (recorded["shops"]["files"], recorded["shops"]["bytes"], recorded["shops"]["rows"]) == (1, len(TABLE), 2)
    assert len({shops.record("by_name", day)["inputs"]["shops"]["contents"] for day in DAYS[:3]}) == 1
    os.utime(shops.raw / "shops.csv", (1_600_000_000, 1_600_000_000))
    assert shops.run().committed == {}
    _table(shops, TABLE.replace("Nord", "Norte"))
    assert shops.run().committed == {("by_name", day): "changed" for day in DAYS[:3]}
    assert shops.rows()["by_name", DAYS[0]] == [("Norte", 10), ("Sud", 1)]
    assert command(shops, "health", "--json").finish().json["healthy"]


def test_a_table_from_new_days_on_leaves_the_committed_ones(shops: Project) -> None:
    """Only days to come see the change, and health says nothing of the others; a forced day takes the new one."""
    shops.declare(NEW)
    assert len(shops.run().committed) == 3
    _table(shops, TABLE.replace("Nord", "Norte"))
    shops.sell(DAYS[3], [("north", 5)])
    assert shops.run().committed == {("by_name", DAYS[3]): "new"}
    assert [shops.rows()["by_name", day][0][0] for day in (DAYS[0], DAYS[3])] == ["Nord", "Norte"]
    health = command(shops, "health", "--json").finish().json
    assert (health["healthy"], health["warnings"]) == (True, [])
    assert shops.run("--force", "--days", DAYS[0]).committed == {("by_name", DAYS[0]): "forced"}
    assert shops.rows()["by_name", DAYS[0]][0][0] == "Norte"


def test_a_lost_table_blocks_its_days_and_keeps_their_results(shops: Project) -> None:
    """Each is named with what is missing and the nearest name; nothing is orphaned. It comes back, and all is well."""
    shops.run()
    table = shops.raw / "shops.csv"
    os.rename(table, shops.raw / "shop.csv")
    end = shops.run()
    assert end.code == 1
    assert {(one["day"], one["kind"]) for one in end.json["failed"]} == {(day, "unreadable") for day in DAYS[:3]}
    [why] = {one["error"] for one in end.json["failed"]}
    assert why.startswith("its input cannot be read: no file matches reference 'shops.csv': nothing in ")
    assert why.endswith("did you mean 'shop.csv'?")
    assert len(shops.results()) == 3
    health = command(shops, "health", "--json").finish().json
    assert {one["kind"] for one in health["problems"]} == {"unreadable"}
    os.rename(shops.raw / "shop.csv", table)
    assert shops.run().committed == {}


def test_a_bad_table_fails_its_days_by_its_name(shops: Project) -> None:
    """The cause is the table, not the aggregation."""
    _table(shops, "shop,name,since\nnorth,Nord,2020\n")
    end = shops.run()
    assert end.code == 1
    assert {one["kind"] for one in end.json["failed"]} == {"input"}
    [why] = {one["error"] for one in end.json["failed"]}
    assert "shops.csv" in why
    assert shops.results() == []
