"""What ends a run as interrupted: a signal that arrived, and nothing that somebody raised."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.project import SHOPS, Project, Running

RAISES = """
import asyncio, sys

def ends(*_, **__):
    raise {error}

sys.modules["flows.planned_run"].survey = ends
"""
WAITS = """
Path(os.environ["HANGS"]).touch()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("error", "options"),
    [
        ("SystemExit(0)", []),
        ("KeyboardInterrupt", ["--dry-run"]),
        ("asyncio.CancelledError", []),
        ("GeneratorExit", ["--dry-run"]),
    ],
)
def test_whatever_escapes_without_a_signal_is_a_broken_run(project: Project, error: str, options: list[str]) -> None:
    """Exit 4 with its trace and the JSON object: never exit 0, and never "interrupted"."""
    project.declare(SHOPS + RAISES.format(error=error))
    end = project.run(*options)
    assert end.code == 4, end.stderr
    name = error.partition("(")[0].removeprefix("asyncio.")
    assert end.json["error"]["kind"] == "broken"
    assert end.json["error"]["message"].startswith(f"the run itself broke: {name}")
    assert "interrupted" not in end.stderr
    assert "shops.py" in end.stderr
    assert "Traceback" in end.stderr


def test_a_module_that_interrupts_its_import_is_a_wrong_module(project: Project) -> None:
    """Exit 2, with the module and its line."""
    project.declare(SHOPS + "\nraise KeyboardInterrupt\n")
    end = project.run("--dry-run")
    assert end.code == 2, end.stderr
    assert "shops cannot be imported" in end.json["error"]["message"]
    assert "(shops.py:" in end.json["error"]["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_a_run_while_the_users_module_is_imported(project: Project, number: signal.Signals) -> None:
    """The exit code tells which, and the module is not blamed."""
    project.declare(SHOPS + WAITS)
    hangs = project.folder / "hangs"
    run = project.start("--json", "--dry-run", env={"HANGS": str(hangs)})
    run.until(hangs.exists)
    run.process.send_signal(number)
    end = run.finish()
    assert (end.code, end.stdout) == (128 + number, "")
    assert end.stderr == "noonmark: interrupted; every committed day is safe, and the next run computes the rest\n"


def test_a_forced_run_that_is_interrupted_does_not_promise_to_go_on(project: Project) -> None:
    """The days that it committed are current for the next run, and forced once more by the same command."""
    project.declare(SHOPS + WAITS)
    hangs = project.folder / "hangs"
    run = project.start("--json", "--dry-run", "--force", "--only", "totals", env={"HANGS": str(hangs)})
    run.until(hangs.exists)
    run.press_ctrl_c()
    told = "every committed day is safe, and the same command computes all of them again"
    assert run.finish().stderr == f"noonmark: interrupted; {told}\n"


def test_a_run_that_outlives_its_terminal_by_nohup_goes_on(project: Project) -> None:
    """A signal that whoever started the run had ignored stays ignored."""
    project.declare(SHOPS + WAITS.replace("60", "1"))
    hangs = project.folder / "hangs"
    words = ["nohup", sys.executable, "-m", "flows.daily", "--json", "--dry-run"]
    run = Running(words, project.checkout, project.environment(HANGS=str(hangs)))
    run.until(hangs.exists)
    run.process.send_signal(signal.SIGHUP)
    end = run.finish()
    assert end.code == 0, end.stderr
    assert end.planned == {}


def test_help_is_printed_on_stdout() -> None:
    """It may be piped into a pager."""
    end = subprocess.run([sys.executable, "-m", "flows.daily", "--help"], capture_output=True, text=True, check=True)
    assert end.stdout.startswith("Usage: python -m flows.daily")
    assert end.stderr == ""
