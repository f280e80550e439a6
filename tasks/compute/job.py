"""One planned result on its way from plan to commit: claim, read, stage, commit.

The order of the steps is the commit protocol's: token, input, result, input again, publish. A step raises what keeps
the result from being committed, and ``Job.step`` makes the job's outcome of it, or its retry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import polars as pl
import pyarrow as pa
from polars.exceptions import PanicException, PolarsError

from state import clock
from state.errors import StorageError
from state.index.index import IndexUpdate
from state.inputs.files import InputChanged
from state.planner.current import Contents, Files, is_current
from state.planner.decide import Item
from state.result.classify import Commit, Newer
from state.result.readable import Misread, require_readable
from state.result.record import CommitRecord, SourceRecord
from state.result.schemas import SchemaDiffers
from state.result.writing import arrow_table, rows_digest
from state.store.base import Staged, Superseded, Token
from tasks.catalog.source import Source
from tasks.compute.context import RunContext
from tasks.compute.day_inputs import DayInputs
from tasks.compute.evaluate import Evaluated
from tasks.compute.outcomes import Committed, Failed, JobFailed, JobSkipped, Outcome, Skipped, traceback_log
from tasks.reading.day_input import DayInput

UNSETTLED = "its input or its commit changed each time that it was computed; the next run tries again"
LIBRARIES = {"polars": pl.__version__, "pyarrow": pa.__version__}

log = logging.getLogger("noonmark")


class Result(NamedTuple):
    """What a job writes: what was computed, as a table, and its commit record."""

    evaluated: Evaluated
    table: pa.Table
    record: CommitRecord


class Job:
    """One attempt at one result.

    ``outcome`` is None as long as it goes on. Another attempt may end otherwise where its input or commit ``changed``
    meanwhile, or where the failure is ``transient``. ``attempt`` and ``is_last`` serve the policy of retries.
    """

    token: Token
    result: Result
    staged: Staged

    def __init__(self, run: RunContext, item: Item, attempt: int = 1, *, is_last: bool = False) -> None:
        self.item = item
        self.attempt = attempt
        self.is_last = is_last
        self.partition = item.aggregation, item.day
        self.aggregation = run.catalog[item.aggregation]
        self.inputs: dict[str, DayInput] = {}
        self.outcome: Outcome | None = None
        self.changed = False
        self.transient = False
        self._run = run
        self._declared = run.declared[item.aggregation]
        self._reads = self._declared.reads(item.day)

    def step(self, step: Callable[..., None], *given: object, doing: str = "") -> None:
        """Take a step: what it raises becomes the job's outcome. ``doing`` begins the message of a storage error."""
        try:
            step(*given)
        except JobSkipped as skipped:
            self.outcome = Skipped(*self.partition, skipped.status)
        except (InputChanged, Superseded):
            self.changed = True
            self.fail("unsettled", UNSETTLED, transient=True)
        except JobFailed as failed:
            self.fail(failed.kind, failed.error, transient=failed.transient, summary=failed.summary)
            if failed.__cause__:
                traceback_log.debug("%s %s failed:", *self.partition, exc_info=failed.__cause__)
        except (StorageError, OSError) as error:
            self.fail("storage", f"{doing}{error}", transient=True)
        except Exception as error:
            log.exception("%s, day %s", *self.partition)
            self.fail("broken", f"{type(error).__name__}: {error}")

    def fail(self, kind: str, error: str, *, transient: bool = False, summary: str = "") -> None:
        """End without a commit."""
        self._run.schemas.release(*self.partition)
        self._run.types.release(self.partition)
        self.outcome = Failed(*self.partition, kind, error, summary)
        self.transient = transient

    def claim(self) -> None:
        """Read what the result may be published over. That comes before the input is read."""
        self.token = self._run.store.token(self.partition)
        found = self.token.found
        if isinstance(found, Newer) or (isinstance(found, Commit) and found.record.version > self._declared.version):
            raise JobSkipped("ahead")

    def read(self, inputs: DayInputs) -> None:
        """Read the input, unless another run has committed the result meanwhile."""
        if isinstance(self.token.found, Commit) and self.token.nonce != self.item.over:
            self.skip_if_current(self._listed(inputs), {})  # that spares reading
        self.inputs = self._found(inputs)
        if self.item.reason == "forced" and self.token.nonce == self.item.over:
            return
        if not isinstance(self.token.found, Commit):
            return  # nothing asks for the digests yet
        contents: dict[tuple[str, str], list[str]] = {}
        for name, source, day in self._reads:
            contents.setdefault((source, day), []).append(self._digest(inputs, name))
        self.skip_if_current({}, contents)

    def skip_if_current(self, files: Files, contents: Contents) -> None:
        """Go no further where the commit that the token saw is current."""
        found = self.token.found
        if isinstance(found, Commit) and is_current(found.record, self._declared, self._reads, files, contents):
            raise JobSkipped(found.status)

    def convert(self, evaluated: Evaluated | JobFailed, inputs: DayInputs) -> None:
        """Make of what was computed the rows and the record that are written."""
        with self._blaming(inputs, evaluated):
            if isinstance(evaluated, JobFailed):
                told = self._cause(evaluated)
                raise JobFailed(
                    evaluated.kind, evaluated.error + told, cause=evaluated.__cause__, summary=evaluated.summary
                )
            table = arrow_table(evaluated.frame)
            self.result = Result(evaluated, table, self._record(evaluated, table, inputs))

    def stage(self, inputs: DayInputs, scope: ExitStack) -> None:
        """Write the result where no reader sees it, for as long as ``scope`` lasts."""
        evaluated, table, record = self.result
        run, aggregation = self._run, self.aggregation
        with self._blaming(inputs, evaluated):
            self.staged = staged = scope.enter_context(run.store.stage(self.partition, self.token, record, table))
            run.schemas.claim(aggregation.name, aggregation.version, self.item.day, staged.schema)
            run.types.claim(self.partition, record.inputs)
            require_readable(staged.content, evaluated.frame, staged.schema)

    def verify(self, inputs: DayInputs) -> None:
        """Check that the input is still what was read."""
        for name, source in self.aggregation.sources.items():
            inputs.verify(source, self.inputs[name].day)

    def settle(self, answer: Commit | Exception) -> None:
        """Take the store's answer."""
        if isinstance(answer, Exception):
            raise answer
        record = answer.record
        update = IndexUpdate(answer, self.token.nonce)
        self.outcome = Committed(*self.partition, record.generation, record.rows, self.item.reason, update)

    def _listed(self, inputs: DayInputs) -> Files:
        sources = self.aggregation.sources
        try:
            return {source: {day: inputs.listed(sources[name], day)} for name, source, day in self._reads}
        except StorageError:
            return {}  # reading it says what is wrong

    def _found(self, inputs: DayInputs) -> dict[str, DayInput]:
        read = {}
        planned = self.item.files or (1,) * len(self._reads)
        for (name, _, day), files in zip(self._reads, planned, strict=True):
            source = self.aggregation.sources[name]
            found = inputs.read(source, day)
            self.require_files(source, len(found.files.files) if found else 0, files)
            assert found
            read[name] = found
        return read

    def require_files(self, source: Source, found: int, planned: int) -> None:
        """Raise JobFailed where the day lost files since it was planned.

        Something may have been unmounted. Where they were removed on purpose, the next plan is made without them.
        """
        if found >= planned:
            return
        gone = "its files are" if not found else f"{planned - found} of its {planned} files are"
        matching = f"{found} match" if found else "none matches"
        root = self._run.input_root.of(absolute=source.template.absolute)
        wanted = f"{source.pattern(self.item.day)} below {root.path}"
        error = f"{gone} gone since the plan was made: {matching} {wanted}; expected {planned}, or a new run"
        raise JobFailed("input", error, transient=True)

    @contextmanager
    def _blaming(self, inputs: DayInputs, evaluated: Evaluated | JobFailed) -> Iterator[None]:
        """Raise JobFailed for what is wrong with the result, unless its input changed under it."""
        try:
            with _as_failures(lambda: self._cause(evaluated)):
                yield
        except JobFailed:
            self.verify(inputs)  # what was read while it was being replaced is nobody's fault
            raise

    def _cause(self, result: Evaluated | JobFailed) -> str:
        told = self._run.types.explain(self.aggregation, self.item.day, result.types, result.rows)
        return f"; {told}" if told else ""

    def _digest(self, inputs: DayInputs, name: str) -> str:
        return inputs.digest(self.aggregation.sources[name], self.inputs[name].day)

    def _record(self, result: Evaluated, table: pa.Table, inputs: DayInputs) -> CommitRecord:
        def source_record(name: str, read: DayInput) -> SourceRecord:
            files = read.files
            return SourceRecord(
                len(files.files),
                files.bytes,
                result.rows[name],
                self._digest(inputs, name),
                files.stat if read.stat_proves else None,
                result.types.get(name, {}),
                result.outside.get(name, 0),
                read.absent,
            )

        return CommitRecord(
            aggregation=self.item.aggregation,
            version=self.aggregation.version,
            code=self.aggregation.code,
            day=self.item.day,
            generation=0,  # this and the nonce are the store's to give
            rows=table.num_rows,
            inputs={name: source_record(name, read) for name, read in self.inputs.items()},
            result=rows_digest(table),
            libraries=LIBRARIES,
            nonce="",
            committed_at=clock.utc_now().isoformat(timespec="milliseconds"),
        )


@contextmanager
def _as_failures(cause: Callable[[], str]) -> Iterator[None]:
    """Raise JobFailed where a result cannot be written, or not beside the others; ``cause`` may add why."""
    try:
        yield
    except SchemaDiffers as error:
        raise JobFailed("schema", f"{error}{cause()}", summary=error.summary) from error
    except Misread as error:
        raise JobFailed("aggregation", f"its result cannot be read back: {error}") from error
    except OSError:  # pyarrow has errors that are of this kind and of its own
        raise
    except (pa.ArrowException, PolarsError, PanicException, TypeError) as error:
        raise JobFailed("aggregation", f"its result cannot be written as Parquet: {error}") from error
