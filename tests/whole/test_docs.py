"""The documents say what is so: their commands, code, names, figures and links are tried or looked up.

What is only looked up in the code, table by table, is in ``test_reference.py``.
"""

from __future__ import annotations

import ast
import gzip
import importlib
import inspect
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

from examples.nycflights import FLIGHT_DAYS, WEATHER_DAYS, lay_out
from flows.__main__ import COMMANDS
from state.inputs.root import InputRoot
from state.outputs import scan
from state.result.record import CommitRecord, SourceRecord
from state.settings import PREFIX
from tasks.formats.formats import FORMATS
from tasks.inputs.run_listing import RunListing
from tasks.reading.day_input import read_day
from tasks.reading.sound_files import SoundFiles
from tests.documents import (
    DOCUMENTS,
    FOR_USERS,
    INPUTS,
    OWN_DATA,
    READING,
    README,
    RUNBOOK,
    SCHEDULING,
    all_blocks,
    block,
    blocks,
    named,
    table,
    text_of,
    tracked,
)
from tests.project import CHECKOUT, Project, dates

DAYS = ("2013-12-29", "2013-12-30", "2013-12-31")


def shape(line: str) -> str:
    """A line without its numbers, dates and widths, and with one form for singular and plural."""
    plain = re.sub(r"\d{4}-\d\d-\d\d|\d[\d,.]*\d|\d", "#", line)
    return re.sub(r"\s+", " ", re.sub(r"\b(result|day|file)s\b", r"\1", plain)).strip()


def shapes(text: str) -> list[str]:
    """The shape of each line that says something."""
    return [shape(line) for line in text.splitlines() if line.strip()]


def printed(text: str) -> list[str]:
    """The lines of what a command printed, without seconds and without the spaces at their ends."""
    return [re.sub(r"\b(in|about|in about) \d+\.\d s", r"\1 # s", line).rstrip() for line in text.splitlines()]


def numbers(line: str) -> list[int]:
    """The whole numbers of a line, dates and fractions left out."""
    plain = re.sub(r"\d{4}-\d\d-\d\d|\d+\.\d+", "", line)
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", plain)]


@dataclass(frozen=True)
class Clone:
    """A copy of the checkout with three days of the sample."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy's folder, with its streams in one. It must end well."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended

    def daily(self) -> list[str]:
        """The shapes of what ``python -m flows.daily`` prints, in the order of the letters."""
        return sorted(shapes(self.run(sys.executable, "-m", "flows.daily").stdout))


@pytest.fixture(scope="module")
def clone(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy whose three days are not computed yet."""
    folder = tmp_path_factory.mktemp("docs") / "a clone"
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / path, folder / path)
    lay_out(folder / "all")
    for name in ("flights", "weather"):
        for day in DAYS:
            if (folder / "all" / name / day).is_dir():
                shutil.copytree(folder / "all" / name / day, folder / "data/raw" / name / day)
    shutil.rmtree(folder / "all")
    environment = Project(folder, api_url).environment()
    (folder / "home").mkdir()
    ours = {name for name in environment if name.startswith(PREFIX)} | {"PYTHONPATH"}
    return Clone(folder, {name: value for name, value in environment.items() if name not in ours})


def copy_of(clone: Clone, folder: Path) -> Clone:
    """A copy of the copy, to be changed."""
    shutil.copytree(clone.folder, folder, ignore=shutil.ignore_patterns("home"))
    return Clone(folder, clone.environment)


@pytest.fixture(scope="module")
def first(clone: Clone) -> list[str]:
    """What the first run in the copy prints."""
    return clone.daily()


def test_the_readme_opens_with_what_it_is_and_the_two_commands() -> None:
    """One sentence, then the two commands, before anything else is explained."""
    text = text_of(README)
    opening = text.partition("```")[0].splitlines()
    assert opening[0] == "# Noonmark"
    assert opening[2].startswith("Noonmark finds the days")
    assert [line.partition("#")[0].strip() for line in blocks(README, "sh")[0].splitlines()] == [
        "make run",
        "make test",
    ]


