"""A laptop, a server, production: foreign indexes, outputs that must not be made, other users, and settings."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.health import check_health
from flows.opening import opened_index, opened_root
from flows.planned_run import preview
from flows.repair import repair_output
from state import settings as settings_module
from state.errors import ConfigurationError, Refused
from state.planner.plan import Selection
from state.settings import PROJECT, read_settings
from state.store.local.root import open_store
from tasks.catalog.load import Catalog, load
from tests.builders import commit, place
from tests.project import SHOPS, Finished, Project, Running, dates, dump
from tests.redis_servers import client_of, started

DAYS = dates(10)
ACCEPT = "python -m flows.repair --accept-output"
NAME = "environment_shops"
"""The module of the tests in this process; SHOPS itself may have been imported by another test."""


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """SHOPS, imported into this process."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / f"{NAME}.py").write_text(SHOPS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    yield load(NAME)
    sys.modules.pop(NAME)


def _set(patch: pytest.MonkeyPatch, project: Project, **extra: str) -> None:
    for name in [name for name in os.environ if name.startswith("NOONMARK_")]:
        patch.delenv(name)
    for name, value in project.environment(**extra).items():
        if name.startswith("NOONMARK_"):
            patch.setenv(name, value)


# An index that belongs to another output


@pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside of a flow
def test_a_foreign_index_is_left_alone_until_one_command_binds_it_anew(
    project: Project, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on without it and says so; health is red with the command, and green after it."""
    project.sell(DAYS[0], [("north", 1)])
    with started("--appendonly", "yes") as server, client_of(server.url) as client:
        client.set("noonmark:root", "another")
        for name in ("totals", "items_by_shop"):
            client.hset(f"noonmark:{{{name}}}:commits", "2020-01-01", b"of another output")
            client.sadd(f"noonmark:{{{name}}}:processed_days", "2020-01-01")
        client.set("unrelated", "stays")
        before = dump(client)
        _set(monkeypatch, project, NOONMARK_REDIS_URL=server.url)
        settings = read_settings()

        run = project.run(env={"NOONMARK_REDIS_URL": server.url})

        assert set(run.committed) == {(name, DAYS[0]) for name in ("totals", "items_by_shop")}
        [line] = [line for line in run.stderr.splitlines() if "going on without Redis" in line]
        assert "the index belongs to another output" in line
        assert ACCEPT in line
        assert dump(client) == before

        sick = check_health(settings, catalog).to_json()
        [problem] = sick["problems"]
        assert (sick["healthy"], problem["kind"], problem["command"]) == (False, "foreign_index", ACCEPT)
        assert repair_output(settings, catalog, deep=False, accept=False, dry_run=False).to_json()["added"] == 0
        assert dump(client) == before

        [interpreter, *words] = problem["command"].split()
        assert interpreter == "python"
        repair = Running(
            [sys.executable, *words, "--json"], project.checkout, project.environment(NOONMARK_REDIS_URL=server.url)
        ).finish()
        assert repair.code == 0, repair
        assert repair.json["added"] == 20
        healthy = check_health(settings, catalog).to_json()
        assert healthy["problems"] == []
        assert healthy["redis"]["append_only"] is True
        after = dump(client)
        assert (
            after["noonmark:root"] == json.loads((project.output / "_noonmark/root.json").read_text())["root"].encode()
        )
        assert after["noonmark:{totals}:processed_days"] == {day.encode() for day in DAYS}
        assert after["unrelated"] == b"stays"


# Production: an output that must be there


def test_a_missing_output_is_refused_where_it_must_not_be_made(
    project: Project, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOONMARK_CREATE_OUTPUT=false: neither a missing folder nor an empty mount point becomes an output."""
    env = {"NOONMARK_CREATE_OUTPUT": "false", "NOONMARK_REDIS_URL": "none"}
    _set(monkeypatch, project, **env)
    settings = read_settings()
    assert check_health(settings, catalog).to_json()["problems"] == []
    shutil.rmtree(project.output)
    for _ in ("missing", "empty"):
        before = project.tree()
        with pytest.raises(Refused, match="NOONMARK_CREATE_OUTPUT is false") as caught:
            repair_output(settings, catalog, deep=False, accept=False, dry_run=False)
        with pytest.raises(Refused, match="NOONMARK_CREATE_OUTPUT is false"):
            preview(settings, catalog, Selection())  # what a run would refuse has no plan
        assert str(project.output) in caught.value.message
        assert "mount it, correct NOONMARK_OUTPUT" in (caught.value.hint or "")
        [problem] = check_health(settings, catalog).to_json()["problems"]
        assert problem["kind"] == "refused"
        assert "NOONMARK_CREATE_OUTPUT is false" in problem["detail"]
        assert project.tree() == before
        project.output.mkdir(exist_ok=True)


def test_no_output_is_made_for_an_input_that_is_not_there(
    project: Project, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run with a wrong NOONMARK_INPUT ends before it has made anything."""
    _set(monkeypatch, project, NOONMARK_REDIS_URL="none")
    shutil.rmtree(project.output)
    shutil.rmtree(project.raw)
    settings = read_settings()
    with opened_index(settings) as index, pytest.raises(ConfigurationError, match="does not exist"):
        opened_root(settings, catalog, index)
    assert not project.output.exists()


# Other users


@pytest.fixture
def umask() -> Iterator[None]:
    """The umask is what it was afterwards."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(("mask", "readable"), [(0o022, True), (0o027, False), (0o077, False)])
def test_others_read_the_output_as_the_umask_says(open_folder: Path, umask: None, mask: int, readable: bool) -> None:
    """A reader who is another user sees results and folders under 022 and nothing under 077."""
    if os.geteuid() != 0:
        pytest.skip("only root can read as another user")
    os.umask(mask)
    with open_store(open_folder / "output", create=True, remembered=False) as root:
        commit(root)
        path = place(root)
    os.umask(0o022)
    read = subprocess.run(["cat", str(path)], user="nobody", group="nogroup", check=False, capture_output=True)
    assert (read.stdout == path.read_bytes()) is readable
    assert (read.returncode == 0) is readable
    modes = {
        one: one.stat().st_mode & 0o777 for one in [path, *path.parents] if one.is_relative_to(open_folder / "output")
    }
    assert modes.pop(path) == 0o666 & ~mask
    assert set(modes.values()) == {0o777 & ~mask}


# Where settings are


def test_the_env_file_serves_a_clone(tmp_path: Path, api_url: str) -> None:
    """Settings in .env, no variable at all, and any working directory: the clone's own folders are used."""
    clone = tmp_path / "clone"
    for name in ("flows", "tasks", "state"):
        shutil.copytree(PROJECT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "prefect.toml", clone)
    project = Project.create(tmp_path / "project", api_url, DAYS[:2], checkout=clone)
    shutil.copytree(project.raw, clone / "in/raw")
    shutil.copy(project.code / "shops.py", clone)
    (clone / ".env").write_text(
        "# a comment\nNOONMARK_INPUT=in/raw\nNOONMARK_OUTPUT='out put'\nNOONMARK_AGGREGATIONS=shops\n"
        "NOONMARK_REDIS_URL=none\nOTHER=ignored\n",
        encoding="utf-8",
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bare = {name: value for name, value in project.environment().items() if not name.startswith("NOONMARK_")}
    bare["PYTHONPATH"] = str(clone)

    def run(*arguments: str) -> Finished:
        return Running([sys.executable, "-m", "flows.daily", "--json", *arguments], elsewhere, bare).finish()

    assert len(run().committed) == 4
    assert len(list(clone.glob("out put/*/day=*/data.parquet"))) == 4
    assert list(elsewhere.iterdir()) == []

    with (clone / ".env").open("a", encoding="utf-8") as file:
        file.write("NOONMARK_WORKER=3\n")
    wrong = run("--dry-run")
    assert wrong.code == 2
    assert "did you mean NOONMARK_WORKERS?" in wrong.json["error"]["message"]


def _examples() -> dict[str, dict[str, str]]:
    """The whole examples of .env.example: those of a server and of production are indented, a laptop needs nothing."""
    _, server, production = re.split(
        r"^# (?:A server|Production), ", (PROJECT / ".env.example").read_text(), flags=re.M
    )
    found = {"laptop": "", "server": server, "production": production}
    return {name: dict(re.findall(r"^#   (NOONMARK_\w+)=(.*)$", block, re.M)) for name, block in found.items()}


EXAMPLES = _examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_settings_are_settings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example is read without complaint, as written into .env, and its paths are what they say."""
    for variable in [one for one in os.environ if one.startswith("NOONMARK_")]:
        monkeypatch.delenv(variable)
    file = tmp_path / ".env"
    file.write_text("".join(f"{key}={value}\n" for key, value in EXAMPLES[name].items()), encoding="utf-8")
    monkeypatch.setattr(settings_module, "ENV_FILE", file)
    monkeypatch.setitem(settings_module.Settings.model_config, "env_file", file)
    monkeypatch.chdir(tmp_path)
    read = read_settings()
    assert read.output == PROJECT / EXAMPLES[name].get("NOONMARK_OUTPUT", "data/aggregates")
    assert read.create_output is (name == "laptop")
    assert "secret" not in repr(read)


def test_relative_roots_start_at_the_project(
    finished: Project, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whatever folder a worker runs, a relative root is the project's, so the same days are found."""
    monkeypatch.setattr(settings_module, "PROJECT", finished.folder)
    _set(monkeypatch, finished, NOONMARK_INPUT="raw", NOONMARK_OUTPUT="output", NOONMARK_REDIS_URL="none")
    for folder in (tmp_path, finished.raw, Path("/")):
        monkeypatch.chdir(folder)
        assert preview(read_settings(), catalog, Selection()).to_json()["plan"] == []
