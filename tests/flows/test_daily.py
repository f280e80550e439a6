"""The main job from outside: ``python -m flows.daily`` on a throw-away project, against a real Prefect server."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flows.cli.arguments import Arguments, CommandLine
from flows.cli.options import selection_of
from flows.daily import daily
from flows.planned_run import preview
from flows.report.terminal import show_daily
from state.errors import ACCEPT
from state.settings import read_settings
from tasks.catalog.load import load
from tests.flows.reports import daily_report
from tests.project import CHECKOUT, SHOPS, Finished, Project, Running, dates, dump, reasons, wait_until

pytestmark = pytest.mark.timeout(300)  # whole runs, on machines that may be busy

DAYS = dates(10)
BOTH = ("items_by_shop", "totals")
SKIPPED_NOTHING = {"done": 20}


MEASURES = """
def items():
    return pl.col("items").sum()  # all


MEASURES = {}
MEASURES["items"] = items


@aggregation(sales, version=2)
"""
"""What stands above ``totals`` where its measures are found in a table, and its version is raised."""


def _reason(reason: str, days: Sequence[str], aggregations: Sequence[str] = BOTH) -> dict[tuple[str, str], str]:
    return {(aggregation, day): reason for aggregation in aggregations for day in days}


def _run_all(*runs: Running) -> list[Finished]:
    return [run.finish() for run in runs]


def _nothing_to_do(finished: Finished, skipped: dict[str, int] = SKIPPED_NOTHING) -> bool:
    return not finished.committed and finished.json["skipped"] == skipped


# What is computed, and why


def test_a_first_run_commits_every_day_and_a_second_finds_nothing_to_do(first_run: Finished, project: Project) -> None:
    """Promises 7 and 8: the results are those counted by hand, and none is computed twice."""
    assert first_run.committed == _reason("new", DAYS)
    assert {one["generation"] for one in first_run.json["committed"]} == {1}
    assert sum(one["rows"] for one in first_run.json["committed"]) == 3 * len(DAYS)
    assert set(first_run.json) == {"committed", "failed", "skipped", "seconds"}
    assert first_run.json["skipped"] == {}
    assert first_run.json["seconds"] > 0
    assert first_run.stderr.splitlines() == ["planned 20 results of 10 days: 20 new"]

    second = project.run()
    assert _nothing_to_do(second)
    assert second.stderr == ""
    assert project.rows() == project.expected()
    assert project.drafts == []
    assert project.processes() == []


def test_each_day_is_computed_for_its_own_reason_and_no_other_day(project: Project) -> None:
    """Promises 6 and 8, all in one run: what changed, what is damaged or lost; a touched day is none of them."""
    expired, longer, edited, grown, touched, torn, foreign, lost, folderless, _ = DAYS
    shutil.rmtree(project.sales_file(expired).parent)
    with project.sales_file(longer).open("a", encoding="utf-8") as file:
        file.write("east,7\n")
    path = project.sales_file(edited)
    stat = path.stat()
    path.write_text(path.read_text().replace("north,10", "north,90"), encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and mtime, as `cp -p` leaves them
    project.sales_file(grown).with_name("late.csv").write_text("shop,items\nwest,1\n", encoding="utf-8")
    project.sales_file(touched).touch()
    project.result("totals", torn).write_bytes(half := project.result("totals", torn).read_bytes()[:-9])
    project.result("totals", foreign).write_bytes(b"mine")
    project.result("totals", lost).unlink()
    shutil.rmtree(project.result("totals", folderless).parent)
    project.sell("2024-01-12", [("north", 3)])

    run = project.run()

    assert run.committed == {
        **_reason("changed", [longer, edited, grown]),
        **_reason("corrupt", [torn, foreign], ["totals"]),
        **_reason("lost", [lost, folderless], ["totals"]),
        **_reason("new", ["2024-01-12"]),
    }
    assert run.json["skipped"] == {"done": 8, "orphaned": 2, "missing": 2}
    assert {one["generation"] for one in run.json["committed"] if one["reason"] != "new"} == {2}
    rows = project.rows()
    assert rows.pop(("totals", expired)) == [(3, 11)]
    assert rows.pop(("items_by_shop", expired)) == [("north", 10), ("south", 1)]
    assert rows == project.expected()
    kept = [path.read_bytes() for path in (project.output / "_noonmark/set_aside").iterdir()]
    assert sorted(kept) == sorted([half, b"mine"])
    assert project.run("--dry-run").planned == {}


def test_a_raised_version_is_computed_and_a_lowered_one_overwrites_nothing(project: Project) -> None:
    """Promise 3: old code never replaces what newer code committed, not by --force either.

    Code that changed without its version is reported by name, and not computed: the version is the user's word. What
    is in a table is code of whoever reads the table.
    """
    raised = SHOPS.replace("@aggregation(sales, version=1)\ndef totals", MEASURES + "def totals")
    raised = raised.replace('len(), items=pl.col("items").sum()', 'len(), items=MEASURES["items"]()')
    project.declare(raised.replace("items_by_shop(sales: pl.LazyFrame) -> pl.LazyFrame:", "items_by_shop(sales):"))
    run = project.run()
    assert run.committed == _reason("outdated", DAYS, ["totals"])
    assert {project.record("totals", day)["version"] for day in DAYS} == {2}
    assert "items_by_shop: its code changed" in run.stderr
    assert "totals: its code changed" not in run.stderr
    project.declare(raised.replace('"items").sum()  # all', '"items").max()'))
    assert "totals: its code changed" in project.run("--dry-run").stderr

    before = {path: path.read_bytes() for path in project.results()}
    project.declare(SHOPS)
    ahead, forced = _run_all(project.start("--json"), project.start("--json", "--force", "--only", "totals"))
    assert _nothing_to_do(ahead, {"ahead": 10, "done": 10})
    assert _nothing_to_do(forced, {"ahead": 10})
    assert {path: path.read_bytes() for path in project.results()} == before


# Redis decides nothing


def test_an_emptied_or_deleted_index_is_rebuilt_and_no_day_computed(project: Project, tmp_path: Path) -> None:
    """Promise 4: the output alone is the truth, and the index made from it equals the one that was lost."""
    other = project.copy(tmp_path / "other")
    before = project.index()
    assert len(before) == 7
    with project.client() as client:
        client.flushall()
    shutil.rmtree(other.redis)

    flushed, deleted = _run_all(project.start("--json"), other.start("--json"))

    assert _nothing_to_do(flushed)
    assert _nothing_to_do(deleted)
    assert project.index() == before
    assert other.index() == before


def test_an_index_emptied_in_mid_run_is_whole_after_the_next(project: Project) -> None:
    """Promises 4 and 7: FLUSHALL while days are being committed costs no day and no result."""
    shutil.rmtree(project.output)
    shutil.rmtree(project.redis)
    with project.client() as client:
        run = project.start("--json", env={"PACE": "0.1"})
        run.until(lambda: len(project.results()) >= 6)
        client.flushall()
        assert len(run.finish().committed) == 20
        assert len(dump(client)) < 7
        assert _nothing_to_do(project.run())
        index = dump(client)
    assert len(index) == 7
    assert index["noonmark:{totals}:processed_days"] == {day.encode() for day in DAYS}
    assert index["noonmark:{totals}:last_processed_day"] == DAYS[-1].encode()
    assert project.rows() == project.expected()


def test_a_redis_killed_in_mid_run_is_mentioned_once(project: Project) -> None:
    """Promises 4 and 12: every day is committed without it, and the next run repairs the index."""
    shutil.rmtree(project.output)
    shutil.rmtree(project.redis)
    run = project.start("--json", env={"PACE": "0.1"})
    run.until(lambda: len(project.results()) >= 6)
    with project.client() as client:
        os.kill(int(client.info("server")["process_id"]), 9)
    ended = run.finish()
    assert len(ended.committed) == 20
    assert ended.stderr.count("going on without Redis") == 1
    assert project.run("--dry-run").planned == {}
    assert project.processes() == []


# Refused: nothing is touched


def test_an_output_or_an_input_that_vanished_is_refused(project: Project, tmp_path: Path) -> None:
    """Exit 3, nothing touched, and the message names the command that accepts it."""
    moved, emptied, unwanted = project, project.copy(tmp_path / "emptied"), project.copy(tmp_path / "unwanted")
    moved.output.rename(tmp_path / "elsewhere")
    shutil.rmtree(emptied.raw / "sales")
    (emptied.raw / "sales").mkdir()
    shutil.rmtree(unwanted.output)
    shutil.rmtree(unwanted.redis)
    outputs = [one.tree(one.output) for one in (moved, emptied, unwanted)]

    runs = _run_all(
        moved.start("--json"),
        emptied.start("--json"),
        unwanted.start("--json", env={"NOONMARK_CREATE_OUTPUT": "false"}),
    )

    assert [one.tree(one.output) for one in (moved, emptied, unwanted)] == outputs
    for run, found in zip(runs, ("root.json", "'sales/{day}/*.csv'", "NOONMARK_CREATE_OUTPUT is false"), strict=True):
        assert run.code == 3
        assert run.json["error"]["kind"] == "refused"
        assert found in run.json["error"]["message"]
        assert found in run.stderr
        assert f"→ {run.json['error']['hint']}" in run.stderr
        assert "Traceback" not in run.stderr
    assert [run.json["error"]["command"] for run in runs] == [ACCEPT, ACCEPT, None]
    assert all(ACCEPT in run.json["error"]["hint"] for run in runs[:2])
    assert "mount it or correct NOONMARK_OUTPUT; if a new, empty output is meant: " in runs[0].stderr


# One bad day harms one day


def test_a_bad_day_is_named_and_the_others_are_committed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Promises 9 and 10: the last good result of a bad day stays; JSON, terminal and Prefect name the day.

    Prefect shows a task run for each of a few days, by its name and with the state that it has.
    """
    bad, worse = DAYS[3], "2024-01-20"
    good = {path: path.read_bytes() for path in project.results() if bad in str(path)}
    project.sales_file(bad).write_text("shop,items\nnorth,many\n", encoding="utf-8")
    project.sell(worse, [("north", 1)])
    project.sales_file(worse).write_bytes(b'shop,items\n"north,1\n')
    project.sell("2024-01-21", [("north", 1)])
    project.declare(SHOPS + RAISES)

    with _new_flow_runs(project) as ran:
        run = project.run()

    assert run.code == 1
    failed = {(one["aggregation"], one["day"]): one for one in run.json["failed"]}
    assert set(failed) == {
        *((name, day) for name in (*BOTH, "picky") for day in (bad, worse)),
        ("picky", DAYS[7]),
    }
    assert failed["totals", worse]["kind"] == "input"
    assert failed["picky", DAYS[7]]["kind"] == "aggregation"
    assert "no such luck" in failed["picky", DAYS[7]]["error"]
    new = _reason("new", [*DAYS, "2024-01-21"], ["picky"]) | _reason("new", ["2024-01-21"])
    assert reasons(run.json["committed"]) == {key: reason for key, reason in new.items() if key not in failed}
    assert "Traceback" not in run.stderr
    assert {path: path.read_bytes() for path in good} == good
    assert project.drafts == []

    [flow_run] = ran()
    assert flow_run["state"]["type"] == "FAILED"
    assert bad in flow_run["state"]["message"]
    states = _task_runs(project, flow_run, 12)
    assert set(states) == {*DAYS, worse, "2024-01-21"}
    assert {state["type"] for state in states.values()} == {"COMPLETED", "FAILED"}
    assert {name for name, state in states.items() if state["type"] == "FAILED"} == {bad, worse, DAYS[7]}
    assert bad in states[bad]["message"]
    assert "no such luck" in states[DAYS[7]]["message"]

    show_daily(daily_report(run.json), read_settings())
    told = capsys.readouterr().out
    for name, day in failed:
        assert re.search(rf"^  (\w+, )*{name}(, \w+)* {day} ", told, re.M)


