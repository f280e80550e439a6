"""What a user declares. These names are all of Noonmark that an aggregation's module imports."""

from tasks.catalog.declare import aggregation
from tasks.catalog.source import Reference, Source

__all__ = ["Reference", "Source", "aggregation"]
