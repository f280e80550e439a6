"""An older result in the place of a newer one that cannot be computed anew is told, until it is settled."""

from __future__ import annotations

import shutil

import pytest

from state.planner.current import Declared
from state.planner.decide import Blocked, Facts, Item, decide
from state.planner.plan import Selection, plan
from state.result.classify import Commit
from tests.flows.test_health import command, examined
from tests.project import SHOPS, Project, dates
from tests.state.planner.test_decide import commit, listed

DAY, OTHER = dates(10)[4], dates(10)[5]
DECLARED = Declared("departures", 2, "code", {"flights": "raw"})


def _facts(found: Commit, published: int, *, with_input: bool = False) -> Facts:
    return Facts(
        inputs={"raw": {DAY: listed()}} if with_input else {"raw": {}},
        output={"departures": {DAY: found}},
        published={("departures", DAY): published},
    )


@pytest.mark.parametrize(
    ("stands", "published", "is_older"), [(3, 5, True), (3, 4, True), (5, 5, False), (5, 0, False)]
)
def test_a_commit_below_what_was_published_is_a_loss(stands: int, published: int, is_older: bool) -> None:
    """Where the input is gone; a mark that says nothing (0) is no evidence."""
    found = decide(DECLARED, DAY, _facts(commit(day=DAY, generation=stands), published), force=False)
    if not is_older:
        assert found == "orphaned"
        return
    assert isinstance(found, Blocked)
    assert (found.kind, found.regressed) == ("unrecoverable", True)
    assert found.why == (
        f"generation {stands} stands where generation {published} was published, and its input is gone; "
        f"expected generation {published}, restored from a backup"
    )


def test_what_can_be_computed_anew_is_no_loss() -> None:
    """With its input the day is done, or changed and computed anew; a newer version's commit is left alone."""
    assert decide(DECLARED, DAY, _facts(commit(day=DAY), 9, with_input=True), force=False) == "done"
    assert isinstance(decide(DECLARED, DAY, _facts(commit(day=DAY), 9, with_input=True), force=True), Item)
    assert decide(DECLARED, DAY, _facts(commit(day=DAY, version=3), 9), force=False) == "ahead"


def test_a_retired_result_is_looked_at_too() -> None:
    """Nobody declares it any more, so no run can compute it; it is not counted as kept."""
    facts = _facts(commit(day=DAY, generation=3), 5)
    made = plan([], facts, Selection())
    assert [(one.day, one.regressed) for one in made.blocked] == [(DAY, True)]
    assert "its aggregation is no longer declared" in made.blocked[0].why
    assert made.skipped()["retired"] == 0


def test_an_older_result_from_a_backup_is_told_until_it_is_settled(project: Project) -> None:
    """Orphaned and retired days alike: every run ends with 1, and health names the command that accepts them.

    The newer result brought back settles it as well, and what was accepted is that result and no other.
    """
    old = {name: project.result(name, DAY).read_bytes() for name in ("items_by_shop", "totals")}
    project.sell(DAY, [("north", 77)])
    assert len(project.run().committed) == 2
    new = {name: project.result(name, DAY).read_bytes() for name in old}
    shutil.rmtree(project.raw / "sales" / DAY)
    shutil.rmtree(project.raw / "sales" / OTHER)
    run = project.run()
    assert (run.code, run.json["skipped"]["orphaned"]) == (0, 4)

    _restore(project, old)
    project.declare(SHOPS.replace("def totals(", "def sums("))
    for _ in range(2):
        run = project.run("--days", f"{DAY}..{OTHER}")
        assert run.code == 1
        assert {(one["aggregation"], one["kind"]) for one in run.json["failed"]} == {
            ("items_by_shop", "unrecoverable"),
            ("totals", "unrecoverable"),
        }
        told = "generation 1 stands where generation 2 was published, and its input is gone"
        assert any(told in one["error"] for one in run.json["failed"])
        assert run.json["skipped"]["orphaned"] == 1
    report = examined(project)
    older = [one for one in report["problems"] if one["kind"] == "unrecoverable"]
    assert {one["command"] for one in older} == {"python -m flows.repair --accept-output"}
    assert len(older) == 2

    _restore(project, new)
    assert project.run("--days", DAY).code == 0
    _restore(project, old)
    repaired = command(project, "repair", "--accept-output", "--json").finish()
    assert repaired.json["accepted"]["older_results"] == [
        {"aggregation": "items_by_shop", "day": DAY},
        {"aggregation": "totals", "day": DAY},
    ]
    run = project.run()
    assert (run.code, run.json["skipped"]["orphaned"]) == (0, 2)
    _restore(project, new)
    assert project.run().code == 0
    _restore(project, old)
    assert project.run().code == 1, "the word was taken back once another result stood there"


def _restore(project: Project, results: dict[str, bytes]) -> None:
    for name, content in results.items():
        project.result(name, DAY).write_bytes(content)
