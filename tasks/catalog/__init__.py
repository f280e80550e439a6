"""What a user declares. These names are all of Noonmark that an aggregation's module imports."""

from tasks.catalog.declare import Reference, Source, aggregation

__all__ = ["Reference", "Source", "aggregation"]
