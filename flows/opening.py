"""Opens what a run works with: the index, embedded or elsewhere, and the output root that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from state.embedded.server import EmbeddedServer, running
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
        url = settings.redis_url.get_secret_value()
        if url == WITHOUT_REDIS:
            yield BestEffortIndex(None, "NOONMARK_REDIS_URL=none")
            return
        try:
            if not url:
                url = _embedded(settings, stack) if start else running(settings.redis_dir) or ""
        except IndexUnavailable as error:
            unavailable = BestEffortIndex(None)
            unavailable.disable(str(error))
            yield unavailable
            return
        if not url:
            yield BestEffortIndex(None, "no embedded server is running")
            return
        lease_seconds = settings.lease_seconds if start else None
        yield stack.enter_context(BestEffortIndex.open(url, settings.namespace, lease_seconds))


def _embedded(settings: Settings, stack: ExitStack) -> str:
    return stack.enter_context(EmbeddedServer(settings.redis_dir)).url


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
    """The output root for looking: nothing is written, and nothing bound. None where a run would create it.

    Raises Refused, StorageError.
    """
    root = preview_store(settings.output, create=settings.create_output, remembered=index.has_commits(catalog))
    if root is not None:
        index.belongs_to(root.id, bind=False)
    return root
