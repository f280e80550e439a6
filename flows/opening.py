"""Opens what a run works with: the index, embedded or elsewhere, and the output root that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from state.embedded.server import EmbeddedServer, running, was_used
from state.errors import IndexUnavailable
from state.index.best_effort import BestEffortIndex
from state.settings import WITHOUT_REDIS, Settings
from state.store.local.root import open_store, preview_store
from state.store.local.store import LocalStore
from tasks.catalog.load import Catalog
from tasks.survey import require_input


@contextmanager
def opened_index(settings: Settings, *, start: bool = True) -> Iterator[BestEffortIndex]:
    """The index of these settings. ``start=False`` starts no server: where none runs, there is no index.

    A Redis that cannot be reached is no error: the run goes on without. Raises ConfigurationError for a wrong URL.
    """
    with ExitStack() as stack:
        index = BestEffortIndex(None)
        try:
            url: str | None = settings.redis_url.get_secret_value()
            if not url:
                embedded = EmbeddedServer(settings.redis_dir)
                url = stack.enter_context(embedded).url if start else running(settings.redis_dir)
        except IndexUnavailable as error:
            index.disable(str(error))
        else:
            if url == WITHOUT_REDIS:
                index = BestEffortIndex(None, "NOONMARK_REDIS_URL=none")
            elif not url:
                index = BestEffortIndex(None, "no embedded server is running")
            else:
                lease_seconds = settings.lease_seconds if start else None
                index = stack.enter_context(BestEffortIndex.open(url, settings.namespace, lease_seconds))
        yield index


def used_index(settings: Settings) -> Path | None:
    """Where the embedded server's file lies, if it is used and earlier runs left one: it may remember commits."""
    embedded = not settings.redis_url.get_secret_value()
    return settings.redis_dir if embedded and was_used(settings.redis_dir) else None


def opened_root(settings: Settings, catalog: Catalog, index: BestEffortIndex) -> LocalStore:
    """The output root for writing, created and marked where that is allowed, and the index bound to it.

    Raises Refused, StorageError, ConfigurationError where nothing is to be made for there is no input either.
    """
    root = open_store(
        settings.output,
        create=settings.create_output,
        remembered=index.has_commits(catalog),
        before_creating=partial(require_input, catalog, settings.input),
    )
    index.belongs_to(root.id, bind=True)
    return root


def seen_root(settings: Settings, catalog: Catalog, index: BestEffortIndex) -> LocalStore | None:
    """The output root for reading: nothing is written, and nothing bound. None where a run would create it.

    Raises Refused, StorageError.
    """
    root = preview_store(settings.output, create=settings.create_output, remembered=index.has_commits(catalog))
    if root is not None:
        index.belongs_to(root.id, bind=False)
    return root
