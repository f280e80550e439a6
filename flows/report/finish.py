"""The end of every flow: its JSON object as the result, or a failed state whose message says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from flows.report.models import Report
from state.errors import NoonmarkError

Kind = TypeVar("Kind", bound=Report)

_finished: ContextVar[list[Report] | None] = ContextVar("finished", default=None)


class ProblemsRemain(NoonmarkError):
    """A run that ended with days not committed, or with problems found."""

    kind = "problems"
    exit_code = 1


def finish(report: Report) -> dict[str, Any]:
    """What a flow returns: its report's JSON object. Raises ProblemsRemain, which makes its run ``Failed``."""
    finished = _finished.get()
    if finished is not None:
        finished.append(report)
    if message := report.failure():
        raise ProblemsRemain(message)
    return report.to_json()


def report_of(flow: Callable[[], object], kind: type[Kind]) -> Kind:
    """Call a flow, and get the report it finished with, whether it ended well or not."""
    finished: list[Report] = []
    token = _finished.set(finished)
    try:
        with suppress(ProblemsRemain):
            flow()
    finally:
        _finished.reset(token)
    [report] = finished
    assert isinstance(report, kind)
    return report
