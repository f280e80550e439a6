"""The documents say what is so: their commands, code, settings, names and links are tried or looked up."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest
from dotenv import dotenv_values
from pydantic.fields import FieldInfo

from examples.nycflights import FLIGHT_DAYS, WEATHER_DAYS, lay_out
from flows.__main__ import COMMANDS
from flows.cli import command
from flows.cli.signals import SIGNALS
from state import errors
from state.settings import PREFIX, Settings, is_shown
from state.status import Reason, Status
from tests.project import CHECKOUT, Project, dates

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("docs/design.md", "docs/origin.md", "docs/runbook.md", "docs/reliability.md", "docs/measurements.md"),
)
DAYS = ("2013-12-29", "2013-12-30", "2013-12-31")
COMPUTED = "number of cores"
"""What the settings table says of a default that is no constant."""


def text_of(document: str) -> str:
    """The text of a document."""
    return (CHECKOUT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(document), re.M | re.S)


def block(document: str, language: str, words: str) -> str:
    """The one block of a language that holds these words."""
    [found] = [one for one in blocks(document, language) if words in one]
    return found


@cache
def tracked() -> tuple[str, ...]:
    """What git has, or would add: paths with ``/``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return tuple(sorted(path for path in set(listed.split("\0")) if path and (CHECKOUT / path).is_file()))


def shape(line: str) -> str:
    """A line without its numbers, dates and widths, and with one form for singular and plural."""
    plain = re.sub(r"\d{4}-\d\d-\d\d|\d[\d,.]*\d|\d", "#", line)
    return re.sub(r"\s+", " ", re.sub(r"\b(result|day|file)s\b", r"\1", plain)).strip()


def shapes(text: str) -> list[str]:
    """The shape of each line that says something."""
    return [shape(line) for line in text.splitlines() if line.strip()]


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


@pytest.fixture(scope="module")
def first(clone: Clone) -> list[str]:
    """What the first run in the copy prints."""
    return clone.daily()


