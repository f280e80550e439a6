"""Mistakes of a first hour, made for real: none passes as success, and each message says what to do next."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from state.errors import CHECK, HEALTH, REPAIR
from tests.flows.test_health import command
from tests.project import CHECKOUT, SHOPS, Finished, Project, wait_until


@pytest.mark.parametrize("words", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_template_that_matches_nothing_is_named_with_the_nearest_name(
    api_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Exit 1: a source without a single day is no success, whatever the other sources have."""
    project = Project.create(tmp_path / "project", api_url, ["2024-01-01"])
    other = (
        'returns = Source("return/{day}/*.csv")\n\n\n@aggregation(returns)\ndef sent_back(returns):\n    """Rows."""\n'
    )
    project.declare(SHOPS + "\n\n" + other + "    return returns\n")
    (project.raw / "returns").mkdir()
    ended = command(project, "daily", *words).finish()
    reason = f"nothing in {project.raw} matches 'return'; did you mean 'returns'?"
    why = f"no file matches source 'return/{{day}}/*.csv': {reason}"
    assert ended.code == 1, ended.stderr
    assert f"{why}\nCorrect the template, or bring the files, and look again: {CHECK}\n" in ended.stdout
    assert "Nothing to do" not in ended.stdout
    assert len(project.results()) == (0 if words else 2), "the others go on"
    told = command(project, "daily", "--json", *words).finish().json
    assert told["unmatched"] == [{"source": "return/{day}/*.csv", "why": reason}]
    health = command(project, "health").finish()
    assert health.code == 1
    assert f"  unmatched: {why}\n    → correct the template, or bring the files\n    → {CHECK}\n" in health.stdout


def test_days_that_nobody_knows_are_no_success(project: Project) -> None:
    """``20130102`` is a number to the planner, and 2030 lies in the future: exit 2, with the days that there are."""
    for days in ("20130102", "2030-01-01.."):
        ended = command(project, "daily", "--days", days).finish()
        assert ended.code == 2
        assert ended.stdout == ""
        assert ended.stderr == (
            f"noonmark: --days {days} has no day with input or a result; there are 10, 2024-01-01 to 2024-01-10\n"
            f"  → {CHECK}\n"
        )


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("raw", "both are one folder"),
        ("raw/results", "the output is inside the input"),
        (".", "the input is inside the output"),
    ],
)
def test_an_output_that_overlaps_the_input_is_refused(project: Project, output: str, why: str) -> None:
    """A run with a wide template would read its own results, and add them to the next ones."""
    env = {"NOONMARK_OUTPUT": str(project.folder / output)}
    ended = command(project, "daily", "--json", env=env).finish()
    assert ended.code == 2
    assert f": {why}; expected a folder for results alone" in ended.json["error"]["message"]


def test_results_of_a_higher_version_are_said_by_every_run_and_health(project: Project) -> None:
    """Who lowers ``version=`` computes nothing any more, and must not be told only that all is well."""
    project.declare(SHOPS.replace("version=1)\ndef totals", "version=2)\ndef totals"))
    assert command(project, "daily").finish().code == 0
    project.declare(SHOPS)
    ended = command(project, "daily").finish()
    told = (
        "totals: 10 committed days of a higher version than this code, and never overwritten; check out the newer code"
    )
    assert told in ended.stderr
    health = command(project, "health").finish()
    assert (
        "Warning: totals: 10 committed days of a higher version than this code, and never overwritten\n"
        in health.stdout
    )


def test_a_module_that_cannot_be_imported_by_its_name_is_refused(project: Project) -> None:
    """``my-shop.py`` was read by nobody, and its aggregations were missed."""
    package = project.code / "rooms"
    package.mkdir()
    (package / "shop.py").write_text(SHOPS, encoding="utf-8")
    (package / "my-shop.py").write_text(SHOPS, encoding="utf-8")
    (package / ".#shop.py").write_text("an editor's", encoding="utf-8")
    ended = command(project, "daily", "--dry-run", env={"NOONMARK_AGGREGATIONS": "rooms"}).finish()
    assert ended.code == 2
    assert ended.stderr.startswith(f"noonmark: {package}/my-shop.py cannot be imported: 'my-shop' is not the name of a")
    assert f"  → rename it, or move it out of the folder, then: {CHECK}\n" in ended.stderr


