"""Many days with fewer files than before are an unmounted part of the input, until a person says otherwise."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from state.acceptance import Accepted
from state.inputs.files import DayFiles, FileStat
from state.planner.current import Declared
from state.planner.decide import Facts
from state.planner.fewer_files import acceptable, expired, refusal
from state.planner.plan import Selection, plan
from tests.flows.test_health import command, examined, kinds
from tests.project import SHOPS, Project, dates
from tests.state.planner.test_decide import commit, recorded

DECLARED = Declared("departures", 2, "code", {"flights": "raw"})
FORTY = [str(day) for day in range(40)]


def _files(*names: str) -> DayFiles:
    return DayFiles(tuple(FileStat(name, 5, 1, 1, 1) for name in names), "-".join(names))


def _facts(fewer: int, days: list[str] = FORTY, left: str = "us.csv") -> Facts:
    """Days that were computed from two files; ``fewer`` of them have one."""
    whole = _files("eu.csv", "us.csv")
    then = {"flights": recorded(stat=whole.stat, files=2)}
    return Facts(
        inputs={"raw": {day: _files(left) if at < fewer else whole for at, day in enumerate(days)}},
        output={"departures": {day: commit(day=day, inputs=then) for day in days}},
    )


def _refused(facts: Facts, accepted: Accepted | None = None, **selection: object) -> str | None:
    made = plan([DECLARED], facts, Selection(**selection))  # type: ignore[arg-type]
    return refusal([DECLARED], facts, made, accepted or Accepted())


@pytest.mark.parametrize(
    ("fewer", "days", "is_refused"),
    [(9, 40, False), (10, 40, True), (10, 100, False), (11, 100, True), (10, 10, True), (9, 9, False), (0, 40, False)],
)
def test_more_than_a_tenth_and_at_least_ten_days_are_refused(fewer: int, days: int, is_refused: bool) -> None:
    """A few files that were taken back are a change like any other; a tenth of all days is none."""
    facts = _facts(fewer, [str(day) for day in range(days)])
    assert (_refused(facts) is not None) == is_refused


def test_what_is_refused_is_told() -> None:
    """The aggregation, the source, how many days, files then and now, and one day of them."""
    assert _refused(_facts(12)) == (
        "departures would compute 12 of its 40 committed days from fewer files than before: source 'raw' has 12 of "
        "their 24 files (day 0 has 1 of 2 left, among them 'us.csv')"
    )


def test_only_what_would_be_computed_counts() -> None:
    """A narrowed run is asked about its own days; forced and outdated days count where they have fewer files."""
    facts = _facts(40)
    assert _refused(facts, limit=9) is None
    assert _refused(facts, limit=10)
    older = replace(DECLARED, version=3)
    made = plan([older], facts, Selection())
    assert made.counts() == {"outdated": 40}
    assert refusal([older], facts, made, Accepted())
    assert refusal([older], _facts(0), plan([older], _facts(0), Selection()), Accepted()) is None


def test_just_what_was_accepted_may_be_computed() -> None:
    """Touched or edited files are what was accepted; other files, or yet fewer, are asked about again."""
    facts = _facts(40)
    accepted = Accepted(fewer_files=acceptable([DECLARED], facts))
    assert _refused(facts, accepted) is None
    edited = {day: replace(files, stat="edited") for day, files in facts.inputs["raw"].items()}
    assert _refused(replace(facts, inputs={"raw": edited}), accepted) is None
    assert _refused(_facts(40, left="eu.csv"), accepted)
    assert acceptable([DECLARED], _facts(9)) == {}


def test_what_was_accepted_is_taken_back_once_it_is_of_no_use() -> None:
    """Computed days and days whose files came back: the next loss is a question again."""
    facts = _facts(40)
    accepted = Accepted(fewer_files=acceptable([DECLARED], facts))
    assert expired([DECLARED], facts, accepted) == {"raw": {}}
    assert accepted.without(Accepted(fewer_files=expired([DECLARED], _facts(12), accepted))).fewer_files == {
        "raw": {day: digest for day, digest in accepted.fewer_files["raw"].items() if int(day) < 12}
    }
    assert accepted.without(Accepted(fewer_files=expired([DECLARED], _facts(0), accepted))) == Accepted()


REGIONS = ("asia", "eu", "us")


def _regional(folder: Path, api_url: str) -> Project:
    project = Project.create(folder, api_url)
    project.declare(SHOPS.replace("sales/{day}/*.csv", "sales/*/{day}.csv"))
    for at, region in enumerate(REGIONS):
        (project.raw / "sales" / region).mkdir(parents=True)
        for day in dates(12):
            (project.raw / "sales" / region / f"{day}.csv").write_text(f"shop,items\n{region},{at}\n")
    return project


def test_a_region_whose_mount_is_gone_is_no_change(api_url: str, tmp_path: Path) -> None:
    """All days would be computed from two of three regions: refused with 3 until accepted, and asked again later."""
    project = _regional(tmp_path / "project", api_url)
    assert len(project.run().committed) == 24
    was = project.rows()
    (project.raw / "sales" / "eu").rename(project.folder / "eu")
    before = project.tree(project.output)
    for arguments in ((), ("--dry-run",)):
        run = project.run(*arguments)
        assert run.code == 3, run.stdout
        told = run.json["error"]["message"]
        assert "items_by_shop would compute 12 of its 12 committed days from fewer files than before" in told
        assert "source 'sales/*/{day}.csv' has 24 of their 36 files" in told
        assert "day 2024-01-01 has 2 of 3 left, among them 'sales/asia/2024-01-01.csv'" in told
        assert "python -m flows.repair --accept-output" in json.dumps(run.json["error"])
    report = examined(project)
    assert kinds(report) == {"refused"}
    assert report["problems"][0]["command"] == "python -m flows.repair --accept-output"
    after = project.tree(project.output)
    assert {path: after[path] for path in before} == before
    assert len(project.run("--limit", "2").committed) == 4

    repaired = command(project, "repair", "--accept-output", "--json").finish()
    assert repaired.code == 0
    assert repaired.json["accepted"]["fewer_files"] == {"sales/*/{day}.csv": 10}
    (project.raw / "sales" / "asia").rename(project.folder / "asia")
    assert project.run().code == 3, "yet fewer files are another question"
    (project.folder / "asia").rename(project.raw / "sales" / "asia")
    assert len(project.run().committed) == 20
    assert project.rows() != was

    shutil.move(project.folder / "eu", project.raw / "sales" / "eu")
    assert len(project.run().committed) == 24
    assert project.rows() == was
    assert json.loads((project.output / "_noonmark/accepted.json").read_text()) == {"empty_sources": []}
