"""Each kind of dirt alone, in a day beside a sound one: what the real command says of it, and the one argument for it.

All kinds lie in one project, each in a folder of its own, and one run reads them all: by the source as a user
declares it first (``plain``), and with the argument that is meant for the kind (``mended``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.project import Finished, Project
from tests.whole.dirt_cases import CASES, DIRTY, SOUND, Case
from tests.whole.dirt_module import module


@dataclass(frozen=True)
class Told:
    """The run that met all kinds; a run before it had committed the days beside them."""

    project: Project
    run: Finished
    rows: Mapping[tuple[str, str], list[tuple[Any, ...]]]

    def error(self, aggregation: str, day: str = DIRTY) -> dict[str, str] | None:
        """The entry of a failure, or None."""
        found = [one for one in self.run.json["failed"] if (one["aggregation"], one["day"]) == (aggregation, day)]
        return found[0] if found else None


@pytest.fixture(scope="module")
def told(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The run."""
    project = Project.create(tmp_path_factory.mktemp("dirt") / "project", api_url)
    project.declare(module())
    runs = []
    for files in (Case.sound_file, Case.dirty_files):
        for path, content in (one for case in CASES for one in files(case)):
            file = project.raw / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        runs.append(project.run(env={"NOONMARK_REDIS_URL": "none"}))
    return Told(project, runs[-1], project.rows())


def _cases(having: Callable[[Case], object] = lambda _: True) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in CASES if having(case)]


@pytest.mark.parametrize("case", _cases(lambda case: case.told))
def test_dirt_is_named_with_its_place(told: Told, case: Case) -> None:
    """Promise 14: file, line, column, what was found and what was expected; the day fails, and nothing is committed."""
    failure = told.error(case.plain_name)
    assert failure is not None, f"committed: {told.rows.get((case.plain_name, DIRTY))}"
    assert failure["kind"] == case.kind, failure
    assert [part for part in case.told if part not in failure["error"]] == [], failure["error"]
    assert failure["error"].isprintable()
    assert len(failure["error"]) < 2000
    assert (case.plain_name, DIRTY) not in told.rows


@pytest.mark.parametrize("case", _cases(lambda case: case.mended))
def test_one_argument_reads_it_rightly(told: Told, case: Case) -> None:
    """What the message advises, or the documentation has for the kind, gives the sums that a person would count."""
    assert told.error(case.mended_name) is None
    assert told.rows.get((case.mended_name, DIRTY)) == case.wanted


@pytest.mark.parametrize("case", _cases())
def test_the_day_beside_it_is_committed(told: Told, case: Case) -> None:
    """Promise 10: a dirty day harms no other."""
    assert told.error(case.plain_name, SOUND) is None
    assert (case.plain_name, SOUND) in told.rows


@pytest.mark.parametrize("case", _cases(lambda case: case.untold))
def test_what_needs_no_argument_is_read_rightly(told: Told, case: Case) -> None:
    """The source as it was declared first gives the right result."""
    assert told.rows.get((case.plain_name, DIRTY)) == case.wanted


@pytest.mark.parametrize("case", _cases(lambda case: case.strays))
def test_what_is_read_by_nobody_is_named(told: Told, case: Case) -> None:
    """A name that is no day, of another case, and a copy: the run names each, and neither fails nor counts it."""
    assert told.rows[case.plain_name, DIRTY] == case.wanted
    for path in case.strays:
        assert f"{case.folder}/{path}" in told.run.stderr, path


def test_the_run_ends_red_and_without_a_trace(told: Told) -> None:
    """Exit 1 for days that failed; whatever was in a file, no traceback is printed."""
    assert told.run.code == 1
    assert "Traceback" not in told.run.stderr
