"""What a user declares. ``Source`` and ``aggregation`` are all of Noonmark that an aggregation's module imports."""

from tasks.catalog.declare import Source, aggregation

__all__ = ["Source", "aggregation"]