def test_ctrl_c_while_a_command_is_imported_shows_no_traceback(project: Project) -> None:
    """The first second of a command is Prefect's import."""
    run = command(project, "daily")
    wait_until(lambda: "pydantic_core" in Path(f"/proc/{run.process.pid}/maps").read_text())  # in the midst of it
    run.process.send_signal(signal.SIGINT)
    ended = run.finish()
    assert ended.code in (-signal.SIGINT, 130)
    assert "Traceback" not in ended.stderr


def test_an_empty_url_of_prefect_is_none(tmp_path: Path) -> None:
    """Half of Prefect took it for a URL, and told with a traceback what it could not send there."""
    project = Project.create(tmp_path / "project", None, ["2024-01-01"])
    ended = command(project, "daily", env={"PREFECT_API_URL": ""}).finish()
    assert ended.code == 0
    assert ended.stderr == "planned 2 results of 1 day: 2 new\n"


def test_advice_that_makes_a_wrong_file_pass_is_not_handed_on(project: Project) -> None:
    """Polars names options with which a wrong header becomes a column of nulls."""
    project.declare(
        SHOPS.replace('"sales/{day}/*.csv"', '"sales/{day}/*.csv", schema={"shop": pl.String, "items": pl.Int64}')
    )
    project.sales_file("2024-01-02").write_text("shop;items\nnorth;1\n", encoding="utf-8")
    ended = command(project, "daily").finish()
    assert ended.code == 1
    assert "2024-01-02 (input): sales/2024-01-02/sales.csv cannot be read as declared: found none of" in ended.stdout
    assert "among 'shop;items', expected some of 'shop', 'items'; is separator=\";\" meant?" in ended.stdout
    assert not re.search("missing_columns|extra_columns|or pass", ended.stdout)


def test_what_almost_matches_is_counted_and_named(project: Project) -> None:
    """A day without its zeros and a suffix in capitals are read by nobody, and said."""
    (project.raw / "sales/2024-1-11").mkdir()
    (project.raw / "sales/2024-01-01/more.CSV").touch()
    ended = command(project, "daily", "--dry-run").finish()
    assert ended.code == 0
    begins, step = "source 'sales/{day}/*.csv': 1 path is ignored ", "; rename it, or correct the template"
    assert ended.stderr.splitlines()[:2] == [
        f"{begins}(other capitals than in the template): 'sales/2024-01-01/more.CSV'{step}",
        f"{begins}(a day of other digits than in the template): 'sales/2024-1-11'{step}",
    ]


def test_days_without_input_and_days_that_a_limit_left_are_named(project: Project) -> None:
    """By their dates, and not as a number alone."""
    project.sell("2024-01-13", [("north", 1)])
    project.sell("2024-01-15", [("north", 1)])
    ended = command(project, "daily", "--limit", "1").finish()
    assert ended.code == 0, ended.stderr
    gap = "2024-01-11..2024-01-12, 2024-01-14"
    assert ended.stdout.count(f"Not computed: 6 without input ({gap})\n--limit left 1 day for later runs\n") == 1
    found = command(project, "daily", "--limit", "1", "--json").finish().json
    assert found["without_input"] == dict.fromkeys(("items_by_shop", "totals"), gap.split(", "))
    assert "left" not in found
    health = command(project, "health").finish()
    assert health.code == 0, health.stdout
    assert f"Without input: {gap}\n" in health.stdout


def test_days_whose_raw_files_are_gone_are_named(project: Project) -> None:
    """A run keeps their results and health calls them healthy, so that both say which days they are."""
    for day in ("2024-01-04", "2024-01-05", "2024-01-08"):
        project.sales_file(day).unlink()
    days = "2024-01-04..2024-01-05, 2024-01-08"
    ended = command(project, "daily").finish()
    assert ended.code == 0, ended.stderr
    assert f"Not computed: 6 orphaned ({days})\n" in ended.stdout
    health = command(project, "health").finish()
    assert f"Orphaned, for their raw files are gone; the results are kept: {days}\n" in health.stdout
    found = command(project, "health", "--json").finish().json
    assert found["orphaned"] == dict.fromkeys(("items_by_shop", "totals"), days.split(", "))


