"""What every computation of a run shares, and how much of it is done together."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from state.inputs.root import InputRoot
from state.planner.current import Declared
from state.result.schemas import Schemas
from state.store.base import RunNote, Store
from state.store.local.store import LocalStore
from tasks.catalog.load import Catalog, load
from tasks.compute.outcomes import Observer
from tasks.compute.type_causes import RunTypes
from tasks.inputs.run_listing import RunListing
from tasks.planning import planned
from tasks.reading.references import ReadReferences
from tasks.reading.sound_files import SoundFiles

OPEN_STAGED = 512
"""How many files a whole run's results have open at most, two each, where a process may have twice as many."""


class AdaptiveBatchSize:
    """How many results are computed and flushed together: as many as take about half a second, so that a run that
    ends early drops no more than that.
    """

    WANTED_SECONDS = 0.5

    def __init__(self, workers: int = 1) -> None:
        self._most = max(1, open_staged() // (2 * workers))
        self.results = min(4, self._most)

    def took(self, results: int, seconds: float) -> None:
        """Learn from a group that was computed."""
        if seconds > self.WANTED_SECONDS:
            self.results = max(1, min(self.results, results) // 2)
        elif results >= self.results and seconds < self.WANTED_SECONDS / 2:
            self.results = min(2 * self.results, self._most)


def open_staged() -> int:
    """OPEN_STAGED, or half of what this process may have open: it needs others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_STAGED if soft == resource.RLIM_INFINITY else min(OPEN_STAGED, soft // 2)


class RunSpec(NamedTuple):
    """All that another process needs to take part in a run, in plain values. It has to inherit the ``descriptors``.

    ``input`` is the path of the input root with its descriptor, or None; ``output`` is the store's handle.
    """

    module: str
    input: tuple[str, int | None]
    output: Sequence[Any]
    broken_links: Mapping[str, Sequence[str]]
    descriptors: Sequence[int] = ()


@dataclass(frozen=True)
class RunContext:
    """What every computation of a run shares.

    ``stopping`` is set once the run is to end early, ``module`` is where another process finds the catalog. ``note``
    records what is being computed; it is None in a process whose parent records it. ``broken_links`` are those that the
    survey found, by the key of their source; ``schemas`` are those of the results that the run found, and of those that
    it makes; ``known_sound`` has the raw files that need no check.
    """

    catalog: Catalog
    input_root: InputRoot
    store: Store
    batch_size: AdaptiveBatchSize = field(default_factory=AdaptiveBatchSize)
    observer: Observer = field(default_factory=Observer)
    schemas: Schemas = field(default_factory=Schemas)
    known_sound: SoundFiles = field(default_factory=SoundFiles)
    stopping: threading.Event = field(default_factory=threading.Event)
    broken_links: Mapping[str, Sequence[str]] = field(default_factory=dict)
    note: RunNote | None = None
    module: str = ""

    @classmethod
    def open(cls, spec: RunSpec) -> RunContext:
        """The context in another process, with a scan of the output for the schemas. Raises StorageError."""
        path, fd = spec.input
        store = LocalStore.from_handle(*spec.output)
        return cls(
            load(spec.module, quiet=True),
            InputRoot(Path(path), fd),
            store,
            schemas=Schemas(store.scan().days),
            broken_links=spec.broken_links,
            module=spec.module,
        )

    @cached_property
    def types(self) -> RunTypes:
        """The inferred types of the sources, as the run found them and finds them."""
        return RunTypes(self.catalog, self.schemas.output)

    def spec(self) -> RunSpec:
        """What opens it in another process."""
        raw = self.input_root
        raw_fd = raw.fd if raw.is_open else None
        descriptors, handle = self.store.handle()
        return RunSpec(
            self.module,
            (os.fspath(raw.path), raw_fd),
            handle,
            self.broken_links,
            [*descriptors, *([] if raw_fd is None else [raw_fd])],
        )

    @cached_property
    def declared(self) -> Mapping[str, Declared]:
        """The aggregations as the planner sees them."""
        return {one.name: one for one in planned(self.catalog)}

    @cached_property
    def listing(self) -> RunListing:
        """What is listed of the inputs while the run goes on."""
        return RunListing(self.input_root, self.broken_links)

    @cached_property
    def references(self) -> ReadReferences:
        """What was read of the references while the run goes on."""
        return ReadReferences(self.listing, self.known_sound)