RAISES = '''

@aggregation(sales)
def picky(sales: pl.LazyFrame) -> pl.LazyFrame:
    """Raises on the eighth day, on which seven items were sold first."""
    if sales.select(pl.col("items").first()).collect().item() == 7:
        raise LookupError("no such luck")
    return sales.select(items=pl.col("items").sum())
'''


# What Prefect shows


def test_prefect_shows_batches_of_many_days(api_url: str, tmp_path: Path) -> None:
    """Many days do not drown the server: a few task runs share them, each named by its first and last."""
    project = Project.create(tmp_path / "project", api_url)
    days = [f"2023-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 11)]
    for day in days:
        project.sell(day, [("north", 1)])
    with _new_flow_runs(project) as ran:
        run = project.run("--only", "totals", "--workers", "2")
    assert len(run.committed) == len(days)
    [flow_run] = ran()
    states = _task_runs(project, flow_run, 8)
    assert {state["type"] for state in states.values()} == {"COMPLETED"}
    assert f"{days[0]} to {days[14]} (15 days)" in states


def test_servers_do_not_spin() -> None:
    """Prefect cuts the recorder's interval to whole seconds: below one, every server would flush without a pause."""
    services = tomllib.loads((CHECKOUT / "prefect.toml").read_text())["server"]["services"]
    assert services["task_run_recorder"].get("flush_interval", 5) >= 1


@contextmanager
def _new_flow_runs(project: Project) -> Iterator[Any]:
    """A function that gives the flow runs that the server knows now and did not know before."""
    before = {one["id"] for one in _ask(project, "flow_runs/filter", {})}
    yield lambda: [one for one in _ask(project, "flow_runs/filter", {}) if one["id"] not in before]


def _task_runs(project: Project, flow_run: dict[str, Any], number: int) -> dict[str, dict[str, Any]]:
    """The state of each task run by its name, once the server has taken in as many as there must be."""
    query = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    found: list[dict[str, Any]] = []

    def settled() -> bool:  # its type may be there before its state is
        found[:] = _ask(project, "task_runs/filter", query)
        return len(found) == number and all(
            (one["state"] or {}).get("type") in ("COMPLETED", "FAILED") for one in found
        )

    wait_until(settled, 30)
    states = {one["name"]: one["state"] for one in found}
    assert len(states) == number
    return states


def _ask(project: Project, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{project.api_url}/{path}", json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)
    assert isinstance(found, list)
    return found


# Options


def test_a_dry_run_starts_and_writes_nothing(project: Project, tmp_path: Path) -> None:
    """It prints the plan; without a running index it says so, and calls lost results new."""
    fresh = Project.create(tmp_path / "fresh", project.api_url, DAYS[:2])
    with project.sales_file(DAYS[1]).open("a", encoding="utf-8") as file:
        file.write("east,7\n")
    project.result("totals", DAYS[0]).unlink()
    before = project.tree(), fresh.tree()

    changed, first = _run_all(project.start("--json", "--dry-run"), fresh.start("--json", "--dry-run"))

    assert changed.planned == _reason("changed", [DAYS[1]]) | {("totals", DAYS[0]): "new"}
    assert changed.json["counts"] == {"changed": 2, "new": 1}
    assert changed.json["index"] == "unread"
    assert changed.stderr.splitlines() == ["planned 3 results of 2 days: 2 changed, 1 new"]
    assert first.planned == _reason("new", DAYS[:2])
    assert (project.tree(), fresh.tree()) == before

    with project.client():
        informed = project.run("--dry-run")
    assert informed.planned == _reason("changed", [DAYS[1]]) | {("totals", DAYS[0]): "lost"}
    assert "index" not in informed.json


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (["--days", DAYS[3]], DAYS[3:4]),
        (["--days", f"{DAYS[3]}..{DAYS[5]}"], DAYS[3:6]),
        (["--days", f"{DAYS[8]}.."], DAYS[8:]),
        (["--days", f"..{DAYS[1]}", "--days", DAYS[7]], [*DAYS[:2], DAYS[7]]),
        (["--only", "totals", "--limit", "2"], DAYS[:2]),
        (["--only", "totals", "--limit", "2", "--newest-first"], DAYS[:7:-1]),
        (["--only", "totals,items_by_shop", "--days", f"{DAYS[1]},{DAYS[4]}"], [DAYS[1], DAYS[4]]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)
def test_options_narrow_the_plan(
    finished: Project, monkeypatch: pytest.MonkeyPatch, options: list[str], days: list[str]
) -> None:
    """The days asked for, in the order asked for, and no other."""
    for name, value in finished.environment().items():
        if name.startswith("NOONMARK_"):
            monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(finished.code))
    arguments = CommandLine("python -m flows.daily", daily.fn, ()).parse(["--force", *options])
    assert isinstance(arguments, Arguments)
    settings = read_settings()
    catalog = load(settings.aggregations)
    selection = selection_of(catalog, **arguments.given)
    plan = preview(settings, catalog, selection).to_json()["plan"]
    assert set(reasons(plan).values()) <= {"forced"}
    assert list(dict.fromkeys(one["day"] for one in plan)) == days


def test_a_limited_run_without_redis_takes_the_newest_days(api_url: str, tmp_path: Path) -> None:
    """--limit counts days, not results. A Redis that cannot be reached is mentioned once, without its password."""
    project = Project.create(tmp_path / "project", api_url, DAYS, redis_url="redis://:hush@127.0.0.1:1/0")
    run = project.run("--limit", "3", "--newest-first", "--workers", "1")
    assert run.committed == _reason("new", DAYS[7:])
    assert [one["day"] for one in run.json["committed"]] == sorted(DAYS[7:] * 2, reverse=True)
    assert run.stderr.count("going on without Redis") == 1
    assert "hush" not in run.stderr


WRONG: list[tuple[list[str], dict[str, str], str]] = [
    (["--bogus"], {}, "--bogus"),
    (["--only", "total"], {}, "did you mean totals?"),
    (["--workers", "0"], {}, "--workers 0"),
    (["--days", "2024-02-30"], {}, "'2024-02-30' is not a day"),
    (["--force"], {}, "--days or --only"),
    ([], {"NOONMARK_OUPUT": "x"}, "did you mean NOONMARK_OUTPUT?"),
    ([], {"NOONMARK_AGGREGATIONS": "nowhere"}, "there is no module nowhere"),
    ([], {"NOONMARK_REDIS_URL": "http://me:hush@somewhere"}, "NOONMARK_REDIS_URL"),
]


def test_what_cannot_be_meant_is_exit_2_and_nothing_is_started(finished: Project) -> None:
    """One JSON object on stdout, the same for a person on stderr, no trace, no secret, no run in Prefect."""
    with _new_flow_runs(finished) as ran, ThreadPoolExecutor(2) as two:
        ends = list(two.map(lambda one: finished.run(*one[0], env=one[1]), WRONG))
    wrong = []
    for (arguments, environment, part), run in zip(WRONG, ends, strict=True):
        error = run.json.get("error", {})
        fine = run.code == 2 and part in error["message"] and error["message"] in run.stderr
        if not fine or "Traceback" in run.stderr or "hush" in run.stderr + run.stdout:
            wrong.append((arguments, environment, run))
    assert wrong == []
    assert ran() == []


def test_help_needs_no_set_up(tmp_path: Path) -> None:
    """``--help`` fits a terminal of 80 columns, names every option, and writes nothing."""
    project = Project.create(tmp_path / "project", None)
    before = project.tree()
    run = project.start("--help", env={"COLUMNS": "80"}).finish()
    assert run.code == 0
    assert max(len(line) for line in run.stdout.splitlines()) <= 80
    for option in ("--days", "--only", "--force", "--limit", "--newest-first", "--workers", "--dry-run", "--json"):
        assert option in run.stdout
    assert project.tree() == before


# Reading


def test_a_days_files_are_read_once_for_all_its_aggregations(api_url: str, tmp_path: Path) -> None:
    """Promise 8 in small: three aggregations of a source cost one read of each file, and one call of ``read=``."""
    project = Project.create(tmp_path / "project", api_url, DAYS[:4])
    project.declare(COUNTED)
    log = tmp_path / "log"
    assert len(project.run(env={"LOG": str(log)}).committed) == 4 * 4
    counted = Counter(log.read_text().splitlines())
    # Each file is opened to be digested; those just written, whose times prove nothing yet, once more to be checked.
    opens = {name: number for name, number in counted.items() if name.startswith("open")}
    assert set(opens) == {f"open {day}" for day in DAYS[:4]}
    assert {name: number for name, number in counted.items() if name.startswith("read")} == {
        f"read {day}": 1 for day in DAYS[:4]
    }
    assert max(opens.values()) <= 2 * 2 + 1  # two sources over the same files, and what ``read=`` opens itself


COUNTED = '''
import os
import sys
from pathlib import Path

import polars as pl

from tasks.catalog import Source, aggregation


def log(line):
    fd = os.open(os.environ["LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, line.encode() + b"\\n")
    os.close(fd)


def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith("sales.csv"):
        log(f"open {Path(arguments[0]).parent.name}")


def read(files):
    log(f"read {files[0].parent.name}")
    return pl.concat([pl.read_csv(file.read_bytes()) for file in files]).lazy()


sys.addaudithook(watch)
plain = Source("sales/{day}/sales.csv")
by_hand = Source("sales/{day}/*.csv", read=read)


@aggregation(plain)
def one(plain: pl.LazyFrame) -> pl.LazyFrame:
    """Sales."""
    return plain.select(sales=pl.len())


@aggregation(plain)
def two(plain: pl.LazyFrame) -> pl.LazyFrame:
    """Items."""
    return plain.select(items=pl.col("items").sum())


@aggregation(by_hand)
def three(by_hand: pl.LazyFrame) -> pl.LazyFrame:
    """Items."""
    return by_hand.select(items=pl.col("items").sum())


@aggregation(plain, by_hand)
def four(plain: pl.LazyFrame, by_hand: pl.LazyFrame) -> pl.LazyFrame:
    """Items, twice."""
    return pl.concat([plain, by_hand]).select(items=pl.col("items").sum())
'''


# A newcomer's screen


def test_a_newcomer_sees_no_noise(tmp_path: Path) -> None:
    """An empty home, no server of any kind, a clone in a folder with spaces: two runs, and not a line too many."""
    clone = tmp_path / "my clone of it"
    for name in ("flows", "tasks", "state"):
        shutil.copytree(CHECKOUT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "prefect.toml", clone)
    project = Project.create(clone / "the data", None, DAYS[:3], checkout=clone)
    own = {"NOONMARK_OUTPUT": "data/aggregates", "NOONMARK_REDIS_DIR": ".noonmark/redis", "COLUMNS": "80"}

    first = project.start(env=own).finish()
    assert first.code == 0, first.stderr
    assert first.stderr.splitlines() == ["planned 6 results of 3 days: 6 new"]
    assert "6 results of 3 days committed, 9 rows" in first.stdout
    assert 'pl.read_parquet("data/aggregates/items_by_shop")' in first.stdout
    assert max(len(line) for line in first.stdout.splitlines()) <= 80
    assert len(list(clone.glob("data/aggregates/*/day=*/data.parquet"))) == 6

    second = project.start(env=own).finish()
    assert second.code == 0
    assert second.stderr == ""
    assert second.stdout.startswith("Nothing to do: 6 results up to date")
    assert len(second.stdout.splitlines()) == 1
    assert project.processes() == []
