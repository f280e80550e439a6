"""Computes a day: its files are read once, all planned aggregations of it run over them, and each result is published.

The order is the commit protocol's: token, input, result, input again, publish. One aggregation that fails harms no
other, and a day that changes under the computation is begun anew a bounded number of times.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
from polars.exceptions import PanicException, PolarsError

from state.commits import Superseded, Token, publish, read_token
from state.drafts import Draft, draft
from state.errors import StorageError
from state.found import Commit, Newer
from state.index import NewCommit
from state.inputs import InputChanged
from state.record import CommitRecord, SourceRecord
from state.results import arrow_table, rows_digest, write_result
from state.root import OutputRoot
from state.verdict import Item
from tasks.catalog import Source
from tasks.evaluate import Evaluated, evaluate
from tasks.intake import Taken, listed, take
from tasks.loading import Catalog
from tasks.outcomes import Committed, Failed, Outcome, Skipped

ATTEMPTS = 3
"""How often a day is begun that changes while it is computed."""
LIBRARIES = {"polars": pl.__version__, "pyarrow": pa.__version__}

log = logging.getLogger("noonmark")


@dataclass(frozen=True)
class Workshop:
    """What every computation of a run shares. ``stopping`` is set when the run is told to end."""

    catalog: Catalog
    input_root: Path
    root: OutputRoot
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A written and flushed result that waits to be published."""

    item: Item
    token: Token
    record: CommitRecord
    new: Draft


def compute_day(shop: Workshop, day: str, items: Sequence[Item]) -> list[Outcome]:
    """Compute and publish the planned results of one day. What is wrong with the day is an outcome, not an error."""
    outcomes: list[Outcome] = []
    pending = list(items)
    for _ in range(ATTEMPTS):
        attempt = _Attempt(shop, day)
        try:
            attempt.run(pending)
        except Exception as error:
            log.exception("day %s", day)
            settled = {one.aggregation for one in (*attempt.outcomes, *attempt.anew)}
            told = f"{type(error).__name__}: {error}"
            lost = [item.aggregation for item in pending if item.aggregation not in settled]
            outcomes += [Failed(name, day, "broken", told) for name in lost]
        outcomes += attempt.outcomes
        pending = attempt.anew
        if not pending:
            break
    unsettled = f"its input or its commit changed {ATTEMPTS} times while it was computed; the next run takes it up"
    return outcomes + [Failed(item.aggregation, day, "unsettled", unsettled, passing=True) for item in pending]


class _Attempt:
    """One pass over a day: each step keeps the items that go on, and notes what becomes of those that do not.

    ``anew`` holds the items to be begun anew, because their input or their place changed meanwhile.
    """

    def __init__(self, shop: Workshop, day: str) -> None:
        self.outcomes: list[Outcome] = []
        self.anew: list[Item] = []
        self._shop = shop
        self._day = day
        self._tokens: dict[str, Token] = {}
        self._taken: dict[Source, Taken] = {}
        self._checked: set[Source] = set()

    def run(self, items: list[Item]) -> None:
        """Take the items as far as they go."""
        items = [item for item in items if self._read_token(item) and not self._done_by_another(item)]
        items = [item for item in items if self._take(item) and not self._done_meanwhile(item)]
        with ExitStack() as drafts:
            for one in [one for one in self._compute(items, drafts) if self._still_holds(one.item)]:
                self._publish(one)

    def _read_token(self, item: Item) -> bool:
        try:
            token = read_token(self._shop.root.fd, item.aggregation, self._day)
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
                if found.record.inputs[name].stat != listed(source, self._shop.input_root, self._day).stat:
                    return False
        except StorageError:
            return False
        return not self._skip(item, found.status)

    def _take(self, item: Item) -> bool:
        for source in self._shop.catalog[item.aggregation].sources.values():
            if source in self._taken:
                continue
            try:
                taken = take(source, self._shop.input_root, self._day)
            except InputChanged:
                return self._begin_anew(item)
            except StorageError as error:
                return self._fail(item, "input", error.message, passing=True)
            if taken is None:
                return self._skip(item, "orphaned")
            self._taken[source] = taken
        return True

    def _sources(self, item: Item) -> dict[str, Taken]:
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

    def _compute(self, items: list[Item], drafts: ExitStack) -> list[_Ready]:
        if not items:
            return []
        needed = {taken.source: taken for item in items for taken in self._sources(item).values()}
        results = evaluate([self._shop.catalog[item.aggregation] for item in items], needed)
        ready = []
        for item in items:
            result = results[item.aggregation]
            if not isinstance(result, Evaluated):
                # What was read while it was being replaced is no fault of anybody's.
                if self._still_holds(item):
                    self._fail(item, result.kind, result.error)
                continue
            try:
                ready.append(self._write(item, result, drafts))
            except OSError as error:
                self._fail(item, "storage", f"its result cannot be written: {error}", passing=True)
            except (pa.ArrowException, PolarsError, PanicException, TypeError) as error:
                self._fail(item, "aggregation", f"its result is nothing that Parquet holds: {error}")
        return ready

    def _write(self, item: Item, result: Evaluated, drafts: ExitStack) -> _Ready:
        token = self._tokens[item.aggregation]
        new = drafts.enter_context(draft(self._shop.root.fd))
        table = arrow_table(result.frame)
        aggregation = self._shop.catalog[item.aggregation]
        record = CommitRecord(
            aggregation=item.aggregation,
            version=aggregation.version,
            code=aggregation.code,
            day=self._day,
            generation=token.generation,
            rows=table.num_rows,
            inputs={name: _source_record(taken, result.rows[name]) for name, taken in self._sources(item).items()},
            result=rows_digest(table),
            libraries=LIBRARIES,
            nonce=new.nonce,
            committed_at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        )
        write_result(new.fd, table, record)
        return _Ready(item, token, record, new)

    def _still_holds(self, item: Item) -> bool:
        for taken in self._sources(item).values():
            if taken.source in self._checked:
                continue
            try:
                taken.check()
            except InputChanged:
                return self._begin_anew(item)
            except (OSError, StorageError) as error:
                return self._fail(item, "input", str(error), passing=True)
            self._checked.add(taken.source)
        return True

    def _publish(self, one: _Ready) -> None:
        item, record = one.item, one.record
        try:
            publish(self._shop.root.fd, item.aggregation, self._day, one.token, one.new)
        except Superseded:
            self._begin_anew(item)
            return
        except (OSError, StorageError) as error:
            self._fail(item, "storage", f"its result cannot be published: {error}", passing=True)
            return
        status = os.fstat(one.new.fd)
        news = NewCommit(Commit(record, status.st_size, status.st_mtime_ns), one.token.nonce)
        self.outcomes.append(Committed(item.aggregation, self._day, record.generation, record.rows, item.reason, news))

    def _begin_anew(self, item: Item) -> Literal[False]:
        self.anew.append(item)
        return False

    def _fail(self, item: Item, kind: str, error: str, *, passing: bool = False) -> Literal[False]:
        self.outcomes.append(Failed(item.aggregation, self._day, kind, error, passing))
        return False

    def _skip(self, item: Item, status: str) -> Literal[False]:
        self.outcomes.append(Skipped(item.aggregation, self._day, status))
        return False


def _source_record(taken: Taken, rows: int) -> SourceRecord:
    files = taken.files
    stat = files.stat if taken.proven else None
    return SourceRecord(len(files.files), files.bytes, rows, taken.contents.digest, stat)
