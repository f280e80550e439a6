"""The catalog as the planner sees it."""

from __future__ import annotations

from state.planner.current import Declared
from tasks.catalog.load import Catalog
from tasks.catalog.source import Source


def planned(catalog: Catalog) -> list[Declared]:
    """What the planner knows of each aggregation. Sources that list alike have one key, and are listed once."""
    return [
        Declared(
            *(one.name, one.version, one.code),
            {name: source.key for name, source in one.sources.items()},
            one.references,
            one.keeps_references,
        )
        for one in catalog.values()
    ]


def sources_by_key(catalog: Catalog) -> dict[str, list[Source]]:
    """The sources by their key: one of those that show paths and one of those that do not, where both are declared.

    They list alike, and the digests of their files may differ.
    """
    found: dict[str, list[Source]] = {}
    for aggregation in catalog.values():
        for source in aggregation.sources.values():
            alike = found.setdefault(source.key, [])
            if all(one.digest_key != source.digest_key for one in alike):
                alike.append(source)
    return found
