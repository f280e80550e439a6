"""The tables of commands, options, exit codes, words, settings and JSON fields are those of the code."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from dotenv import dotenv_values
from pydantic.fields import FieldInfo

from flows.cli import command
from flows.cli.signals import SIGNALS
from flows.report.models import DailyReport, HealthReport, PlanReport, RedisReport, RepairReport, Report
from state import errors
from state.acceptance import Accepted
from state.days import DayRange
from state.index.durability import Durability
from state.index.index import ReconcileStats
from state.planner.decide import Item
from state.planner.plan import Plan
from state.settings import PREFIX, Settings, is_shown
from state.status import Reason, Status
from state.store.base import Broken, Unread
from tasks.catalog import Source
from tasks.compute.outcomes import Committed, Failed
from tasks.deep_check import DeepCheck
from tasks.diagnosis import HealthWarning, Problem
from tasks.inputs.strays import Stray
from tasks.reading.edited import Edited
from tasks.templates.template import NO_DATE
from tests.documents import DOCUMENTS, REFERENCE, named, table, text_of
from tests.project import CHECKOUT

COMPUTED = "number of cores"
"""What the settings table says of a default that is no constant."""


def settings_table() -> dict[str, tuple[str, str]]:
    """Variable to (default, meaning) as the reference's table has them."""
    rows = re.findall(r"^\| `(NOONMARK_\w+)` \| (.*?)\| (.*?) \|$", text_of(REFERENCE), re.M)
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


def options_in(words: str) -> set[str]:
    """The options in the reference's table below a line with these words."""
    [rows] = re.findall(
        rf"^Options of {words}.*?\n\n\| option \| means \|\n\|---\|---\|\n((?:\|.*\n)+)", text_of(REFERENCE), re.M
    )
    return {option for row in rows.splitlines() for option in re.findall(r"`(--[a-z-]+)", row.split(" | ")[0])}


@pytest.mark.parametrize("module", ["flows.daily", "flows.repair", "flows.health"])
def test_the_options_of_the_reference_are_those_of_the_command(module: str) -> None:
    """Every option of a command is in its table or in that of all commands, and no other."""
    own = set() if module == "flows.health" else options_in(f"`{module}`")
    assert own | options_in("every command") == set(re.findall(r"--[a-z-]+", options_of(module)))


def test_what_has_no_effect_is_shown_nowhere() -> None:
    """It is accepted for what comes later: neither help, nor settings in documents, nor the example of .env name it."""
    for document in (*DOCUMENTS, ".env.example", "prefect.yaml"):
        for name in ("NOONMARK_RUNNER", "NOONMARK_SINGLE_WRITER", "quarantined"):
            assert name not in text_of(document), f"{document}: {name}"
    assert "quarantined" not in options_of("flows.daily")


def test_exit_codes_are_the_errors() -> None:
    """The reference's table has every exit code that an error or a command knows, and no other."""
    known = {0, *(128 + number for number in SIGNALS), command.BROKEN} | {
        one.exit_code
        for module in (errors, command)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, errors.NoonmarkError)
    }
    rows = re.findall(r"^\| (\d+(?:, \d+)*) \| ", text_of(REFERENCE), re.M)
    assert {int(number) for row in rows for number in row.split(", ")} == known


