"""Progress: a line for a person, an artifact for a server, and neither gets in the way of the work."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.report import progress
from flows.report.progress import shown_progress
from state.planner.decide import Item
from tasks.compute.outcomes import Observer, Skipped
from tests.project import CHECKOUT

TERMINAL = """
import time
from flows.report.progress import shown_progress
from flows.cli.command import _Stderr
from state.planner.decide import Item
from tasks.compute.outcomes import Skipped
import logging
log = logging.getLogger("noonmark")
log.addHandler(_Stderr())
items = [Item("totals", str(day), "new") for day in range(40)]
with shown_progress(items) as observer:
    for at in range(0, 40, 10):
        for item in items[at : at + 10]:
            observer.on(Skipped(*item.partition, "done"))
        observer.tick()
        log.warning("a line meanwhile")
        time.sleep(0.3)
"""


def test_a_terminal_shows_a_line_that_goes_and_lines_that_stay() -> None:
    """Days done, rate and time left stand in one line, what is logged stands above it, and at the end it is gone."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", TERMINAL], cwd=CHECKOUT, stderr=theirs, env=_wide())
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
        if not piece:
            break
        shown += piece
    assert process.wait(60) == 0
    text = shown.decode()
    assert "computing" in text
    assert "20/40" in text
    assert " a second" in text
    assert text.count("a line meanwhile\r\n") == 4
    assert text.rstrip().endswith("\x1b[2K"), "the line is gone at the end"


def planned(days: int) -> list[Item]:
    """So many days of one result each."""
    return [Item("totals", str(day), "new") for day in range(days)]


def finish(observer: Observer, items: list[Item]) -> None:
    """Tell of the outcomes of these."""
    for item in items:
        observer.on(Skipped(item.aggregation, item.day, "done"))


def _wide() -> dict[str, str]:
    return {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}


def test_nothing_is_shown_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a terminal and without a server that stays, outcomes are told to nobody."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}), shown_progress(planned(5)) as observer:
        finish(observer, planned(5))
        observer.tick()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[float, str]]]:
    """What a server is told of progress, at once."""
    calls: list[tuple[float, str]] = []

    def create(done: float, key: str, description: str) -> UUID:
        calls.append((done, description))
        return uuid4()

    def update(_: UUID, done: float, description: str) -> None:
        calls.append((done, description))

    monkeypatch.setattr(progress, "create_progress_artifact", create)
    monkeypatch.setattr(progress, "update_progress_artifact", update)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)
    with temporary_settings({PREFECT_API_URL: "http://a-server/api", PREFECT_LOGGING_TO_API_ENABLED: False}):
        yield calls


def test_an_artifact_follows_the_days(told: list[tuple[float, str]]) -> None:
    """It is made at the first look, updated at later ones, and left as the run left the days."""
    items = planned(8)
    with shown_progress(items) as observer:
        finish(observer, items[:2])
        observer.tick()
        finish(observer, items[2:6])
    assert told == [(25.0, "2 of 8 days"), (75.0, "6 of 8 days")]


def test_a_day_counts_once_all_of_its_results_have_an_outcome(told: list[tuple[float, str]]) -> None:
    """Days are counted, whatever the number of aggregations."""
    items = [Item(name, day, "new") for day in "12" for name in ("mean", "total")]
    with shown_progress(items) as observer:
        finish(observer, items[:1])
        observer.tick()
        finish(observer, items[1:2])
    assert told == [(0.0, "0 of 2 days"), (50.0, "1 of 2 days")]


def test_a_short_run_makes_no_artifact(told: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of something that is over costs a run more than it tells."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 60.0)
    with shown_progress(planned(8)) as observer:
        finish(observer, planned(8))
        observer.tick()
    assert told == []


def test_a_server_that_takes_no_artifact_fails_no_run(
    told: list[tuple[float, str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and the days go on."""

    def refuse(*_: Any, **__: Any) -> UUID:
        raise ValueError("no artifacts today")

    monkeypatch.setattr(progress, "create_progress_artifact", refuse)
    with shown_progress(planned(8)) as observer:
        for _ in range(3):
            observer.tick()
    assert caplog.text.count("no artifacts today") == 1


def test_a_real_server_has_the_artifact_of_the_run(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person sees in Prefect's UI: the days of this run, in per cent."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.0)

    @flow
    def computing() -> UUID:
        with shown_progress(planned(8)) as observer:
            observer.tick()
            finish(observer, planned(6))
        return UUID(str(flow_run.id))

    with temporary_settings({PREFECT_API_URL: api_url}):
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[computing()]))
        with get_client(sync_client=True) as client:
            [found] = client.read_artifacts(artifact_filter=wanted)
    assert (found.key, found.type) == ("noonmark-days", "progress")
    assert (found.data, found.description) == (75.0, "6 of 8 days")
