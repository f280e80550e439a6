"""A user's command over files that are not what was declared: told by file, line and value, and never committed."""

from __future__ import annotations

from tests.flows.test_health import command
from tests.project import SHOPS, Project, dates

DAYS = dates(10)
MODULE = (
    SHOPS
    + '''

loose = Source("sales/{day}/*.csv", name="loose", ignore_errors=True)


@aggregation(sales)
def items(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Items alone: polars parses no other column for it."""
    return sales.select(pl.col("items").sum())


@aggregation(sales)
def rows(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Rows alone: polars parses no column for it."""
    return sales.select(rows=pl.len())


@aggregation(loose)
def loosely(loose: pl.LazyFrame) -> pl.LazyFrame:
    """Items, of which some become null by the user's word."""
    return loose.select(pl.col("items").sum())
'''
)
ALL = {"items_by_shop", "totals", "items", "rows", "loosely"}
DIRT = {
    DAYS[0]: (
        b"shop,items\nnorth,1\nsouth,east,2\nwest,3\nnorth,wild,4\n",
        "line 3 and 1 more (5): found 3 fields ('south,east,2'), expected 2, as in the header",
    ),
    DAYS[1]: (b"shop,items\nnorth,1\nsou", "line 3: found 1 field ('sou'), expected 2, as in the header"),
    DAYS[2]: (b"shop,items\nnorth,1\n\0\0\0\0", "line 3: found a NUL character ('\\x00\\x00\\x00\\x00')"),
    DAYS[3]: (b"shop,items\nnorth,1\n\n\n", "line 3 and 1 more (4): found an empty line, expected 2 fields"),
    DAYS[4]: (b"shop,items\nnorth,1\nshop,items\nsouth,2\n", "line 3: found the header again ('shop,items')"),
    DAYS[5]: (b'shop,items\n5" pipes,1\nsouth,2\n6" pipes,4\n', "line 2 and 1 more (4): found a quote inside an unq"),
    DAYS[6]: (b"shop,items\rnorth,1\rsouth,2\r", "line 1: found a carriage return alone"),
}


def test_dirty_files_are_told_by_line_and_fail_every_aggregation(project: Project) -> None:
    """Promise 14: those that parse the bad column, those that parse another, and those that only count rows."""
    project.declare(MODULE)
    for day, (content, _) in DIRT.items():
        project.sales_file(day).write_bytes(content)
    end = command(project, "daily", "--json").finish()
    assert end.code == 1, end
    failed = {(one["aggregation"], one["day"]): one for one in end.json["failed"]}
    assert set(failed) == {(name, day) for name in ALL for day in DIRT}
    for (_, day), one in failed.items():
        assert one["kind"] == "input"
        file = project.sales_file(day).relative_to(project.raw)
        assert one["error"].startswith(f"{file} cannot be read as declared: {DIRT[day][1]}"), one["error"]
    assert {day for name, day in project.rows() if name == "totals"} == set(DAYS), "earlier results are kept"


def test_a_value_is_told_where_it_stands_and_a_loosened_source_at_import(project: Project) -> None:
    """A value of another type fails those who read it; where errors are ignored, every command says what that does."""
    project.declare(MODULE)
    content = b"shop,items\n" + b"north,1\n" * 150 + b"south,none\n" * 12
    project.sales_file(DAYS[0]).write_bytes(content)
    end = command(project, "daily", "--json").finish()
    failed = {(one["aggregation"], one["day"]): one["error"] for one in end.json["failed"]}
    assert set(failed) == {(name, DAYS[0]) for name in ("items_by_shop", "totals", "items")}
    assert set(failed.values()) == {
        (
            f"sales/{DAYS[0]}/{project.sales_file(DAYS[0]).name} cannot be read as declared: "
            "line 152 and 11 more (153, 154, 155, 156, 157, 158, 159, 160, 161, …), column 'items': "
            "found a value of another type ('none'), expected Int64: "
            'null_values=["none"] or schema_overrides={"items": pl.String} reads it'
        )
    }
    warning = "source 'sales/{day}/*.csv' has ignore_errors=True: a value that is not of its type becomes null"
    assert end.stderr.count(warning) == 1
    assert project.rows()["loosely", DAYS[0]] == [(150,)]
    assert warning in command(project, "health", "--json").finish().stderr
