"""Groups failed results by their cause: one mistake may fail hundreds of days, and is to be read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from state.days import order
from state.words import counted, enumerated
from tasks.compute.outcomes import Failed


@dataclass(frozen=True, slots=True)
class FailureCause:
    """Results that failed of one cause, by day. There is at least one."""

    failed: tuple[Failed, ...]

    @property
    def kind(self) -> str:
        """The kind that all of them have."""
        return self.failed[0].kind

    def __str__(self) -> str:
        first = self.failed[0]
        days = {one.day for one in self.failed}
        names = enumerated(sorted({one.aggregation for one in self.failed}))
        if len(days) == 1:
            return f"{names} {first.day} ({self.kind}): {first.error}"
        return f"{names}, {counted(len(days), 'day')}, first {first.day} ({self.kind}): {first.error}"


def failures_by_cause(failed: Iterable[Failed]) -> list[FailureCause]:
    """The failed results by their cause, in the order in which each cause came first."""
    groups: dict[tuple[str, str], list[Failed]] = {}
    for one in failed:
        groups.setdefault((one.kind, one.summary or one.error), []).append(one)
    return [FailureCause(tuple(sorted(some, key=lambda one: order(one.day)))) for some in groups.values()]
