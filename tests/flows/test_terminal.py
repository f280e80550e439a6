"""What a person reads on a terminal, and where there is none."""

from __future__ import annotations

import pytest

from flows.report.models import DailyReport
from flows.report.terminal import show_daily
from state.settings import read_settings
from tasks.compute.outcomes import Failed

REPORT = DailyReport(failed=(Failed("totals", "2024-01-02", "input", "it is no text"),))
RED = "\x1b[1;31m"


@pytest.mark.parametrize(
    ("variables", "red"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
    ids=["no terminal", "a terminal", "NO_COLOR"],
)
def test_colours_are_for_terminals_and_for_who_wants_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variables: dict[str, str], red: bool
) -> None:
    """A file or a pipe gets plain text, and so does a person who set NO_COLOR."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    show_daily(REPORT, read_settings())
    told = capsys.readouterr().out
    assert (RED in told) == red
    assert "31m" not in told or red
    assert "totals 2024-01-02 (input): it is no text" in told