def test_the_readme_opens_with_what_it_is_and_the_two_commands() -> None:
    """One sentence, then the two commands, before anything else is explained."""
    text = text_of("README.md")
    opening = text.partition("```")[0].splitlines()
    assert opening[0] == "# Noonmark"
    assert opening[2].startswith("Noonmark finds the days")
    assert [line.partition("#")[0].strip() for line in blocks("README.md", "sh")[0].splitlines()] == [
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
    shown = block("README.md", "text", "planned 1,823 results")
    of_the_run = shown[shown.index("planned") :]
    assert sorted(shapes(of_the_run)) == first
    again = block("README.md", "text", "Nothing to do")
    assert sorted(shapes(again)[1:]) == clone.daily()


def test_the_readmes_numbers_add_up() -> None:
    """The table's days and rows are the sample's, and the line below it has their sums."""
    lines = block("README.md", "text", "planned 1,823 results").splitlines()
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
    path.write_text(block("README.md", "python", "def miles_by_origin"), encoding="utf-8")
    try:
        shown = block("README.md", "text", "planned 365 results")
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


def test_the_readmes_way_to_own_data_leads_there(clone: Clone, tmp_path: Path) -> None:
    """From the samples to one's own files, command by command."""
    folder = tmp_path / "mine"
    shutil.copytree(clone.folder, folder, ignore=shutil.ignore_patterns("home"))
    mine = Clone(folder, clone.environment)
    removes, sets, runs = (block("README.md", "sh", words) for words in ("rm -rf aggr", "echo NOON", "--newest-first"))
    mine.run("sh", "-c", removes)
    mine.run("sh", "-c", sets.replace("/data/shop", str(tmp_path / "shop")))
    (folder / "aggregations/shop.py").write_text(block("README.md", "python", "def items_by_shop"), encoding="utf-8")
    for day in dates(4):
        (tmp_path / "shop/sales" / day).mkdir(parents=True)
        (tmp_path / "shop/sales" / day / "a.csv").write_text("shop,items\nnorth,1\nnorth,2\n")
    told = [mine.run(sys.executable, *line.split()[1:]).stdout for line in runs.splitlines()]
    assert told[0].startswith("there is no output at ")
    assert told[0].count("  new\n") == 4
    assert "--limit left 1 day to later runs" in told[1]
    assert "1 result of 1 day committed" in told[2]
    assert pl.read_parquet(folder / "data/aggregates/items_by_shop")["items"].to_list() == [3] * 4


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
    assert listed == sorted(path.stem for path in (CHECKOUT / "flows").glob("[!_]*.py") if "opening" not in path.name)


def test_the_readmes_sources_are_declarations() -> None:
    """Each form of a source that the README shows is one."""
    names: dict[str, Any] = {}
    exec(compile(block("README.md", "python", "events = Source"), "README.md", "exec"), names)
    assert {names[name].template.kind for name in ("flights", "events")} == {"date"}
    assert names["orders"].template.kind == "int"


@pytest.mark.parametrize(
    ("words", "gives"), [("pl.read_parquet", "late"), ("import scan", "frame"), ("duckdb", "rows"), ("pandas", "frame")]
)
def test_the_readmes_readers_read(clone: Clone, first: list[str], words: str, gives: str) -> None:
    """Each way to read results runs as it stands, in the project's folder, and gives rows."""
    code = block("README.md", "python", words) + f"\nprint(len({gives}))\n"
    assert int(clone.run(sys.executable, "-c", code).stdout) > 0


def test_the_deployment_is_registered_and_knows_its_folder(clone: Clone) -> None:
    """The README's commands register ``daily``; it is loaded from the folder in which they were typed."""
    commands = block("README.md", "sh", "prefect deploy --all").splitlines()
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
    """Each deployment's entry point is a flow of its name, with a pool that the README makes and its parameters."""
    # imported so, since it ships no types
    described = importlib.import_module("yaml").safe_load(text_of("prefect.yaml"))
    for deployment in described["deployments"]:
        path, _, function = deployment["entrypoint"].partition(":")
        flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function)
        assert flow.name == deployment["name"] == function
        assert f"prefect work-pool create {deployment['work_pool']['name']} " in text_of("README.md")
        assert f"prefect worker start --pool {deployment['work_pool']['name']}\n" in text_of("README.md")
    daily = importlib.import_module("flows.daily").daily
    asked = re.findall(r"--param '?(\w+)=", text_of("README.md"))
    assert asked
    assert set(asked) <= set(inspect.signature(daily.fn).parameters)


def settings_table() -> dict[str, tuple[str, str]]:
    """Variable to (default, meaning) as the README's table has them."""
    rows = re.findall(r"^\| `(NOONMARK_\w+)` \| (.*?)\| (.*?) \|$", text_of("README.md"), re.M)
    return {name: (default.strip().strip("`"), meaning) for name, default, meaning in rows}


def shown_settings() -> dict[str, FieldInfo]:
    """The settings that do something. The others are accepted, and named in no document."""
    shown = {name: field for name, field in Settings.model_fields.items() if is_shown(field)}
    assert set(Settings.model_fields) - set(shown) == {"runner", "single_writer"}
    return shown


def defaults() -> dict[str, str | None]:
    """Variable to its default as one writes it; None where it is computed."""
    found: dict[str, str | None] = {}
    for name, field in shown_settings().items():
        value = field.default
        if field.default_factory is not None:
            found[PREFIX + name.upper()] = None
        elif isinstance(value, bool):
            found[PREFIX + name.upper()] = str(value).lower()
        else:
            found[PREFIX + name.upper()] = str(getattr(value, "get_secret_value", lambda value=value: value)())
    return found


