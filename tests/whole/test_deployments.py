"""The deployments of ``prefect.yaml`` on a real server, run by a worker that was started in another folder."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deployments import POOL, Server, pause_schedules, serving, working
from tests.project import CHECKOUT, Project, dates, wait_until

pytestmark = pytest.mark.timeout(300)  # real servers, workers and runs, on machines that may be busy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows the deployments. Their schedules are paused by the first test that needs a worker."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_deploy_all_registers_the_three_flows(server: Server) -> None:
    """Schedules, pool, tags, descriptions, one run at a time; and code that is found wherever the worker stands."""
    deployed = server.deployments()
    crons = {name: [one["schedule"]["cron"] for one in found["schedules"]] for name, found in deployed.items()}
    assert crons == {"daily": ["15 5 * * *"], "repair": ["0 * * * *"], "health": ["10 * * * *"]}
    for name, found in deployed.items():
        assert found["entrypoint"] == f"flows/{name}.py:{name}"
        assert found["work_pool_name"] == POOL
        assert found["tags"] == ["noonmark"]
        assert found["description"]
        assert found["global_concurrency_limit"]["limit"] == 1
        assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        assert found["pull_steps"] == [
            {"prefect.deployments.steps.set_working_directory": {"directory": str(CHECKOUT)}}
        ]
        assert {one["schedule"]["timezone"] for one in found["schedules"]} == {"UTC"}
        assert all(one["active"] for one in found["schedules"])


def test_every_parameter_has_a_form_with_type_default_and_words(server: Server) -> None:
    """What the UI shows is made of this. They are the contract's names, and all of them may be left out."""
    schemas = {name: found["parameter_openapi_schema"] for name, found in server.deployments().items()}
    names = {name: sorted(schema["properties"]) for name, schema in schemas.items()}
    assert names == {
        "daily": ["days", "dry_run", "force", "limit", "newest_first", "only", "retry_quarantined", "workers"],
        "repair": ["accept_output", "deep", "dry_run"],
        "health": [],
    }
    for schema in schemas.values():
        assert not schema.get("required")
        for field in schema["properties"].values():
            assert len(field["description"]) > 10
            assert "default" in field
    daily = schemas["daily"]["properties"]
    assert daily["limit"]["anyOf"][0] == daily["workers"]["anyOf"][0] == {"type": "integer", "minimum": 1}
    assert daily["days"]["anyOf"][0] == daily["only"]["anyOf"][0] == {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    "parameters", [{"limit": 0}, {"workers": "x"}, {"days": "2024-01-01"}, {"only": [1]}, {"force": "perhaps"}], ids=str
)
def test_a_wrong_parameter_is_refused_before_a_run_exists(server: Server, parameters: dict[str, object]) -> None:
    """Prefect names it, and no run is created."""
    before = _asked_for(server)
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.run(parameters=parameters)
    assert refused.value.code == 409
    assert next(iter(parameters)) in refused.value.read().decode()
    assert _asked_for(server) == before


def _asked_for(server: Server) -> list[str]:
    """The runs that somebody asked for; the schedules make theirs whenever the server comes to it."""
    runs = server.call("/flow_runs/filter", {})
    return [run["id"] for run in runs if "auto-scheduled" not in run["tags"]]


def test_the_command_that_starts_a_run_refuses_a_wrong_parameter_too(server: Server) -> None:
    """Its message names the parameter and what was expected."""
    done = server.prefect("deployment", "run", "daily/daily", "--param", "limit=0")
    assert done.returncode == 1
    assert "limit" in done.stdout + done.stderr


@pytest.mark.slow
def test_runs_of_a_worker_started_elsewhere(server: Server, tmp_path: Path) -> None:
    """The worker's environment and a run's job variables reach it, and the user's aggregations are found."""
    pause_schedules(server)
    project = Project.create(tmp_path / "project", server.url, dates(6))
    late = [server.run() for _ in range(3)]  # no worker is there yet
    with working(server, project) as worker:
        assert sorted(map(server.ended, late)) == ["CANCELLED", "CANCELLED", "COMPLETED"], worker.log()
        assert project.rows() == project.expected()
        [run] = [one for one in late if server.state(one) == "COMPLETED"]
        wait_until(lambda: server.task_states(run) == dict.fromkeys(dates(6), "COMPLETED"))
        wait_until(lambda: "planned 12 results of 6 days: 12 new" in server.log(run))

        narrowed = server.prefect(
            *("deployment", "run", "daily/daily", "--watch", "--param", 'days=["2024-01-02..2024-01-03"]'),
            *(
                "--param",
                'only=["totals"]',
                "--param",
                "force=true",
                "--job-variable",
                'env={"NOONMARK_NAMESPACE": "other"}',
            ),
        )
        assert narrowed.returncode == 0, narrowed.stdout + narrowed.stderr
        generations = {key: project.record(*key)["generation"] for key in project.expected()}
        assert {key for key, one in generations.items() if one == 2} == {
            ("totals", "2024-01-02"),
            ("totals", "2024-01-03"),
        }
        assert project.index()["other:{totals}:last_processed_day"] == b"2024-01-06"

        wrong: dict[str, dict[str, object]] = {
            "--days 'nonsense': 'nonsense' is not a day; expected a date": {"days": ["nonsense"]},
            "--only totls: there is no such aggregation; did you mean totals?": {"only": ["totls"]},
        }
        for words, parameters in wrong.items():
            run = server.run(parameters=parameters)
            assert server.ended(run) == "FAILED"
            assert words in server.flow_run(run)["state"]["message"]
        assert {key: project.record(*key)["generation"] for key in generations} == generations


@pytest.mark.slow
def test_repair_and_health_as_deployments(server: Server, project: Project) -> None:
    """They fail where something is wrong, and the message of the state says what, and which command mends it."""
    pause_schedules(server)
    project = replace(project, api_url=server.url)
    project.result("totals", "2024-01-02").write_bytes(b"PAR1 no more PAR1")
    with working(server, project) as worker:
        ill = server.run("health")
        assert server.ended(ill) == "FAILED", worker.log()
        message = server.flow_run(ill)["state"]["message"]
        assert "1 problem found: corrupt: totals 2024-01-02: " in message
        assert "(python -m flows." in message
        deep = server.run("repair", {"deep": True})
        assert server.ended(deep) == "FAILED", worker.log()
        assert (
            "1 result damaged, unreadable or computed from other bytes: totals 2024-01-02"
            in server.flow_run(deep)["state"]["message"]
        )
        assert server.ended(server.run()) == "COMPLETED", worker.log()
        assert project.rows() == project.expected()
        assert server.ended(server.run("health")) == "COMPLETED", worker.log()