def test_healthy_says_what_was_looked_at_and_what_was_not(project: Project) -> None:
    """Bytes that nobody read, an index that was not compared, and a file that readers may count."""
    (project.output / "copy.parquet").touch()
    told = command(project, "health").finish().stdout
    assert "Healthy: the output agrees with the input; no index was compared\n" in told
    assert (
        "Compared: names, sizes and times of the input, and the footer of each result. Not read: the bytes of both"
        in told
    )
    assert f"; {REPAIR} --deep reads them\n" in told
    assert (
        "Warning: copy.parquet in the output is not Noonmark's, and readers of all Parquet files may count it\n"
        f"    → move it away\n    → {HEALTH}\n"
    ) in told
    deep = command(project, "repair", "--deep").finish()
    assert "Read every byte of 20 results and of the input that is there for them\n" in deep.stdout


def test_an_env_file_of_another_encoding_is_refused_before_prefect_reads_it(tmp_path: Path) -> None:
    """PowerShell writes UTF-16; Prefect ended with a traceback, and with a code that means failed days."""
    (tmp_path / ".env").write_bytes("NOONMARK_WORKERS=1\n".encode("utf-16"))
    words = [sys.executable, "-m", "flows.daily", "--json"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    ended = Finished(done.returncode, done.stdout, done.stderr)
    message = f"{tmp_path}/.env cannot be read: it is not UTF-8"
    assert ended.code == 2
    assert ended.json["error"]["message"] == message
    assert ended.stderr == f"noonmark: {message}\n  → save it as UTF-8; .env.example shows one\n"


def test_two_aggregations_of_one_name_in_a_file_are_refused(project: Project) -> None:
    """The second took the place of the first, and its results that of the right ones."""
    project.declare(SHOPS + "\n\n" + SHOPS[SHOPS.index("@aggregation(sales, version=1)\ndef totals") :])
    ended = command(project, "daily", "--dry-run").finish()
    assert ended.code == 2
    first, step = ended.stderr.splitlines()
    assert first.startswith("noonmark: two aggregations are called totals (shops.py:")
    assert first.endswith("and the second would replace the first; expected different names")
    assert step == f"  → correct it, then: {CHECK}"


def test_a_word_behind_the_list_of_commands_is_no_run(project: Project) -> None:
    """``python -m flows daily`` in a crontab computes nothing, and must not end well."""
    words = [sys.executable, "-m", "flows", "daily"]
    done = subprocess.run(words, cwd=project.checkout, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "noonmark: python -m flows takes no arguments, found 'daily'; the commands are\npython"
    )


def test_what_prefect_cannot_work_with_is_said_before_it_tries(project: Project, tmp_path: Path) -> None:
    """Its client took a word for a URL, and its server tried for five minutes to open a database."""
    ended = command(project, "daily", env={"PREFECT_API_URL": "me:hush@nonsense"}).finish()
    assert ended.code == 2
    assert ended.stderr == (
        "noonmark: PREFECT_API_URL=nonsense is not a URL; expected http://HOST:4200/api\n"
        "  → start that server and correct PREFECT_API_URL, or unset it to use a temporary one\n"
    )
    (tmp_path / "file").touch()
    env = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "file/prefect")}
    ended = command(project, "daily", "--json", "--force", "--days", "2024-01-01", env=env).finish()
    assert ended.code == 2
    assert ended.json["error"] == {
        "kind": "configuration",
        "message": f"Prefect's folder {tmp_path}/file/prefect cannot be written: Not a directory; its temporary server "
        "keeps a database there",
        "command": None,
        "hint": "set PREFECT_HOME to a folder that can be written, or PREFECT_API_URL to a server that runs",
    }


def test_where_nothing_is_to_be_computed_no_prefect_server_is_started(tmp_path: Path) -> None:
    """A temporary one takes seconds. Work needs it; a look, a repair and a run without work do not."""
    project = Project.create(tmp_path / "project", None, ["2024-01-01"])
    database = project.home / ".prefect/prefect.db"
    worked = command(project, "daily").finish()
    assert worked.code == 0, worked.stderr
    assert database.exists()
    assert re.search(r", in \d+\.\d s\nPrefect's temporary server took \d+\.\d s of them\n", worked.stdout)
    database.unlink()
    for flow, told in (
        ("daily", "Nothing to do: 2 results up to date ("),
        ("health", "Healthy: "),
        ("repair", "Index: nothing to repair"),
    ):
        ended = command(project, flow).finish()
        assert ended.code == 0, ended.stderr
        assert told in ended.stdout
        assert not database.exists(), flow


