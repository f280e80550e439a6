"""Health: looks at everything, changes nothing, and says what losing Redis would cost."""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from flows.health import check_health
from flows.repair import repair_output
from flows.report.terminal import show_health
from state.errors import Refused
from state.settings import Settings, read_settings
from tasks.catalog.load import Catalog, load
from tasks.diagnosis import causes_of
from tests.project import SHOPS, Finished, Project, Running, dates, wait_until
from tests.redis_servers import client_of, started

DAYS = dates(10)


@contextmanager
def inside(project: Project, **env: str) -> Iterator[tuple[Settings, Catalog]]:
    """Settings and catalog of a project, as a command of it would have them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.environment(**env).items():
            if name.startswith("NOONMARK_"):
                patch.setenv(name, value)
        patch.syspath_prepend(str(project.code))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setattr(logging.getLogger("noonmark"), "disabled", True)  # Prefect wants a run for what is logged
        patch.delitem(sys.modules, "shops", raising=False)
        importlib.invalidate_caches()
        settings = read_settings()
        yield settings, load(settings.aggregations)
        sys.modules.pop("shops", None)


def examined(project: Project, **env: str) -> dict[str, Any]:
    """What health reports, without Prefect."""
    with inside(project, **env) as (settings, catalog):
        return check_health(settings, catalog).to_json()


def mended(project: Project, *, deep: bool = False, accept: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """What repair does and reports, without Prefect."""
    with inside(project) as (settings, catalog):
        return repair_output(settings, catalog, deep=deep, accept=accept, dry_run=dry_run).to_json()


def command(project: Project, name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Running:
    """Start ``python -m flows.<name>`` of a project."""
    words = [sys.executable, "-m", f"flows.{name}", *arguments]
    return Running(words, project.checkout, project.environment(**(env or {})))


def at(project: Project, url: str, database: int = 0) -> Project:
    """The same project with its index on another server, where it is made anew."""
    moved = replace(project, redis_url=f"{url}?db={database}")
    assert mended(moved)["added"] > 0
    return moved


def kinds(report: Mapping[str, Any]) -> set[str]:
    """The kinds of the problems of a report."""
    return {one["kind"] for one in report["problems"]}


def _everything(project: Project) -> dict[str, Any]:
    """Every path of input, output and Redis's folder: content, mode, times (of reading apart) and inode."""
    found = {}
    for folder in (project.raw, project.output, project.redis):
        for path in sorted([folder, *folder.rglob("*")]):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            found[str(path)] = (content, status.st_mode, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return found


def _differing(before: tuple[dict[str, Any], ...], after: tuple[dict[str, Any], ...]) -> list[str]:
    """The paths that are new, gone or other than before."""
    both = zip(before, after, strict=True)
    return [path for one, two in both for path in sorted({*one, *two}) if one.get(path) != two.get(path)]


def _dumped(client: redis.Redis) -> dict[bytes, Any]:
    return {key: (client.dump(key), client.pttl(key)) for key in client.scan_iter()}


def _harm(project: Project) -> None:
    project.result("totals", DAYS[0]).write_bytes(b"mine")
    project.result("totals", DAYS[1]).unlink()
    with project.sales_file(DAYS[2]).open("a", encoding="utf-8") as file:
        file.write("east,7\n")
    shutil.rmtree(project.sales_file(DAYS[3]).parent)
    project.sales_file(DAYS[4]).touch()
    project.sell("2024-01-12", [("north", 3)])
    (project.output / "_noonmark/tmp/left.tmp").touch()
    (project.output / "totals/notes").write_text("mine")


def test_health_changes_nothing(project: Project, tmp_path: Path) -> None:
    """Read-only in fact: trees with contents and times, and a running Redis with lifetimes, before and after.

    Where the embedded server does not run it is not started, and a harmed project stays as it is.
    """
    harmed = project.copy(tmp_path / "harmed")
    _harm(harmed)
    with project.client() as client:
        client.set("noonmark:{totals}:lease:2024-01-01", "somebody", ex=1000)
        client.hset("noonmark:{totals}:commits", "2024-01-01", "wrong")
        client.persist("noonmark:{totals}:lease:2024-01-01")
        # Where a flush is under way, Redis answers first and writes to its file up to two seconds later.
        wait_until(lambda: client.info("persistence")["aof_buffer_length"] == 0)
        before, keys = (_everything(project), _everything(harmed)), _dumped(client)
        runs = [command(one, "health", "--json") for one in (project, harmed)]
        ends = [run.finish() for run in runs]
        assert _dumped(client) == keys
        assert _differing(before, (_everything(project), _everything(harmed))) == []
    assert [end.code for end in ends] == [1, 1]
    assert kinds(ends[0].json) == {"index"}
    assert kinds(ends[1].json) == {"corrupt", "new", "changed"}  # without an index a lost result is new
    assert ends[1].json["redis"]["absence"] == "no embedded server is running"
    assert harmed.processes() == []
    for end in ends:
        assert set(end.json) >= {"healthy", "problems", "counts"}
        assert all(set(one) == {"kind", "aggregation", "day", "detail", "command"} for one in end.json["problems"])


def test_a_good_project_is_healthy(finished: Project) -> None:
    """With its index and without one: no problem, every day counted, and said in a line."""
    for _ in range(2):
        report = examined(finished)
        assert report["healthy"]
        assert report["problems"] == []
        assert report["counts"] == {"items_by_shop": {"done": 10}, "totals": {"done": 10}}
    with finished.client():
        report = examined(finished)
    assert report["healthy"]
    assert report["warnings"] == []
    assert "absence" not in report["redis"]
    assert report["redis"]["flush"] == "everysec"


def test_health_says_how_durable_redis_is_and_what_losing_it_would_cost(project: Project) -> None:
    """Warnings with commands, which are no problems: what is lost is a scan of so many commits."""
    with started("--maxmemory-policy", "allkeys-lru") as server:
        project = at(project, server.url)
        report = examined(project)
        assert report["healthy"]
        assert [one["command"] for one in report["warnings"]] == [
            "redis-cli CONFIG SET appendonly yes",
            "redis-cli CONFIG SET maxmemory-policy noeviction",
        ]
        assert all(one["detail"].startswith("Redis: ") for one in report["warnings"])
        assert report["redis"]["cost"].startswith("if it is lost, a scan of 20 commits rebuilds it, in about ")
        with client_of(server.url) as client:
            for one in report["warnings"]:
                client.execute_command(*one["command"].split()[1:])
        assert examined(project)["warnings"] == []
        with started("--replicaof", "127.0.0.1", "1", "--masterauth", "hush", wait=False) as replica:
            report = examined(replace(project, redis_url=replica.url))
            told = {one["detail"]: one["command"] for one in report["warnings"]}
            assert told["Redis: it is a replica, which takes no writes"] == "point NOONMARK_REDIS_URL at the primary"
            assert "hush" not in json.dumps(report)


def test_commits_that_are_to_be_replaced_count_in_the_cost(project: Project) -> None:
    """A scan reads every commit, those that are outdated or changed too."""
    project.declare(SHOPS.replace("version=1)\ndef totals", "version=2)\ndef totals"))
    assert "a scan of 20 commits" in examined(project)["redis"]["cost"]


def test_changed_code_is_a_warning_with_its_name(project: Project) -> None:
    """The version is the user's word: health says that it may be wanted, and is green."""
    project.declare(SHOPS.replace("sales=pl.len(), items", "sales=pl.len() * 2, items"))
    report = examined(project)
    assert report["healthy"]
    [warning] = report["warnings"]
    assert warning["detail"].startswith("totals: its code changed since 10 days")
    assert warning["hint"] == "raise version= of totals where its results differ now"
    assert warning["command"] == "python -m flows.daily"


def test_a_marker_of_newer_code_is_refused_and_not_offered_for_acceptance(project: Project) -> None:
    """It is not damaged, so nothing of ours may replace it: neither health nor --accept-output."""
    marker = project.output / "_noonmark/root.json"
    marker.write_text('{"format": 3, "root": "r"}')
    with pytest.raises(Refused, match="format 3"):
        examined(project)
    with pytest.raises(Refused, match="format 3"):
        mended(project, accept=True)
    assert marker.read_text() == '{"format": 3, "root": "r"}'


def test_an_output_that_may_not_be_created_is_refused_before_its_days_are_called_new(project: Project) -> None:
    """NOONMARK_CREATE_OUTPUT=false and an empty mount point: the days are not new, the output is not there."""
    shutil.rmtree(project.output)
    report = examined(project, NOONMARK_CREATE_OUTPUT="false")
    assert kinds(report) == {"refused"}
    assert "NOONMARK_CREATE_OUTPUT is false" in report["problems"][0]["detail"]
    assert not project.output.exists()
    found = examined(project)
    assert kinds(found) == {"output"}
    [problem] = found["problems"]
    assert problem["detail"].startswith(
        f"no output of Noonmark is at {project.output}, though earlier runs left an index"
    )
    assert problem["command"] == "python -m flows.health"
    shutil.rmtree(project.redis)
    [problem] = examined(project)["problems"]
    assert problem["detail"] == f"no output of Noonmark is at {project.output}"
    assert problem["command"] == "python -m flows.daily", "nothing says that there ever was one"


def test_a_person_reads_the_problems_with_their_commands(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """At most some of them; hundreds would hide the rest. Names are shown as they are, not as markup."""
    _harm(project)
    with inside(project) as (settings, catalog):
        report = check_health(settings, catalog)
        show_health(report, settings)
        told = capsys.readouterr().out
        for one in causes_of(report.problems):
            assert f"→ {one.command}" in told
            assert str(one) in told
        many = tuple(replace(report.problems[0], day="[bold]", detail=f"why {at}") for at in range(400))
        show_health(replace(report, problems=many), settings)
        told = capsys.readouterr().out
    assert "400 problems" in told
    assert "390 more" in told
    assert "[bold]" in told
    assert len(told.splitlines()) < 60


def test_a_storage_error_is_no_verdict(project: Project) -> None:
    """Exit 4: an output that cannot be opened is neither healthy nor empty."""
    shutil.rmtree(project.output)
    project.output.symlink_to(project.output.name)
    end: Finished = command(project, "health", "--json").finish()
    assert end.code == 4
    assert str(project.output) in end.json["error"]["message"]
    assert "Traceback" not in end.stderr


def test_what_is_left_of_an_aggregation_that_is_gone_is_a_problem(project: Project) -> None:
    """Its folder was deleted, as the runbook says; the index is then too large, and the command mends that."""
    with started() as server, client_of(server.url) as client:
        indexed = at(project, server.url)
        client.hset("noonmark:{ghost}:commits", "2024-01-01", "{}")
        [problem] = examined(indexed)["problems"]
        assert (problem["kind"], problem["command"]) == ("index", "python -m flows.repair")
        assert mended(indexed)["removed"] == 1
        assert examined(indexed)["healthy"]
