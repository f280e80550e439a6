"""Computes results in groups: one call of polars for many small days, and flushes that wait for the device together.

What is wrong with a result harms that result alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext

from state import clock, turns
from state.partition import Partition
from state.planner.decide import Item
from state.store.base import Staged
from tasks.compute.context import RunContext
from tasks.compute.day_inputs import DayInputs
from tasks.compute.evaluate import Evaluated, evaluate
from tasks.compute.job import Job
from tasks.compute.outcomes import JobFailed, Outcome

ATTEMPTS = 3
"""How often a result is begun while its input or its commit keeps changing."""
TOGETHER_BYTES = 64 << 20
"""How much input is computed together, in bytes once it is unpacked; a day of more has a group of its own."""

log = logging.getLogger("noonmark")


def compute(run: RunContext, items: Sequence[Item]) -> Iterator[Outcome]:
    """Compute and commit planned results, which stand day by day, as far as their outcomes are asked for.

    What is wrong with a result is an outcome, not an error. Here alone results are retried: at once where the input or
    the commit changed meanwhile, ATTEMPTS times at most; once more after all others where the failure was transient.
    Each outcome is final. Once the run is stopping, no further group is begun: its results have no outcome.
    """
    todo = deque(Job(run, item) for item in items)
    failed: dict[Partition, Outcome] = {}
    while todo and not run.stopping.is_set():
        began = clock.monotonic()
        with turns.taken():
            group = _compute_some(run, todo)
        run.batch_size.took(len(group), clock.monotonic() - began)
        at_once = []
        for job in group:
            assert job.outcome is not None
            if job.changed and job.attempt < ATTEMPTS:
                at_once.append(Job(run, job.item, job.attempt + 1, is_last=job.is_last))
            elif job.transient and not job.is_last:
                failed[job.partition] = job.outcome
                todo.append(Job(run, job.item, is_last=True))
            else:
                failed.pop(job.partition, None)
                yield job.outcome
        todo.extendleft(reversed(at_once))
    yield from failed.values()  # the run ends before their second attempt


def _compute_some(run: RunContext, todo: deque[Job]) -> list[Job]:
    """Take the next results through all of their steps; each has an outcome then."""
    group = _claimed(run, todo)
    with DayInputs(run.listing, run.references, run.known_sound) as inputs:  # which are those after the tokens
        group = _read(run, group, todo, inputs)
        goes_on = [job for job in group if job.outcome is None]
        with run.note.computing(job.partition for job in goes_on) if run.note else nullcontext():
            _finish(run, goes_on, inputs)
    return group


def _claimed(run: RunContext, todo: deque[Job]) -> list[Job]:
    """As many results as are computed together, the days whole, with all of their tokens.

    Those come first: then one check of the folders serves all.
    """
    group: list[Job] = []
    while todo and (len(group) < run.batch_size.results or todo[0].item.day == group[-1].item.day):
        job = todo.popleft()
        job.step(job.claim)
        group.append(job)
    return group


def _read(run: RunContext, group: list[Job], todo: deque[Job], inputs: DayInputs) -> list[Job]:
    """Read the inputs of those that have room together, and put the others back."""
    for at, job in enumerate(group):
        if inputs.bytes >= TOGETHER_BYTES and job.item.day != group[at - 1].item.day:
            left = [Job(run, one.item, one.attempt, is_last=one.is_last) for one in group[at:]]
            todo.extendleft(reversed(left))
            return group[:at]
        if job.outcome is None:
            job.step(job.read, inputs)
    return group


def _finish(run: RunContext, group: Sequence[Job], inputs: DayInputs) -> None:
    """Take jobs from their input to their commits, each step for all of them.

    That is also the quickest way: where each job took all steps, its code left the processor's cache between them.
    """
    results = _evaluated(group)
    inputs.expire()
    for job, result in results:
        job.step(job.convert, result, inputs, doing="its result cannot be written: ")
    with ExitStack() as scope:
        for job in group:
            if job.outcome is None:
                job.step(job.stage, inputs, scope, doing="its result cannot be written: ")
        _commit(run, [job for job in group if job.outcome is None], inputs)


def _evaluated(group: Sequence[Job]) -> list[tuple[Job, Evaluated | JobFailed]]:
    days: dict[str, list[Job]] = {}
    for job in group:
        days.setdefault(job.item.day, []).append(job)
    asked = [
        ([job.aggregation for job in jobs], {one.source: one for job in jobs for one in job.inputs.values()})
        for jobs in days.values()
    ]
    try:
        found = evaluate(asked)
    except Exception as error:
        log.exception("days %s", ", ".join(days))
        for job in group:
            job.fail("broken", f"{type(error).__name__}: {error}")
        return []
    return [
        (job, results[job.item.aggregation]) for jobs, results in zip(days.values(), found, strict=True) for job in jobs
    ]


def _commit(run: RunContext, group: Sequence[Job], inputs: DayInputs) -> None:
    jobs = {job.partition: job for job in group}
    inputs.expire()

    def verify(staged: Staged) -> None:
        jobs[staged.partition].verify(inputs)

    for job, answer in zip(group, run.store.commit([job.staged for job in group], verify), strict=True):
        job.step(job.settle, answer, doing="its result cannot be published: ")