def test_reasons_and_statuses_are_the_planners() -> None:
    """The reference's tables have every reason and every status of the planner, and no other."""
    text = text_of(REFERENCE)
    tables = re.findall(r"^\| (?:reason|status) \| means \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.M)
    reasons, statuses = (set(re.findall(r"`(\w+)`", re.sub(r"\| [^|]*\|$", "", table, flags=re.M))) for table in tables)
    assert (reasons, statuses) == (set(get_args(Reason)), set(get_args(Status)))


def kinds_in(module: str, call: str, at: int) -> set[str]:
    """The texts that a module gives to a call of this name at a place."""
    calls = [one for one in ast.walk(ast.parse(text_of(module))) if isinstance(one, ast.Call)]
    given = [one.args[at] for one in calls if ast.unparse(one.func).endswith(call) and len(one.args) > at]
    return {one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_the_arguments_of_a_source_are_those_of_the_reference() -> None:
    """All that Source itself takes, in its order, and nothing else."""
    taken = [name for name, one in inspect.signature(Source).parameters.items() if one.kind is one.KEYWORD_ONLY]
    assert [named(cell)[0] for cell, _ in table(REFERENCE, "argument", "means")] == taken


def test_the_kinds_of_failures_are_those_of_the_outcomes() -> None:
    """The reference's table has every kind that the code's own description names, and no other."""
    kinds = table(REFERENCE, "kind", "means", at=0)
    described = re.findall(r"``(\w+)``", (Failed.__doc__ or "").partition("``kind``:")[2].partition(").")[0])
    assert sorted(named(cell)[0] for cell, _ in kinds) == sorted(described)
    for module in ("tasks/compute/job.py", "tasks/compute/evaluate.py"):
        assert kinds_in(module, "JobFailed", 0) <= {*described}


def test_the_kinds_of_problems_are_those_of_health() -> None:
    """Reasons, failures and the reference's own table: every kind that health can name."""
    [paragraph] = re.findall(r"^The kinds of problems are .*?\n\n", text_of(REFERENCE), re.M | re.S)
    shown = [*named(paragraph), *(named(cell)[0] for cell, _ in table(REFERENCE, "kind", "means", at=1))]
    made = kinds_in("tasks/diagnosis.py", "Problem", 0) | kinds_in("state/planner/decide.py", "Blocked", 2)
    assert sorted(shown) == sorted(made | {*get_args(Reason)} - {"forced"})


def fields_of(words: str) -> tuple[set[str], set[str]]:
    """The fields of a command's JSON object in the reference: those always there, and those that can be absent."""
    [rows] = re.findall(rf"^`{words}`:\n\n\| field \| holds \|\n\|---\|---\|\n((?:\|.*\n)+)", text_of(REFERENCE), re.M)
    cells = [cell for row in rows.splitlines() for cell in row.split(" | ")[0].split(",")]
    optional = {named(cell)[0] for cell in cells if "*" in cell}
    return {named(cell)[0] for cell in cells} - optional, optional


def test_the_json_objects_have_the_fields_of_the_reference() -> None:
    """The least and the most that each report can hold."""
    plan = Plan()
    ranges = {"totals": [DayRange("1", "2")]}
    waiting = {"totals": {"1": "its marker"}}
    strays = {"a": [Stray("b", NO_DATE)]}
    full = Plan(gaps=ranges, orphaned=ranges, waiting=waiting, left=1)
    redis = RedisReport(None, "none", 0, 0.0)
    reports: dict[str, tuple[Report, Report]] = {
        "python -m flows.daily --json": (
            DailyReport(),
            DailyReport(unmatched={"a": "b"}, gaps=ranges, orphaned=ranges, left=1, waiting=waiting, strays=strays),
        ),
        "python -m flows.daily --dry-run --json": (
            PlanReport(plan, unread=False),
            PlanReport(full, unread=True, unmatched={"a": "b"}, strays=strays),
        ),
        "python -m flows.repair --json": (
            RepairReport(ReconcileStats(), absence=None, index_required=False),
            RepairReport(ReconcileStats(), absence="none", index_required=False, deep=DeepCheck(), accepted=Accepted()),
        ),
        "python -m flows.health --json": (
            HealthReport((), {}, (), redis),
            HealthReport((), {}, (), redis, ranges, ranges, waiting, strays),
        ),
    }
    for words, (least, most) in reports.items():
        always, optional = fields_of(words)
        assert set(least.to_json()) == always, words
        assert set(most.to_json()) == always | optional, words


def test_the_objects_in_the_lists_have_the_fields_of_the_reference() -> None:
    """As the code's own classes have them."""
    text = text_of(REFERENCE)
    rows = re.findall(r"^\| `(\w+)`[ *]* \| ([^|]*objects? with [^|]*) \|$", text, re.M)
    shown = {field: {*named(holds.rpartition(" with ")[2].partition(" (")[0])} for field, holds in rows}
    assert shown["failed"] == {one.name for one in fields(Failed)}
    assert shown["set_aside"] == {one.name for one in fields(Broken)}
    assert shown["edited"] == {one.name for one in fields(Edited)}
    assert shown["unreadable"] == {one.name for one in fields(Unread)}
    assert shown["problems"] == {one.name for one in fields(Problem)}
    assert shown["warnings"] == {one.name for one in fields(HealthWarning)}
    assert shown["accepted"] == {one.name for one in fields(Accepted)}
    update: Any = None
    report = DailyReport((Committed("totals", "1", 1, 1, "new", update),), unmatched={"a": "b"}).to_json()
    assert shown["committed"] == set(report["committed"][0])
    assert shown["unmatched"] == set(report["unmatched"][0])
    planned = PlanReport(Plan([Item("totals", "1", "new")]), unread=False).to_json()["plan"]
    assert shown["plan"] == set(planned[0])
    assert shown["strays"] == {"source"} | {one.name for one in fields(Stray)}
    [redis] = re.findall(r"^\| `redis` \| (`version`.*) \|$", text, re.M)
    assert set(named(redis)) == {one.name for one in fields(Durability)} | {"absence", "cost"}
    errors_shown = {named(cell)[0] for cell, _ in table(REFERENCE, "field", "holds", at=-1)}
    assert errors_shown == {"kind", "message", "command", "hint"}
