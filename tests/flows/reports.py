"""Reports made from the JSON objects that commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flows.report.models import DailyReport
from state.days import parse_range
from state.index.index import IndexUpdate
from tasks.compute.outcomes import Committed, Failed
from tasks.inputs.strays import Stray


def daily_report(found: Mapping[str, Any]) -> DailyReport:
    """The report of a run; of its commits all but what the index was told."""
    committed = tuple(
        Committed(
            one["aggregation"], one["day"], one["generation"], one["rows"], one["reason"], cast("IndexUpdate", None)
        )
        for one in found["committed"]
    )
    failed = tuple(Failed(**one) for one in found["failed"])
    gaps = {name: [parse_range(text) for text in some] for name, some in found.get("without_input", {}).items()}
    unmatched = {one["source"]: one["why"] for one in found.get("unmatched", ())}
    orphaned = {name: [parse_range(text) for text in some] for name, some in found.get("orphaned", {}).items()}
    left = found.get("left", 0)
    strays: dict[str, list[Stray]] = {}
    for one in found.get("strays", ()):
        strays.setdefault(one["source"], []).append(Stray(one["path"], one["why"]))
    ends = {"waiting": found.get("waiting_for", {}), "strays": strays}
    report = DailyReport(committed, failed, found["skipped"], found["seconds"], unmatched, gaps, orphaned, left, **ends)
    assert report.to_json() == found
    return report
