"""One pass over one day, step by step: each step keeps the results that go on, and notes what becomes of the others.

The order of the steps is the commit protocol's: token, input, result, input again, publish. Who calls them may take
each step for many days before the next.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa
from polars.exceptions import PanicException, PolarsError

from state import clock
from state.errors import StorageError
from state.index.index import IndexUpdate
from state.inputs.files import InputChanged
from state.inputs.root import InputRootGone
from state.planner.decide import Item
from state.result.classify import Commit, Newer
from state.result.readable import Misread, require_readable
from state.result.record import CommitRecord, SourceRecord
from state.result.schemas import SchemaDiffers, schema_of
from state.result.writing import arrow_table, rows_digest, write_result
from state.store.base import Superseded, Token
from state.store.local import commit as commits
from state.store.local.staging import StagedFile, staged_file
from tasks.catalog.declare import Aggregation, Source
from tasks.compute.context import RunContext
from tasks.compute.evaluate import Evaluated, Misfit
from tasks.compute.outcomes import Committed, Failed, Outcome, Skipped
from tasks.inputs.reading import DayInput, read_day
from tasks.inputs.run_listing import logical_now

LIBRARIES = {"polars": pl.__version__, "pyarrow": pa.__version__}


@dataclass(frozen=True, slots=True)
class Ready:
    """A written result that waits to be flushed, then published, then made durable."""

    item: Item
    token: Token
    record: CommitRecord
    schema: str
    new: StagedFile


class Attempt:
    """One pass over a day.

    ``planned`` are its items, ``pending`` those that go on, ``ready`` their written results. ``anew`` holds the items
    to be begun anew, because their input or their place changed meanwhile, ``outcomes`` what became of the others.
    """

    def __init__(self, shop: RunContext, day: str, items: Sequence[Item]) -> None:
        self.day = day
        self.planned = items
        self.pending = list(items)
        self.ready: list[Ready] = []
        self.anew: list[Item] = []
        self.outcomes: list[Outcome] = []
        self._shop = shop
        self._tokens: dict[str, Token] = {}
        self._taken: dict[Source, DayInput] = {}
        self._checked: set[Source] = set()
        self._since = 0

    def read_tokens(self) -> None:
        """Read what the results are to be published over. That comes before any look at the input."""
        self.pending = [item for item in self.pending if self._read_token(item)]

    def take_in(self, since: int) -> None:
        """Read the input, as it is after a moment when all tokens were read; what another has done goes no further."""
        self._since = since
        self.pending = [item for item in self.pending if not self._done_by_another(item)]
        self.pending = [item for item in self.pending if self._take(item) and not self._done_meanwhile(item)]

    @property
    def aggregations(self) -> list[Aggregation]:
        """What is to be computed."""
        return [self._shop.catalog[item.aggregation] for item in self.pending]

    @property
    def taken(self) -> dict[Source, DayInput]:
        """The day's files of every source that is needed."""
        return {taken.source: taken for item in self.pending for taken in self._sources(item).values()}

    def write(self, results: Mapping[str, Evaluated | Misfit], drafts: ExitStack) -> None:
        """Write what was computed into drafts, which live as long as the stack."""
        for item in self.pending:
            result = results[item.aggregation]
            if isinstance(result, Misfit):
                # What was read while it was being replaced is no fault of anybody's.
                self._since = logical_now()
                if self._still_holds(item):
                    self._fail(item, result.kind, result.error)
                continue
            try:
                self.ready.append(self._write(item, result, drafts))
            except SchemaDiffers as error:
                if self._still_holds(item):
                    self._fail(item, "schema", str(error))
            except OSError as error:
                self._unwritten(item, error)
            except Misread as error:
                self._fail(item, "aggregation", f"its result cannot be read back: {error}")
            except (pa.ArrowException, PolarsError, PanicException, TypeError) as error:
                self._fail(item, "aggregation", f"its result is nothing that Parquet holds: {error}")
        self.pending = []

    def flushed(self, one: Ready, error: OSError | None) -> None:
        """Note how the flush of a written result went: one that failed is worthless."""
        if error:
            self.ready.remove(one)
            self._unwritten(one.item, error)

    def publish(self, since: int) -> None:
        """Look at the input again, as it is after a moment from now, and publish what was computed from just that."""
        self._since = since
        self.ready = [one for one in self.ready if self._still_holds(one.item)]
        self.ready = [one for one in self.ready if self._publish(one)]

    def settle(self, one: Ready, error: OSError | None) -> None:
        """Note how the flush of a published result's folders went: with it, the result is committed."""
        self.ready.remove(one)
        if error:
            self._unpublished(one.item, error)
            return
        status = os.fstat(one.new.fd)
        record = one.record
        news = IndexUpdate(Commit(record, (status.st_size, status.st_mtime_ns), one.schema), one.token.nonce)
        self.outcomes.append(
            Committed(one.item.aggregation, self.day, record.generation, record.rows, one.item.reason, news)
        )

    def abort(self, error: Exception) -> None:
        """Give up all that is not settled yet: something happened that nobody foresaw."""
        settled = {one.aggregation for one in (*self.outcomes, *self.anew)}
        for item in self.planned:
            if item.aggregation not in settled:
                self._fail(item, "broken", f"{type(error).__name__}: {error}")
        self.pending, self.ready = [], []

    def _read_token(self, item: Item) -> bool:
        try:
            token = self._shop.root.token((item.aggregation, self.day))
        except StorageError as error:
            return self._fail(item, "storage", str(error), passing=True)
        found = token.found
        declared = self._shop.catalog[item.aggregation].version
        if isinstance(found, Newer) or (isinstance(found, Commit) and found.record.version > declared):
            return self._skip(item, "ahead")
        self._tokens[item.aggregation] = token
        return True

    def _done_by_another(self, item: Item) -> bool:
        """Whether another run has committed since the plan was made, from files that are listed alike now.

        That spares reading them. Where the listing settles nothing, ``_done_meanwhile`` decides by their contents.
        """
        found = self._tokens[item.aggregation].found
        aggregation = self._shop.catalog[item.aggregation]
        if not isinstance(found, Commit) or found.record.nonce == item.over:
            return False
        if found.record.version != aggregation.version or set(found.record.inputs) != set(aggregation.sources):
            return False
        try:
            for name, source in aggregation.sources.items():
                now = self._shop.listing.list_day(source, self.day, self._since)
                if found.record.inputs[name].stat != now.stat:
                    return False
        except StorageError:
            return False
        return not self._skip(item, found.status)

    def _take(self, item: Item) -> bool:
        sources = self._shop.catalog[item.aggregation].sources.values()
        for source, planned in zip(sources, item.files or (1,) * len(sources), strict=True):
            if source not in self._taken:
                try:
                    taken = read_day(source, self._shop.input_root, self.day, self._shop.listing, self._since)
                except InputChanged:
                    return self._begin_anew(item)
                except InputRootGone as error:
                    return self._fail(item, "input", error.message)
                except StorageError as error:
                    return self._fail(item, "input", error.message, passing=True)
                if taken is None:
                    return self._fail_of_files(item, source, 0, planned)
                self._taken[source] = taken
            if (left := len(self._taken[source].files.files)) < planned:
                return self._fail_of_files(item, source, left, planned)
        return True

    def _fail_of_files(self, item: Item, source: Source, left: int, planned: int) -> Literal[False]:
        """Fail a day that lost files since it was planned.

        Something may have been unmounted. Where they were removed on purpose, the next plan is made without them.
        """
        gone = "its files are" if not left else f"{planned - left} of its {planned} files are"
        found = f"{left} match" if left else "none matches"
        root = self._shop.input_root.of(absolute=source.template.absolute)
        wanted = f"{source.template.pattern(self.day)} below {root.path}"
        told = f"{gone} gone since the plan was made: {found} {wanted}; expected {planned}, or a new run"
        return self._fail(item, "input", told, passing=True)

    def _sources(self, item: Item) -> dict[str, DayInput]:
        return {name: self._taken[one] for name, one in self._shop.catalog[item.aggregation].sources.items()}

    def _done_meanwhile(self, item: Item) -> bool:
        """Whether another run has committed the same result since the plan was made."""
        found = self._tokens[item.aggregation].found
        if not isinstance(found, Commit) or found.record.version != self._shop.catalog[item.aggregation].version:
            return False
        if item.reason == "forced" and found.record.nonce == item.over:
            return False
        now = {name: taken.contents.digest for name, taken in self._sources(item).items()}
        if now != {name: source.contents for name, source in found.record.inputs.items()}:
            return False
        return not self._skip(item, found.status)

    def _write(self, item: Item, result: Evaluated, drafts: ExitStack) -> Ready:
        token = self._tokens[item.aggregation]
        aggregation = self._shop.catalog[item.aggregation]
        table = arrow_table(result.frame)
        schema = schema_of(table)
        self._shop.schemas.claim(item.aggregation, aggregation.version, self.day, schema)
        new = drafts.enter_context(staged_file(self._shop.root.folder))
        record = CommitRecord(
            aggregation=item.aggregation,
            version=aggregation.version,
            code=aggregation.code,
            day=self.day,
            generation=token.generation,
            rows=table.num_rows,
            inputs={name: _source_record(taken, result.rows[name]) for name, taken in self._sources(item).items()},
            result=rows_digest(table),
            libraries=LIBRARIES,
            nonce=new.nonce,
            committed_at=clock.utc_now().isoformat(timespec="milliseconds"),
        )
        write_result(new.fd, table, record)
        require_readable(new.fd, result.frame, schema)
        return Ready(item, token, record, schema, new)

    def _still_holds(self, item: Item) -> bool:
        for taken in self._sources(item).values():
            if taken.source in self._checked:
                continue
            try:
                taken.check(self._since)
            except InputChanged:
                return self._begin_anew(item)
            except (OSError, StorageError) as error:
                return self._fail(item, "input", str(error), passing=not isinstance(error, InputRootGone))
            self._checked.add(taken.source)
        return True

    def _publish(self, one: Ready) -> bool:
        try:
            commits._publish(self._shop.root.folder, (one.item.aggregation, self.day), one.token, one.new)
        except Superseded:
            return self._begin_anew(one.item)
        except (OSError, StorageError) as error:
            return self._unpublished(one.item, error)
        return True

    def _unwritten(self, item: Item, error: OSError) -> None:
        self._fail(item, "storage", f"its result cannot be written: {error}", passing=True)

    def _unpublished(self, item: Item, error: OSError | StorageError) -> Literal[False]:
        return self._fail(item, "storage", f"its result cannot be published: {error}", passing=True)

    def _begin_anew(self, item: Item) -> Literal[False]:
        self._shop.schemas.release(item.aggregation, self.day)
        self.anew.append(item)
        return False

    def _fail(self, item: Item, kind: str, error: str, *, passing: bool = False) -> Literal[False]:
        self._shop.schemas.release(item.aggregation, self.day)
        self.outcomes.append(Failed(item.aggregation, self.day, kind, error, passing))
        return False

    def _skip(self, item: Item, status: str) -> Literal[False]:
        self.outcomes.append(Skipped(item.aggregation, self.day, status))
        return False


def _source_record(taken: DayInput, rows: int) -> SourceRecord:
    files = taken.files
    stat = files.stat if taken.stat_proves else None
    return SourceRecord(len(files.files), files.bytes, rows, taken.contents.digest, stat)