def test_every_make_target_that_is_named_exists() -> None:
    """A document names no target that the Makefile lacks."""
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.M))
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:`|^)make ([a-z]+)", text_of(document), re.M))
        assert named <= targets, document
    assert {"run", "test", "setup", "lint"} <= targets


def test_the_readmes_output_is_what_a_run_prints(clone: Clone, first: list[str]) -> None:
    """Line by line: only numbers, dates and the width of columns may differ from a run over another sample."""
    shown = block(README, "text", "planned 1,823 results")
    of_the_run = shown[shown.index("planned") :].splitlines()
    [server] = [line for line in of_the_run if line.startswith("Prefect's temporary server took ")]
    of_the_run.remove(server)  # the tests have a server that is there to stay
    assert sorted(shapes("\n".join(of_the_run))) == first
    [again] = re.findall(r"`(Nothing to do: [^`]*)`", text_of(README))
    [gap] = [line for line in shown.splitlines() if line.startswith("Not computed")]
    assert sorted([shape(again), shape(gap)]) == clone.daily()


def test_the_readmes_numbers_add_up() -> None:
    """The table's days and rows are the sample's, and the line below it has their sums."""
    lines = block(README, "text", "planned 1,823 results").splitlines()
    table = [line for line in lines if re.match(r"\w+ +\d", line) and "results" not in line]
    [total] = [line for line in lines if "committed" in line]
    assert [line.split()[0] for line in table] == sorted(line.split()[0] for line in table)
    assert {line.split()[0]: numbers(line)[0] for line in table} == {
        "busiest_routes": len(FLIGHT_DAYS),
        "delays_by_hour_and_origin": len(FLIGHT_DAYS),
        "delays_by_weather": len(WEATHER_DAYS),
        "departures_by_carrier": len(FLIGHT_DAYS),
        "weather_by_origin": len(WEATHER_DAYS),
    }
    results, days, rows = numbers(total)
    assert (results, rows) == (sum(numbers(line)[0] for line in table), sum(numbers(line)[1] for line in table))
    assert days == len(FLIGHT_DAYS)


def test_the_readmes_example_is_a_whole_aggregation(clone: Clone, first: list[str]) -> None:
    """The block, put where the README says, is computed for every day and nothing else is."""
    path = clone.folder / "aggregations/distances.py"
    path.write_text(block(README, "python", "def miles_by_origin"), encoding="utf-8")
    [planned] = re.findall(r"`(planned 365 results [^`]*)`", text_of(README))
    shown = f"""{planned}
aggregation      days   rows       first        last
miles_by_origin   365  1,095  2013-01-01  2013-12-31
365 results of 365 days committed, 1,095 rows, in 7.8 s
Not computed: 1 without input (2013-12-31)
Results are in data/aggregates. In Python:
  pl.read_parquet("data/aggregates/miles_by_origin")
"""
    try:
        assert sorted(shapes(shown)) == clone.daily()
    finally:
        path.unlink()
    found = pl.read_parquet(clone.folder / "data/aggregates/miles_by_origin")
    raw = pl.concat(
        [
            pl.read_csv(clone.folder / f"data/raw/flights/{day}/flights.csv", null_values=["NA"], infer_schema=False)
            for day in DAYS
        ]
    ).filter(pl.col("dep_time").is_not_null())
    assert (found["flights"].sum(), found["miles"].sum()) == (raw.height, raw["distance"].cast(pl.Int64).sum())
    shutil.rmtree(clone.folder / "data/aggregates/miles_by_origin")


def test_a_late_file_recomputes_its_day_and_prints_this(clone: Clone, first: list[str], tmp_path: Path) -> None:
    """The README's day is one of the sample's, so every number but the seconds is the same."""
    mine = copy_of(clone, tmp_path / "late")
    arrives, runs = block(README, "sh", "late.csv").splitlines()
    mine.run("sh", "-c", arrives)
    told = printed(mine.run(sys.executable, *runs.split()[1:]).stdout)
    shown = printed(block(README, "text", "4 changed"))
    assert told[: len(shown)] == shown
    assert [line for line in told[len(shown) :] if "Results are" not in line and "pl.read_parquet" not in line] == [
        "Not computed: 1 without input (2013-12-31)"
    ]
    (mine.folder / arrives.split()[-1]).unlink()
    again = printed(mine.run(sys.executable, *runs.split()[1:]).stdout)
    assert again[0] == shown[0], "and once more when it goes"


def test_the_way_to_own_data_leads_there(clone: Clone, first: list[str], tmp_path: Path) -> None:
    """From the samples to one's own files: each command of the page in its order, and exactly what it prints."""
    mine = copy_of(clone, tmp_path / "mine")
    raw = tmp_path / "shop"
    for day in dates(4):
        (raw / "sales" / day).mkdir(parents=True)
        (raw / "sales" / day / "a.csv").write_text("shop,items\nnorth,1\nnorth,2\nsouth,5\n")
    page = all_blocks(OWN_DATA)
    ran = []
    for (language, text), (after, shown) in zip(page, [*page[1:], ("", "")], strict=True):
        if language == "python" and "def items_by_shop" in text:
            (mine.folder / "aggregations/shop.py").write_text(text, encoding="utf-8")
        if language != "sh":
            continue
        [line] = text.splitlines()
        words = line.split()
        if words[0] == "python":
            told = mine.run(sys.executable, *words[1:]).stdout
        else:
            told = mine.run("sh", "-c", line.replace("/data/shop", str(raw))).stdout
        ran.append(line)
        if after == "text":
            assert printed(told.replace(str(mine.folder.resolve()), "/srv/noonmark")) == printed(shown)
    assert ran == [
        "rm -rf aggregations/*.py data .noonmark",
        "echo NOONMARK_INPUT=/data/shop > .env",
        "python -m flows.daily --dry-run",
        "python -m flows.daily --limit 3 --newest-first",
        "python -m flows.daily --force --only items_by_shop --days 2024-01-02..2024-01-04",
        "python -m flows.daily",
        "python -m flows.health",
    ]
    assert pl.read_parquet(mine.folder / "data/aggregates/items_by_shop")["items"].to_list() == [3, 5] * 4
    readmes = [line.partition(" #")[0].strip() for line in block(README, "sh", "rm -rf aggr").splitlines()]
    assert readmes == ran[:2]


def test_the_runbook_starts_over(clone: Clone, first: list[str], tmp_path: Path) -> None:
    """Both ways, one after the other: each computes every result anew."""
    mine = copy_of(clone, tmp_path / "over")
    ways = [text for text in blocks(RUNBOOK, "sh") if text.startswith("rm -rf data/aggregates")]
    assert len(ways) == 2
    for way in ways:
        deletes, *runs = way.splitlines()
        mine.run("sh", "-c", deletes)
        told = [mine.run(sys.executable, *line.split()[1:]).stdout for line in runs]
        assert told[-1].startswith("planned 13 results of 3 days: 13 new\n")


@pytest.mark.parametrize(
    ("words", "shows"),
    [("tail -n 1", "day=2013-12-31\n"), ("ps -eo", "prefect server start")],
    ids=["newest", "servers"],
)
def test_what_the_runbook_looks_at_is_there(clone: Clone, first: list[str], words: str, shows: str) -> None:
    """The newest day of an aggregation, and the servers that run: here that of the tests."""
    assert shows in clone.run("sh", "-c", block(RUNBOOK, "sh", words)).stdout


def test_without_the_environment_one_line_says_what_to_type(clone: Clone) -> None:
    """As ``python3 -m flows.daily`` does before ``make setup``, or before the environment is activated."""
    words = [sys.executable, "-I", "-S", "-c", "import sys; sys.path[:0] = ['.']; import flows.daily"]
    ended = subprocess.run(words, cwd=clone.folder, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    first, step = ended.stderr.splitlines()
    assert first.endswith("has no Prefect: the project's environment is not active")
    assert step == "  → in the project's folder: make setup && . .venv/bin/activate"


def test_the_commands_are_listed() -> None:
    """``python -m flows`` names every flow's module, and nothing else."""
    listed = re.findall(r"^python -m flows\.(\w+) ", COMMANDS, re.M)
    modules = (CHECKOUT / "flows").glob("[!_]*.py")
    assert listed == sorted(path.stem for path in modules if "@flow(" in path.read_text())


def test_the_sources_of_the_page_are_declarations(tmp_path: Path) -> None:
    """Each form of a source is one, of the kind and with the paths that the page says."""
    names: dict[str, Any] = {}
    exec(compile(block(OWN_DATA, "python", "events = Source"), OWN_DATA, "exec"), names)
    dated = ("flights", "events", "clicks", "returns")
    assert {names[name].template.kind for name in dated} == {"date"}
    assert {name: names[name].template.pattern("2013-01-31") for name in dated} == {
        "flights": "flights/2013-01-31/*.csv",
        "events": "2013/01/31/events-*.ndjson.gz",
        "clicks": "clicks/2013/clicks-0131.parquet",
        "returns": "/mnt/returns/**/20130131.csv.zst",
    }
    assert names["orders"].template.kind == "int"
    assert names["orders"].template.pattern("10") == "10/orders_10.csv"
    assert names["returns"].name == "returned"


def test_the_source_of_events_of_the_page_takes_them(tmp_path: Path) -> None:
    """From the files of three days, in the day of its zone, and no heartbeat."""
    names: dict[str, Any] = {}
    exec(compile(block(INPUTS, "python", "visits = Source"), INPUTS, "exec"), names)
    (tmp_path / "visits").mkdir()
    for day, times in {"2024-07-01": (1719784800, 1719871199.5), "2024-07-02": (1719871200,)}.items():
        lines = [f'{{"ts": {time}, "kind": "view", "page": "home"}}\n' for time in times]
        content = "".join([*lines, '{"ts": null, "kind": "heartbeat", "page": null}\n']).encode()
        (tmp_path / f"visits/{day}.ndjson.gz").write_bytes(gzip.compress(content))
    found = read_day(names["visits"], "2024-07-01", RunListing(InputRoot(tmp_path)), SoundFiles())
    assert found
    assert found.frame().collect()["ts"].to_list() == [1719784800, 1719871199.5]


def test_the_reference_of_the_page_is_joined() -> None:
    """The table comes after the day's frame, and is declared as the page says."""
    names: dict[str, Any] = {}
    exec(compile(block(INPUTS, "python", "def items_by_city"), INPUTS, "exec"), names)
    sales, shops = (
        pl.LazyFrame({"shop": ["n", "s"], "items": [1, 2]}),
        pl.LazyFrame({"shop": ["n", "s"], "city": "Ulm"}),
    )
    assert names["items_by_city"](sales, shops).collect().rows() == [("Ulm", 3)]
    assert names["shops"].template.pattern("") == "shops.csv"


def test_the_suffixes_of_the_page_are_the_formats() -> None:
    """All of them, plain and packed."""
    [line] = re.findall(r"^- \*\*Format\.\*\* (.*?)^- ", text_of(INPUTS), re.M | re.S)
    plain, packed = (re.findall(r"`(\.\w+)`", part) for part in line.split(";"))
    text = [suffix for suffix in plain if suffix != ".parquet"]
    assert {*plain, *(suffix + ending for suffix in text for ending in packed)} == set(FORMATS)


@pytest.mark.parametrize(
    ("words", "gives"),
    [
        ("pl.read_parquet", "late"),
        ("import scan", "frame"),
        ("duckdb", "rows"),
        ("pandas", "frame"),
        ("read_metadata", "record"),
    ],
)
def test_the_readers_of_the_page_read(clone: Clone, first: list[str], words: str, gives: str) -> None:
    """Each way to read results runs as it stands, in the project's folder, and gives rows."""
    code = block(READING, "python", words) + f"\nprint(len({gives}))\n"
    assert int(clone.run(sys.executable, "-c", code).stdout) > 0


def test_the_readers_of_the_page_give_the_day_these_types(clone: Clone, first: list[str]) -> None:
    """A Date, a DATE, and a category of texts."""
    folder = clone.folder / "data/aggregates/departures_by_carrier"
    assert pl.read_parquet(folder).schema["day"] == pl.Date
    files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    assert duckdb.execute(f"SELECT DISTINCT typeof(day) FROM {files}").fetchall() == [("DATE",)]
    days = pd.read_parquet(folder)["day"]
    assert days.dtype == "category"
    assert sorted(days.cat.categories) == list(DAYS)


def test_the_arguments_of_scan_are_those_of_the_page() -> None:
    """Every argument but the aggregation, and no other."""
    shown = [named(cell)[0].partition("=")[0] for cell, _ in table(READING, "argument", "means")]
    assert ["aggregation", *shown] == list(inspect.signature(scan).parameters)


def test_the_fields_of_a_commit_record_are_those_of_the_page() -> None:
    """Every field of the JSON, and each of a source's."""
    rows = table(READING, "field", "holds")
    shown = [name for cell, _ in rows for name in named(cell)]
    assert sorted(shown) == sorted([*CommitRecord._fields, "check", "seal"])
    [inputs] = [holds for cell, holds in rows if cell == "`inputs`"]
    assert sorted(named(inputs)) == sorted(SourceRecord._fields)


def test_the_deployment_is_registered_and_knows_its_folder(clone: Clone) -> None:
    """The page's commands register ``daily``; it is loaded from the folder in which they ran."""
    commands = block(SCHEDULING, "sh", "prefect deploy --all").splitlines()
    prefect = [sys.executable, "-m", "prefect"]
    for line in commands:
        if line.startswith(("prefect work-pool create", "prefect deploy ")):
            clone.run(*prefect, *line.split()[1:])
    shown = clone.run(*prefect, "deployment", "inspect", "daily/daily", "-o", "json").stdout
    found = json.loads(shown[shown.index("{") :])
    [step] = found["pull_steps"]
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": str(clone.folder.resolve())}}
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["global_concurrency_limit"]["limit"] == 1
    assert [one["schedule"]["cron"] for one in found["schedules"]] == ["15 5 * * *"]


def test_deployments_are_the_flows() -> None:
    """Each deployment's entry point is a flow of its name, with a pool that the page makes and its parameters."""
    # imported so, since it ships no types
    described = importlib.import_module("yaml").safe_load(text_of("prefect.yaml"))
    flows = {}
    for deployment in described["deployments"]:
        path, _, function = deployment["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function)
        assert flow.name == deployment["name"] == function
        assert f"prefect work-pool create {deployment['work_pool']['name']} " in text_of(SCHEDULING)
        assert f"prefect worker start --pool {deployment['work_pool']['name']}\n" in text_of(SCHEDULING)
        flows[f"{function}/{function}"] = flow
    assert [named(cell) for cell, *_ in table(SCHEDULING, "deployment", "runs", "does")] == [[name] for name in flows]
    lines = re.findall(r"^prefect deployment run (\S+)(.*)$", text_of(SCHEDULING), re.M)
    asked = [(name, parameter) for name, rest in lines for parameter in re.findall(r"--param '?(\w+)=", rest)]
    assert {name for name, _ in asked} == {"daily/daily", "repair/repair"}
    for name, parameter in asked:
        assert parameter in inspect.signature(flows[name].fn).parameters


def test_the_crontab_of_the_page_runs(clone: Clone, first: list[str], tmp_path: Path) -> None:
    """Each line, with the clone in the place of the folder that it names."""
    mine = copy_of(clone, tmp_path / "srv")
    (mine.folder / ".venv/bin").mkdir(parents=True)
    python = mine.folder / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    lines = block(SCHEDULING, "text", "cd /srv/noonmark").splitlines()
    assert len(lines) == 3
    for line in lines:
        *when, command = line.split(" ", 5)
        assert all(re.fullmatch(r"\*|\d+", one) for one in when)
        assert mine.run("sh", "-c", command.replace("/srv/noonmark", str(mine.folder))).stdout


def test_the_rooms_are_the_tree() -> None:
    """CONTRIBUTING lists every package of the code with all its modules, and no other."""
    listed: dict[str, list[str]] = {}
    room = ""
    for line in block("CONTRIBUTING.md", "text", "flows/cli/").splitlines():
        if line.startswith(" "):
            listed[room] += line.split()
        else:
            room = line.split()[0]
            listed[room] = []
    found: dict[str, list[str]] = {}
    for path in sorted(path for path in tracked() if re.match(r"(flows|tasks|state)/.*\.py$", path)):
        folder, _, name = path.removesuffix(".py").rpartition("/")
        if name != "__init__":
            found.setdefault(f"{folder}/", []).append(name)
    assert listed == found


def test_the_listings_are_the_tree() -> None:
    """CONTRIBUTING lists what lies at the top: its folders, but for the rooms, and its files, each in their order."""
    top = {path.partition("/")[0] + "/" * ("/" in path) for path in tracked()} - {"flows/", "tasks/", "state/"}
    listed = [line.split()[0] for line in block("CONTRIBUTING.md", "text", "pyproject.toml ").splitlines()]
    assert listed == sorted(top, key=lambda name: (not name.endswith("/"), name))


TOOLS = {
    "Noonmark": "noonmark",
    "plain polars loop": "plain",
    "DuckDB, partitioned write": "duckdb_partitions",
    "Luigi": "luigi_range",
    "Prefect, one task a day": "prefect_naive",
    "Dagster": "dagster_partitions",
    "SQLMesh on DuckDB": "sqlmesh_daily",
}


def test_the_readmes_figures_are_the_measured_ones() -> None:
    """Of each tool the cost of a day and the whole run, and the figures of what Noonmark loses."""
    measured = "".join(text_of(f"benchmarks/results/{name}.md") for name in ("peers", "huge"))
    medians = dict(re.findall(r"^\| ([^|]+?) \| (-?[\d.,]+(?: \w+)*) \(", measured, re.M))
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+ ms) \| ([\d.]+ s) \| (yes|no) \|", text_of(README), re.M)
    assert [name for name, *_ in rows] == list(TOOLS)
    [remembering] = re.findall(r"^- These remember which days are done: (.*?)\.", measured, re.M)
    for name, day, whole, remembers in rows:
        tool = TOOLS[name]
        assert medians[f"365 days: {tool}, cost"] == f"{day} a day"
        assert medians[f"365 days: {tool}, whole process"] == whole
        assert (remembers == "yes") == (tool == "noonmark" or tool in remembering.split(", "))
    [loses] = re.findall(r"^What Noonmark loses: .*?\n\n", text_of(README), re.M | re.S)
    against = "cost per day against duckdb_partitions"
    assert 0.2 < 1 / float(medians[f"365 days: {against}"]) < 0.3
    assert 0.35 < 1 / float(medians[f"2,526 days: {against}"]) < 0.45
    assert f"starts in {medians['365 days: luigi_range, empty run, whole process']}, " in loses.replace("\n", " ")
    assert f"Noonmark in {medians['365 days: noonmark, empty run, whole process']}." in loses.replace("\n", " ")
    most, least = (
        medians[f"a {groups} groups, 50 million rows: time against plain polars, streaming"]
        for groups in ("hundred", "million")
    )
    assert f"{least} to {most} times" in loses.replace("\n", " ")


@pytest.mark.parametrize("document", FOR_USERS)
def test_users_read_one_word_for_one_thing(document: str) -> None:
    """A checksum, a temporary file and to fix; the JSON field ``seal`` keeps its name."""
    text = text_of(document).replace("`seal`", "")
    assert not re.findall(r"\b(?:mend\w*|drafts?|seal\w*)\b", text, re.IGNORECASE)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_and_test_that_is_named_exists(document: str) -> None:
    """A path or a dotted name in a document is one of the tree's; a test is one of its file's."""
    text = text_of(document)
    for path in re.findall(r"`((?:\.ci|aggregations|docs|examples|flows|state|tasks|tests)/[\w./]*\w)`", text):
        # Two are to be made, and one is not.
        if path not in ("aggregations/distances.py", "aggregations/shop.py", "flows/tasks.py"):
            assert (CHECKOUT / path).exists(), path
    for dotted in re.findall(r"`((?:flows|state|tasks)(?:\.\w+)+)(?:\(\))?`", text):
        assert pkgutil.resolve_name(dotted), dotted
    for file, test in re.findall(r"`(?:tests/)?(test_\w+\.py)(?:::(\w+))?`", text):
        assert test in {"", *functions_of(file)}, f"{file}::{test}"
    for constant in re.findall(r"`([A-Z]+_(?:NS|SECONDS|BYTES|DAYS))`", text):
        assert any(re.search(rf"^{constant} =", text_of(path), re.M) for path in tracked() if path.endswith(".py"))


def functions_of(file: str) -> set[str]:
    """The names of all functions in a test file, which is named without its folder."""
    [path] = [one for one in tracked() if one.startswith("tests/") and one.endswith(f"/{file}")]
    tree = ast.parse(text_of(path))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_point_of_the_first_page_has_its_test() -> None:
    """No row of the two tables that answer that page lacks a module or a test."""
    answered = text_of("docs/origin.md")
    rows = [line for line in answered.splitlines() if line.startswith("| ") and "lives in" not in line]
    assert len(rows) == 15
    for row in rows:
        assert re.search(r"`(?:state|tasks|flows)/[\w/]+\.py`.*\| `test_\w+\.py::test_", row), row


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """A link inside the project leads to a file of it, and to a heading where it names one."""
    for target in re.findall(r"\[[^\]]+\]\(([^)]+)\)", text_of(document)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = ((CHECKOUT / document).parent / path).resolve() if path else CHECKOUT / document
        assert file.relative_to(CHECKOUT).as_posix() in tracked(), target
        headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_no_file_names_a_machine_or_a_registry() -> None:
    """No path of somebody's machine, no address of a package registry, in any file of the project."""
    # Put together here, so that this file does not hold what it looks for.
    folders = [f"/{name}/" for name in ("work", "root", "home/" + "runner")]
    hosts = ["py" + "pi.org", "python" + "hosted.org", "--index" + "-url", "--extra-index" + "-url", "arti" + "factory"]
    tools = ["issues" + " show", "/exp" + "/v", "before" + "-stop", "../" + "shared"]
    wanted = re.compile("|".join(map(re.escape, folders + hosts + tools)))
    found = {
        f"{path}: {hit[0]}"
        for path in tracked()
        for hit in wanted.finditer((CHECKOUT / path).read_text(encoding="utf-8", errors="replace"))
    }
    assert not found
