"""The last failure of a result, as it is recorded between runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from state.days import is_day
from state.partition import is_aggregation_name

DIED = "died"
"""The kind of a failure that ended its process."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of a result.

    ``kind`` and ``error`` are the outcome's. ``basis`` is the planner's digest of the input and the code that it failed
    on, or empty where it is unknown. ``times`` counts failures in a row; ``failed_at`` is a UTC time, for reports only.
    ``summary`` is the error without what is the day's own, where the two differ.
    """

    aggregation: str
    day: str
    kind: str
    error: str
    basis: str
    times: int
    failed_at: str
    summary: str = ""

    @property
    def is_suspicion(self) -> bool:
        """Whether its process died while it was computed together with others: it may not be the cause."""
        return self.kind == DIED and not self.basis

    def repeats_on(self, basis: str) -> bool:
        """Whether an attempt on this basis would repeat it."""
        return self.basis in ("", basis)

    def to_json(self) -> str:
        """The record as it is written."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> Failure | None:
        """Read a record; None where it is not one."""
        try:
            found: Any = json.loads(content)
            failure = cls(**found)
        except (ValueError, TypeError, RecursionError):
            return None
        texts = [failure.aggregation, failure.day, failure.kind, failure.error, failure.basis, failure.failed_at]
        texts.append(failure.summary)
        if not all(isinstance(text, str) for text in texts) or type(failure.times) is not int:
            return None
        return failure if is_aggregation_name(failure.aggregation) and is_day(failure.day) else None
