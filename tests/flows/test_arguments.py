"""The command lines: every word that is understood, what is said of one that is not, and the help."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest

from flows.cli.arguments import EXIT_CODES, Arguments, CommandLine, Printing
from flows.daily import daily
from flows.health import health
from flows.repair import repair
from state.errors import ConfigurationError

PROG = "python -m flows.daily"
LINE = CommandLine(PROG, daily.fn, ("", "--dry-run"))
OPTIONS = (
    "--days, --dry-run, --force, --help, --json, --limit, --newest-first, --only, --quiet, --traceback, --verbose, "
    "--version, --workers, -h, -q, -v"
)


def given(*words: str) -> tuple[dict[str, Any], Printing]:
    """What a command line gives the flow, and how it is to print."""
    found = LINE.parse(words)
    assert isinstance(found, Arguments)
    return found.given, found.printing


def printed(line: CommandLine, *words: str) -> str:
    """What a command line prints that asks for help or versions."""
    found = line.parse(words)
    assert not isinstance(found, Arguments)
    with contextlib.redirect_stdout(io.StringIO()) as told:
        found()
    return told.getvalue()


def test_only_what_was_typed_is_given_to_the_flow() -> None:
    """A flow run records its parameters; those that were left out have the flow's own defaults."""
    assert given() == ({}, Printing())
    words = ("--days", "A..B", "--days=C", "--only", "x,y", "--limit", "3", "--workers=2", "--force", "--newest-first")
    assert given(*words)[0] == {
        "days": ["A..B", "C"],
        "only": ["x,y"],
        "limit": 3,
        "workers": 2,
        "force": True,
        "newest_first": True,
    }
    assert given("--retry-quarantined")[0] == {"retry_quarantined": True}


def test_how_to_print_is_no_parameter_of_the_flow() -> None:
    """It may stand before, between and after the flow's options, and in short."""
    assert given("-q", "--days", "A", "--json", "--force") == (
        {"days": ["A"], "force": True},
        Printing(json=True, quiet=True),
    )
    assert given("-v", "--traceback")[1] == Printing(verbose=True, traceback=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--dryrun", "there is no option --dryrun; did you mean --dry-run?"),
        ("--day 2024-01-01", "there is no option --day; did you mean --days?"),
        ("--jsn", "there is no option --jsn; did you mean --json?"),
        ("--no-force", "there is no option --no-force; did you mean --force?"),
        ("--lim 3", "there is no option --lim; did you mean --limit?"),
        ("-x", f"there is no option -x; expected one of {OPTIONS}"),
        ("--days", "--days lacks a value"),
        ("--days --force", "--days lacks a value"),
        ("--limit x", "--limit x: expected a whole number from 1"),
        ("--limit 0", "--limit 0: expected a whole number from 1"),
        ("--limit=1.5", "--limit 1.5: expected a whole number from 1"),
        ("--workers ²", "--workers ²: expected a whole number from 1"),
        ("--limit 1 --limit 2", "--limit is given more than once"),
        ("--force=maybe", "--force takes no value"),
        ("A", "found 'A', expected an option before it; a list is written with commas: --days A,B"),
        ("--days A B", "found 'B', expected an option before it; a list is written with commas: --days A,B"),
        ("-q -v", "--quiet and --verbose exclude each other"),
    ],
)
def test_a_word_that_is_not_understood_is_named_with_what_was_meant(words: str, message: str) -> None:
    """Nothing is abbreviated, rounded or guessed: a schedule must not compute something else."""
    with pytest.raises(ConfigurationError) as caught:
        LINE.parse(words.split())
    assert caught.value.message == message
    assert caught.value.command == f"{PROG} --help"


@pytest.mark.parametrize("flow", [daily, health, repair], ids=lambda flow: str(flow.name))
def test_the_help_describes_every_option_with_examples_and_exit_codes(flow: Any) -> None:
    """It comes from the docstring that a deployment's form shows too."""
    told = printed(CommandLine("python -m flows.x", flow.fn, ("", "--json")), "--help")
    assert told.startswith("Usage: python -m flows.x [OPTIONS]\n\n" + flow.fn.__doc__.split("\n")[0][:60])
    assert "Returns" not in told
    assert "Examples:\n  python -m flows.x\n  python -m flows.x --json\n" in told
    assert EXIT_CODES.partition(":")[0] in told
    options = [line for line in told.splitlines() if line.startswith("│ --")]
    assert len(options) >= 6
    assert all(len(line.strip("│ ").split()) > 3 for line in options), options


def test_the_version_is_told_with_those_that_a_report_of_a_fault_needs() -> None:
    """Noonmark's, Python's, and those of the libraries that compute."""
    told = printed(LINE, "--version")
    assert told.startswith("noonmark ")
    assert all(f"{name} " in told for name in ("Python", "Prefect", "polars", "pyarrow"))