def test_the_settings_table_is_the_settings_module() -> None:
    """Names in order, defaults, and each meaning begins with the module's own description."""
    table = settings_table()
    assert list(table) == list(defaults())
    assert {name: default for name, (default, _) in table.items()} == {
        name: COMPUTED if value is None else value for name, value in defaults().items()
    }
    for name, field in shown_settings().items():
        assert table[PREFIX + name.upper()][1].startswith(str(field.description)), name


def test_the_example_of_an_env_file_sets_what_holds_anyway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is in it, commented out; uncommented as it stands it changes nothing."""
    assert not [line for line in text_of(".env.example").splitlines() if line and not line.startswith("#")]
    for name in defaults():
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / ".env"
    path.write_text(re.sub(r"^# (NOONMARK_)", r"\1", text_of(".env.example"), flags=re.M))
    assert dotenv_values(path) == {name: value or "" for name, value in defaults().items()}
    assert Settings(_env_file=path) == Settings(_env_file=None)


@cache
def options_of(module: str) -> str:
    """What ``--help`` of a command prints."""
    return subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout


def commands() -> Iterator[tuple[str, str, list[str]]]:
    """Each command of ours in a document: (document, module, options)."""
    for document in DOCUMENTS:
        for module, rest in re.findall(r"python -m ((?:flows|examples)\.\w+)([^`\n|]*)", text_of(document)):
            yield document, module, re.findall(r"--[a-z-]+", rest.partition(" #")[0])


def test_every_command_and_option_that_is_named_exists() -> None:
    """What a document tells to type can be typed."""
    found = list(commands())
    assert {module for _, module, _ in found} >= {"flows.daily", "flows.repair", "flows.health"}
    for document, module, options in found:
        for option in options:
            assert re.search(rf"{option}\b", options_of(module)), f"{document}: {module} has no {option}"
    told = block_of_options()
    assert told
    for option in told:
        assert re.search(rf"{option}\b", options_of("flows.daily")), option


def test_what_has_no_effect_is_shown_nowhere() -> None:
    """It is accepted for what comes later: neither help, nor settings in documents, nor the example of .env name it."""
    for document in (*DOCUMENTS, ".env.example", "prefect.yaml"):
        for name in ("NOONMARK_RUNNER", "NOONMARK_SINGLE_WRITER", "quarantined"):
            assert name not in text_of(document), f"{document}: {name}"
    assert "quarantined" not in options_of("flows.daily")


def block_of_options() -> list[str]:
    """The options in the README's paragraph on narrowing a run."""
    [paragraph] = re.findall(r"^`daily` can be narrowed:.*?\n\n", text_of("README.md"), re.M | re.S)
    return re.findall(r"--[a-z-]+", paragraph)


def test_exit_codes_are_the_errors() -> None:
    """The README's table has every exit code that an error or a command knows, and no other."""
    known = {0, *(128 + number for number in SIGNALS), command.BROKEN} | {
        one.exit_code
        for module in (errors, command)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, errors.NoonmarkError)
    }
    rows = re.findall(r"^\| (\d+(?:, \d+)*) \| ", text_of("README.md"), re.M)
    assert {int(number) for row in rows for number in row.split(", ")} == known


def test_reasons_and_statuses_are_the_planners() -> None:
    """The README's tables have every reason and every status of the planner, and no other."""
    text = text_of("README.md")
    tables = re.findall(r"^\| (?:reason|status) \| means \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.M)
    reasons, statuses = (set(re.findall(r"`(\w+)`", re.sub(r"\| [^|]*\|$", "", table, flags=re.M))) for table in tables)
    assert (reasons, statuses) == (set(get_args(Reason)), set(get_args(Status)))


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


def test_the_folder_listing_is_the_tree() -> None:
    """The README lists exactly what lies at the top: folders first, then files, in their order."""
    listed = [line.split()[0] for line in block("README.md", "text", "your room:").splitlines()]
    top = {path.partition("/")[0] + "/" * ("/" in path) for path in tracked()}
    assert listed == sorted(name for name in top if name.endswith("/")) + sorted(
        name for name in top if not name.endswith("/")
    )


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
