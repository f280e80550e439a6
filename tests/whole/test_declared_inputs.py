"""What a source says of its files, by the real command: read rightly by one argument, or a failed day that is told."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.project import Project

DECLARED = '''"""Covid reports as they came: renamed columns, a byte order, footers, a spreadsheet of sorts."""

from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation

FOOTER = b"total"


def without_footer(content, *, name, day):
    """Leaves out the last line, on the one day that has it."""
    return content.partition(FOOTER)[0] if f"{day:%m-%d}" == "01-02" and name.endswith(".csv") else content


def sheet(files: list[Path], *, schema, day):
    """Not a table: a line for each day of the year."""
    lines = files[0].read_text().splitlines()
    return pl.DataFrame({"deaths": [int(lines[day.day - 1])]}, schema=schema)


reports = Source(
    "reports/{day}.csv",
    rename={"Country/Region": "country"},
    schema={"country": pl.String, "deaths": pl.Int64, "active": pl.Int64},
    missing_columns=["active"],
    extra_columns="ignore",
    prepare=without_footer,
)
cities = Source("cities/{day}/*.csv.gz", encoding="cp1252", separator=";", schema={"city": pl.String, "n": pl.Int64})
sheets = Source("sheets/{day}.txt", read=sheet, schema={"deaths": pl.Int64})


@aggregation(reports)
def deaths(reports, *, day):
    """Deaths of the day, with its number."""
    return reports.select(pl.col("deaths").sum(), pl.col("active").null_count(), number=pl.lit(day.day))


@aggregation(cities)
def by_city(cities):
    """Cities."""
    return cities.select("city", "n").sort("city")


@aggregation(sheets)
def from_sheets(sheets):
    """Deaths as the sheets have them."""
    return sheets
'''


def _put(project: Project, path: str, content: bytes) -> None:
    place = project.raw / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _project(folder: Path) -> Project:
    project = Project.create(folder, None)
    project.declare(DECLARED)
    _put(project, "reports/2024-01-01.csv", b"Country/Region,deaths,Lat\nX,1,0.5\nY,2,0.5\n")
    _put(project, "reports/2024-01-02.csv", b"active,deaths,country\n7,3,X\ntotal,10,x\n")
    _put(project, "reports/2024-01-03.csv", b"Country/Region,country,deaths\nX,X,1\n")
    _put(project, "reports/2024-01-04.csv", b"Country/Region,Deaths\nX,1\n")
    _put(project, "cities/2024-01-01/a.csv.gz", gzip.compress("city;n\nKöln;1\n".encode("cp1252")))
    _put(project, "cities/2024-01-01/b.csv.gz", gzip.compress("n;city\n2;Århus\n".encode("cp1252")))
    _put(project, "cities/2024-01-02/a.csv.gz", gzip.compress(b"city;n\nK\x81ln;1\n"))
    for day in ("2024-01-01", "2024-01-02"):
        _put(project, f"sheets/{day}.txt", b"5\n6\n")
    return project


def test_files_are_read_as_declared_or_fail_their_day_alone(tmp_path: Path) -> None:
    """Renamed, missing and extra columns, prepared, decoded, read by a function; each misfit with file and remedy."""
    project = _project(tmp_path / "project")
    ended = project.run()
    assert ended.code == 1, ended.stderr
    assert project.rows() == {
        ("deaths", "2024-01-01"): [(3, 2, 1)],
        ("deaths", "2024-01-02"): [(3, 0, 2)],
        ("by_city", "2024-01-01"): [("Köln", 1), ("Århus", 2)],
        ("from_sheets", "2024-01-01"): [(5,)],
        ("from_sheets", "2024-01-02"): [(6,)],
    }
    failed = {(one["aggregation"], one["day"]): (one["kind"], one["error"]) for one in ended.json["failed"]}
    both = "column 'country': found 'Country/Region' and 'country', which are both 'country', expected one of them"
    lost = "column 'deaths': found no such column among 'country', 'Deaths', expected that column"
    byte = "0x81 in line 2, byte 8 is no text in cp1252"
    expected = {("deaths", "2024-01-03"): both, ("deaths", "2024-01-04"): lost, ("by_city", "2024-01-02"): byte}
    assert failed.keys() == expected.keys()
    for result, told in expected.items():
        kind, error = failed[result]
        assert kind == "input"
        assert f" cannot be read as declared: {told}" in error
    assert "rename={'Deaths': 'deaths'}" in failed["deaths", "2024-01-04"][1]


def test_a_changed_prepare_is_a_changed_code(tmp_path: Path) -> None:
    """What prepares the files counts into the fingerprint of the aggregation, and changes nothing of the input."""
    project = _project(tmp_path / "project")
    project.run()
    before = project.record("deaths", "2024-01-01")
    project.declare(DECLARED.replace('FOOTER = b"total"', 'FOOTER = b"sum"'))
    ended = project.run("--force", "--days", "2024-01-01")
    after = project.record("deaths", "2024-01-01")
    assert before["code"] != after["code"]
    assert before["inputs"] == after["inputs"]
    assert "deaths: its code changed" in ended.stderr


def test_a_mistyped_declaration_says_to_correct_it(tmp_path: Path) -> None:
    """Exit 2 with file and line, before anything is read."""
    project = _project(tmp_path / "project")
    project.declare(DECLARED.replace('encoding="cp1252"', 'encoding="cp125z"'))
    ended = project.start("--dry-run").finish()
    assert ended.code == 2
    assert "there is no encoding 'cp125z'; did you mean 'cp125" in ended.stderr
    assert "(shops.py:" in ended.stderr
    assert "→ correct it, then: python -m flows.daily --dry-run" in ended.stderr
