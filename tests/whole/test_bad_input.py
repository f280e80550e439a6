"""What a person reads when something is wrong: each fault made for real, its message, exit code, and nothing lost."""

from __future__ import annotations

import gzip
import importlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows import daily
from flows.cli import command
from flows.report.terminal import show_daily
from state.errors import next_steps
from state.settings import read_settings
from tests.builders import child, heard
from tests.flows.reports import daily_report
from tests.project import SHOPS, Finished, Project, dates
from tests.redis_servers import client_of, started

DAYS = dates(10)
NEW = "2024-02-01"
NAME = "bad_shops"
"""The module of the tests in this process; SHOPS itself may have been imported by another test."""

Harm = Callable[[Project], object]


# What cannot be meant: said before anything is started


@dataclass(frozen=True)
class Case:
    """One fault, and what must be said of it."""

    told: tuple[str, ...]
    next: str
    code: int = 2
    kind: str = "configuration"
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    module: str | None = None
    harm: Harm | None = None


def _as_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("mine", encoding="utf-8")


def _as_loop(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.name)


def _unborn(project: Project) -> None:
    shutil.rmtree(project.output)


def _both(*harms: Harm) -> Harm:
    return lambda project: [harm(project) for harm in harms]


CASES = {
    "a value of the wrong type": Case(
        ("NOONMARK_WORKERS=many", "expected a whole number from 1"),
        "docs/reference.md",
        env={"NOONMARK_WORKERS": "many"},
    ),
    "a value out of range": Case(
        ("NOONMARK_LEASE_SECONDS=0", "expected a whole number of seconds from 1"),
        ".env",
        env={"NOONMARK_LEASE_SECONDS": "0"},
    ),
    "an unknown choice": Case(("NOONMARK_RUNNER=spark", "expected threads"), ".env", env={"NOONMARK_RUNNER": "spark"}),
    "an object store, its secret kept": Case(
        ("NOONMARK_INPUT=s3://…:", "object store", "expected a path"),
        ".env",
        env={"NOONMARK_INPUT": "s3://key:hush@bucket/raw"},
    ),
    "an unknown variable": Case(
        ("NOONMARK_OUPUT (in the environment) is not a setting", "did you mean NOONMARK_OUTPUT?"),
        "correct it in the environment or in .env",
        env={"NOONMARK_OUPUT": "x"},
    ),
    "no Redis URL": Case(
        ("NOONMARK_REDIS_URL", "expected one of redis://", "none"),
        "correct it in the environment or in .env",
        env={"NOONMARK_REDIS_URL": "http://me:hush@somewhere"},
    ),
    "no such module": Case(
        ("NOONMARK_AGGREGATIONS=nowhere", "there is no module nowhere", "expected a Python module"),
        "correct NOONMARK_AGGREGATIONS",
        env={"NOONMARK_AGGREGATIONS": "nowhere"},
    ),
    "a module with a syntax error": Case(
        (NAME, "SyntaxError", f"({NAME}.py, line 2)"), "flows.daily --dry-run", module="import polars\ndef broken(:\n"
    ),
    "a module that raises": Case(
        (NAME, "NameError", "'undefined'", f"({NAME}.py:3)"), "flows.daily --dry-run", module="import os\n\nundefined\n"
    ),
    "a module that needs another": Case(
        (NAME, "needs no_such_package", f"({NAME}.py:1)"), "pip install", module="import no_such_package\n"
    ),
    "a module that declares nothing": Case(
        (f"NOONMARK_AGGREGATIONS={NAME}", "declares no aggregation", "@aggregation"),
        "flows.daily --dry-run",
        module="import polars\n",
    ),
    "an ambiguous template": Case(
        ("'sales/{day:int}{day:int}.csv'", "read as two days", "such as 'v1_{day:int}.csv'", f"({NAME}.py:11)"),
        "flows.daily --dry-run",
        kind="declaration",
        module='"""Shops."""\n' + "\n" * 7 + "from tasks.catalog import Source\n\n"
        'sales = Source("sales/{day:int}{day:int}.csv")\n',
    ),
    "an unknown option of polars": Case(
        ("nul_values", "did you mean 'null_values'?", f"({NAME}.py:3)"),
        "flows.daily --dry-run",
        kind="declaration",
        module='from tasks.catalog import Source\n\nsales = Source("sales/{day}.csv", nul_values=[])\n',
    ),
    "an aggregation without docstring": Case(
        ("aggregation totals", f"({NAME}.py:", "no docstring", "one line"),
        "flows.daily --dry-run",
        kind="declaration",
        module=SHOPS.replace('    """Sales and items of the whole day."""\n', ""),
    ),
    "no such aggregation": Case(
        ("--only total", "did you mean totals?"), "--only totals", arguments=("--only", "total")
    ),
    "an aggregation like none": Case(
        ("--only weather", "declared are items_by_shop, totals"), "--only NAME", arguments=("--only", "weather")
    ),
    "a day of no calendar": Case(
        ("--days '2013-02-30'", "'2013-02-30' is not a day", "2013-01-31"), "--help", arguments=("--days", "2013-02-30")
    ),
    "a range that runs backwards": Case(("'9..2' is empty", "9 is after 2"), "--help", arguments=("--days", "9..2")),
    "an unknown option": Case(("--bogus",), "python -m flows.daily --help", arguments=("--bogus",)),
    "no limit": Case(("--limit 0", "from 1"), "--help", arguments=("--limit", "0")),
    "force without a choice": Case(("--force", "--days or --only"), "--help", arguments=("--force",)),
    "no input root yet": Case(
        ("the input root", "raw does not exist", "expected the folder"),
        "set NOONMARK_INPUT",
        harm=_both(_unborn, lambda project: shutil.rmtree(project.raw)),
    ),
    "a file for an input root": Case(
        ("the input root", "raw is a file", "expected the folder"),
        "set NOONMARK_INPUT",
        harm=_both(_unborn, lambda project: _as_file(project.raw)),
    ),
    "an input root that vanished": Case(
        ("no file matches source 'sales/{day}/*.csv'", "10 committed days", "unmounted"),
        "NOONMARK_INPUT or the template; if the raw files are gone for good: python -m flows.repair --accept-output",
        code=3,
        kind="refused",
        harm=lambda project: shutil.rmtree(project.raw),
    ),
    "an input root that became a file": Case(
        ("no file matches source", "raw", "unmounted"),
        "NOONMARK_INPUT",
        code=3,
        kind="refused",
        harm=lambda project: _as_file(project.raw),
    ),
    "an input root that cannot be listed": Case(
        ("'sales/{day}/*.csv'", "raw/sales: Too many levels", "nothing was decided"),
        "",
        code=4,
        kind="storage",
        harm=lambda project: _as_loop(project.raw / "sales"),
    ),
    "a file for an output root": Case(
        ("the output root", "output is a file", "expected a folder"),
        "set NOONMARK_OUTPUT",
        harm=lambda project: _as_file(project.output),
    ),
    "a damaged marker": Case(
        ("root.json is damaged", "expected a JSON object", "b'mine'"),
        "restore it from a backup, or mark the output again: python -m flows.repair --accept-output",
        code=3,
        kind="refused",
        harm=lambda project: (project.output / "_noonmark/root.json").write_text("mine"),
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_what_cannot_be_meant_is_told_in_full(case: Case, here: Here) -> None:
    """One JSON object, the same for a person: the thing, what was found and expected, the next command; no trace."""
    if case.module is not None:
        (here.project.code / f"{NAME}.py").write_text(case.module, encoding="utf-8")
    if case.harm is not None:
        case.harm(here.project)
    before = here.project.tree()

    ended = here.run(*case.arguments, **case.env)

    assert ended.code == case.code, ended
    assert set(ended.json) == {"error"}
    error = ended.json["error"]
    assert error["kind"] == case.kind
    assert set(error) == {"kind", "message", "command", "hint"}
    assert [part for part in case.told if part not in error["message"]] == [], error["message"]
    steps = next_steps(error["command"], error["hint"])
    assert case.next in " ".join(steps)
    assert error["command"] is None or error["command"].startswith("python -m flows."), "a command can be typed"
    assert "\n  → ".join([f"noonmark: {error['message']}", *steps]) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hush" not in ended.stdout + ended.stderr
    assert here.project.tree() == before


def test_a_huge_number_of_workers_is_no_error(here: Here) -> None:
    """It asks for no more threads than there are days."""
    assert here.run("--workers", "1000000", NOONMARK_WORKERS="1000000").planned == {}


@dataclass(frozen=True)
class Here:
    """A project whose dry runs are made in this process: whatever is wrong is said before Prefect is asked."""

    project: Project
    patch: pytest.MonkeyPatch
    heard: pytest.CaptureFixture[str]

    def run(self, *arguments: str, **extra: str) -> Finished:
        """``python -m flows.daily --json --dry-run`` with these arguments and settings."""
        environment = self.project.environment(**{"NOONMARK_AGGREGATIONS": NAME, **extra})
        for name in [name for name in os.environ if name.startswith("NOONMARK_")]:
            self.patch.delenv(name)
        for name, value in environment.items():
            if name.startswith("NOONMARK_"):
                self.patch.setenv(name, value)
        self.patch.setattr(sys, "argv", ["daily", "--json", "--dry-run", *arguments])
        self.heard.readouterr()
        with pytest.raises(SystemExit) as end:
            daily.main()
        assert isinstance(end.value.code, int)
        return Finished(end.value.code, *self.heard.readouterr())


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Ten committed days, and commands that run in this process; signals, logging and stdout stay pytest's."""
    (project.code / "shops.py").rename(project.code / f"{NAME}.py")
    monkeypatch.syspath_prepend(str(project.code))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(command, "_log_to_stderr", lambda: None)
    monkeypatch.setattr(command, "install_handlers", lambda _: None)
    monkeypatch.setattr(command, "exit_with", sys.exit)  # the real one ends this process by force in some seconds
    monkeypatch.setattr(command, "reserve_stdout", lambda: sys.stdout)
    importlib.invalidate_caches()
    yield Here(project, monkeypatch, capsys)
    sys.modules.pop(NAME, None)


# Bad days, bad aggregations and a damaged output, all in one run


MORE = '''

packed = Source("packed/{day}.csv.gz")
column = Source("column/{day}.parquet")
typed = Source("typed/{day}.csv", schema_overrides={"items": pl.Int64})
calm = Source("n=1 [ab]/{day}.csv")


@aggregation(packed)
def unpacked(packed: pl.LazyFrame) -> pl.LazyFrame:
    """Items."""
    return packed.select(pl.col("items").sum())


@aggregation(column)
def columned(column: pl.LazyFrame) -> pl.LazyFrame:
    """Items."""
    return column.select(pl.col("items").sum())


@aggregation(typed)
def sold(typed: pl.LazyFrame) -> pl.LazyFrame:
    """Shops that sold anything."""
    return typed.group_by("shop").agg(pl.col("items").sum())


@aggregation(calm)
def talks(calm: pl.LazyFrame) -> pl.LazyFrame:
    """Prints, and names its source's columns."""
    print("hello from an aggregation")
    return pl.LazyFrame({"columns": calm.collect_schema().names()})


@aggregation(calm)
def raises(calm: pl.LazyFrame) -> pl.LazyFrame:
    """Raises."""
    raise LookupError("no such luck")


@aggregation(calm)
def no_frame(calm: pl.LazyFrame) -> pl.LazyFrame:
    """Returns a DataFrame."""
    return calm.collect()


@aggregation(calm)
def no_column(calm: pl.LazyFrame) -> pl.LazyFrame:
    """Names a column that is not there."""
    return calm.group_by("shop").agg(pl.col("itmes").sum())
'''
GOOD = b"shop,items\nnorth,1\n"
DEEP = b"shop,items\n" + b"north,1\n" * 150 + b"south,many\n" + b"north,1\n" * 10
GARBAGE = bytes(range(256)) * 20
MODULE = SHOPS + MORE


def _line(text: str) -> int:
    return MODULE[: MODULE.index(text)].count("\n") + 1


def _parquet(**columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


@dataclass(frozen=True)
class Told:
    """A run over all that is bad, what it reported of each result, and the results from before."""

    project: Project
    run: Finished
    before: Mapping[Path, bytes]

    @property
    def failed(self) -> dict[tuple[str, str], dict[str, str]]:
        """The entry of each failure."""
        return {(one["aggregation"], one["day"]): one for one in self.run.json["failed"]}

    @property
    def done(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The entry of each commit."""
        return {(one["aggregation"], one["day"]): one for one in self.run.json["committed"]}


@pytest.fixture(scope="module")
def told(_first: tuple[Project, Finished], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The run: every one of ten committed days is harmed in another way, but the last."""
    project = _first[0].copy(tmp_path_factory.mktemp("bad") / "n=1 [ab]")
    project.declare(MODULE)

    def put(path: str, content: bytes) -> None:
        file = os.fsencode(project.raw) + b"/" + os.fsencode(path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        Path(os.fsdecode(file)).write_bytes(content)

    files = [f"sales/{day}/sales.csv" for day in DAYS]
    put(files[0], b"")
    put(files[1], GARBAGE)
    put(files[2], DEEP)
    (project.raw / f"sales/{DAYS[3]}/loop.csv").symlink_to("loop.csv")
    (project.raw / f"sales/{DAYS[4]}/gone.csv").symlink_to("nowhere.csv")
    put(files[5], b"shop,items\n")
    put(f"sales/{DAYS[6]}/things.csv", b"shop,things\nnorth,1\n")
    for name in ("new\nline.csv", "[sales].csv", "*.csv", "x..csv", "n=1.csv", "\udcff\udcfe.csv"):
        put(f"sales/{DAYS[7]}/{name}", GOOD)
    (project.raw / f"sales/{DAYS[7]}/folder.csv").mkdir()
    os.mkfifo(project.raw / f"sales/{DAYS[7]}/pipe.csv")
    put(f"sales/{DAYS[8]}/\udcff\n.csv", DEEP)
    put(f"sales/{NEW}/sales.csv", GOOD)
    put("sales/2013-02-30/sales.csv", GOOD)
    put(f"packed/{DAYS[0]}.csv.gz", gzip.compress(DEEP)[:-20])
    put(f"packed/{DAYS[1]}.csv.gz", b"\x1f\x8b no gzip at all")
    put(f"column/{DAYS[0]}.parquet", b"PAR1 no parquet PAR1")
    put(f"column/{DAYS[1]}.parquet", _parquet(things=[1]))
    put(f"column/{DAYS[2]}.parquet", _parquet(items=[1]))
    put(f"typed/{DAYS[0]}.csv", b"shop,items\n")
    for day in DAYS[:4]:
        put(f"n=1 [ab]/{day}.csv", GOOD)
    before = {path: path.read_bytes() for path in project.results()}
    folder, link, pipe = (project.result("talks", day) for day in DAYS[:3])
    folder.mkdir(parents=True)
    (folder / "inside").write_text("mine", encoding="utf-8")
    for path in (link, pipe):
        path.parent.mkdir(parents=True)
    link.symlink_to("/etc/hostname")
    os.mkfifo(pipe)
    return Told(project, project.run(), before)


MANY = ("cannot be read as declared: line 152, column 'items'", "'many'", "expected Int64", 'null_values=["many"]')
_COLUMN = _line("@aggregation(column)")
FAILURES: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("totals", DAYS[0], "input", (f"sales/{DAYS[0]}/sales.csv cannot be read", "found no text", "a header")),
    ("totals", DAYS[1], "input", (f"sales/{DAYS[1]}/sales.csv cannot be read", "line 1: found a NUL character")),
    ("totals", DAYS[2], "input", (f"sales/{DAYS[2]}/sales.csv ", *MANY)),
    ("totals", DAYS[3], "unreadable", (f"raw/sales/{DAYS[3]}/loop.csv", "Too many levels of symbolic links")),
    ("totals", DAYS[4], "unreadable", (f"raw/sales/{DAYS[4]}/gone.csv", "a broken link")),
    ("totals", DAYS[5], "aggregation", ("dtype `str`", "(shops.py:", "sales has no row", "its type is declared")),
    ("totals", DAYS[6], "input", (f"sales/{DAYS[6]}/things.csv cannot", "columns 'shop', 'things'", "/sales.csv")),
    ("totals", DAYS[8], "input", (f"sales/{DAYS[8]}/", *MANY, r"\udcff\n.csv cannot")),
    ("unpacked", DAYS[0], "input", (f"packed/{DAYS[0]}.csv.gz cannot be read", "cannot be unpacked", "Truncated")),
    ("unpacked", DAYS[1], "input", (f"packed/{DAYS[1]}.csv.gz cannot be read", "cannot be unpacked")),
    ("columned", DAYS[0], "input", (f"column/{DAYS[0]}.parquet cannot be read", "parquet")),
    ("columned", DAYS[1], "aggregation", ("has no column 'items'", "its columns are things", f"(shops.py:{_COLUMN})")),
    ("raises", DAYS[3], "aggregation", ("LookupError: no such luck", f"(shops.py:{_line('raise LookupError')})")),
    ("no_frame", DAYS[3], "aggregation", ("returned DataFrame", "expected a polars LazyFrame", "(shops.py:")),
    ("no_column", DAYS[3], "aggregation", ("no column 'itmes' (shops.py:", "mean 'items'?", "are shop, items")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("aggregation", "day", "kind", "parts"), [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in FAILURES]
)
def test_a_bad_day_is_told_by_its_file_or_its_line(
    told: Told, aggregation: str, day: str, kind: str, parts: tuple[str, ...]
) -> None:
    """The file and what polars met in it, or the line of the user's module; in one line that a terminal can show."""
    failure = told.failed[aggregation, day]
    assert failure["kind"] == kind, failure
    assert [part for part in parts if part not in failure["error"]] == [], failure["error"]
    assert failure["error"].isprintable()
    assert len(failure["error"]) < 1000


def test_bad_days_harm_nothing_but_themselves(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1; all other days are committed, every result from before is still there, and each failure has a command."""
    assert told.run.code == 1
    bad = {("raises", day) for day in DAYS[:4]} | {
        (name, day) for name in ("no_frame", "no_column") for day in DAYS[:4]
    }
    bad |= {(name, day) for name in ("unpacked", "columned") for day in DAYS[:2]}
    days = [*DAYS[:7], DAYS[8]]
    assert set(told.failed) - {("items_by_shop", DAYS[5])} == bad | {("totals", day) for day in days} | {
        ("items_by_shop", day) for day in days if day != DAYS[5]
    }
    assert {(name, DAYS[7]) for name in ("totals", "items_by_shop")} < set(told.done)
    assert {(name, NEW) for name in ("totals", "items_by_shop")} < set(told.done)
    assert ("columned", DAYS[2]) in told.done
    kept = {path: content for path, content in told.before.items() if DAYS[7] not in str(path)}
    assert {path: path.read_bytes() for path in kept if ("items_by_shop", DAYS[5]) != _key(path)} == {
        path: content for path, content in kept.items() if ("items_by_shop", DAYS[5]) != _key(path)
    }
    assert told.project.drafts == []
    assert "Traceback" not in told.run.stderr

    show_daily(daily_report(told.run.json), read_settings())
    out = capsys.readouterr().out
    assert "any earlier results are kept" in out
    first = next(one for one in told.run.json["failed"] if one["kind"] not in ("unreadable", "unrecoverable"))
    assert f"python -m flows.daily --days {first['day']} --only {first['aggregation']}" in out
    assert "unrecoverable or unreadable result: python -m flows.health" in out


def _key(path: Path) -> tuple[str, str]:
    return path.parent.parent.name, path.parent.name.removeprefix("day=")


def test_hostile_names_are_names(told: Told) -> None:
    """Brackets, stars, newlines and bytes that are no text: each such file is read once, by its own name."""
    assert told.project.rows()["totals", DAYS[7]] == [(3 + 6, 7 + 15 + 10 + 6)]
    assert told.project.rows()["talks", DAYS[3]] == [("shop",), ("items",)]


def test_what_is_no_day_and_no_file_is_named_and_ignored(told: Told) -> None:
    """A day of no calendar, a folder and a pipe where files are expected: a line for each reason, and a run."""
    lines = [line for line in told.run.stderr.splitlines() if " ignored (" in line]
    assert all(line.startswith("source 'sales/{day}/*.csv': 1 path is ignored (") for line in lines)
    for path, why in (
        ("sales/2013-02-30", "no day of the"),
        ("folder.csv", "a folder"),
        ("pipe.csv", "no regular file"),
    ):
        assert any(path in line and why in line for line in lines), path


def test_a_file_with_a_header_alone_is_an_empty_day(told: Told) -> None:
    """No row is no error where the types are declared: committed with 0 rows, and not computed again."""
    assert told.done["sold", DAYS[0]]["rows"] == 0
    assert told.project.record("sold", DAYS[0])["rows"] == 0


def test_what_stands_in_a_results_place_is_set_aside(told: Told) -> None:
    """A folder, a link and a pipe where data.parquet belongs: kept, the link as a text, and the day is computed."""
    for day in DAYS[:3]:
        assert told.done["talks", day]["reason"] == "corrupt"
        assert told.project.result("talks", day).is_file()
        assert not told.project.result("talks", day).is_symlink()
    aside = {path.name.split(".")[1]: path for path in (told.project.output / "_noonmark/set_aside").iterdir()}
    assert (aside[DAYS[0]] / "inside").read_text() == "mine"
    assert aside[DAYS[1]].read_text() == "link to /etc/hostname\n"
    assert aside[DAYS[2]].is_fifo()


def test_a_print_in_an_aggregation_does_not_break_json(told: Told) -> None:
    """Stdout holds the report alone; what was printed is on stderr."""
    assert "hello" not in told.run.stdout
    assert told.run.stderr.count("hello from an aggregation") == 4


# An input that this user may not read


UNREADABLE = """
import os, sys
from pathlib import Path
import polars as pl
from state.inputs.root import InputRoot
from tasks.catalog import Source
from tasks.reading.day_input import read_day
from tasks.reading.sound_files import SoundFiles
from tasks.inputs.run_listing import RunListing
from state.errors import StorageError
if os.geteuid() == 0:
    os.setuid(65534)
try:
    print(read_day(Source("sales/{day}/*.csv"), sys.argv[2], RunListing(InputRoot(Path(sys.argv[1]))), SoundFiles()))
except StorageError as error:
    print(error.message)
"""


def test_a_file_that_may_not_be_read_is_named(open_folder: Path) -> None:
    """The source, the file and the system's word for it."""
    file = open_folder / "sales" / DAYS[0] / "secret.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(GOOD)
    file.chmod(0)
    with child(UNREADABLE, open_folder, DAYS[0]) as process:
        assert heard(process) == f"source 'sales/{{day}}/*.csv': {file} cannot be read: Permission denied"


# Redis


def test_a_redis_that_hangs_costs_seconds_and_is_told_once(project: Project) -> None:
    """Promises 4 and 12: one deadline for the whole run, one line that names the setting, and every day committed."""
    project.sell(NEW, [("north", 1)])
    with started() as server:
        server.stop()
        run = project.run(env={"NOONMARK_REDIS_URL": server.url})
    assert len(run.committed) == 2
    assert run.json["seconds"] < 30
    [line] = run.stderr.splitlines()[:-1]
    assert line.startswith("going on without Redis: Redis (NOONMARK_REDIS_URL) cannot be used: no answer in time")


@pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside of a flow
def test_a_wrong_password_is_told_and_not_shown(here: Here, caplog: pytest.LogCaptureFixture) -> None:
    """The plan is the same without Redis; the line names the setting and the reason, never the password."""
    with started("--requirepass", "right") as server:
        ended = here.run(NOONMARK_REDIS_URL=server.url.replace("unix://", "unix://me:hush@"))
    assert ended.planned == {}
    assert ended.json["index"] == "unread"
    [line] = [message for message in caplog.messages if "without Redis" in message]
    assert "Redis (NOONMARK_REDIS_URL) cannot be used: it answers WRONGPASS" in line
    assert "hush" not in caplog.text + ended.stdout + ended.stderr


def test_values_of_the_wrong_type_are_replaced(project: Project) -> None:
    """Promise 4: lists under every key of ours hide no day and stop none; afterwards the index is right."""
    project.sell(DAYS[0], [("north", 1)])
    suffixes = ["processed_days", "last_processed_day", "commits", "failures", *(f"lease:{day}" for day in DAYS)]
    with started() as server, client_of(server.url) as client:
        for name in ("totals", "items_by_shop"):
            for suffix in suffixes:
                client.lpush(f"noonmark:{{{name}}}:{suffix}", "x")
        run = project.run(env={"NOONMARK_REDIS_URL": server.url})
        assert set(run.committed) == {("totals", DAYS[0]), ("items_by_shop", DAYS[0])}
        assert run.json["skipped"] == {"done": 18}
        assert "Traceback" not in run.stderr
        assert client.smembers("noonmark:{totals}:processed_days") == {day.encode() for day in DAYS}
        assert client.get("noonmark:{totals}:last_processed_day") == DAYS[-1].encode()
        assert client.hlen("noonmark:{totals}:commits") == len(DAYS)


# An output that takes nothing


@contextmanager
def _mounted(project: Project) -> Iterator[Callable[[str], None]]:
    """The output on a small file system of its own, and a function that remounts it with an option."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system")

    def mount(*options: str) -> bool:
        return subprocess.run(["mount", "-t", "tmpfs", *options], check=False, capture_output=True).returncode == 0

    aside = project.folder / "aside"
    project.output.rename(aside)
    project.output.mkdir()
    if not mount("-o", "size=2m", "tmpfs", str(project.output)):
        pytest.skip("this root may not mount a file system")
    try:
        shutil.copytree(aside, project.output, dirs_exist_ok=True)
        yield lambda option: _must(mount("-o", f"remount,{option}", str(project.output)))
    finally:
        subprocess.run(["umount", str(project.output)], check=True)


def _must(fine: bool) -> None:
    assert fine


def _fail(project: Project, remount: Callable[[str], None], how: str) -> None:
    if how == "read-only":
        remount("ro")
        return
    with (project.output / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


@pytest.mark.parametrize(("how", "why"), [("read-only", "Read-only file system"), ("full", "No space left on device")])
def test_an_output_that_takes_nothing_loses_nothing(project: Project, how: str, why: str) -> None:
    """Exit 1, each day named with the system's reason; results from before stay, and a later run makes up for it."""
    project.sell(DAYS[0], [("north", 1)])
    with _mounted(project) as remount:
        before = {path: path.read_bytes() for path in project.results()}
        _fail(project, remount, how)
        run = project.run(env={"NOONMARK_REDIS_URL": "none"})
        assert run.code == 1, run
        failed = {(one["aggregation"], one["day"]): one for one in run.json["failed"]}
        assert set(failed) == {("totals", DAYS[0]), ("items_by_shop", DAYS[0])}
        assert {one["kind"] for one in failed.values()} == {"storage"}
        assert all(why in one["error"] for one in failed.values()), failed
        assert "Traceback" not in run.stderr
        assert {path: path.read_bytes() for path in project.results()} == before


@pytest.mark.parametrize(
    ("where", "code", "said"), [("nobody", 0, ""), ("/dev/full", 4, "the report cannot be written")]
)
def test_a_report_that_nobody_takes_changes_no_exit_code(project: Project, where: str, code: int, said: str) -> None:
    """``| head`` ends before the report does: no trace, and not the code of days that failed. A full disk is told."""
    reader, writer = os.pipe()
    os.close(reader)
    stdout = writer if where == "nobody" else os.open(where, os.O_WRONLY)
    for options in ([], ["--json"]):
        end = subprocess.run(
            [sys.executable, "-m", "flows.daily", "--dry-run", *options],
            cwd=project.checkout,
            env=project.environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert end.returncode == code
        assert said in end.stderr
        assert "Traceback" not in end.stderr
        assert "Exception ignored" not in end.stderr
