"""Stdout holds the report alone, whatever else writes there, and whatever of stdin, stdout and stderr is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.project import SHOPS, Project, dates

NOISY = """
import ctypes, subprocess, sys

@aggregation(sales)
def noisy(sales: pl.LazyFrame) -> pl.LazyFrame:
    '''Written to stdout in every way.'''
    print("from print")
    print("from print to the original stream", file=sys.__stdout__, flush=True)
    os.write(1, b"from the descriptor\\n")
    ctypes.CDLL(None).puts(b"from C")
    subprocess.run(["echo", "from a child"], check=True)
    return sales.select(items=pl.col("items").sum())
"""
CRASHES = """
import faulthandler

@aggregation(sales)
def crashes(sales: pl.LazyFrame) -> pl.LazyFrame:
    '''Ends its process.'''
    faulthandler._sigsegv()
    return sales
"""


def in_shell(
    project: Project, redirections: str, *options: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m flows.daily`` from a shell, with these redirections."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m flows.daily "$@" {redirections}', sys.executable, *options],
        cwd=project.checkout,
        env=project.environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [["--json"], []])
def test_whatever_else_is_written_to_stdout_goes_to_stderr(project: Project, options: list[str]) -> None:
    """By Python, by C and by child processes: a program that reads the report finds nothing else there."""
    project.declare(SHOPS + NOISY)
    end = in_shell(project, "", "--only", "noisy", "--days", dates(1)[0], *options)
    assert end.returncode == 0, end.stderr
    assert "from" not in end.stdout.replace("in Python", "")
    for said in ("print", "print to the original stream", "the descriptor", "C", "a child"):
        assert end.stderr.splitlines().count(f"from {said}") == 1
    if options:
        assert [one["day"] for one in json.loads(end.stdout)["committed"]] == dates(1)
    else:
        assert "1 result of 1 day committed" in end.stdout


@pytest.mark.parametrize(
    ("closed", "options"),
    [(">&-", ["--json", "--dry-run"]), ("2>&-", ["--json", "--dry-run"]), ("<&- >&- 2>&-", []), ("2>&-", ["--json"])],
)
def test_a_closed_stream_is_no_fault(project: Project, closed: str, options: list[str]) -> None:
    """No file that the run opens gets the number of one, and is printed into."""
    project.sell("2024-03-01", [("north", 1)])
    end = in_shell(project, closed, *options)
    assert end.returncode == 0, end.stderr
    assert end.stderr.splitlines() == ([] if "2>&-" in closed else ["planned 2 results of 1 day: 2 new"])
    if ">&-" in closed.split():
        assert end.stdout == ""
    else:
        assert len(json.loads(end.stdout)["plan" if "--dry-run" in options else "committed"]) == 2
    if "--dry-run" not in options:
        assert project.rows() == project.expected()


def test_a_stream_that_is_no_utf8_gets_the_whole_report(project: Project) -> None:
    """What it cannot show is escaped, and nothing of it ends in a trace."""
    name = "größe"
    output = project.output.rename(project.folder / name)
    (project.sales_file("2024-01-03")).write_bytes(b"")
    env = {"NOONMARK_OUTPUT": str(output), "PYTHONIOENCODING": "ascii", "NOONMARK_REDIS_URL": "none"}
    project.sell("2024-03-01", [("north", 1)])
    end = in_shell(project, "", env=env)
    assert end.returncode == 1, end.stderr
    assert end.stdout.isascii()
    assert "gr\\xf6\\xdfe" in end.stdout
    assert "Traceback" not in end.stderr


def test_python_without_assertions_and_docstrings_computes_the_same(project: Project) -> None:
    """``python -OO`` takes the aggregations' docstrings away too; they are required where there are some."""
    project.sell("2024-03-01", [("north", 1)])
    end = project.run(env={"PYTHONOPTIMIZE": "2"})
    assert len(end.committed) == 2
    assert project.rows() == project.expected()
    again = project.run("--dry-run")
    assert again.planned == {}
    assert again.stderr == ""


def test_where_a_process_died_of_a_segmentation_fault_is_told(project: Project) -> None:
    """On stderr, with the line of the aggregation: the last thing that such a process can say."""
    project.declare(SHOPS + CRASHES)
    end = in_shell(project, "", "--json", "--only", "crashes", "--days", dates(1)[0])
    assert end.returncode != 0
    assert "Fatal Python error: Segmentation fault" in end.stderr
    assert f'File "{os.fspath(project.code / "shops.py")}"' in end.stderr
