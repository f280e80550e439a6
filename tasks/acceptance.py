"""What ``flows.repair --accept-output`` accepts: just what a run would refuse now, and nothing that comes later."""

from __future__ import annotations

from state.acceptance import Accepted
from state.inputs.root import InputRoot
from state.planner import fewer_files as fewer
from state.result.classify import commits
from state.store.base import Store
from tasks import older_results as older
from tasks.catalog.load import Catalog
from tasks.inputs.listing import list_source
from tasks.planning import planned, sources_by_key
from tasks.survey import listed_facts


def to_accept(catalog: Catalog, input_root: InputRoot, root: Store, threads: int) -> Accepted:
    """All of it. Raises StorageError where a source cannot be listed: what nobody knows is not accepted."""
    declared, output = planned(catalog), root.scan()
    sources = sources_by_key(catalog)
    listings = {name: list_source(input_root, some[0].template) for name, some in sources.items()}
    facts = listed_facts(declared, sources, listings, output, {})
    committed = [one for one in declared if commits(output.days.get(one.name, {}))]
    needed = {source for one in committed for source in one.sources.values()}
    empty = {name for name, listing in listings.items() if listing.is_empty}
    return Accepted(
        frozenset(empty & needed), fewer.acceptable(declared, facts), older.acceptable(declared, facts, root, threads)
    )
