"""A partition: one day of one aggregation. Each has one result."""

from __future__ import annotations

Partition = tuple[str, str]
"""An aggregation and a day, such as ``("totals", "2013-01-31")``."""


def is_aggregation_name(name: str) -> bool:
    """Whether a name can be an aggregation's: a plain identifier without a leading underscore."""
    return name.isidentifier() and not name.startswith("_")