def test_a_flow_module_started_as_a_file_says_what_to_type(project: Project) -> None:
    """Python would say that there is no module of this name."""
    done = subprocess.run([sys.executable, "flows/daily.py"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "noonmark: flows/daily.py is not a script\n  → in the project's folder: python -m flows.daily\n"
    )


WIDE = (
    SHOPS
    + '''

@aggregation(sales)
def by_shop(sales):
    """Two columns that a file may lack."""
    return sales.group_by("shop").agg(pl.col("items").sum())


@aggregation(sales)
def items(sales):
    """One of them."""
    return sales.select("items")
'''
)


def test_a_wrong_header_is_one_finding_for_its_file(project: Project) -> None:
    """Whichever aggregations read it: the file, what each did not find and where, and what the file has."""
    project.declare(WIDE)
    assert command(project, "daily").finish().code == 0
    project.sales_file("2024-01-02").write_text("shap,count\nnorth,1\n", encoding="utf-8")
    ended = command(project, "daily").finish()
    assert ended.code == 1
    error = (
        r"sales/2024-01-02/\S+ has no column 'items' \(shops\.py:\d+(, shops\.py:\d+)*\), "
        r"'shop' \(shops\.py:\d+(, shops\.py:\d+)*, did you mean 'shap'\?\); its columns are shap, count"
    )
    step = "correct that first: neither the input nor the code changed since"
    names = "by_shop, items, items_by_shop, totals"
    assert re.search(rf"^  {names} 2024-01-02 \(aggregation\): {error}$", ended.stdout, re.M), ended.stdout
    assert "To retry the first alone: python -m flows.daily --days 2024-01-02\n" in ended.stdout
    health = command(project, "health").finish()
    assert "4 problems\n" in health.stdout
    assert health.stdout.count("→ python -m flows.daily") == 1
    assert re.search(rf"  failed: 4 results of 2024-01-02: .*{error}\n    → {step}\n", health.stdout)


def test_a_file_that_is_no_text_is_one_finding(project: Project) -> None:
    """Not one for each aggregation, nor for each day: the first day's file, with its line and what it begins with."""
    garbage = bytes(range(128, 256)) * 20
    project.sales_file("2024-01-02").write_bytes(garbage)
    project.sales_file("2024-01-03").write_bytes(b"shop,items\n" + garbage)
    ended = command(project, "daily").finish()
    assert ended.code == 1
    [line] = [line for line in ended.stdout.splitlines() if "(input)" in line]
    first = r"sales/2024-01-02/sales.csv cannot be read as declared: line 1: found bytes that are not UTF-8 ('\x80\x81"
    assert line.startswith(f"  items_by_shop, totals, 2 days, first 2024-01-02 (input): {first}")


BROKEN = '''

def helper():
    """What the aggregation calls."""
    return {}["key"]


@aggregation(sales)
def broken(sales):
    """Raises."""
    return helper()
'''


def test_the_whole_traceback_of_an_aggregation_is_shown_where_it_is_asked_for(project: Project) -> None:
    """Without, the line of the user's own file, and that there is more."""
    project.declare(SHOPS + BROKEN)
    words = ("--only", "broken", "--days", "2024-01-01")
    short = command(project, "daily", *words).finish()
    line = SHOPS.count("\n") + BROKEN[: BROKEN.index('return {}["key"]')].count("\n") + 1
    assert f"  broken 2024-01-01 (aggregation): it failed: KeyError: 'key' (shops.py:{line})\n" in short.stdout
    assert "With --traceback, a run prints the whole of what was raised\n" in short.stdout
    assert "Traceback" not in short.stderr
    whole = command(project, "daily", *words, "--traceback").finish()
    assert "broken 2024-01-01 failed:\nTraceback (most recent call last):\n" in whole.stderr
    assert f'shops.py", line {line}, in helper\n' in whole.stderr
    assert whole.stderr.count("KeyError: 'key'") == 1
    assert "--traceback" not in whole.stdout


def test_a_run_says_as_much_as_it_is_asked_to(project: Project) -> None:
    """Quiet: the report. Verbose: a line for each result, too."""
    words = ("--force", "--days", "2024-01-01")
    quiet = command(project, "daily", *words, "--quiet").finish()
    assert (quiet.code, quiet.stderr) == (0, "")
    assert "2 results of 1 day committed" in quiet.stdout
    verbose = command(project, "daily", *words, "-v").finish()
    first, *lines = verbose.stderr.splitlines()
    assert first == "planned 2 results of 1 day: 2 forced"
    assert sorted(lines) == [
        "items_by_shop 2024-01-01: committed, 2 rows (forced)",
        "totals 2024-01-01: committed, 1 row (forced)",
    ]
