"""What ``flows.repair --accept-output`` accepts: just what a run would refuse now, and nothing that comes later."""

from __future__ import annotations

from state.acceptance import Accepted
from state.inputs.root import InputRoot
from state.planner import fewer_files as fewer
from state.store.base import Store
from tasks import older_results as older
from tasks.catalog.load import Catalog
from tasks.planning import planned, sources_by_key
from tasks.survey import listed, listed_facts, vanished_sources


def to_accept(catalog: Catalog, input_root: InputRoot, root: Store, threads: int) -> Accepted:
    """All of it. Raises StorageError where a source cannot be listed: what nobody knows is not accepted."""
    declared, output = planned(catalog), root.scan()
    sources = sources_by_key(catalog)
    listings = listed(sources, input_root)
    facts = listed_facts(declared, sources, listings, output, {})
    empty = frozenset(name for name, _, _ in vanished_sources(declared, listings, output))
    return Accepted(empty, fewer.acceptable(declared, facts), older.acceptable(declared, facts, root, threads))
